//! Talks to a running stack over its Unix socket. Every wait has a limit, except for the next line of a stream.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::BASE;
use super::error::{ApiError, Envelope};

/// To connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// For an ordinary answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// For the answer to a fault or a heal; longer than the daemon's own limit, so that its word is heard.
const FAULT_WITHIN: Duration = Duration::from_secs(70);
/// For a stack to be taken down.
const DOWN_WITHIN: Duration = Duration::from_secs(120);
/// A reset, which itself is bounded, and the healing before it.
const RESET_WITHIN: Duration = Duration::from_secs(140);
/// How long after a question it is looked whether the daemon lives at all, and between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// How long a daemon may take to tell the time, which waits for nothing; one that takes longer is stopped or stuck.
const SIGN_OF_LIFE_WITHIN: Duration = Duration::from_secs(8);
/// The largest answer that is read whole, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The longest line of a stream, in bytes.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Why a stack did not answer as wished.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("nobody answers on `{}`", path.display())]
    Gone {
        /// The socket.
        path: PathBuf,
        /// What came back.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The daemon does not even tell the time.
    #[error("the daemon{} does not answer: it is stopped or stuck", .0.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Hung(Option<i32>),
    /// The connection broke.
    #[error("the connection to the stack broke")]
    Broken(#[source] hyper::Error),
    /// What came is no answer of ours.
    #[error("the answer can not be understood: {0}")]
    Malformed(String),
    /// The stack said no.
    #[error("{}", .0.message)]
    Refused(ApiError),
}

/// A client of one stack. A connection per request: requests are rare, and a kept one would have to be watched.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the stack behind `socket`. Nothing is sent yet.
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Reads a view.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.whole(Method::GET, path, None, ANSWER_WITHIN).await
    }

    /// Sends a fault.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).expect("what we send has no maps with odd keys");
        self.whole(Method::POST, path, Some(body), FAULT_WITHIN)
            .await
    }

    /// Heals.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.whole(Method::DELETE, path, None, FAULT_WITHIN).await
    }

    /// Takes the stack down and returns when its instances are gone.
    pub async fn down(&self, purge: bool) -> Result<super::views::DownView, ClientError> {
        let path = format!("/down?purge={purge}");
        self.whole(Method::POST, &path, None, DOWN_WITHIN).await
    }

    /// Takes the stack back to its topology file and returns when it is whole.
    pub async fn reset(&self) -> Result<super::views::ResetView, ClientError> {
        self.whole(Method::POST, "/reset", None, RESET_WITHIN).await
    }

    /// Opens a stream of lines.
    pub async fn lines(&self, path: &str) -> Result<Lines, ClientError> {
        let opened = within(ANSWER_WITHIN, self.send(Method::GET, path, None));
        let (answer, connection) = self.unless_hung(opened).await?;
        if answer.status().is_success() {
            return Ok(Lines {
                body: answer.into_body(),
                buffer: Vec::new(),
                _connection: connection,
            });
        }
        Err(refusal(
            answer.status(),
            &within(ANSWER_WITHIN, collect(answer.into_body())).await?,
        ))
    }

    /// Reads a stream of lines that ends by itself.
    pub async fn all_lines(&self, path: &str) -> Result<Vec<String>, ClientError> {
        let read = Box::pin(within(ANSWER_WITHIN, async {
            let mut lines = self.lines(path).await?;
            let mut all = Vec::new();
            while let Some(line) = lines.next().await? {
                all.push(line);
            }
            Ok(all)
        }));
        self.unless_hung(read).await
    }

    async fn whole<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        limit: Duration,
    ) -> Result<T, ClientError> {
        let asked = within(limit, async {
            let (answer, _connection) = self.send(method, path, body).await?;
            Ok((answer.status(), collect(answer.into_body()).await?))
        });
        let (status, text) = self.unless_hung(asked).await?;
        if !status.is_success() {
            return Err(refusal(status, &text));
        }
        serde_json::from_slice(&text).map_err(|e| ClientError::Malformed(e.to_string()))
    }

    /// What comes of `work`, which may take its time as long as the daemon gives signs of life.
    async fn unless_hung<T>(
        &self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        tokio::select! {
            done = work => done,
            hung = self.hung() => Err(hung),
        }
    }

    /// Returns when the daemon gives no sign of life. What it does not answer may take its time.
    async fn hung(&self) -> ClientError {
        loop {
            tokio::time::sleep(LOOK).await;
            let sign = self.send(Method::GET, "/clock", None);
            if let Err(ClientError::TimedOut(_)) = within(SIGN_OF_LIFE_WITHIN, sign).await {
                return ClientError::Hung(self.pid().await);
            }
        }
    }

    /// Who listens on the socket.
    async fn pid(&self) -> Option<i32> {
        let connecting = UnixStream::connect(&self.socket);
        let stream = tokio::time::timeout(CONNECT_WITHIN, connecting).await;
        stream.ok()?.ok()?.peer_cred().ok()?.pid()
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(http::Response<Incoming>, Connection), ClientError> {
        let gone = |source| ClientError::Gone {
            path: self.socket.clone(),
            source,
        };
        let stream = within(CONNECT_WITHIN, async {
            UnixStream::connect(&self.socket).await.map_err(gone)
        })
        .await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(ClientError::Broken)?;
        let mut tasks = tokio::task::JoinSet::new();
        // Its end is seen by the request and by the body; there is nothing more to learn here.
        tasks.spawn(async move {
            let _ = connection.await;
        });
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{BASE}{path}"))
            .header(header::HOST, "localhost");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|e| ClientError::Malformed(e.to_string()))?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(ClientError::Broken)?;
        Ok((answer, Connection { _tasks: tasks }))
    }
}

/// What drives a connection; it ends with its owner.
struct Connection {
    _tasks: tokio::task::JoinSet<()>,
}

/// A stream of lines.
pub struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
    _connection: Connection,
}

impl Lines {
    /// The next line without its end; none at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(ClientError::Malformed("a line without end".to_owned()));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(ClientError::Broken(error)),
                None => return Ok(None),
            }
        }
    }
}

async fn collect(body: Incoming) -> Result<Bytes, ClientError> {
    let whole = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    whole
        .map(http_body_util::Collected::to_bytes)
        .map_err(|e| ClientError::Malformed(e.to_string()))
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| ClientError::TimedOut(limit))?
}

fn refusal(status: StatusCode, text: &[u8]) -> ClientError {
    match serde_json::from_slice::<Envelope>(text) {
        Ok(envelope) => ClientError::Refused(envelope.error),
        Err(_) => ClientError::Malformed(format!("status {status}")),
    }
}

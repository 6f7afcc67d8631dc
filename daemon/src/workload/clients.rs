//! A drill's clients: each does one thing over and over through an endpoint's name and notes in the ledger how it went.
//!
//! Unless the drill gives them a weakness they behave as careful applications do: a name is resolved for every new connection,
//! every wait is bounded, a connection that failed is replaced. An answer that did not come leaves the operation's outcome unknown, never failed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chaos::ledger::{Key, Ledger};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use redis::AsyncConnectionConfig;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use super::target::Target;
use crate::driver::Clock;

/// The pause after a failure: a client that hammers measures itself.
const PAUSE: Duration = Duration::from_millis(10);

/// What the tables and keys that clients write to are called, and a number.
pub const TABLE: &str = "localaws_drill";

/// One client's place in a drill.
#[derive(Clone)]
pub struct Client {
    /// Its number; keys carry it.
    pub number: u16,
    /// Where it goes.
    pub target: Target,
    /// The time between the beginnings of two operations.
    pub every: Duration,
    /// The drill's clock: the stack's own.
    pub clock: Clock,
    /// Where it notes what happened.
    pub ledger: Arc<Mutex<Ledger>>,
    /// Ends it, after the operation that it is in.
    pub stop: CancellationToken,
}

/// How a try went.
enum Try {
    Acknowledged,
    /// It can not have been applied.
    Failed(String),
    /// It may have been applied.
    Unknown(String),
}

impl Client {
    fn note(&self, key: Key, started: topologies::time::Time, result: &Try) {
        let ended = self.clock.now();
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Try::Acknowledged => ledger.acknowledged(key, started, ended),
            Try::Failed(why) => ledger.failed(key, started, ended, why),
            Try::Unknown(why) => ledger.unknown(key, started, ended, why),
        }
    }

    /// Waits for the next operation's time; a client that is late goes on at once and does not catch up.
    async fn pace(&self, begun: tokio::time::Instant, went_well: bool) {
        let pause = if went_well {
            self.every
        } else {
            self.every.max(PAUSE)
        };
        tokio::time::sleep(pause.saturating_sub(begun.elapsed())).await;
    }

    /// Inserts keys into a table, one row each, until it is told to stop.
    pub async fn write_sql(self, config: tokio_postgres::Config, table: String) {
        let mut session: Option<Sql> = None;
        for count in (0..).take_while(|_| !self.stop.is_cancelled()) {
            let (key, started, begun) = (
                Key::new(self.number, count),
                self.clock.now(),
                tokio::time::Instant::now(),
            );
            let result = self.insert(&mut session, &config, &table, key).await;
            let went_well = matches!(result, Try::Acknowledged);
            if !went_well {
                session = None;
            }
            self.note(key, started, &result);
            self.pace(begun, went_well).await;
        }
    }

    async fn insert(
        &self,
        session: &mut Option<Sql>,
        config: &tokio_postgres::Config,
        table: &str,
        key: Key,
    ) -> Try {
        let sql = match session {
            Some(sql) => sql,
            None => match Sql::connect(&self.target, config).await {
                Ok(sql) => session.insert(sql),
                Err(why) => return Try::Failed(why),
            },
        };
        let statement = format!("INSERT INTO {table} (key) VALUES ($1)");
        let key = key.to_string();
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&key];
        let answer = sql.client.execute(&statement, &parameters);
        match self.target.patience.wait(answer).await {
            Ok(Ok(_)) => Try::Acknowledged,
            // The server answered that it refuses: nothing was written. Anything else says nothing about the commit.
            Ok(Err(cause)) => match cause.as_db_error() {
                Some(refusal) if refusal.severity() == "ERROR" => {
                    Try::Failed(refusal.message().to_owned())
                }
                Some(_) | None => Try::Unknown(crate::causes::chain(&cause)),
            },
            Err(waited) => Try::Unknown(format!("no answer to the commit {waited}")),
        }
    }

    /// Adds keys to a set in Redis until it is told to stop.
    pub async fn write_redis(self, set: String, password: Option<String>) {
        let mut connection = None;
        for count in (0..).take_while(|_| !self.stop.is_cancelled()) {
            let (key, started, begun) = (
                Key::new(self.number, count),
                self.clock.now(),
                tokio::time::Instant::now(),
            );
            let result = self
                .add(&mut connection, &set, password.as_deref(), key)
                .await;
            let went_well = matches!(result, Try::Acknowledged);
            if !went_well {
                connection = None;
            }
            self.note(key, started, &result);
            self.pace(begun, went_well).await;
        }
    }

    async fn add(
        &self,
        connection: &mut Option<redis::aio::MultiplexedConnection>,
        set: &str,
        password: Option<&str>,
        key: Key,
    ) -> Try {
        let redis = match connection {
            Some(redis) => redis,
            None => match redis_connection(&self.target, password).await {
                Ok(redis) => connection.insert(redis),
                Err(why) => return Try::Failed(why),
            },
        };
        let mut command = redis::cmd("SADD");
        command.arg(set).arg(key.to_string());
        let answer = command.query_async::<i64>(redis);
        match self.target.patience.wait(answer).await {
            Ok(Ok(_)) => Try::Acknowledged,
            Ok(Err(cause)) if cause.code().is_some() => Try::Failed(cause.to_string()),
            Ok(Err(cause)) => Try::Unknown(cause.to_string()),
            Err(waited) => Try::Unknown(format!("no answer {waited}")),
        }
    }

    /// Asks for a path over kept connections until it is told to stop.
    pub async fn request(self, path: String) {
        let mut connection: Option<Http> = None;
        for count in (0..).take_while(|_| !self.stop.is_cancelled()) {
            let (key, started, begun) = (
                Key::new(self.number, count),
                self.clock.now(),
                tokio::time::Instant::now(),
            );
            let answer = self.get(&mut connection, &path);
            let result = match self.target.patience.wait(answer).await {
                Ok(Ok(())) => Try::Acknowledged,
                Ok(Err(why)) => Try::Failed(why),
                Err(waited) => Try::Failed(format!("no answer {waited}")),
            };
            let went_well = matches!(result, Try::Acknowledged);
            if !went_well {
                connection = None;
            }
            self.note(key, started, &result);
            self.pace(begun, went_well).await;
        }
    }

    async fn get(&self, connection: &mut Option<Http>, path: &str) -> Result<(), String> {
        let http = match connection {
            Some(http) if !http.sender.is_closed() => http,
            Some(_) | None => connection.insert(Http::connect(&self.target).await?),
        };
        http.sender
            .ready()
            .await
            .map_err(|cause| cause.to_string())?;
        let request = http::Request::get(path)
            .header(http::header::HOST, &self.target.name)
            .body(Empty::<Bytes>::new())
            .map_err(|cause| cause.to_string())?;
        let answer = http
            .sender
            .send_request(request)
            .await
            .map_err(|cause| cause.to_string())?;
        let status = answer.status();
        answer
            .into_body()
            .collect()
            .await
            .map_err(|cause| cause.to_string())?;
        if status.is_server_error() {
            Err(format!("status {}", status.as_u16()))
        } else {
            Ok(())
        }
    }
}

/// A connection to PostgreSQL; its task ends with it.
pub struct Sql {
    /// What is asked.
    pub client: tokio_postgres::Client,
    _task: JoinSet<()>,
}

impl Sql {
    /// Connects to what the name means now.
    ///
    /// # Errors
    /// In words: the name does not resolve, nobody answers, the server refuses.
    pub async fn connect(target: &Target, config: &tokio_postgres::Config) -> Result<Self, String> {
        let address = target.address().await?;
        let connect = async {
            let stream = TcpStream::connect(address)
                .await
                .map_err(|cause| cause.to_string())?;
            stream
                .set_nodelay(true)
                .map_err(|cause| cause.to_string())?;
            config
                .connect_raw(stream, NoTls)
                .await
                .map_err(|cause| crate::causes::chain(&cause))
        };
        let (client, connection) = target
            .patience
            .wait(connect)
            .await
            .map_err(|waited| format!("no connection {waited}"))??;
        let mut task = JoinSet::new();
        task.spawn(async move {
            // The client's next statement tells what happened.
            let _told = connection.await;
        });
        Ok(Self {
            client,
            _task: task,
        })
    }
}

/// Connects to Redis at what the name means now.
///
/// # Errors
/// In words.
pub async fn redis_connection(
    target: &Target,
    password: Option<&str>,
) -> Result<redis::aio::MultiplexedConnection, String> {
    let SocketAddr::V4(address) = target.address().await? else {
        return Err("no IPv4 address".to_owned());
    };
    let credentials = password
        .map(|password| format!(":{password}@"))
        .unwrap_or_default();
    let client = redis::Client::open(format!("redis://{credentials}{address}/"))
        .map_err(|cause| cause.to_string())?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(target.patience.limit())
        .set_response_timeout(target.patience.limit());
    let connect = client.get_multiplexed_async_connection_with_config(&config);
    target
        .patience
        .wait(connect)
        .await
        .map_err(|waited| format!("no connection {waited}"))?
        .map_err(|cause| cause.to_string())
}

struct Http {
    sender: http1::SendRequest<Empty<Bytes>>,
    _task: JoinSet<()>,
}

impl Http {
    async fn connect(target: &Target) -> Result<Self, String> {
        let address = target.address().await?;
        let stream = TcpStream::connect(address)
            .await
            .map_err(|cause| cause.to_string())?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|cause| cause.to_string())?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            // The next request tells what happened.
            let _told = connection.await;
        });
        Ok(Self {
            sender,
            _task: task,
        })
    }
}

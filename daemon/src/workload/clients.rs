//! A drill's clients: each does one thing over and over through an endpoint's name and notes in the ledger how it went.
//!
//! They behave as careful applications do: a name is resolved for every new connection, every wait is bounded, a connection that
//! failed is replaced. An answer that did not come leaves the operation's outcome unknown, never failed.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chaos::ledger::{Key, Ledger};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proxies::dns::client::lookup;
use redis::AsyncConnectionConfig;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use crate::driver::Clock;

/// The pause after a failure: a client that hammers measures itself.
const PAUSE: Duration = Duration::from_millis(10);

/// What the tables and keys that clients write to are called, and a number.
pub const TABLE: &str = "localaws_drill";

/// Where a client goes and how it gets there.
#[derive(Clone, Debug)]
pub struct Target {
    /// The resolver that it asks.
    pub resolver: SocketAddr,
    /// The endpoint's name.
    pub name: String,
    /// The endpoint's port, where it really is.
    pub port: u16,
    /// The longest that a client waits for a name, a connection or an answer.
    pub patience: Duration,
}

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

impl Target {
    /// Resolves the name.
    async fn address(&self) -> Result<SocketAddr, String> {
        let answer = lookup(self.resolver, &self.name, self.patience)
            .await
            .map_err(|cause| cause.to_string())?;
        let address = answer.addresses.first().ok_or("the name has no address")?;
        Ok(SocketAddr::from(SocketAddrV4::new(
            Ipv4Addr::clone(address),
            self.port,
        )))
    }
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
        match timeout(
            self.target.patience,
            sql.client.execute(&statement, &[&key.to_string()]),
        )
        .await
        {
            Ok(Ok(_)) => Try::Acknowledged,
            // The server answered that it refuses: nothing was written. Anything else says nothing about the commit.
            Ok(Err(cause)) => match cause.as_db_error() {
                Some(refusal) if refusal.severity() == "ERROR" => {
                    Try::Failed(refusal.message().to_owned())
                }
                Some(_) | None => Try::Unknown(crate::effects::chain(&cause)),
            },
            Err(_) => Try::Unknown("no answer to the commit in time".to_owned()),
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
        match timeout(self.target.patience, command.query_async::<i64>(redis)).await {
            Ok(Ok(_)) => Try::Acknowledged,
            Ok(Err(cause)) if cause.code().is_some() => Try::Failed(cause.to_string()),
            Ok(Err(cause)) => Try::Unknown(cause.to_string()),
            Err(_) => Try::Unknown("no answer in time".to_owned()),
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
            let result = match timeout(self.target.patience, self.get(&mut connection, &path)).await
            {
                Ok(Ok(())) => Try::Acknowledged,
                Ok(Err(why)) => Try::Failed(why),
                Err(_) => Try::Failed("no answer in time".to_owned()),
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
                .map_err(|cause| crate::effects::chain(&cause))
        };
        let (client, connection) = timeout(target.patience, connect)
            .await
            .map_err(|_| "no connection in time".to_owned())??;
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
        .set_connection_timeout(Some(target.patience))
        .set_response_timeout(Some(target.patience));
    let connect = client.get_multiplexed_async_connection_with_config(&config);
    timeout(target.patience, connect)
        .await
        .map_err(|_| "no connection in time".to_owned())?
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

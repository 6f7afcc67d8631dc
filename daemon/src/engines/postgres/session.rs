//! A connection to PostgreSQL that owns its own driver: no task runs beside it, and dropping it closes the socket.
//!
//! Cancel-safety: dropping a call leaves the session in the middle of a statement; drop the session too.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::net::TcpStream;
use tokio_postgres::error::SqlState;
use tokio_postgres::{
    Client, Config, Error, NoTls, Row, SimpleQueryMessage, SimpleQueryRow, Statement,
};

use super::ADMIN;
use crate::engines::secrets::Secret;

/// What every session of ours sets. Our own commits must not wait for a standby that is yet to come, statements are quoted
/// for standard strings, and no parameter of the topology cuts our statements short or has them only read.
const OPTIONS: &str = "-c synchronous_commit=local -c standard_conforming_strings=on \
                       -c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c client_min_messages=error";

/// The connection's work, polled only while a request waits.
type Driver = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// An open session as [`ADMIN`].
pub(super) struct Session {
    client: Client,
    driver: Driver,
}

/// Why a session could not be opened, or broke.
#[derive(Debug)]
pub(super) enum SessionError {
    /// TCP failed.
    Io(io::Error),
    /// PostgreSQL said no, or hung up.
    Sql(Error),
}

impl SessionError {
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Io(_) => None,
            Self::Sql(error) => error.code(),
        }
    }
}

impl Session {
    /// Opens a session on the database `postgres`.
    pub(super) async fn open(address: SocketAddr, password: &Secret) -> Result<Self, SessionError> {
        Self::over(Self::connect(address).await?, password).await
    }

    /// The first half of [`Session::open`].
    pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, SessionError> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(SessionError::Io)?;
        stream.set_nodelay(true).map_err(SessionError::Io)?;
        Ok(stream)
    }

    /// The second half.
    pub(super) async fn over(stream: TcpStream, password: &Secret) -> Result<Self, SessionError> {
        let (client, connection) = Config::new()
            .user(ADMIN)
            .password(password.expose())
            .dbname("postgres")
            .application_name("localaws")
            .options(OPTIONS)
            .connect_raw(stream, NoTls)
            .await
            .map_err(SessionError::Sql)?;
        Ok(Self {
            client,
            driver: Box::pin(connection),
        })
    }

    /// Runs statements, whose rows are of no interest.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<(), Error> {
        let Self { client, driver } = self;
        drive(driver, client.batch_execute(sql)).await
    }

    /// Runs a statement and returns its rows as text.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<SimpleQueryRow>, Error> {
        let Self { client, driver } = self;
        let messages = drive(driver, client.simple_query(sql)).await?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => {
                None
            }
        });
        Ok(rows.collect())
    }

    /// Runs a statement and returns the first column of its first row, if it is not null.
    pub(super) async fn value(&mut self, sql: &str) -> Result<Option<String>, Error> {
        let rows = self.rows(sql).await?;
        Ok(rows.first().and_then(|row| row.get(0)).map(str::to_owned))
    }

    /// Prepares a statement without parameters.
    pub(super) async fn prepare(&mut self, sql: &str) -> Result<Statement, Error> {
        let Self { client, driver } = self;
        drive(driver, client.prepare(sql)).await
    }

    /// Runs a prepared statement that returns one row.
    pub(super) async fn row(&mut self, statement: &Statement) -> Result<Row, Error> {
        let Self { client, driver } = self;
        drive(driver, client.query_one(statement, &[])).await
    }
}

/// Waits for `request` while the connection works for it. If the connection ends, so does every request on it.
async fn drive<T>(
    driver: &mut Driver,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut request = std::pin::pin!(request);
    tokio::select! {
        biased;
        answer = &mut request => return answer,
        end = driver => end?,
    }
    request.await
}

/// Quotes text as a literal, for sessions with [`OPTIONS`].
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Quotes a name.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

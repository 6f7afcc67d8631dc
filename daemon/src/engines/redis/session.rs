//! A connection to Redis that owns its own driver: no task runs beside it, and dropping it closes the socket.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::{
    AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, RedisConnectionInfo, RedisError, Value,
};
use tokio::net::TcpStream;

use crate::engines::secrets::Secret;

/// An open session.
pub(super) struct Session {
    connection: MultiplexedConnection,
    /// The connection's work, polled only while a command waits.
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Why a session could not be opened, or broke.
#[derive(Debug)]
pub(super) enum SessionError {
    /// TCP failed.
    Io(io::Error),
    /// Redis said no, or hung up.
    Redis(RedisError),
}

impl Session {
    pub(super) async fn open(
        address: SocketAddr,
        token: Option<&Secret>,
    ) -> Result<Self, SessionError> {
        Self::over(Self::connect(address).await?, token).await
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
    pub(super) async fn over(
        stream: TcpStream,
        token: Option<&Secret>,
    ) -> Result<Self, SessionError> {
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(token) = token {
            login = login.set_password(token.expose());
        }
        // Whoever calls has a deadline of its own.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&login, stream, config)
            .await
            .map_err(SessionError::Redis)?;
        Ok(Self {
            connection,
            driver: Box::pin(driver),
        })
    }

    pub(super) async fn query<T: FromRedisValue>(
        &mut self,
        command: &Cmd,
    ) -> Result<T, SessionError> {
        let Self { connection, driver } = self;
        let value = drive(driver, connection.req_packed_command(command)).await;
        value
            .and_then(|value| Ok(T::from_redis_value(value)?))
            .map_err(SessionError::Redis)
    }

    /// Sends two commands at once; the answer to the second, or the first error.
    pub(super) async fn both<T: FromRedisValue>(
        &mut self,
        commands: [Cmd; 2],
    ) -> Result<T, SessionError> {
        let Self { connection, driver } = self;
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command);
        }
        let values = drive(driver, connection.req_packed_commands(&pipeline, 0, 2)).await;
        let answer = values.and_then(|values| {
            let mut last = Value::Nil;
            for value in values {
                last = value.extract_error()?;
            }
            Ok(T::from_redis_value(last)?)
        });
        answer.map_err(SessionError::Redis)
    }
}

/// Waits for `request` while the connection works for it. If the connection ends, the request does too.
async fn drive<T>(
    driver: &mut Pin<Box<dyn Future<Output = ()> + Send>>,
    request: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    let mut request = std::pin::pin!(request);
    tokio::select! {
        biased;
        answer = &mut request => return answer,
        () = driver => {}
    }
    request.await
}

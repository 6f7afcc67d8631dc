//! Sessions: a cookie with a random name, and who it is in Redis.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::settings::{Connections, Reconnect};

const WHAT: &str = "the session store";
const LIFETIME: Duration = Duration::from_secs(3_600);

/// The session store: one connection, shared, made when first needed.
pub(crate) struct Sessions {
    client: Option<redis::Client>,
    limits: Connections,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Sessions {
    /// A store without a connection.
    pub(crate) fn new(client: Option<redis::Client>, limits: Connections) -> Self {
        Self {
            client,
            limits,
            connection: Mutex::default(),
        }
    }

    /// Whether there is a store at all.
    pub(crate) fn configured(&self) -> bool {
        self.client.is_some()
    }

    /// Opens a session and returns its cookie.
    pub(crate) async fn open(&self, user: &str) -> Result<String, Failure> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| unavailable(&error))?;
        let id = hex::encode(random);
        let mut command = redis::cmd("SET");
        command.arg(key(&id)).arg(user);
        command.arg("EX").arg(LIFETIME.as_secs());
        self.run::<()>(&command).await?;
        Ok(format!("session={id}; HttpOnly; Path=/; SameSite=Lax"))
    }

    /// Whose session the request's cookie names.
    pub(crate) async fn user(&self, headers: &HeaderMap) -> Result<String, Failure> {
        let id = cookie(headers).ok_or(Failure::NotFound("no session"))?;
        let user: Option<String> = self.run(redis::cmd("GET").arg(key(id))).await?;
        user.ok_or(Failure::NotFound("no session"))
    }

    /// Whether the store answers.
    pub(crate) async fn ping(&self) -> Result<(), Failure> {
        self.run(&redis::cmd("PING")).await
    }

    async fn run<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Failure> {
        let mut connection = self.connect().await?;
        let limit = self.limits.query_timeout;
        let failure = match timeout(limit, command.query_async(&mut connection)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => unavailable(&error),
            Err(_) => unavailable(&format_args!("no answer within {limit:?}")),
        };
        // Any error, also the READONLY of a demoted primary, means: look the name up again.
        if self.limits.reconnect == Reconnect::OnError {
            *self.held() = None;
        }
        Err(failure)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, Failure> {
        let held = self.held().clone();
        if let Some(connection) = held {
            return Ok(connection);
        }
        let client = self.client.as_ref();
        let client = client.ok_or_else(|| unavailable(&"REDIS_URL is not set"))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.limits.connect_timeout))
            .set_response_timeout(Some(self.limits.query_timeout));
        let limit = self.limits.connect_timeout;
        let connection = timeout(
            limit,
            client.get_multiplexed_async_connection_with_config(&config),
        )
        .await
        .map_err(|_| unavailable(&"connecting timed out"))?
        .map_err(|error| unavailable(&error))?;
        *self.held() = Some(connection.clone());
        Ok(connection)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(cause: &dyn std::fmt::Display) -> Failure {
    Failure::Unavailable {
        what: WHAT,
        cause: cause.to_string(),
    }
}

fn key(id: &str) -> String {
    format!("session:{id}")
}

/// The session's id in the request's cookies, if it has the shape of one.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix("session="))
        .filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let check = |header: &'static str, expected: Option<&str>| {
            let headers = HeaderMap::from_iter([(COOKIE, header.parse().unwrap())]);
            assert_eq!(cookie(&headers), expected, "{header}");
        };
        let id = "0123456789abcdef0123456789abcdef";
        check("session=0123456789abcdef0123456789abcdef", Some(id));
        check(
            "a=b; session=0123456789abcdef0123456789abcdef; c=d",
            Some(id),
        );
        check("a=b", None);
        check("session=short", None);
        check("session=*123456789abcdef0123456789abcdef", None);
        check("mysession=0123456789abcdef0123456789abcdef", None);
    }
}

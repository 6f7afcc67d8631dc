//! A small pool of PostgreSQL connections which looks the endpoint's name up again after every failure.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};

use crate::failure::Failure;
use crate::settings::{Connections, Reconnect};

/// Connections to one database endpoint, made when first needed.
pub(crate) struct Pool {
    what: &'static str,
    config: Config,
    limits: Connections,
    /// Those not in use; with [`Reconnect::Never`] the one that is held, in use or not.
    idle: Mutex<Vec<Arc<Session>>>,
    permits: Semaphore,
}

/// A connection. Dropping it ends the task that drives it and closes the socket.
struct Session {
    client: Client,
    _driver: JoinSet<()>,
}

impl Pool {
    /// A pool without connections; `what` is the endpoint's name in messages.
    pub(crate) fn new(what: &'static str, config: Config, limits: Connections) -> Self {
        Self {
            what,
            config,
            limits,
            idle: Mutex::default(),
            permits: Semaphore::new(limits.pool_size),
        }
    }

    /// Runs one statement, in its own transaction.
    pub(crate) async fn query(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let _permit = timeout(self.limits.query_timeout, self.permits.acquire())
            .await
            .map_err(|_| self.unavailable("every connection is busy"))?
            .expect("the semaphore is never closed");
        let session = self.session().await?;
        let answer = session.client.query(statement, parameters);
        match timeout(self.limits.query_timeout, answer).await {
            Ok(Ok(rows)) => {
                self.give_back(session, true);
                Ok(rows)
            }
            Ok(Err(error)) => {
                let usable = error.code().is_some_and(|code| !endpoint_moved(code));
                self.give_back(session, usable);
                Err(self.failed(&error))
            }
            Err(_) => {
                self.give_back(session, false);
                Err(Failure::Unanswered {
                    what: self.what,
                    cause: format!("no answer within {:?}", self.limits.query_timeout),
                })
            }
        }
    }

    async fn session(&self) -> Result<Arc<Session>, Failure> {
        if let Some(session) = self.held() {
            return Ok(session);
        }
        let (client, connection) = timeout(self.limits.connect_timeout, self.config.connect(NoTls))
            .await
            .map_err(|_| self.unavailable("connecting timed out"))?
            .map_err(|error| self.unavailable(&with_causes(&error)))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "database connection ended");
            }
        });
        let session = Arc::new(Session {
            client,
            _driver: driver,
        });
        if self.limits.reconnect == Reconnect::Never {
            self.idle().push(Arc::clone(&session));
        }
        Ok(session)
    }

    fn held(&self) -> Option<Arc<Session>> {
        let mut idle = self.idle();
        if self.limits.reconnect == Reconnect::Never {
            return idle.last().cloned();
        }
        let session = idle.pop()?;
        if session.client.is_closed() {
            idle.clear();
            return None;
        }
        Some(session)
    }

    /// When one connection failed, those beside it lead to the same host: all of them go.
    fn give_back(&self, session: Arc<Session>, usable: bool) {
        match (self.limits.reconnect, usable) {
            (Reconnect::Never, _) => (),
            (Reconnect::OnError, true) => self.idle().push(session),
            (Reconnect::OnError, false) => self.idle().clear(),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Session>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unavailable(&self, cause: &str) -> Failure {
        Failure::Unavailable {
            what: self.what,
            cause: cause.to_owned(),
        }
    }

    fn failed(&self, error: &tokio_postgres::Error) -> Failure {
        let cause = with_causes(error);
        // The server says that it did not do it; without its word nobody knows.
        if error.code().is_some_and(|code| !leaves_doubt(code)) {
            self.unavailable(&cause)
        } else {
            Failure::Unanswered {
                what: self.what,
                cause,
            }
        }
    }
}

/// Whether the server is no longer the one to talk to: it shuts down, starts up or became a read-only standby.
fn endpoint_moved(code: &SqlState) -> bool {
    [
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
    ]
    .contains(code)
}

/// Whether a transaction may have been committed in spite of this error: the server ended while it waited for its standby.
fn leaves_doubt(code: &SqlState) -> bool {
    [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_outlives_a_refused_statement_but_not_a_failover() {
        assert!(!endpoint_moved(&SqlState::UNIQUE_VIOLATION));
        assert!(!endpoint_moved(&SqlState::QUERY_CANCELED));
        assert!(endpoint_moved(&SqlState::READ_ONLY_SQL_TRANSACTION));
        assert!(leaves_doubt(&SqlState::ADMIN_SHUTDOWN));
        assert!(!leaves_doubt(&SqlState::READ_ONLY_SQL_TRANSACTION));
    }

    #[test]
    fn causes_are_told() {
        let root = std::io::Error::other(std::fmt::Error);
        assert!(with_causes(&root).starts_with("an error occurred"));
    }
}

//! Users, passwords and the database of a new primary.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::session::{Session, SessionError, identifier, literal};
use super::{ADMIN, COMMAND_LIMIT, DbSettings, MASTER_GROUP, Postgres, REPLICATION};
use super::{connect_error, sql_error, within};
use crate::engines::secrets::DbSecrets;
use crate::engines::{EngineError, EngineHost};

/// What pg_rewind calls on the server that it reads (its documentation, "Notes").
const REWIND_FUNCTIONS: [&str; 4] = [
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
];

/// How long a server that was started may take until it listens and lets clients in.
const STARTING_LIMIT: Duration = Duration::from_secs(2);
/// Between two attempts to reach a server that starts.
const STARTING_PAUSE: Duration = Duration::from_millis(25);

impl Postgres {
    /// Gives the primary this stack's passwords, its master user and its database. Twice is the same as once. Followers
    /// get all of it through their stream, and can not begin to stream before.
    pub async fn configure_primary(&self, host: &EngineHost) -> Result<(), EngineError> {
        let action = "configure";
        within(COMMAND_LIMIT, &host.instance, action, async {
            let mut session = self.session_once_started(host).await?;
            let fail = sql_error(&host.instance, action);
            let major = self.major().await?;
            let roles = names(&mut session, "SELECT rolname FROM pg_roles")
                .await
                .map_err(&fail)?;
            let sql = role_statements(&self.settings, &self.secrets, major, &roles);
            session.execute(&sql).await.map_err(&fail)?;
            let databases = names(&mut session, "SELECT datname FROM pg_database")
                .await
                .map_err(&fail)?;
            let master = identifier(&self.settings.master_username);
            // The database that is always there is the master user's too; only its owner may create tables in it, from 15 on.
            let mut sql = format!("ALTER DATABASE postgres OWNER TO {master}");
            session.execute(&sql).await.map_err(&fail)?;
            if !databases.contains(&self.settings.db_name) {
                sql = format!(
                    "CREATE DATABASE {} OWNER {master}",
                    identifier(&self.settings.db_name),
                );
                session.execute(&sql).await.map_err(&fail)?;
            }
            Ok(())
        })
        .await
    }

    /// The first session of a server that was started a moment ago: as long as it may yet begin to listen, its refusal is none.
    async fn session_once_started(&self, host: &EngineHost) -> Result<Session, EngineError> {
        let deadline = Instant::now() + STARTING_LIMIT;
        loop {
            match self.first_session(host).await {
                Err(error) if starting(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(STARTING_PAUSE).await;
                }
                result => return result,
            }
        }
    }

    /// A session with the stack's password, or with the golden cluster's on a server that has not got it yet.
    async fn first_session(&self, host: &EngineHost) -> Result<Session, EngineError> {
        match Session::open(host.dial, &self.secrets.admin).await {
            Ok(session) => Ok(session),
            Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => {
                let password = self.golden().await?.password()?;
                Session::open(host.dial, &password)
                    .await
                    .map_err(|error: SessionError| connect_error(&host.instance, error))
            }
            Err(error) => Err(connect_error(&host.instance, error)),
        }
    }
}

async fn names(
    session: &mut Session,
    sql: &str,
) -> Result<BTreeSet<String>, tokio_postgres::Error> {
    let rows = session.rows(sql).await?;
    Ok(rows
        .iter()
        .filter_map(|row| row.get(0).map(str::to_owned))
        .collect())
}

/// Statements, one transaction, that bring the roles about, whichever of them exist.
fn role_statements(
    settings: &DbSettings,
    secrets: &DbSecrets,
    major: u16,
    existing: &BTreeSet<String>,
) -> String {
    let ensure = |name: &str, rest: String| {
        let verb = if existing.contains(name) {
            "ALTER"
        } else {
            "CREATE"
        };
        format!("{verb} ROLE {} {rest}", identifier(name))
    };
    let password = |secret: &str| format!("LOGIN PASSWORD {}", literal(secret));
    let master = &settings.master_username;
    let mut statements = vec![
        "BEGIN".to_owned(),
        ensure(ADMIN, password(secrets.admin.expose())),
        ensure(
            REPLICATION,
            format!("REPLICATION {}", password(secrets.replication.expose())),
        ),
        ensure(MASTER_GROUP, "NOLOGIN".to_owned()),
        // As RDS's master user: may make databases and roles, is no superuser and can not replicate.
        ensure(
            master,
            format!(
                "NOSUPERUSER NOREPLICATION CREATEDB CREATEROLE {}",
                password(secrets.master.expose())
            ),
        ),
        format!("GRANT pg_monitor, pg_signal_backend TO {MASTER_GROUP}"),
        format!("GRANT {MASTER_GROUP} TO {}", identifier(master)),
    ];
    if major >= 15 {
        statements.push(format!("GRANT pg_checkpoint TO {MASTER_GROUP}"));
    }
    statements.extend(REWIND_FUNCTIONS.map(|function| {
        format!("GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO {REPLICATION}")
    }));
    statements.push("COMMIT".to_owned());
    statements.join(";\n")
}

/// Whether a server turns clients away only because it has just been started.
fn starting(error: &EngineError) -> bool {
    if let EngineError::Unreachable { cause, .. } = error {
        return cause.kind() == ErrorKind::ConnectionRefused;
    }
    let EngineError::Sql { cause, .. } = error else {
        return false;
    };
    cause.code() == Some(&SqlState::CANNOT_CONNECT_NOW)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engines::secrets::Secret;

    #[test]
    fn names_and_passwords_are_quoted() {
        let settings = DbSettings {
            version: None,
            db_name: "shop".to_owned(),
            master_username: "o\"Neil".to_owned(),
            parameters: BTreeMap::new(),
        };
        let secrets = DbSecrets {
            admin: Secret::new("a"),
            replication: Secret::new("r"),
            master: Secret::new("it's; DROP TABLE orders"),
        };
        let existing = BTreeSet::from([ADMIN.to_owned()]);
        let sql = role_statements(&settings, &secrets, 14, &existing);
        assert!(
            sql.contains("ALTER ROLE \"rdsadmin\" LOGIN PASSWORD 'a'"),
            "{sql}"
        );
        assert!(
            sql.contains("CREATE ROLE \"o\"\"Neil\" NOSUPERUSER"),
            "{sql}"
        );
        assert!(sql.contains("'it''s; DROP TABLE orders'"), "{sql}");
        assert!(!sql.contains("pg_checkpoint"), "{sql}");
    }
}

//! What the environment says, parsed and with defaults filled. Pure: reads no environment itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Everything that the program can be told.
pub(crate) struct Settings {
    /// `HOST` and `PORT`: where it listens, `0.0.0.0:8080` by default.
    pub(crate) listen: SocketAddr,
    /// `DATABASE_URL`: the endpoint that takes writes.
    pub(crate) writer: tokio_postgres::Config,
    /// `DATABASE_REPLICA_URL`: where orders are read; the writer without it.
    pub(crate) reader: tokio_postgres::Config,
    /// `REDIS_URL`: where sessions live; there are none without it.
    pub(crate) sessions: Option<redis::Client>,
    /// `INSTANCE_ID`, for `/whoami`.
    pub(crate) instance: String,
    /// `AVAILABILITY_ZONE`, for `/whoami`.
    pub(crate) zone: String,
    /// How connections are used.
    pub(crate) connections: Connections,
}

/// How connections to the database and to Redis are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connections {
    /// `CONNECT_TIMEOUT_MS`, 2,000 by default: name look-up, TCP and authentication together.
    pub(crate) connect_timeout: Duration,
    /// `QUERY_TIMEOUT_MS`, 2,000 by default.
    pub(crate) query_timeout: Duration,
    /// `STOREFRONT_RECONNECT`.
    pub(crate) reconnect: Reconnect,
    /// `POOL_SIZE`: connections per database endpoint, 4 by default, 1 with [`Reconnect::Never`].
    pub(crate) pool_size: usize,
}

/// What happens to a connection that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reconnect {
    /// `on-error`, the default: it is dropped, and the next request looks the name up again.
    OnError,
    /// `never`: a weakness planted for drills. The first connection is held for ever, also when it leads to a host that is gone.
    Never,
}

impl Settings {
    /// Parses what `variable` returns for each name.
    pub(crate) fn parse(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let writer = variable("DATABASE_URL").context("DATABASE_URL is not set")?;
        let reader = variable("DATABASE_REPLICA_URL").unwrap_or_else(|| writer.clone());
        let connections = Connections::parse(&variable)?;
        Ok(Self {
            listen: SocketAddr::new(
                number(&variable, "HOST", IpAddr::V4(Ipv4Addr::UNSPECIFIED))?,
                number(&variable, "PORT", 8080)?,
            ),
            writer: database("DATABASE_URL", &writer, connections)?,
            reader: database("DATABASE_REPLICA_URL", &reader, connections)?,
            sessions: variable("REDIS_URL")
                .map(redis::Client::open)
                .transpose()
                .context("REDIS_URL is no Redis URL")?,
            instance: variable("INSTANCE_ID").unwrap_or_else(|| "storefront".into()),
            zone: variable("AVAILABILITY_ZONE").unwrap_or_else(|| "nowhere".into()),
            connections,
        })
    }
}

impl Connections {
    fn parse(variable: &impl Fn(&str) -> Option<String>) -> Result<Self> {
        let millis = |name| number(variable, name, 2_000).map(Duration::from_millis);
        let reconnect = match variable("STOREFRONT_RECONNECT").as_deref() {
            None | Some("on-error") => Reconnect::OnError,
            Some("never") => Reconnect::Never,
            Some(other) => bail!("STOREFRONT_RECONNECT is `{other}`, not `on-error` or `never`"),
        };
        let pool_size: usize = match reconnect {
            Reconnect::OnError => number(variable, "POOL_SIZE", 4)?,
            Reconnect::Never => 1,
        };
        Ok(Self {
            connect_timeout: millis("CONNECT_TIMEOUT_MS")?,
            query_timeout: millis("QUERY_TIMEOUT_MS")?,
            reconnect,
            pool_size: pool_size.clamp(1, 64),
        })
    }
}

/// The variable's value, or `default` when it is not set.
fn number<T: FromStr>(
    variable: &impl Fn(&str) -> Option<String>,
    name: &str,
    default: T,
) -> Result<T> {
    match variable(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .with_context(|| format!("{name} has the value `{text}`, which is none it can have")),
    }
}

/// The error leaves the URL out: it holds a password.
fn database(name: &str, url: &str, limits: Connections) -> Result<tokio_postgres::Config> {
    let mut config = tokio_postgres::Config::from_str(url)
        .ok()
        .with_context(|| format!("{name} is no PostgreSQL URL"))?;
    // The server gives up by itself too, so that a lost client's query does not hold locks.
    let statement_timeout = format!("-c statement_timeout={}", limits.query_timeout.as_millis());
    let options = match config.get_options() {
        Some(given) => format!("{statement_timeout} {given}"),
        None => statement_timeout,
    };
    config
        .options(options)
        .application_name("storefront")
        .connect_timeout(limits.connect_timeout);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(given: &[(&str, &str)]) -> Result<Settings> {
        Settings::parse(|name| {
            let found = given.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const WRITER: (&str, &str) = ("DATABASE_URL", "postgres://app:pw@orders.internal/shop");

    #[test]
    fn defaults_are_filled() {
        let settings = parse(&[WRITER, ("REDIS_URL", "")]).unwrap();
        assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(settings.reader, settings.writer);
        assert!(settings.sessions.is_none());
        assert_eq!(settings.connections.pool_size, 4);
        assert_eq!(settings.connections.query_timeout, Duration::from_secs(2));
        assert_eq!(
            settings.writer.get_options(),
            Some("-c statement_timeout=2000")
        );
    }

    #[test]
    fn the_planted_weakness_has_one_connection() {
        let never = ("STOREFRONT_RECONNECT", "never");
        let settings = parse(&[WRITER, never, ("POOL_SIZE", "9")]).unwrap();
        assert_eq!(settings.connections.reconnect, Reconnect::Never);
        assert_eq!(settings.connections.pool_size, 1);
    }

    #[test]
    fn mistakes_name_the_variable_and_never_the_password() {
        let check = |given: &[(&str, &str)], expected: &str| {
            let error = format!("{:#}", parse(given).err().expect("a mistake"));
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        };
        check(&[], "DATABASE_URL is not set");
        check(
            &[("DATABASE_URL", "postgres://app:secret@[")],
            "DATABASE_URL is no PostgreSQL URL",
        );
        check(&[WRITER, ("PORT", "eighty")], "PORT has the value `eighty`");
        check(&[WRITER, ("STOREFRONT_RECONNECT", "x")], "`never`");
        check(&[WRITER, ("REDIS_URL", "http://cache")], "REDIS_URL");
    }
}

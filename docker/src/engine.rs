//! The connection to the container engine of this machine, and what its errors mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use bollard::models::SystemInfo;
use topologies::runtime::RuntimeError;

/// An engine that is there answers within milliseconds; one that hangs must not hold up `--runtime auto`.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// The longest that a single order may take, a container's start on a loaded machine.
const CALL_LIMIT_S: u64 = 60;

/// A container engine that answers.
#[derive(Clone, Debug)]
pub struct Engine {
    api: Docker,
    version: String,
    directory: Option<PathBuf>,
}

impl Engine {
    /// Connects to the engine of this machine: `DOCKER_HOST` when it names a socket, else the usual one.
    ///
    /// # Errors
    /// [`RuntimeError::Missing`] when nothing answers within three seconds, or what answers is another machine's.
    pub async fn connect() -> Result<Self, RuntimeError> {
        if let Ok(host) = std::env::var("DOCKER_HOST")
            && !host.is_empty()
            && !host.starts_with("unix://")
        {
            return Err(missing(
                format!("a container engine on this machine (DOCKER_HOST is `{host}`)"),
                "containers must share this machine's loopback addresses; unset DOCKER_HOST or use `--runtime process`",
            ));
        }
        let api =
            Docker::connect_with_local_defaults().map_err(|error| unanswered(&whole(&error)))?;
        Self::greet(api).await
    }

    async fn greet(api: Docker) -> Result<Self, RuntimeError> {
        let answer = async {
            let api = api.negotiate_version().await?;
            let info = api.info().await?;
            Ok::<_, bollard::errors::Error>((api, info))
        };
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(Ok((api, info))) => {
                if let Some(apart) = apart(&info) {
                    return Err(missing(apart, "use `--runtime process` here"));
                }
                Ok(Self {
                    api: api.with_timeout(Duration::from_secs(CALL_LIMIT_S)),
                    version: info.server_version.unwrap_or_default(),
                    directory: info.docker_root_dir.map(PathBuf::from),
                })
            }
            Ok(Err(error)) => Err(unanswered(&whole(&error))),
            Err(_) => Err(unanswered(&format!(
                "it did not answer within {ANSWER_LIMIT:?}"
            ))),
        }
    }

    /// The engine's version, `20.10.24`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where on this machine it keeps images and containers, if it says.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    pub(crate) fn api(&self) -> &Docker {
        &self.api
    }

    /// For orders that move an image: the connection with this limit on the time to the answer.
    pub(crate) fn patient(&self, limit: Duration) -> Docker {
        self.api.clone().with_timeout(limit)
    }
}

/// Why containers of this engine cannot share the host's loopback addresses, if so.
fn apart(info: &SystemInfo) -> Option<String> {
    let security = info.security_options.as_deref().unwrap_or_default();
    if security.iter().any(|option| option.contains("rootless")) {
        return Some(
            "a container engine with the host's network (this one is rootless)".to_owned(),
        );
    }
    let system = info.operating_system.as_deref().unwrap_or_default();
    if system.contains("Docker Desktop") || info.os_type.as_deref() != Some("linux") {
        return Some(format!(
            "a container engine on this machine's own kernel (this one runs on {system})"
        ));
    }
    None
}

/// A call's own task ended before the call did.
pub(crate) fn cut_short(action: String, cause: &tokio::task::JoinError) -> RuntimeError {
    RuntimeError::Failed {
        action,
        cause: cause.to_string(),
    }
}

/// What the engine answered to an order.
pub(crate) fn failed(action: impl Into<String>, error: &bollard::errors::Error) -> RuntimeError {
    use bollard::errors::Error;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "bollard's errors are many; two say more than their text"
    )]
    match error {
        Error::RequestTimeoutError => RuntimeError::TimedOut {
            action: action.into(),
            limit: Duration::from_secs(CALL_LIMIT_S),
        },
        Error::DockerResponseServerError { message, .. } => RuntimeError::Failed {
            action: action.into(),
            cause: message.trim().to_owned(),
        },
        other => RuntimeError::Failed {
            action: action.into(),
            cause: other.to_string(),
        },
    }
}

/// Whether the engine said that there is no such thing.
pub(crate) fn absent(error: &bollard::errors::Error) -> bool {
    status(error) == Some(404)
}

/// Whether the engine said that the thing is in that state already, or in one that forbids it.
pub(crate) fn conflict(error: &bollard::errors::Error) -> bool {
    matches!(status(error), Some(304 | 409))
}

fn status(error: &bollard::errors::Error) -> Option<u16> {
    if let bollard::errors::Error::DockerResponseServerError { status_code, .. } = error {
        Some(*status_code)
    } else {
        None
    }
}

pub(crate) fn missing(what: impl Into<String>, hint: impl Into<String>) -> RuntimeError {
    RuntimeError::Missing {
        what: what.into(),
        hint: hint.into(),
    }
}

/// An error with what is behind it: that a socket's permission is denied is the last of four texts.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(cause) = behind {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        behind = cause.source();
    }
    text
}

fn unanswered(cause: &str) -> RuntimeError {
    missing(
        format!("a container engine ({cause})"),
        "start Docker, make its socket accessible to this user, or use `--runtime process`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_engines_that_share_the_loopback_will_do() {
        let check = |system: &str, security: &str, fits: bool| {
            let info = SystemInfo {
                operating_system: Some(system.to_owned()),
                os_type: Some("linux".to_owned()),
                security_options: Some(vec![security.to_owned()]),
                ..SystemInfo::default()
            };
            assert_eq!(apart(&info).is_none(), fits, "{system} {security}");
        };
        check(
            "Debian GNU/Linux 12 (bookworm)",
            "name=seccomp,profile=default",
            true,
        );
        check("Debian GNU/Linux 12 (bookworm)", "name=rootless", false);
        check("Docker Desktop", "name=seccomp,profile=unconfined", false);
    }

    #[test]
    fn an_error_is_told_with_its_causes_once_each() {
        #[derive(Debug, thiserror::Error)]
        #[error("connect")]
        struct Outer(#[source] std::io::Error);
        let cause = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert_eq!(whole(&Outer(cause)), "connect: permission denied");
    }

    #[tokio::test]
    async fn an_engine_that_does_not_answer_is_missing_soon() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("docker.sock");
        let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let api =
            Docker::connect_with_unix(socket.to_str().unwrap(), 120, bollard::API_DEFAULT_VERSION)
                .unwrap();
        let begun = std::time::Instant::now();
        let missing = Engine::greet(api).await.unwrap_err();
        assert!(begun.elapsed() < ANSWER_LIMIT + Duration::from_secs(1));
        assert!(
            missing.to_string().contains("did not answer within 3s"),
            "{missing}"
        );
    }
}

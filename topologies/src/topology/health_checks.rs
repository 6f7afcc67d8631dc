//! Route 53's health checks: of endpoints, of other health checks, of alarms.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Protocol;
use crate::defaults;
use crate::id::{AlarmId, HealthCheckId, RegionId};

/// A Route 53 health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct HealthCheck {
    /// Its identifier.
    pub id: HealthCheckId,
    /// What it looks at.
    pub kind: HealthCheckKind,
    /// Whether healthy is taken for unhealthy, and the other way round.
    pub inverted: bool,
    /// Whether it looks at nothing and counts as healthy.
    pub disabled: bool,
}

/// What a health check looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthCheckKind {
    /// An endpoint, from outside of the stack.
    Endpoint(EndpointCheck),
    /// Other health checks: healthy while at least so many of them are.
    Calculated {
        /// Those that it counts.
        children: Vec<HealthCheckId>,
        /// How many must be healthy: with 0 it is always healthy, with more than there are children never
        /// (aws-behaviour §6.4).
        threshold: u32,
    },
    /// A CloudWatch alarm.
    Alarm(AlarmCheck),
}

/// What is asked of an endpoint, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointCheck {
    /// The address that is asked, in place of the name's.
    pub address: Option<Ipv4Addr>,
    /// The name it asks for, resolved from outside of the stack unless there is an address.
    pub fully_qualified_domain_name: Option<String>,
    /// The port.
    pub port: u16,
    /// HTTP or TCP.
    pub protocol: Protocol,
    /// The path, with HTTP.
    pub resource_path: String,
    /// What the body has to have in its first 5,120 bytes, with HTTP.
    pub search_string: Option<String>,
    /// Time between two checks of one checker, as written: [`defaults::paced`] tells what the timing makes of it.
    pub request_interval: Duration,
    /// Consecutive results until the state flips.
    pub failure_threshold: u32,
}

/// A health check of an alarm: unhealthy while the alarm's metric is beyond its threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmCheck {
    /// The alarm's region.
    pub region: RegionId,
    /// The alarm.
    pub alarm: AlarmId,
    /// What it is while there are not enough data.
    pub insufficient_data: Unsure,
}

/// What a health check is while its alarm has not enough data (`InsufficientDataHealthStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unsure {
    /// Healthy.
    Healthy,
    /// Unhealthy.
    Unhealthy,
    /// What it was when there were enough; healthy if there never were.
    LastKnownStatus,
}

impl Unsure {
    /// AWS's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Unhealthy => "Unhealthy",
            Self::LastKnownStatus => "LastKnownStatus",
        }
    }
}

impl HealthCheck {
    /// The endpoint that has to be asked, if there is one.
    pub fn asks(&self) -> Option<&EndpointCheck> {
        match &self.kind {
            HealthCheckKind::Endpoint(endpoint) if !self.disabled => Some(endpoint),
            HealthCheckKind::Endpoint(_)
            | HealthCheckKind::Calculated { .. }
            | HealthCheckKind::Alarm(_) => None,
        }
    }

    /// The health checks that it counts.
    pub fn children(&self) -> &[HealthCheckId] {
        match &self.kind {
            HealthCheckKind::Calculated { children, .. } => children,
            HealthCheckKind::Endpoint(_) | HealthCheckKind::Alarm(_) => &[],
        }
    }
}

/// A health check as timelines have it: those of the first versions know endpoints only, and have their settings beside the
/// identifier.
#[derive(Deserialize)]
struct Stored {
    id: HealthCheckId,
    kind: Option<HealthCheckKind>,
    #[serde(default)]
    inverted: bool,
    #[serde(default)]
    disabled: bool,
    fully_qualified_domain_name: Option<String>,
    port: Option<u16>,
    protocol: Option<Protocol>,
    resource_path: Option<String>,
    request_interval: Option<Duration>,
    failure_threshold: Option<u32>,
}

impl From<Stored> for HealthCheck {
    fn from(stored: Stored) -> Self {
        let endpoint = EndpointCheck {
            address: None,
            fully_qualified_domain_name: stored.fully_qualified_domain_name,
            port: stored.port.unwrap_or(defaults::HEALTH_CHECK_PORT),
            protocol: stored.protocol.unwrap_or(Protocol::Http),
            resource_path: stored.resource_path.unwrap_or_else(|| "/".to_owned()),
            search_string: None,
            request_interval: stored
                .request_interval
                .unwrap_or(defaults::HEALTH_CHECK_INTERVAL),
            failure_threshold: stored
                .failure_threshold
                .unwrap_or(defaults::HEALTH_CHECK_THRESHOLD),
        };
        Self {
            id: stored.id,
            kind: stored.kind.unwrap_or(HealthCheckKind::Endpoint(endpoint)),
            inverted: stored.inverted,
            disabled: stored.disabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_checks_of_the_first_versions_are_understood() {
        let stored = r#"{"id":"up","fully_qualified_domain_name":"example.com","port":81,"protocol":"TCP","resource_path":"/","request_interval":{"secs":10,"nanos":0},"failure_threshold":2}"#;
        let check: HealthCheck = serde_json::from_str(stored).expect("a health check");
        let endpoint = check.asks().expect("an endpoint");
        assert_eq!(
            endpoint.fully_qualified_domain_name.as_deref(),
            Some("example.com")
        );
        assert_eq!((endpoint.port, endpoint.protocol), (81, Protocol::Tcp));
        assert_eq!(endpoint.failure_threshold, 2);
        let again = serde_json::to_string(&check).expect("text");
        let again: HealthCheck = serde_json::from_str(&again).expect("a health check");
        assert_eq!(again, check);
    }
}

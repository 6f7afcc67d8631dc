//! What the API answers and `--json` prints. Stable: fields are added, never renamed or given another meaning.

mod make;

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use topologies::id::FaultId;

pub use make::{endpoints, faults, plan, status};

/// What `status` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The stack.
    pub stack: String,
    /// `creating`, `resuming` after a daemon's death, `available` or `stopping`.
    pub state: String,
    /// `docker`, `process` or `simulated`.
    pub runtime: String,
    /// Its zones.
    pub zones: Vec<ZoneView>,
    /// Everything that runs in them.
    pub instances: Vec<InstanceView>,
    /// Faults in force.
    pub faults: Vec<FaultView>,
}

/// An Availability Zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneView {
    /// Its name.
    pub name: String,
    /// `available`, or `unavailable` while a fault holds it down.
    pub state: String,
}

/// An instance, or a load balancer's node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceView {
    /// Its identifier.
    pub id: String,
    /// `rds`, `elasticache`, `ec2`, `alb` or `nlb`.
    pub kind: String,
    /// The DB instance, replication group, service or load balancer it belongs to.
    pub service: String,
    /// `primary`, `standby`, `replica`, `target` or `node`.
    pub role: String,
    /// Its zone.
    pub zone: String,
    /// In AWS's words for its kind.
    pub state: String,
    /// What is known of its replication, of what follows a primary. A standby is `in-sync`, and may be promoted, or `out-of-sync`; a read
    /// replica has RDS's words (`replicating`, `replication degraded`, `error`); a cache's replica is `replicating` or `link-down`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<String>,
    /// Its address as seen from outside of the stack.
    pub address: Ipv4Addr,
    /// Its process, under the process runtime while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its container, under the docker runtime while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultView {
    /// Its identifier.
    pub id: FaultId,
    /// Its kind: `kill-az`.
    pub kind: String,
    /// What it is aimed at.
    pub target: String,
    /// When it was injected, microseconds since the timeline began, as events have it.
    pub since: u64,
    /// The experiment and its action that it is part of: `EXP4f1c/cut-off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Faults in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultsView {
    /// The stack.
    pub stack: String,
    /// By identifier.
    pub faults: Vec<FaultView>,
}

/// A fault that was injected, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedView {
    /// Its identifier; none in a preview.
    pub id: Option<FaultId>,
    /// One line: `zone ap-northeast-2a loses power`.
    pub fault: String,
    /// Its kind.
    pub kind: String,
    /// What it is aimed at.
    pub target: String,
    /// What it hits, one line each.
    pub consequences: Vec<String>,
}

/// Faults that were healed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealedView {
    /// Their identifiers.
    pub healed: Vec<FaultId>,
}

/// What the stack has become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyView {
    /// A topology file that means it.
    pub yaml: String,
}

/// A stack that is what its topology file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetView {
    /// Whether anything had to be done for it.
    pub changed: bool,
}

/// A stack that was taken down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownView {
    /// True: every instance is gone.
    pub down: bool,
    /// Whether its data is gone, or about to go, too.
    pub purge: bool,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointsView {
    /// The stack.
    pub stack: String,
    /// The resolver as seen from outside of the stack, `127.64.0.2:53`.
    pub resolver: String,
    /// The AWS API as seen from outside of the stack, `http://127.64.0.1:4566`.
    pub api: String,
    /// The region that clients of the AWS API are to name: the first of the topology.
    pub region: String,
    /// An access key that the AWS API takes.
    pub credentials: CredentialsView,
    /// In the order of the topology.
    pub endpoints: Vec<EndpointView>,
}

/// An access key: the topology's first, or one made up where any is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialsView {
    /// Its id.
    pub access_key_id: String,
    /// What signs with it.
    pub secret_access_key: String,
    /// What has to come with a temporary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
}

impl EndpointsView {
    /// The same for somebody who is not the stack's owner.
    #[must_use]
    pub fn without_passwords(mut self) -> Self {
        for endpoint in &mut self.endpoints {
            endpoint.url = masked(&endpoint.url);
        }
        let CredentialsView {
            secret_access_key,
            session_token,
            ..
        } = &mut self.credentials;
        MASK.clone_into(secret_access_key);
        if let Some(token) = session_token {
            MASK.clone_into(token);
        }
        self
    }
}

/// What stands for a secret.
const MASK: &str = "***";

/// A URL with `***` for its password. User and password are percent-encoded: the first `@` ends them.
fn masked(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (who, place) = rest.split_once('@')?;
        let (user, _password) = who.split_once(':')?;
        Some(format!("{scheme}://{user}:{MASK}@{place}"))
    });
    parts.unwrap_or_else(|| url.to_owned())
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointView {
    /// Its short identifier.
    pub id: String,
    /// `rds-writer`, `rds-instance`, `elasticache-primary`, `elasticache-reader`, `elasticache-node`, `alb`, `nlb` or `record`.
    pub kind: String,
    /// Its DNS name.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// The addresses that its name has now, as seen from outside of the stack.
    pub addresses: Vec<Ipv4Addr>,
    /// How a client is told to connect, with user and password.
    pub url: String,
}

/// What was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// The stack.
    pub stack: String,
    /// Its network, `127.64.0.0/16`.
    pub network: String,
    /// The views of the network: from outside, then from each zone.
    pub views: Vec<NetworkView>,
    /// Instances and load balancers' nodes.
    pub instances: Vec<PlannedInstance>,
    /// Endpoints.
    pub endpoints: Vec<PlannedEndpoint>,
}

/// The network as seen from a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkView {
    /// The zone, or `outside`.
    pub from: String,
    /// Its resolver.
    pub resolver: Ipv4Addr,
    /// The control and AWS API.
    pub api: Ipv4Addr,
}

/// An instance as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedInstance {
    /// Its identifier.
    pub id: String,
    /// As in `status`.
    pub kind: String,
    /// As in `status`.
    pub service: String,
    /// Its zone.
    pub zone: String,
    /// Its address as seen from outside of the stack.
    pub address: Ipv4Addr,
    /// Its ports.
    pub ports: Vec<u16>,
}

/// An endpoint as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedEndpoint {
    /// Its short identifier.
    pub id: String,
    /// As in `endpoints`.
    pub kind: String,
    /// Its DNS name.
    pub name: String,
    /// Its port.
    pub port: u16,
}

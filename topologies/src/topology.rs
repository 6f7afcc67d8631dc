//! The stack as meant: references resolved, AWS's defaults filled, everything checked.
//!
//! A `Topology` that exists is sound: every reference points to something, no name is used twice, no zone overflows.

mod balancing;
mod headers;
mod health_checks;
mod listeners;
mod record_sets;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::ZoneNumber;
use crate::defaults::paced;
use crate::id::{
    DbInstanceId, InstanceId, LoadBalancerId, RegionId, ReplicationGroupId, ServiceId, StackId,
    TargetGroupId, ZoneId,
};

pub use health_checks::{AlarmCheck, EndpointCheck, HealthCheck, HealthCheckKind, Unsure};
pub use record_sets::{
    CidrCollection, DnsClients, FailoverRole, HostedZone, Location, Place, Proximity, Record,
    RecordType, RecordValue, Routing,
};

pub use balancing::{Algorithm, Balancing, Stickiness, StickinessType, Threshold};
pub use headers::{ForwardedFor, Headers};
pub use listeners::{HttpHeader, Listener, QueryPair, Redirect, Rule, RuleAction, Share, Split};

/// A whole stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The stack's name.
    pub name: StackId,
    /// The DNS suffix of names that AWS would put under `amazonaws.com`.
    pub suffix: String,
    /// The account's part of RDS and ElastiCache names: 12 and 6 characters.
    pub account: AccountNames,
    /// The account's number, 12 digits.
    #[serde(default = "default_account_id")]
    pub account_id: String,
    /// Access keys that the AWS API knows; with none, any signature is taken.
    #[serde(default)]
    pub credentials: Vec<Credential>,
    /// How long things take.
    pub timing: Timing,
    /// Regions, in the file's order.
    pub regions: Vec<Region>,
    /// Where engines are on this machine, if the file says.
    pub engines: EngineDirectories,
    /// Groups of application instances.
    pub services: Vec<Service>,
    /// Target groups.
    pub target_groups: Vec<TargetGroup>,
    /// Load balancers.
    pub load_balancers: Vec<LoadBalancer>,
    /// RDS DB instances, each with its read replicas.
    pub db_instances: Vec<DbInstance>,
    /// ElastiCache replication groups.
    pub replication_groups: Vec<ReplicationGroup>,
    /// Route 53 hosted zones.
    pub hosted_zones: Vec<HostedZone>,
    /// Route 53 health checks.
    pub health_checks: Vec<HealthCheck>,
    /// Route 53 CIDR collections.
    #[serde(default)]
    pub cidr_collections: Vec<CidrCollection>,
    /// Where clients that ask for names are.
    #[serde(default)]
    pub dns_clients: DnsClients,
}

fn default_account_id() -> String {
    crate::defaults::ACCOUNT_ID.to_owned()
}

/// An access key of the account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The access key's id.
    pub access_key_id: String,
    /// What signs with it.
    pub secret_access_key: String,
    /// What has to come with temporary keys.
    pub session_token: Option<String>,
}

/// Without the secrets.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.access_key_id)
    }
}

/// Directories with the programs of engines, as written; of an engine without one, the usual places are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineDirectories {
    /// PostgreSQL's.
    pub postgres: Vec<String>,
    /// Redis's or Valkey's.
    pub redis: Vec<String>,
}

/// The parts of endpoint names that AWS derives from the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountNames {
    /// Constant per account and region in RDS names, 12 lowercase alphanumerics.
    pub rds: String,
    /// In ElastiCache names, 6 lowercase alphanumerics.
    pub elasticache: String,
    /// In load balancer names, 10 digits.
    pub load_balancer: String,
}

/// A region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Its name.
    pub id: RegionId,
    /// Its zones.
    pub zones: Vec<Zone>,
}

/// An Availability Zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Its name.
    pub id: ZoneId,
    /// Its number in addresses; unique over all regions of the stack.
    pub number: ZoneNumber,
}

/// A group of like application instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub id: ServiceId,
    /// Its instances: `<name>-1`, `<name>-2`, ... where a file says how many.
    pub instances: Vec<Member>,
    /// The command; the first word is a path, or a name looked up beside our own binary and in `PATH`. Empty: the image's own.
    pub command: Vec<String>,
    /// The container image under the docker runtime; none means the base image with the program mounted into it.
    pub image: Option<String>,
    /// The port on which the program listens.
    pub port: u16,
    /// Environment, with `${...}` references still in it: they are resolved by the plan, which knows names.
    pub environment: BTreeMap<String, String>,
}

/// An instance, as a member of what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its identifier, unique in the stack.
    pub id: InstanceId,
    /// Its zone.
    pub zone: ZoneId,
}

/// A target group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroup {
    /// Its name.
    pub id: TargetGroupId,
    /// HTTP for an ALB, TCP for an NLB.
    pub protocol: Protocol,
    /// The port of the targets.
    pub port: u16,
    /// Its targets, application instances.
    pub targets: Vec<InstanceId>,
    /// How targets are checked.
    pub health_check: TargetHealthCheck,
    /// Overrides the load balancer's choice.
    pub cross_zone: Option<bool>,
    /// How long a deregistered target drains.
    pub deregistration_delay: Duration,
    /// How requests are shared among targets; as AWS does by default on an NLB.
    #[serde(default)]
    pub routing: Balancing,
}

/// A listener's or target group's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// A TCP stream.
    Tcp,
}

/// A target group's health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetHealthCheck {
    /// HTTP, or TCP (a connection is enough).
    pub protocol: Protocol,
    /// The path asked for, with HTTP.
    pub path: String,
    /// Status codes that count as healthy, inclusive ranges.
    pub matcher: Vec<(u16, u16)>,
    /// Time from one check to the next, as written: [`Self::paced`] tells what the timing makes of it.
    pub interval: Duration,
    /// A check without an answer fails after this time, as written.
    pub timeout: Duration,
    /// Consecutive successes until an unhealthy target is healthy.
    pub healthy_threshold: u32,
    /// Consecutive failures until a healthy target is unhealthy.
    pub unhealthy_threshold: u32,
}

impl TargetHealthCheck {
    /// The same check at the pace of a timing's scale: what is really done.
    #[must_use]
    pub fn paced(&self, scale: u32) -> Self {
        Self {
            interval: paced(self.interval, scale),
            timeout: paced(self.timeout, scale),
            ..self.clone()
        }
    }
}

/// Which kind of load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalancerType {
    /// ALB.
    Application,
    /// NLB.
    Network,
}

/// A load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// Its name.
    pub id: LoadBalancerId,
    /// ALB or NLB.
    pub kind: LoadBalancerType,
    /// The region it belongs to.
    pub region: RegionId,
    /// The zones with a node of it.
    pub zones: Vec<ZoneId>,
    /// Whether a node uses targets of other zones.
    pub cross_zone: bool,
    /// Idle timeout of connections.
    pub idle_timeout: Duration,
    /// Its listeners.
    pub listeners: Vec<Listener>,
    /// What becomes of headers, on an ALB.
    #[serde(default)]
    pub headers: Headers,
}

/// An RDS DB instance for PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbInstance {
    /// Its identifier.
    pub id: DbInstanceId,
    /// The region of its zones.
    pub region: RegionId,
    /// The major version asked for.
    pub engine_version: Option<u16>,
    /// Its host, and with Multi-AZ a second one. The first is primary at first, the second standby.
    pub hosts: Vec<Member>,
    /// The port.
    pub port: u16,
    /// The database created at first.
    pub db_name: String,
    /// The master user.
    pub master_username: String,
    /// The master password, if given; generated otherwise.
    pub master_user_password: Option<String>,
    /// Parameters of the engine, as in a parameter group.
    pub parameters: BTreeMap<String, String>,
    /// Its read replicas.
    pub read_replicas: Vec<ReadReplica>,
}

/// A read replica of a DB instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadReplica {
    /// Its identifier.
    pub id: DbInstanceId,
    /// Its zone.
    pub availability_zone: ZoneId,
}

/// An ElastiCache replication group, cluster mode disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationGroup {
    /// Its identifier.
    pub id: ReplicationGroupId,
    /// The region of its zones.
    pub region: RegionId,
    /// The major version asked for.
    pub engine_version: Option<u16>,
    /// Its nodes, `<id>-001` and so on; the first is the primary at first.
    pub nodes: Vec<Member>,
    /// Whether a replica is promoted by itself.
    pub automatic_failover: bool,
    /// The port.
    pub port: u16,
    /// The AUTH token, if one is wanted.
    pub auth_token: Option<String>,
}

/// How long things take: AWS's documented times, or as quick as this machine allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The profile these numbers come from: `fast`, `aws`, or `custom`.
    pub profile: String,
    /// Time from one probe of a database or cache host to the next.
    pub probe_interval: Duration,
    /// A probe without an answer fails after this time.
    pub probe_timeout: Duration,
    /// Consecutive failed probes after which a host that gives no sign at all is taken for lost.
    pub probe_threshold: u32,
    /// How long the failover of a Multi-AZ DB instance takes beyond detection, shortest and longest.
    pub db_failover: (Duration, Duration),
    /// The same for a replication group.
    pub cache_failover: (Duration, Duration),
    /// TTL of RDS endpoint records.
    pub rds_ttl: Duration,
    /// TTL of ElastiCache endpoint records.
    pub elasticache_ttl: Duration,
    /// TTL of load balancer records.
    pub load_balancer_ttl: Duration,
    /// Divides the intervals and timeouts of health checks written in the topology or defaulted: 1 is AWS's pace.
    pub health_check_scale: u32,
}

impl Topology {
    /// Every zone of every region.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.regions.iter().flat_map(|region| &region.zones)
    }

    /// The region that a zone belongs to.
    pub fn region_of(&self, zone: &ZoneId) -> Option<&Region> {
        self.regions
            .iter()
            .find(|region| region.zones.iter().any(|z| z.id == *zone))
    }

    /// The load balancers that listen: one without listeners has nothing that could answer.
    pub fn listening(&self) -> impl Iterator<Item = &LoadBalancer> {
        let all = self.load_balancers.iter();
        all.filter(|lb| !lb.listeners.is_empty())
    }

    /// The target groups that a listener forwards to: the targets of others are not checked.
    pub fn in_use(&self) -> impl Iterator<Item = &TargetGroup> {
        let listeners = self.load_balancers.iter().flat_map(|lb| &lb.listeners);
        let used: BTreeSet<&TargetGroupId> = listeners.flat_map(Listener::target_groups).collect();
        let all = self.target_groups.iter();
        all.filter(move |group| used.contains(&group.id))
    }

    /// A zone's number.
    pub fn zone_number(&self, zone: &ZoneId) -> Option<ZoneNumber> {
        self.zones().find(|z| z.id == *zone).map(|z| z.number)
    }
}

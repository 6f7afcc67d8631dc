//! A topology file as written: AWS's words, every value with its place.
//!
//! The types here are the file's only description: what a field may hold is in their JSON schema, which editors use and which
//! a file is held against ([`yaml::read`]) before it is decoded. Names are not resolved here and no default is filled.

mod balancing;
mod listeners;
mod route53;
mod timing;

use schemars::JsonSchema;
use serde::Deserialize;

pub use crate::yaml::At;
use crate::yaml::values::{Literal, Named, Period, StatusCodes, Version, Words};
use crate::yaml::{self, Language, Read};
pub use balancing::{
    AlgorithmSpec, StickinessSpec, StickinessTypeSpec, TargetGroupHealthSpec, ThresholdSpec,
};
pub use listeners::{
    ActionSpec, FixedResponseSpec, ForwardConfigSpec, HttpHeaderSpec, ListenerSpec, QueryPairSpec,
    QueryStringSpec, RedirectSpec, RuleSpec, ShareSpec,
};
pub use route53::{
    AlarmSpec, CidrSpec, FailoverSpec, GeolocationSpec, GeoproximitySpec, HealthCheckSpec,
    HealthCheckTypeSpec, HostedZoneSpec, PlaceSpec, RecordSpec, RecordTypeSpec, UnsureSpec,
};
pub use timing::{ProfileSpec, TimingFields, TimingSpec};

const TOPOLOGY: Language = Language {
    noun: "topology",
    beginning: "a topology begins with `region` and `availability-zones`",
};

/// Reads a text as a topology file, with every mistake of shape.
pub fn read(text: &str) -> Read<Spec> {
    yaml::read(text, TOPOLOGY)
}

/// The JSON schema of topology files, for editors.
pub fn schema() -> serde_json::Value {
    yaml::schema::<Spec>()
}

/// A stack: application instances, load balancers, databases, caches and DNS in emulated Availability Zones.
///
/// Fields whose name begins with `x-` are not looked at: a place for what YAML anchors are to repeat.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "localaws topology", extend("patternProperties" = { "^x-": true }))]
pub struct Spec {
    /// The stack's name; the file's name without its ending if absent.
    pub name: Option<At<String>>,
    /// The DNS suffix in place of `amazonaws.com`; `localaws.internal` if absent.
    pub suffix: Option<At<String>>,
    /// The region, `ap-northeast-2`; its zones are in `availability-zones`.
    pub region: Option<At<String>>,
    /// Availability Zones of the region, as letters (`a`) or whole names (`ap-northeast-2a`).
    pub availability_zones: Option<At<Vec<At<String>>>>,
    /// Several regions, each with its Availability Zones, in place of `region` and `availability-zones`.
    #[serde(default)]
    pub regions: Named<Vec<At<String>>>,
    /// The account's number, 12 digits in quotes; `"123456789012"` if absent.
    pub account_id: Option<At<Literal>>,
    /// Access keys of the account. With them the AWS API verifies signatures; without, it takes any, and none.
    pub credentials: Option<At<Vec<At<CredentialSpec>>>>,
    /// How long things take: `fast`, `aws`, or a profile with numbers of one's own.
    pub timing: Option<At<TimingSpec>>,
    /// Where the programs of engines are on this machine, if not in a usual place.
    pub engines: Option<At<EnginesSpec>>,
    /// Groups of application instances, by name.
    #[serde(default)]
    pub instances: Named<InstancesSpec>,
    /// Target groups, by name.
    #[serde(default)]
    pub target_groups: Named<TargetGroupSpec>,
    /// Application and Network Load Balancers, by name.
    #[serde(default)]
    pub load_balancers: Named<LoadBalancerSpec>,
    /// RDS DB instances, by identifier.
    #[serde(default)]
    pub db_instances: Named<DbInstanceSpec>,
    /// ElastiCache replication groups, by identifier.
    #[serde(default)]
    pub replication_groups: Named<ReplicationGroupSpec>,
    /// Route 53 hosted zones, by domain name.
    #[serde(default)]
    pub hosted_zones: Named<HostedZoneSpec>,
    /// Route 53 health checks, by name.
    #[serde(default)]
    pub health_checks: Named<HealthCheckSpec>,
    /// Route 53 CIDR collections, by name: blocks of addresses by the names of locations.
    #[serde(default)]
    pub cidr_collections: Named<Named<Words>>,
    /// Where clients are that ask for names: `outside` of the stack, or of a block of addresses that a question's EDNS client
    /// subnet is in.
    #[serde(default)]
    pub dns_clients: Named<PlaceSpec>,
}

/// An access key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CredentialSpec {
    /// The access key's id, 16 to 128 letters, digits and underscores: `AKIAIOSFODNN7EXAMPLE`.
    pub access_key_id: At<String>,
    /// The secret access key.
    pub secret_access_key: At<String>,
    /// The session token that has to come with it, if the key is a temporary one.
    pub session_token: Option<At<String>>,
}

/// Directories with the programs of engines, for instances that run as local processes. An engine that is named here is taken
/// from nowhere else; of several directories the newest version that fits is taken.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EnginesSpec {
    /// Directories with `postgres`, `initdb`, `pg_basebackup` and `pg_rewind`; from the file's directory if relative.
    pub postgres: Option<At<Vec<At<String>>>>,
    /// Directories with `redis-server` or `valkey-server`; from the file's directory if relative.
    pub redis: Option<At<Vec<At<String>>>>,
}

/// A group of like application instances.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InstancesSpec {
    /// The program and its arguments: a path, or a name looked up beside localaws and in `PATH`. `storefront` is shipped. May be left
    /// out with an `image` that has one.
    pub program: Option<At<Words>>,
    /// The container image under the docker runtime, if the program is in one.
    pub image: Option<At<String>>,
    /// The port on which the program listens, also in its environment as `PORT`.
    #[schemars(range(min = 1))]
    pub port: At<u16>,
    /// How many instances, spread over the zones in turn; 1 per zone if absent.
    #[schemars(range(min = 1, max = 1000))]
    pub count: Option<At<u32>>,
    /// The zones that instances are spread over; all of the region's if absent.
    pub availability_zones: Option<At<Vec<At<String>>>>,
    /// One zone per instance, in place of `count` and `availability-zones`.
    pub placement: Option<At<Vec<At<String>>>>,
    /// Environment variables; `${orders.url}` and the like stand for what the stack knows.
    #[serde(default)]
    pub environment: Named<Literal>,
}

/// A listener's or target group's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum ProtocolSpec {
    /// HTTP/1.1, behind an Application Load Balancer.
    Http,
    /// TCP, behind a Network Load Balancer.
    Tcp,
}

/// A target group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetGroupSpec {
    /// Its targets: the name of a group of instances, which are all its targets then, or a list of such names and of single
    /// instances (`web-1`).
    pub targets: Option<At<Words>>,
    /// HTTP (the default) for an Application, TCP for a Network Load Balancer.
    pub protocol: Option<At<ProtocolSpec>>,
    /// The targets' port; that of the instances if absent.
    #[schemars(range(min = 1))]
    pub port: Option<At<u16>>,
    /// How targets are checked.
    pub health_check: Option<TargetHealthCheckSpec>,
    /// Whether nodes use targets of other zones; as the load balancer says if absent.
    pub cross_zone: Option<bool>,
    /// How long a deregistered target drains.
    pub deregistration_delay: Option<At<Period>>,
    /// Which target gets a request, on an ALB: `round_robin` (the default), `least_outstanding_requests` or `weighted_random`.
    pub load_balancing_algorithm: Option<At<AlgorithmSpec>>,
    /// Whether clients stay with a target, on an ALB; they do not if absent.
    pub stickiness: Option<At<StickinessSpec>>,
    /// How many healthy targets are enough, on an ALB.
    pub target_group_health: Option<At<TargetGroupHealthSpec>>,
}

/// A target group's health check.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetHealthCheckSpec {
    /// HTTP or TCP; as the target group if absent.
    pub protocol: Option<At<ProtocolSpec>>,
    /// The path asked for, with HTTP.
    pub path: Option<At<String>>,
    /// Status codes that count as healthy, `200-299`.
    pub matcher: Option<At<StatusCodes>>,
    /// Time from one check to the next, 5 to 300 seconds before timing divides it.
    pub interval: Option<At<Period>>,
    /// A check without an answer fails after this time, 2 to 120 seconds before timing divides it.
    pub timeout: Option<At<Period>>,
    /// Consecutive successes until an unhealthy target is healthy.
    #[schemars(range(min = 2, max = 10))]
    pub healthy_threshold: Option<u32>,
    /// Consecutive failures until a healthy target is unhealthy.
    #[schemars(range(min = 2, max = 10))]
    pub unhealthy_threshold: Option<u32>,
}

/// Which kind of load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum LoadBalancerTypeSpec {
    /// ALB.
    Application,
    /// NLB.
    Network,
}

/// A load balancer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoadBalancerSpec {
    /// `application` or `network`.
    #[serde(rename = "type")]
    pub kind: At<LoadBalancerTypeSpec>,
    /// The zones with a node of it; all of the region's if absent.
    pub availability_zones: Option<At<Vec<At<String>>>>,
    /// Whether a node uses targets of other zones. Always on for an ALB, off for an NLB unless set.
    pub cross_zone: Option<At<bool>>,
    /// Idle timeout of connections.
    pub idle_timeout: Option<At<Period>>,
    /// What becomes of `X-Forwarded-For`, on an ALB: `append` (the default) the client's address, `preserve` or `remove` it.
    pub xff_header_processing: Option<At<ForwardedForSpec>>,
    /// Whether the client's port stands in `X-Forwarded-For`, on an ALB; it does not if absent.
    pub xff_client_port: Option<At<bool>>,
    /// Whether targets get the `Host` header as the client wrote it, on an ALB; they do not if absent.
    pub preserve_host_header: Option<At<bool>>,
    /// Whether headers with names of other characters than letters, digits and hyphens are taken out, on an ALB; they are not if absent.
    pub drop_invalid_header_fields: Option<At<bool>>,
    /// Its listeners.
    pub listeners: At<Vec<At<ListenerSpec>>>,
}

/// What becomes of `X-Forwarded-For`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum ForwardedForSpec {
    /// The client's address comes last.
    Append,
    /// It stays as it came.
    Preserve,
    /// It goes.
    Remove,
}

/// The database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum DbEngineSpec {
    /// PostgreSQL.
    Postgres,
}

/// An RDS DB instance, or with `source-db-instance-identifier` a read replica of one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DbInstanceSpec {
    /// `postgres`; may be left out.
    pub engine: Option<DbEngineSpec>,
    /// The major version, 13 to 18; whichever is installed if absent.
    pub engine_version: Option<At<Version>>,
    /// Whether a synchronous standby runs in a second zone.
    pub multi_az: Option<At<bool>>,
    /// The zone of the primary at first; the region's first if absent.
    pub availability_zone: Option<At<String>>,
    /// The zone of the standby at first; the next one if absent.
    pub secondary_availability_zone: Option<At<String>>,
    /// The port; 5432 if absent.
    #[schemars(range(min = 1150))]
    pub port: Option<At<u16>>,
    /// The database created at first; `postgres` if absent.
    pub db_name: Option<At<String>>,
    /// The master user; `postgres` if absent.
    pub master_username: Option<At<String>>,
    /// The master password; generated if absent.
    pub master_user_password: Option<At<String>>,
    /// Parameters of the engine, as in a parameter group.
    #[serde(default)]
    pub parameters: Named<Literal>,
    /// Read replicas, by identifier.
    #[serde(default)]
    pub read_replicas: Named<ReadReplicaSpec>,
    /// Makes this a read replica of that DB instance, like an entry of its `read-replicas`.
    pub source_db_instance_identifier: Option<At<String>>,
}

/// A read replica.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReadReplicaSpec {
    /// Its zone; zones are taken in turn if absent.
    pub availability_zone: Option<At<String>>,
}

/// The cache engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum CacheEngineSpec {
    /// Redis OSS or Valkey, whichever is installed.
    Redis,
}

/// An ElastiCache replication group, cluster mode disabled.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplicationGroupSpec {
    /// `redis`; may be left out.
    pub engine: Option<CacheEngineSpec>,
    /// The major version, 6 to 8; whichever is installed if absent.
    pub engine_version: Option<At<Version>>,
    /// How many nodes: a primary and its replicas; 1 if absent.
    #[schemars(range(min = 1, max = 6))]
    pub num_cache_clusters: Option<At<u32>>,
    /// One zone per node, the primary's first; zones are taken in turn if absent.
    pub preferred_cache_cluster_azs: Option<At<Vec<At<String>>>>,
    /// Whether a replica is promoted by itself when the primary fails; off if absent.
    pub automatic_failover_enabled: Option<At<bool>>,
    /// Whether nodes must stand in several zones; needs automatic failover.
    pub multi_az_enabled: Option<At<bool>>,
    /// The port; 6379 if absent.
    #[schemars(range(min = 1))]
    pub port: Option<At<u16>>,
    /// The AUTH token, if clients must give one.
    pub auth_token: Option<At<String>>,
}

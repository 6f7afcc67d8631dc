//! What the control plane wants of the data plane, as one immutable snapshot.
//!
//! Health states are in it; what follows from them for a request or a query (which target, which record, fail-open) is
//! decided by the pure files of the load balancers and of DNS.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use topologies::address::{HostAddress, ZoneNumber};
use topologies::geography::Coordinates;
use topologies::id::{InstanceId, LoadBalancerId, RegionId, TargetGroupId, ZoneId};
use topologies::prefix::Prefix;
use topologies::topology::{
    Balancing, FailoverRole, Headers, LoadBalancerType, Location, Protocol, RecordType, RuleAction,
};

use crate::acl::Acls;
use crate::security_group::Groups;

/// Everything that the data plane serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// The network interface of every instance.
    pub enis: BTreeMap<InstanceId, Eni>,
    /// Load balancers.
    pub load_balancers: BTreeMap<LoadBalancerId, LoadBalancer>,
    /// Target groups, shared by the nodes of the load balancers.
    pub target_groups: BTreeMap<TargetGroupId, TargetGroup>,
    /// Names, lower case and without the final dot.
    pub names: BTreeMap<String, Vec<RecordSet>>,
    /// Apexes of the zones that are ours; a name under none of them is refused.
    pub apexes: Vec<Apex>,
    /// Who asks for names.
    pub clients: Clients,
    /// Network ACLs.
    pub acls: Acls,
    /// Security groups; none if none of them could keep anything out.
    pub groups: Groups,
}

/// An instance's network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eni {
    /// Its address; it listens on the address's form for every zone and for outside.
    pub address: HostAddress,
    /// The port, both where clients come in and where the engine listens.
    pub port: u16,
    /// Fenced by the control plane: open connections are reset, new ones refused.
    pub fenced: bool,
    /// Whether its engine is replicated by others of its kind, who have an interface of their own for it.
    pub replicates: bool,
}

/// A load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// ALB or NLB.
    pub kind: LoadBalancerType,
    /// Whether a node uses targets of other zones, unless a target group says otherwise.
    pub cross_zone: bool,
    /// The zone that a zonal shift keeps it away from: with cross-zone on, its targets there get nothing.
    pub away_from: Option<ZoneId>,
    /// Idle timeout of connections.
    pub idle_timeout: Duration,
    /// What becomes of headers.
    pub headers: Headers,
    /// One node per enabled zone.
    pub nodes: Vec<Node>,
    /// Its listeners, the same on every node.
    pub listeners: Vec<Listener>,
}

/// A load balancer's node in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The zone.
    pub zone: ZoneId,
    /// The node's address.
    pub address: HostAddress,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// HTTP on an ALB, TCP on an NLB.
    pub protocol: Protocol,
    /// Rules by ascending priority.
    pub rules: Vec<topologies::topology::Rule>,
    /// What happens when no rule matches.
    pub default_action: RuleAction,
}

/// A target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// Overrides the load balancer's cross-zone choice.
    pub cross_zone: Option<bool>,
    /// How requests are shared among targets.
    pub routing: Balancing,
    /// Registered targets.
    pub targets: Vec<Target>,
}

/// A registered target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The instance.
    pub instance: InstanceId,
    /// Its zone.
    pub zone: ZoneId,
    /// Its address.
    pub address: HostAddress,
    /// The port.
    pub port: u16,
    /// Its health as each node sees it, by the node's zone; a node that is absent has not seen it yet.
    pub health: BTreeMap<ZoneId, TargetState>,
}

/// A target's health state, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetState {
    /// Registered, not yet checked.
    Initial,
    /// Passes its checks.
    Healthy,
    /// Fails its checks.
    Unhealthy,
    /// Being deregistered.
    Draining,
}

/// A zone apex that the resolver answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apex {
    /// The apex.
    pub name: String,
    /// The SOA record's TTL.
    pub soa_ttl: Duration,
    /// The SOA record's minimum: how long negative answers last, at most the record's own TTL.
    pub soa_minimum: Duration,
    /// The SOA record's data where they are not those that every zone begins with.
    pub soa: Option<Arc<[u8]>>,
}

/// The records of one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    /// The type.
    pub kind: RecordType,
    /// How one answer is made of the candidates.
    pub policy: Policy,
    /// The candidates.
    pub candidates: Vec<Candidate>,
}

/// How an answer is made of a record set's candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// All values of the only candidate.
    Simple,
    /// Route 53 failover: the primary while healthy, else the secondary while healthy, else the primary.
    Failover,
    /// One candidate, as often as its weight says.
    Weighted,
    /// Up to eight candidates, in any order.
    MultiValue,
    /// The candidate that suits the asker best: by region, location, distance or address.
    Suited,
    /// A load balancer's name: the values of every healthy candidate, of all if none is healthy; rotated.
    HealthyNodes,
    /// A reader endpoint: one value of the healthy candidates, in turn; of all if none is healthy.
    OneInTurn,
}

/// A record of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its health, from its health check or its alias's target; true if it has neither.
    pub healthy: bool,
    /// Its TTL.
    pub ttl: Duration,
    /// Its part in the set's policy.
    pub part: Part,
    /// Its values, all of the set's type.
    pub values: Vec<Value>,
}

/// What a set's policy knows of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing: it is like any other.
    Any,
    /// Its place in a failover pair.
    Failover(FailoverRole),
    /// Its weight.
    Weight(u8),
    /// Its region, and where that is.
    Region(RegionId, Option<Coordinates>),
    /// The part of the world that it is for.
    Location(Location),
    /// Where it is, and by how many hundredths it draws askers nearer.
    Near(Coordinates, i8),
    /// The addresses that it is for.
    Blocks(Vec<Prefix>),
    /// It is for the addresses that no other is for.
    OtherBlocks,
}

/// A record's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An A record with the host's address as seen from the asker's zone.
    Host(HostAddress),
    /// An A record with this address.
    Address(Ipv4Addr),
    /// A CNAME to this name.
    Cname(String),
    /// A record of any other type, its data as packets have them.
    Data(Arc<[u8]>),
    /// An alias to another name of ours: answered with what that name answers, under the asked name.
    Alias(String),
}

impl RecordSet {
    /// A set of one record.
    pub fn simple(kind: RecordType, ttl: Duration, values: Vec<Value>) -> Self {
        let candidate = Candidate {
            healthy: true,
            ttl,
            part: Part::Any,
            values,
        };
        Self {
            kind,
            policy: Policy::Simple,
            candidates: vec![candidate],
        }
    }
}

/// Who asks, for policies that go by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    /// Those in the stack's zones.
    pub zones: BTreeMap<ZoneNumber, Client>,
    /// Those outside of the stack.
    pub outside: Client,
    /// Those that a question's EDNS client subnet tells of.
    pub subnets: Vec<Client>,
}

/// Clients of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Their addresses.
    pub addresses: Prefix,
    /// The region that answers them soonest, and where it is.
    pub region: RegionId,
    /// Where that is, if it is a region that AWS has.
    pub coordinates: Option<Coordinates>,
    /// Their continent, if it is known.
    pub continent: Option<String>,
    /// Their country, if it is known.
    pub country: Option<String>,
    /// The part of their country, if it is known.
    pub subdivision: Option<String>,
}

/// Somebody on this machine of whom nothing is known.
impl Default for Client {
    fn default() -> Self {
        Self {
            addresses: Prefix::new(Ipv4Addr::LOCALHOST.into(), 32),
            region: RegionId::from(""),
            coordinates: None,
            continent: None,
            country: None,
            subdivision: None,
        }
    }
}

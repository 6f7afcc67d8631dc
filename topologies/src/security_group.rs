//! Security groups: rules about who may open connections to whom, and who has which.
//!
//! Every VPC has one that is called `default`, which is recorded only once it was changed. Who was never given any has that one, but
//! for Network Load Balancers, which have none then ("Update the security groups for your Network Load Balancer").

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cidr::Cidr;
use crate::event::{Event, EventKind};
use crate::id::{
    DbInstanceId, InstanceId, LoadBalancerId, RegionId, ReplicationGroupId, SecurityGroupId,
};
use crate::topology::Topology;

/// Under which type security groups are forgotten.
pub const SECURITY_GROUP: &str = "ec2:security-group";
/// Under which type it is forgotten that a member was given others than it has from the beginning.
pub const SECURITY_GROUP_MEMBER: &str = "ec2:security-group-member";
/// The name of the security group that every VPC has.
pub const DEFAULT: &str = "default";

/// A rule of a security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SecurityGroupRule {
    /// Its identifier, `sgr-…`.
    pub id: String,
    /// Whether it is about connections that the members open.
    pub egress: bool,
    /// The protocol's number; none for all protocols.
    pub protocol: Option<u8>,
    /// The first and the last of the ports that connections go to; none for all.
    pub ports: Option<(u16, u16)>,
    /// ICMP's type and code, which nothing here sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<(i16, i16)>,
    /// Who the other end may be.
    pub peer: Peer,
    /// What somebody wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The other end of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// Whoever has one of these addresses.
    Cidr(Cidr),
    /// Whoever has one of these of IPv6: nobody here.
    Ipv6(String),
    /// The members of this security group.
    Group(SecurityGroupId),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(cidr) => cidr.fmt(f),
            Self::Ipv6(block) => f.write_str(block),
            Self::Group(group) => group.fmt(f),
        }
    }
}

impl SecurityGroupRule {
    /// Whether it permits the same as another, whatever both are called.
    pub fn permits_the_same(&self, other: &Self) -> bool {
        let what = |it: &Self| (it.egress, it.protocol, it.ports, it.icmp, it.peer.clone());
        what(self) == what(other)
    }
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SecurityGroup {
    /// The region of its VPC.
    pub region: RegionId,
    /// Its name, one of a kind in its VPC.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its rules.
    pub rules: Vec<SecurityGroupRule>,
}

impl SecurityGroup {
    /// Whether it is the one that its VPC has from the beginning.
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT
    }
}

/// What can have security groups.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guarded {
    /// An application instance.
    Instance(InstanceId),
    /// A load balancer: its nodes.
    LoadBalancer(LoadBalancerId),
    /// A DB instance or read replica: its hosts.
    DbInstance(DbInstanceId),
    /// A replication group: its nodes.
    ReplicationGroup(ReplicationGroupId),
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(id) => write!(f, "instance/{id}"),
            Self::LoadBalancer(id) => write!(f, "load-balancer/{id}"),
            Self::DbInstance(id) => write!(f, "db-instance/{id}"),
            Self::ReplicationGroup(id) => write!(f, "replication-group/{id}"),
        }
    }
}

/// What a member was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Given {
    member: Guarded,
    region: RegionId,
    groups: Vec<SecurityGroupId>,
}

/// The security groups of an account: a fold of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroups {
    groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    /// By the members' texts, for a map's keys are texts where it is written down.
    given: BTreeMap<String, Given>,
}

impl SecurityGroups {
    /// Those that were made, and default ones that were changed.
    pub fn all(&self) -> impl Iterator<Item = (&SecurityGroupId, &SecurityGroup)> {
        self.groups.iter()
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&SecurityGroup> {
        self.groups.get(id)
    }

    /// What a member was given last; nothing if it never was.
    pub fn given(&self, member: &Guarded) -> Option<&[SecurityGroupId]> {
        let given = self.given.get(&member.to_string())?;
        Some(&given.groups)
    }

    /// The members that were given a security group.
    pub fn members<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Guarded> {
        let all = self.given.values();
        let own = all.filter(move |it| it.groups.iter().any(|it| it.as_str() == group));
        own.map(|it| &it.member)
    }

    /// Whether some member may have one that does not let everything pass: it may keep what is healthy from being reached.
    pub fn filter(&self) -> bool {
        let mut given = self.given.values().flat_map(|it| &it.groups);
        self.groups.values().any(SecurityGroup::is_default)
            || given.any(|it| self.groups.contains_key(it))
    }

    /// What a reset has to forget: its type, its region, its identifier.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&str, &RegionId, &str)> {
        let groups = self.groups.iter();
        let groups = groups.map(|(id, it)| (SECURITY_GROUP, &it.region, id.as_str()));
        let given = self.given.iter();
        groups.chain(given.map(|(id, it)| (SECURITY_GROUP_MEMBER, &it.region, id.as_str())))
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.groups.remove(id);
    }

    pub(crate) fn forget_member(&mut self, id: &str) {
        self.given.remove(id);
    }

    /// What is not there any more has no security groups.
    pub(crate) fn follow(&mut self, topology: &Topology) {
        let dbs = &topology.db_instances;
        self.given.retain(|_, given| match &given.member {
            Guarded::Instance(id) => {
                let mut all = topology.services.iter().flat_map(|it| &it.instances);
                all.any(|it| it.id == *id)
            }
            Guarded::LoadBalancer(id) => topology.load_balancers.iter().any(|it| it.id == *id),
            Guarded::DbInstance(id) => {
                let mut replicas = dbs.iter().flat_map(|db| &db.read_replicas);
                dbs.iter().any(|db| db.id == *id) || replicas.any(|it| it.id == *id)
            }
            Guarded::ReplicationGroup(id) => {
                topology.replication_groups.iter().any(|it| it.id == *id)
            }
        });
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "few events are for security groups"
    )]
    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.event {
            EventKind::SecurityGroupChanged {
                group,
                region,
                name,
                description,
                rules,
            } => {
                let changed = SecurityGroup {
                    region: region.clone(),
                    name: name.clone(),
                    description: description.clone(),
                    rules: rules.clone(),
                };
                self.groups.insert(group.clone(), changed);
            }
            EventKind::SecurityGroupsGiven {
                member,
                region,
                groups,
            } => {
                let given = Given {
                    member: member.clone(),
                    region: region.clone(),
                    groups: groups.clone(),
                };
                self.given.insert(member.to_string(), given);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    fn put(groups: &mut SecurityGroups, event: EventKind) {
        let (seq, at) = (1, Time::ZERO);
        groups.apply(&Event { seq, at, event });
    }

    fn changed(group: &str, name: &str) -> EventKind {
        EventKind::SecurityGroupChanged {
            group: group.into(),
            region: "r".into(),
            name: name.to_owned(),
            description: String::new(),
            rules: Vec::new(),
        }
    }

    fn given(to: &str, groups: &[&str]) -> EventKind {
        EventKind::SecurityGroupsGiven {
            member: Guarded::DbInstance(to.into()),
            region: "r".into(),
            groups: groups.iter().map(|it| (*it).into()).collect(),
        }
    }

    #[test]
    fn one_filters_once_somebody_has_it_and_the_default_one_once_it_was_changed() {
        for (events, filter) in [
            (vec![], false),
            (vec![changed("sg-1", "web")], false),
            (
                vec![changed("sg-1", "web"), given("orders", &["sg-1"])],
                true,
            ),
            (
                vec![changed("sg-1", "web"), given("orders", &["sg-0"])],
                false,
            ),
            (vec![changed("sg-0", DEFAULT)], true),
        ] {
            let mut groups = SecurityGroups::default();
            for event in events.clone() {
                put(&mut groups, event);
            }
            assert_eq!(groups.filter(), filter, "{events:?}");
        }
    }

    #[test]
    fn what_is_forgotten_or_gone_leaves_nothing() {
        let mut groups = SecurityGroups::default();
        put(&mut groups, changed("sg-1", "web"));
        put(&mut groups, given("orders", &["sg-1"]));
        let members: Vec<_> = groups.members("sg-1").map(Guarded::to_string).collect();
        assert_eq!(members, ["db-instance/orders"]);
        let records = groups.records();
        let records: Vec<_> = records
            .map(|(resource, _, id)| (resource.to_owned(), id.to_owned()))
            .collect();
        assert_eq!(records.len(), 2);
        for (resource, id) in records {
            match resource.as_str() {
                SECURITY_GROUP => groups.forget(&id),
                _ => groups.forget_member(&id),
            }
        }
        assert_eq!(groups, SecurityGroups::default());
        put(&mut groups, given("orders", &["sg-1"]));
        let text = "region: us-east-1\navailability-zones: [a]\n";
        groups.follow(&crate::check::check(text, "t.yaml").0.expect("it is right"));
        assert_eq!(groups, SecurityGroups::default());
    }
}

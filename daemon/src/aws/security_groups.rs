//! Security groups as several services have them: which a member has, which a call names, and the default one of every VPC.

use std::net::Ipv4Addr;

use serde_json::Value;
use topologies::cidr::Cidr;
use topologies::event::EventKind;
use topologies::id::{RegionId, SecurityGroupId};
use topologies::security_group::{DEFAULT, Guarded, Peer, SecurityGroup, SecurityGroupRule};
use topologies::topology::{LoadBalancer, LoadBalancerType};
use topologies::world::World;
use wire::Record;

use super::{Change, View, ids};

/// A security group by its id.
pub(super) type Named = (SecurityGroupId, SecurityGroup);

/// The default security group of a region's VPC as it comes ("Default security groups for your VPCs"), with a rule more, which is ours:
/// everybody may connect to its members, for a topology file says nothing of security groups and its stack is to be reached.
pub(crate) fn default_group(region: &RegionId) -> Named {
    let id = default_id(region);
    let rule = |what: &str, egress: bool, peer: Peer| SecurityGroupRule {
        id: ids::derived("sgr", &format!("{region}/{what}")),
        egress,
        protocol: None,
        ports: None,
        icmp: None,
        peer,
        description: None,
    };
    let anywhere = || Peer::Cidr(Cidr::new(Ipv4Addr::UNSPECIFIED, 0));
    let group = SecurityGroup {
        region: region.clone(),
        name: DEFAULT.to_owned(),
        description: "default VPC security group".to_owned(),
        rules: vec![
            rule("members", false, Peer::Group(id.clone())),
            rule("everybody", false, anywhere()),
            rule("out", true, anywhere()),
        ],
    };
    (id, group)
}

fn default_id(region: &RegionId) -> SecurityGroupId {
    ids::security_group(region.as_str()).into()
}

/// Those that a member of a region has; of a load balancer see [`of_load_balancer`].
pub(crate) fn of(world: &World, region: &RegionId, member: &Guarded) -> Vec<SecurityGroupId> {
    let given = world.account.security_groups.given(member);
    given.map_or_else(|| vec![default_id(region)], <[_]>::to_vec)
}

/// Those that a load balancer has: an NLB that was given none has not even the default one.
pub(crate) fn of_load_balancer(world: &World, lb: &LoadBalancer) -> Vec<SecurityGroupId> {
    let member = Guarded::LoadBalancer(lb.id.clone());
    match lb.kind {
        LoadBalancerType::Application => of(world, &lb.region, &member),
        LoadBalancerType::Network => {
            let given = world.account.security_groups.given(&member);
            given.unwrap_or_default().to_vec()
        }
    }
}

/// Every security group of the region that was called, the default one among them.
pub(super) fn all(view: &View<'_>) -> Vec<Named> {
    let region = RegionId::from(view.region);
    let own = view.world.account.security_groups.all();
    let own = own.filter(|(_, it)| it.region == region);
    let mut all: Vec<Named> = own.map(|(id, it)| (id.clone(), it.clone())).collect();
    if view.here().is_some() && !all.iter().any(|(_, it)| it.is_default()) {
        all.push(default_group(&region));
    }
    all
}

/// Those with these ids, each once; else the first that is not there.
pub(super) fn resolve<'i>(
    view: &View<'_>,
    asked: &[&'i str],
) -> Result<Vec<SecurityGroupId>, &'i str> {
    let all = all(view);
    let mut found: Vec<SecurityGroupId> = Vec::new();
    for id in asked {
        let (id, _) = all.iter().find(|(it, _)| it.as_str() == *id).ok_or(*id)?;
        if !found.contains(id) {
            found.push(id.clone());
        }
    }
    Ok(found)
}

/// A member of the region that was called has these from now on.
pub(super) fn give(view: &View<'_>, member: Guarded, groups: Vec<SecurityGroupId>) -> Change {
    Change::Note(EventKind::SecurityGroupsGiven {
        member,
        region: RegionId::from(view.region),
        groups,
    })
}

/// As lists of memberships show them: under this name, and that they are active.
pub(super) fn memberships(name: &str, groups: &[SecurityGroupId]) -> Value {
    let groups = groups.iter().map(|id| {
        let record = Record::new().set(name, id.as_str());
        Value::from(record.set("Status", "active"))
    });
    groups.collect()
}

/// The same of a member of the region that was called.
pub(super) fn memberships_of(view: &View<'_>, name: &str, member: &Guarded) -> Value {
    memberships(name, &of(view.world, &RegionId::from(view.region), member))
}

#[cfg(test)]
mod tests;

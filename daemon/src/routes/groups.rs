//! Security groups as the data plane is to obey them: their rules, and who has which.

use proxies::security_group::{Groups, Party};
use topologies::address::{HostAddress, ZoneNumber, subnet};
use topologies::cidr::Cidr;
use topologies::id::SecurityGroupId;
use topologies::plan::{Instance, InstanceKind, Plan};
use topologies::security_group::Guarded;
use topologies::topology::Region;
use topologies::world::World;

use crate::aws::security_groups::{default_group, of, of_load_balancer};

/// All of them; none while none could keep anything out.
pub(super) fn groups(plan: &Plan, world: &World) -> Groups {
    let known = &world.account.security_groups;
    let mut groups = Groups::default();
    if !known.filter() {
        return groups;
    }
    for (id, group) in known.all() {
        groups.insert(id.clone(), &group.rules);
    }
    for region in &plan.topology.regions {
        let mut own = known.all().filter(|(_, it)| it.region == region.id);
        if !own.any(|(_, it)| it.is_default()) {
            let (id, default) = default_group(&region.id);
            groups.insert(id, &default.rules);
        }
        members(plan, world, region, &mut groups);
    }
    groups
}

fn members(plan: &Plan, world: &World, region: &Region, groups: &mut Groups) {
    for zone in &region.zones {
        let mut empty = true;
        for instance in plan.instances.iter().filter(|it| it.zone == zone.id) {
            let party = party(instance.address, of(world, &region.id, &member(instance)));
            if let InstanceKind::App(_) = instance.kind {
                groups.insert_client(zone.number, party.clone());
                empty = false;
            }
            groups.insert_instance(instance.id.clone(), party);
        }
        if empty {
            // Somebody who was put there by hand, as what nobody gave another.
            let nobody = Party {
                address: subnet(plan.slot, zone.number),
                groups: vec![default_group(&region.id).0],
            };
            groups.insert_client(zone.number, nobody);
        }
    }
    let balancers = plan.topology.load_balancers.iter();
    for lb in balancers.filter(|it| it.region == region.id) {
        let own = of_load_balancer(world, lb);
        groups.insert_load_balancer(lb.id.clone(), own);
    }
}

fn party(address: HostAddress, groups: Vec<SecurityGroupId>) -> Party {
    Party {
        address: Cidr::host(address.seen_from(ZoneNumber::OUTSIDE)),
        groups,
    }
}

fn member(instance: &Instance) -> Guarded {
    match &instance.kind {
        InstanceKind::App(_) => Guarded::Instance(instance.id.clone()),
        InstanceKind::DbHost(db) => Guarded::DbInstance(db.clone()),
        InstanceKind::CacheNode(group) => Guarded::ReplicationGroup(group.clone()),
    }
}

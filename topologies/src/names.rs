//! Names of endpoints in AWS's shapes.
//!
//! Shapes as in the RDS, ElastiCache and Elastic Load Balancing user guides (USER_ConnectToInstance, Endpoints,
//! application-load-balancers, network-load-balancers), with the topology's suffix in place of `amazonaws.com`.

use crate::id::{DbInstanceId, InstanceId, LoadBalancerId, RegionId, ReplicationGroupId};
use crate::reference::{CacheField, DbField, LoadBalancerField, Reference};
use crate::topology::{AccountNames, LoadBalancerType, Topology};

/// The account's part of names, always the same for a stack of this name.
pub fn account(stack: &str) -> AccountNames {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    AccountNames {
        rds: spell(stack, "rds", LETTERS, 12),
        elasticache: spell(stack, "elasticache", LETTERS, 6),
        load_balancer: spell(stack, "elb", b"0123456789", 10),
    }
}

/// `length` characters of `alphabet` that follow from `stack` and `part` by FNV-1a and an xorshift sequence; the first is
/// never a digit zero nor, where letters are at hand, any digit.
fn spell(stack: &str, part: &str, alphabet: &[u8], length: usize) -> String {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in stack.bytes().chain([0]).chain(part.bytes()) {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let first: &[u8] = match alphabet.iter().position(u8::is_ascii_digit) {
        Some(0) | None => &alphabet[1..],
        Some(digits) => &alphabet[..digits],
    };
    (0..length)
        .map(|index| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let choice = if index == 0 { first } else { alphabet };
            let at = (state >> 32) as usize % choice.len();
            char::from(choice[at])
        })
        .collect()
}

/// A DB instance's or read replica's: `orders.c1a2b3d4e5f6.ap-northeast-2.rds.amazonaws.com`.
pub fn db_instance(topology: &Topology, id: &DbInstanceId, region: &RegionId) -> String {
    let Topology {
        account, suffix, ..
    } = topology;
    format!("{id}.{}.{region}.rds.{suffix}", account.rds)
}

/// A replication group's primary: `sessions.a1b2c3.ng.0001.apn2.cache.amazonaws.com`.
pub fn cache_primary(topology: &Topology, id: &ReplicationGroupId, region: &RegionId) -> String {
    cache(topology, &format!("{id}"), ".ng", region)
}

/// A replication group's reader: `sessions-ro.a1b2c3.ng.0001.apn2.cache.amazonaws.com`.
pub fn cache_reader(topology: &Topology, id: &ReplicationGroupId, region: &RegionId) -> String {
    cache(topology, &format!("{id}-ro"), ".ng", region)
}

/// A node's: `sessions-001.a1b2c3.0001.apn2.cache.amazonaws.com`.
pub fn cache_node(topology: &Topology, id: &InstanceId, region: &RegionId) -> String {
    cache(topology, id.as_str(), "", region)
}

fn cache(topology: &Topology, label: &str, group: &str, region: &RegionId) -> String {
    let Topology {
        account, suffix, ..
    } = topology;
    let code = region_code(region);
    format!(
        "{label}.{}{group}.0001.{code}.cache.{suffix}",
        account.elasticache
    )
}

/// A load balancer's: `site-1234567890.ap-northeast-2.elb.amazonaws.com` for an ALB,
/// `edge-1234567890.elb.ap-northeast-2.amazonaws.com` for an NLB.
pub fn load_balancer(
    topology: &Topology,
    id: &LoadBalancerId,
    kind: LoadBalancerType,
    region: &RegionId,
) -> String {
    let Topology {
        account, suffix, ..
    } = topology;
    let number = &account.load_balancer;
    match kind {
        LoadBalancerType::Application => format!("{id}-{number}.{region}.elb.{suffix}"),
        LoadBalancerType::Network => format!("{id}-{number}.elb.{region}.{suffix}"),
    }
}

/// Whether a reference stands for the name of an endpoint.
pub fn is_address(reference: &Reference) -> bool {
    matches!(
        reference,
        Reference::Db(_, DbField::Address)
            | Reference::CachePrimary(_, CacheField::Address)
            | Reference::CacheReader(_, CacheField::Address)
            | Reference::LoadBalancer(_, LoadBalancerField::Address)
    )
}

/// The name of the endpoint that a reference is about, whatever it asks of it; none if the topology has no such endpoint.
pub fn address(topology: &Topology, reference: &Reference) -> Option<String> {
    match reference {
        Reference::Db(id, _) => {
            let region = db_region(topology, id)?;
            Some(db_instance(topology, id, region))
        }
        Reference::CachePrimary(id, _) | Reference::CacheAuthToken(id) => {
            let group = topology
                .replication_groups
                .iter()
                .find(|group| group.id == *id)?;
            Some(cache_primary(topology, id, &group.region))
        }
        Reference::CacheReader(id, _) => {
            let group = topology
                .replication_groups
                .iter()
                .find(|group| group.id == *id)?;
            Some(cache_reader(topology, id, &group.region))
        }
        Reference::LoadBalancer(id, _) => {
            let balancer = topology
                .load_balancers
                .iter()
                .find(|balancer| balancer.id == *id)?;
            Some(load_balancer(topology, id, balancer.kind, &balancer.region))
        }
        Reference::InstanceId
        | Reference::InstanceZone
        | Reference::InstanceRegion
        | Reference::InstancePort
        | Reference::StackName => None,
    }
}

/// The name of every endpoint that a reference can stand for, with that reference as it is written between the braces.
pub fn addresses(topology: &Topology) -> Vec<(String, String)> {
    let dbs = topology.db_instances.iter().flat_map(|db| {
        let replicas = db.read_replicas.iter().map(|replica| &replica.id);
        let ids = std::iter::once(&db.id).chain(replicas);
        ids.map(|id| {
            let reference = Reference::Db(id.clone(), DbField::Address);
            (reference, format!("{id}.address"))
        })
    });
    let caches = topology.replication_groups.iter().flat_map(|group| {
        let id = &group.id;
        let primary = Reference::CachePrimary(id.clone(), CacheField::Address);
        let reader = Reference::CacheReader(id.clone(), CacheField::Address);
        [
            (primary, format!("{id}.primary.address")),
            (reader, format!("{id}.reader.address")),
        ]
    });
    let balancers = topology.load_balancers.iter().map(|balancer| {
        let id = &balancer.id;
        let reference = Reference::LoadBalancer(id.clone(), LoadBalancerField::Address);
        (reference, format!("{id}.address"))
    });
    let written = dbs.chain(caches).chain(balancers);
    written
        .filter_map(|(reference, path)| Some((address(topology, &reference)?, path)))
        .collect()
}

/// The region of a DB instance or read replica.
fn db_region<'t>(topology: &'t Topology, id: &DbInstanceId) -> Option<&'t RegionId> {
    let own = topology.db_instances.iter().find(|db| db.id == *id);
    own.map(|db| &db.region).or_else(|| {
        let mut replicas = topology
            .db_instances
            .iter()
            .flat_map(|db| &db.read_replicas);
        let replica = replicas.find(|replica| replica.id == *id)?;
        topology
            .region_of(&replica.availability_zone)
            .map(|region| &region.id)
    })
}

/// A region's short code in ElastiCache names: `use1` for `us-east-1`, `apne1` for `ap-northeast-1`. Seoul's is `apn2`.
pub fn region_code(region: &RegionId) -> String {
    if region.as_str() == "ap-northeast-2" {
        return "apn2".to_owned();
    }
    region
        .as_str()
        .split('-')
        .enumerate()
        .map(|(index, part)| match part {
            whole if index == 0 => whole,
            "north" => "n",
            "south" => "s",
            "east" => "e",
            "west" => "w",
            "central" => "c",
            "northeast" => "ne",
            "northwest" => "nw",
            "southeast" => "se",
            "southwest" => "sw",
            "gov" => "g",
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_names_follow_from_the_stack_alone() {
        let names = account("tier-10k");
        assert_eq!(names, account("tier-10k"));
        assert_ne!(names, account("tier-1k"));
        assert_eq!((names.rds.len(), names.elasticache.len()), (12, 6));
        assert_eq!(names.load_balancer.len(), 10);
        assert!(names.load_balancer.bytes().all(|b| b.is_ascii_digit()));
        // Names outlive a build: what a stack was called yesterday it is called today.
        insta::assert_compact_debug_snapshot!(names, @r#"AccountNames { rds: "gseiiv5a5d5p", elasticache: "s2ybqw", load_balancer: "6249847083" }"#);
    }

    #[test]
    fn regions_have_short_codes() {
        for (region, code) in [
            ("ap-northeast-1", "apne1"),
            ("ap-northeast-2", "apn2"),
            ("us-east-1", "use1"),
            ("eu-west-1", "euw1"),
            ("us-gov-west-1", "usgw1"),
        ] {
            assert_eq!(region_code(&RegionId::from(region)), code);
        }
    }
}

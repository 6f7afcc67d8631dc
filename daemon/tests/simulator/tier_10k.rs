//! The shape of the 10k tier: three zones, RDS Multi-AZ with two read replicas, Redis with two replicas, six web instances
//! behind an ALB and an NLB.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use topologies::address::{HostAddress, Slot, ZoneNumber};
use topologies::id::ZoneId;
use topologies::plan::{Instance, InstanceKind, Plan};
use topologies::topology::{
    AccountNames, DbInstance, EngineDirectories, Listener, LoadBalancer, LoadBalancerType,
    Protocol, ReadReplica, Region, ReplicationGroup, RuleAction, Service, TargetGroup,
    TargetHealthCheck, Timing, Topology, Zone,
};

const fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn zone(letter: char) -> ZoneId {
    ZoneId::new(format!("ap-northeast-2{letter}"))
}

fn timing() -> Timing {
    Timing {
        profile: "fast".to_owned(),
        probe_interval: millis(100),
        probe_timeout: millis(100),
        probe_threshold: 3,
        db_failover: (Duration::ZERO, Duration::ZERO),
        cache_failover: (Duration::ZERO, Duration::ZERO),
        rds_ttl: millis(1_000),
        elasticache_ttl: millis(1_000),
        load_balancer_ttl: millis(1_000),
        health_check_scale: 30,
    }
}

fn target_group(id: &str, protocol: Protocol) -> TargetGroup {
    TargetGroup {
        id: id.into(),
        protocol,
        port: 8_080,
        service: "web".into(),
        health_check: TargetHealthCheck {
            protocol,
            path: "/health".to_owned(),
            matcher: vec![(200, 200)],
            interval: millis(1_000),
            timeout: millis(200),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
        },
        cross_zone: None,
        deregistration_delay: millis(10_000),
    }
}

fn load_balancer(
    id: &str,
    kind: LoadBalancerType,
    protocol: Protocol,
    group: &str,
) -> LoadBalancer {
    LoadBalancer {
        id: id.into(),
        kind,
        region: "ap-northeast-2".into(),
        zones: ['a', 'b', 'c'].map(zone).to_vec(),
        cross_zone: kind == LoadBalancerType::Application,
        idle_timeout: millis(60_000),
        listeners: vec![Listener {
            port: 80,
            protocol,
            rules: Vec::new(),
            default_action: RuleAction::Forward(group.into()),
        }],
    }
}

fn topology() -> Topology {
    let zones = ['a', 'b', 'c'].into_iter().zip(1..);
    let zones = zones.map(|(letter, n)| Zone {
        id: zone(letter),
        number: ZoneNumber::zone(n).expect("three zones"),
    });
    let replica = |id: &str, letter| ReadReplica {
        id: id.into(),
        availability_zone: zone(letter),
    };
    Topology {
        name: "tier-10k".into(),
        suffix: "localaws.internal".to_owned(),
        account: AccountNames {
            rds: "c1".to_owned(),
            elasticache: "e1".to_owned(),
            load_balancer: "1".to_owned(),
        },
        timing: timing(),
        regions: vec![Region {
            id: "ap-northeast-2".into(),
            zones: zones.collect(),
        }],
        engines: EngineDirectories::default(),
        services: vec![Service {
            id: "web".into(),
            placement: ['a', 'b', 'c', 'a', 'b', 'c'].map(zone).to_vec(),
            command: vec!["storefront".to_owned()],
            image: None,
            port: 8_080,
            environment: BTreeMap::new(),
        }],
        target_groups: vec![
            target_group("web", Protocol::Http),
            target_group("web-tcp", Protocol::Tcp),
        ],
        load_balancers: vec![
            load_balancer("site", LoadBalancerType::Application, Protocol::Http, "web"),
            load_balancer("tcp", LoadBalancerType::Network, Protocol::Tcp, "web-tcp"),
        ],
        db_instances: vec![DbInstance {
            id: "orders".into(),
            region: "ap-northeast-2".into(),
            engine_version: None,
            availability_zone: zone('a'),
            secondary_availability_zone: Some(zone('b')),
            port: 5_432,
            db_name: "orders".to_owned(),
            master_username: "postgres".to_owned(),
            master_user_password: None,
            parameters: BTreeMap::new(),
            read_replicas: vec![replica("orders-read-1", 'b'), replica("orders-read-2", 'c')],
        }],
        replication_groups: vec![ReplicationGroup {
            id: "sessions".into(),
            region: "ap-northeast-2".into(),
            engine_version: None,
            placement: ['a', 'b', 'c'].map(zone).to_vec(),
            automatic_failover: true,
            port: 6_379,
            auth_token: None,
        }],
        hosted_zones: Vec::new(),
        health_checks: Vec::new(),
    }
}

/// The plan.
pub(crate) fn plan() -> Arc<Plan> {
    let topology = topology();
    let slot = Slot::new(64).expect("64 is a slot");
    let mut hosts = BTreeMap::new();
    let mut instance = |id: &str, kind: InstanceKind, letter: char, port: u16| {
        let number = topology
            .zone_number(&zone(letter))
            .expect("a zone of the topology");
        let host = hosts
            .entry(number)
            .and_modify(|host| *host += 1)
            .or_insert(10_u8);
        let address = HostAddress {
            slot,
            zone: number,
            host: *host,
        };
        Instance {
            id: id.into(),
            kind,
            zone: zone(letter),
            address,
            port,
        }
    };
    let database = |id: &str| InstanceKind::DbHost(id.into());
    let cache = || InstanceKind::CacheNode("sessions".into());
    let web = || InstanceKind::App("web".into());
    let instances = vec![
        instance("orders-1", database("orders"), 'a', 5_432),
        instance("orders-2", database("orders"), 'b', 5_432),
        instance("orders-read-1", database("orders-read-1"), 'b', 5_432),
        instance("orders-read-2", database("orders-read-2"), 'c', 5_432),
        instance("sessions-001", cache(), 'a', 6_379),
        instance("sessions-002", cache(), 'b', 6_379),
        instance("sessions-003", cache(), 'c', 6_379),
        instance("web-1", web(), 'a', 8_080),
        instance("web-2", web(), 'b', 8_080),
        instance("web-3", web(), 'c', 8_080),
        instance("web-4", web(), 'a', 8_080),
        instance("web-5", web(), 'b', 8_080),
        instance("web-6", web(), 'c', 8_080),
    ];
    Arc::new(Plan {
        topology,
        slot,
        instances,
        nodes: Vec::new(),
        endpoints: Vec::new(),
    })
}

//! A plan for tests: three zones, `orders` with standby and a read replica, `sessions` with two replicas, three web instances behind
//! the ALB `site`.

pub(crate) mod history;

use std::time::Duration;

use topologies::address::{HostAddress, Slot, ZoneNumber};
use topologies::id::ZoneId;
use topologies::plan::{Endpoint, EndpointKind, Instance, InstanceKind, LoadBalancerNode, Plan};
use topologies::topology::{
    AccountNames, DbInstance, EngineDirectories, Member, Protocol, ReadReplica, Region,
    TargetGroup, TargetHealthCheck, Timing, Topology, Zone,
};

pub(crate) fn zone(letter: &str) -> ZoneId {
    ZoneId::from(format!("ap-northeast-2{letter}"))
}

fn member(id: &str, letter: &str) -> Member {
    Member {
        id: id.into(),
        zone: zone(letter),
    }
}

pub(crate) fn plan() -> Plan {
    let hosts: [(&str, InstanceKind, &str); 9] = [
        ("orders-1", InstanceKind::DbHost("orders".into()), "a"),
        ("orders-2", InstanceKind::DbHost("orders".into()), "b"),
        (
            "orders-replica-1",
            InstanceKind::DbHost("orders-replica".into()),
            "c",
        ),
        (
            "sessions-001",
            InstanceKind::CacheNode("sessions".into()),
            "a",
        ),
        (
            "sessions-002",
            InstanceKind::CacheNode("sessions".into()),
            "b",
        ),
        (
            "sessions-003",
            InstanceKind::CacheNode("sessions".into()),
            "c",
        ),
        ("web-1", InstanceKind::App("web".into()), "a"),
        ("web-2", InstanceKind::App("web".into()), "b"),
        ("web-3", InstanceKind::App("web".into()), "c"),
    ];
    let instances = hosts
        .into_iter()
        .zip(10..)
        .map(|((id, kind, letter), host)| Instance {
            id: id.into(),
            kind,
            zone: zone(letter),
            address: address(letter, host),
            port: 80,
        });
    let endpoints = [
        ("orders", EndpointKind::RdsWriter("orders".into())),
        (
            "sessions",
            EndpointKind::ElasticachePrimary("sessions".into()),
        ),
        ("site", EndpointKind::Alb("site".into())),
    ];
    Plan {
        topology: topology(),
        slot: Slot::new(64).unwrap(),
        instances: instances.collect(),
        nodes: ["a", "b", "c"]
            .into_iter()
            .map(|letter| LoadBalancerNode {
                load_balancer: "site".into(),
                zone: zone(letter),
                address: address(letter, 5),
            })
            .collect(),
        endpoints: endpoints
            .into_iter()
            .map(|(id, kind)| Endpoint {
                id: id.to_owned(),
                kind,
                name: format!("{id}.localaws.internal"),
                port: 80,
            })
            .collect(),
    }
}

fn number(letter: &str) -> ZoneNumber {
    ZoneNumber::zone(usize::from(letter.as_bytes()[0] - b'a') + 1).unwrap()
}

fn address(letter: &str, host: u8) -> HostAddress {
    HostAddress {
        slot: Slot::new(64).unwrap(),
        zone: number(letter),
        host,
    }
}

fn timing(second: Duration) -> Timing {
    Timing {
        profile: "fast".to_owned(),
        probe_interval: second,
        probe_timeout: second,
        probe_threshold: 3,
        db_failover: (second, second),
        cache_failover: (second, second),
        rds_ttl: second,
        elasticache_ttl: second,
        load_balancer_ttl: second,
        health_check_scale: 1,
    }
}

fn topology() -> Topology {
    let second = Duration::from_secs(1);
    Topology {
        name: "sample".into(),
        suffix: "localaws.internal".to_owned(),
        account: AccountNames {
            rds: "c0123456789a".to_owned(),
            elasticache: "abc123".to_owned(),
            load_balancer: "0123456789".to_owned(),
        },
        timing: timing(second),
        regions: vec![Region {
            id: "ap-northeast-2".into(),
            zones: ["a", "b", "c"]
                .into_iter()
                .map(|letter| Zone {
                    id: zone(letter),
                    number: number(letter),
                })
                .collect(),
        }],
        account_id: topologies::defaults::ACCOUNT_ID.to_owned(),
        credentials: Vec::new(),
        engines: EngineDirectories::default(),
        services: Vec::new(),
        target_groups: vec![TargetGroup {
            id: "web".into(),
            protocol: Protocol::Http,
            port: 80,
            targets: ["web-1", "web-2", "web-3"].map(Into::into).to_vec(),
            health_check: TargetHealthCheck {
                protocol: Protocol::Http,
                path: "/health".to_owned(),
                matcher: vec![(200, 200)],
                interval: second,
                timeout: second,
                healthy_threshold: 5,
                unhealthy_threshold: 2,
            },
            cross_zone: None,
            deregistration_delay: second,
            routing: topologies::topology::Balancing::default(),
        }],
        load_balancers: Vec::new(),
        db_instances: vec![DbInstance {
            id: "orders".into(),
            region: "ap-northeast-2".into(),
            engine_version: None,
            hosts: vec![member("orders-1", "a"), member("orders-2", "b")],
            port: 5432,
            db_name: "shop".to_owned(),
            master_username: "shop".to_owned(),
            master_user_password: None,
            parameters: std::collections::BTreeMap::new(),
            read_replicas: vec![ReadReplica {
                id: "orders-replica".into(),
                availability_zone: zone("c"),
            }],
        }],
        replication_groups: Vec::new(),
        hosted_zones: Vec::new(),
        health_checks: Vec::new(),
        cidr_collections: Vec::new(),
        dns_clients: topologies::topology::DnsClients::default(),
    }
}

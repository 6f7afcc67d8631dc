//! What stacks are seen to have, of a second that is made up.

use std::collections::BTreeMap;
use std::time::Duration;

use proxies::traffic::{Subject, Traffic};
use topologies::address::{Slot, ZoneNumber};
use topologies::event::TargetHealth;
use topologies::world::{TargetView, World};

use super::super::statistics::Statistic;
use super::*;

const SHOP: &str = "
name: shop
region: eu-west-1
availability-zones: [a, b]
instances:
  web: { program: storefront, port: 8080, count: 2 }
target-groups:
  web-http: { targets: web, protocol: HTTP }
  web-tcp: { targets: web, protocol: TCP }
load-balancers:
  site:
    type: application
    listeners: [{ port: 80, default-action: { forward: web-http } }]
  raw:
    type: network
    listeners: [{ port: 80, default-action: { forward: web-tcp } }]
db-instances:
  orders:
    engine: postgres
    read-replicas: { orders-ro: { availability-zone: b } }
replication-groups:
  sessions:
    engine: redis
    num-cache-clusters: 2
    automatic-failover-enabled: true
hosted-zones:
  shop.internal: {}
health-checks:
  up: { fully-qualified-domain-name: www.shop.internal, type: HTTP, port: 80 }
";

fn world() -> World {
    let (topology, notes) = topologies::check::check(SHOP, "shop.yaml");
    let topology = topology.unwrap_or_else(|| panic!("{notes:?}"));
    World::new(&topologies::plan::plan(&topology, Slot::new(70).unwrap()))
}

/// What was seen, as lines of metric and value.
#[derive(Default)]
struct Seen {
    counted: BTreeMap<Subject, Traffic>,
    passed: BTreeMap<Subject, Traffic>,
    times: BTreeMap<Subject, Times>,
    figures: BTreeMap<InstanceId, Figure>,
}

impl Seen {
    fn data(&self, world: &World) -> Vec<Datum> {
        let sights = Sights {
            world,
            counted: &self.counted,
            passed: &self.passed,
            times: &self.times,
            figures: &self.figures,
        };
        data(&sights, 60)
    }

    /// The sum of a metric, by its dimensions without what only tells one load balancer from another.
    fn sums(&self, world: &World, namespace: &str, name: &str) -> Vec<String> {
        let data = self.data(world);
        let asked = data
            .iter()
            .filter(|it| it.metric.namespace == namespace && it.metric.name == name);
        let lines = asked.map(|it| {
            let dimensions = it.metric.dimensions.iter().map(|(name, value)| {
                let short = value.split('/').take(2).collect::<Vec<_>>().join("/");
                format!("{name}={short}")
            });
            let sum = it.reading.get(Statistic::Sum).unwrap();
            format!("{} {sum}", dimensions.collect::<Vec<_>>().join(","))
        });
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        lines
    }
}

fn listener(lb: &str, zone: &str) -> Subject {
    Subject::Listener(lb.into(), zone.into(), 80)
}

#[test]
fn s4_8_nothing_is_told_of_what_did_not_happen() {
    let (world, seen) = (world(), Seen::default());
    let data = seen.data(&world);
    let names: BTreeMap<&str, &str> = data
        .iter()
        .map(|it| (it.metric.name.as_ref(), it.metric.namespace.as_ref()))
        .collect();
    let wanted = [
        ("ActiveFlowCount", "AWS/NetworkELB"),
        ("ActiveFlowCount_TCP", "AWS/NetworkELB"),
        ("HealthyHostCount", "AWS/NetworkELB"),
        ("NewFlowCount", "AWS/NetworkELB"),
        ("NewFlowCount_TCP", "AWS/NetworkELB"),
        ("ProcessedBytes", "AWS/NetworkELB"),
        ("ProcessedBytes_TCP", "AWS/NetworkELB"),
        ("TCP_Client_Reset_Count", "AWS/NetworkELB"),
        ("TCP_ELB_Reset_Count", "AWS/NetworkELB"),
        ("TCP_Target_Reset_Count", "AWS/NetworkELB"),
        ("UnHealthyHostCount", "AWS/NetworkELB"),
    ];
    assert_eq!(names, BTreeMap::from(wanted));
}

#[test]
fn s4_8_requests_are_told_by_node_group_and_together() {
    let world = world();
    let mut seen = Seen::default();
    let group = |zone: &str| Subject::TargetGroup("site".into(), zone.into(), "web-http".into());
    for (zone, routed, failed) in [("eu-west-1a", 5, 0), ("eu-west-1b", 3, 2)] {
        let answers = Traffic {
            routed,
            target_5xx: failed,
            ..Traffic::default()
        };
        seen.passed.insert(group(zone), answers);
        let node = Traffic {
            served: 1,
            elb_5xx: failed,
            elb_503: failed,
            ..Traffic::default()
        };
        seen.passed.insert(listener("site", zone), node);
        let open = Traffic {
            connections: 4,
            connections_ended: 1,
            target_connections: 2,
            ..Traffic::default()
        };
        seen.counted.insert(listener("site", zone), open);
    }
    let sums = |name: &str| seen.sums(&world, "AWS/ApplicationELB", name);
    assert_eq!(
        sums("RequestCount"),
        [
            "AvailabilityZone=eu-west-1a,LoadBalancer=app/site 5",
            "AvailabilityZone=eu-west-1a,LoadBalancer=app/site,TargetGroup=targetgroup/web-http 5",
            "AvailabilityZone=eu-west-1b,LoadBalancer=app/site 3",
            "AvailabilityZone=eu-west-1b,LoadBalancer=app/site,TargetGroup=targetgroup/web-http 3",
            "LoadBalancer=app/site 8",
            "LoadBalancer=app/site,TargetGroup=targetgroup/web-http 8",
        ]
    );
    assert_eq!(sums("HTTPCode_Target_5XX_Count").len(), 4);
    for name in ["HTTPCode_ELB_5XX_Count", "HTTPCode_ELB_503_Count"] {
        assert_eq!(
            sums(name),
            [
                "AvailabilityZone=eu-west-1b,LoadBalancer=app/site 2",
                "LoadBalancer=app/site 2"
            ]
        );
    }
    assert_eq!(sums("HTTPCode_ELB_4XX_Count"), Vec::<String>::new());
    assert_eq!(
        sums("ActiveConnectionCount"),
        [
            "AvailabilityZone=eu-west-1a,LoadBalancer=app/site 5",
            "AvailabilityZone=eu-west-1b,LoadBalancer=app/site 5",
            "LoadBalancer=app/site 10"
        ]
    );
    assert_eq!(
        sums("RequestCountPerTarget"),
        [
            "LoadBalancer=app/site,TargetGroup=targetgroup/web-http 4",
            "TargetGroup=targetgroup/web-http 4"
        ]
    );
}

#[test]
fn s5_flows_are_told_also_when_there_are_none() {
    let world = world();
    let mut seen = Seen::default();
    let zone = "eu-west-1a";
    let passed = Traffic {
        bytes: 100,
        target_resets: 1,
        ..Traffic::default()
    };
    seen.passed.insert(listener("raw", zone), passed);
    seen.counted.insert(listener("raw", zone), passed);
    let sums = |name: &str| seen.sums(&world, "AWS/NetworkELB", name);
    assert_eq!(
        sums("ProcessedBytes"),
        [
            "AvailabilityZone=eu-west-1a,LoadBalancer=net/raw 100",
            "AvailabilityZone=eu-west-1b,LoadBalancer=net/raw 0",
            "LoadBalancer=net/raw 100"
        ]
    );
    assert_eq!(sums("TCP_Target_Reset_Count")[2], "LoadBalancer=net/raw 1");
    assert_eq!(sums("NewFlowCount")[2], "LoadBalancer=net/raw 0");
}

#[test]
fn s4_8_targets_are_counted_by_their_zone() {
    let mut world = world();
    let group = world.plan.topology.target_groups[0].id.clone();
    let targets: Vec<InstanceId> = world.plan.topology.target_groups[0].targets.clone();
    for (target, state) in targets
        .iter()
        .zip([TargetHealth::Healthy, TargetHealth::Unhealthy])
    {
        let seen = TargetView {
            state,
            reason: String::new(),
            description: String::new(),
        };
        let zones = ["eu-west-1a", "eu-west-1b"].map(|zone| (zone.into(), seen.clone()));
        let views = world.targets.entry(group.clone()).or_default();
        views.insert(target.clone(), zones.into_iter().collect());
    }
    let sums = |name: &str| {
        let seen = Seen::default();
        seen.sums(&world, "AWS/ApplicationELB", name)
    };
    let lines = |counts: [u8; 3]| {
        let [a, b, all] = counts;
        let rest = "LoadBalancer=app/site,TargetGroup=targetgroup/web-http";
        vec![
            format!("AvailabilityZone=eu-west-1a,{rest} {a}"),
            format!("AvailabilityZone=eu-west-1b,{rest} {b}"),
            format!("{rest} {all}"),
        ]
    };
    assert_eq!(sums("HealthyHostCount"), lines([1, 0, 1]));
    assert_eq!(sums("UnHealthyHostCount"), lines([0, 1, 1]));
}

#[test]
fn s1_4_s3_2_engines_tell_of_clients_and_of_lag() {
    let world = world();
    let mut seen = Seen::default();
    let primary = world.databases["orders"].primary.clone();
    let replica = world.replicas["orders-ro"].instance.clone();
    let lag = Some(Duration::from_millis(1_500));
    for (host, followers, replica_lag) in [(&primary, 1, None), (&replica, 0, lag)] {
        let figure = Figure::Database {
            followers,
            replica_lag,
        };
        seen.figures.insert(host.clone(), figure);
    }
    let cache = &world.caches["sessions"];
    let node = cache.replicas.keys().next().unwrap();
    let address = world.plan.instance(node).unwrap().address;
    let followers = vec![(address.seen_from(ZoneNumber::OUTSIDE), Some(2))];
    let leading = Figure::Cache { followers };
    seen.figures.insert(cache.primary.clone(), leading);
    for host in [&primary, &cache.primary] {
        let traffic = Traffic {
            connections: 5,
            connections_ended: 1,
            ..Traffic::default()
        };
        seen.counted.insert(Subject::Eni(host.clone()), traffic);
    }
    let rds = |name: &str| seen.sums(&world, "AWS/RDS", name);
    assert_eq!(
        rds("DatabaseConnections"),
        [
            "DBInstanceIdentifier=orders 3",
            "DBInstanceIdentifier=orders-ro 0"
        ]
    );
    assert_eq!(rds("ReplicaLag"), ["DBInstanceIdentifier=orders-ro 1.5"]);
    let redis = |name: &str| seen.sums(&world, "AWS/ElastiCache", name);
    assert_eq!(
        redis("CurrConnections"),
        [
            "CacheClusterId=sessions-001 3",
            "CacheClusterId=sessions-001,CacheNodeId=0001 3"
        ]
    );
    assert_eq!(redis("IsMaster").len(), 2);
    assert!(
        redis("ReplicationLag").is_empty(),
        "the replica did not answer"
    );
    let silent = Figure::Cache {
        followers: Vec::new(),
    };
    seen.figures.insert(node.clone(), silent);
    let redis = |name: &str| seen.sums(&world, "AWS/ElastiCache", name);
    assert_eq!(redis("ReplicationLag")[0], "CacheClusterId=sessions-002 2");
    assert_eq!(
        redis("MasterLinkHealthStatus")[0],
        "CacheClusterId=sessions-002 0"
    );
}

#[test]
fn s6_4_health_checks_are_told_of_in_one_region() {
    let mut world = world();
    world.health_checks.insert("up".into(), false);
    let data = Seen::default().data(&world);
    let own: Vec<&Datum> = data
        .iter()
        .filter(|it| it.metric.namespace == "AWS/Route53")
        .collect();
    assert_eq!(own.len(), 2);
    assert!(own.iter().all(|it| it.metric.region == "us-east-1"));
    assert!(own.iter().all(|it| it.reading == Statistics::of(0.0, 1.0)));
}

//! Metrics of load balancers and their target groups.

use std::collections::BTreeMap;

use proxies::traffic::{Subject, Traffic};
use topologies::id::{LoadBalancerId, ZoneId};
use topologies::plan::Instance;
use topologies::topology::{LoadBalancer, LoadBalancerType, TargetGroup};

use super::{Board, Kind, Sights, Source, Statistics};
use crate::aws::elbv2::{health, names};
use crate::routes::forwards;

/// What a node's listeners counted: since the last look, and since they began.
#[derive(Clone, Copy, Default)]
struct Node {
    passed: Traffic,
    counted: Traffic,
}

type Nodes<'a> = BTreeMap<(&'a LoadBalancerId, &'a ZoneId), Node>;

pub(super) fn tell(sights: &Sights<'_>, board: &mut Board) {
    let nodes = nodes(sights);
    for lb in &sights.world.plan.topology.load_balancers {
        let here = lb.zones.iter().map(|zone| {
            let node = nodes.get(&(&lb.id, zone)).copied();
            (zone, node.unwrap_or_default())
        });
        let here: Vec<(&ZoneId, Node)> = here.collect();
        let all = here.iter().map(|(_, node)| *node);
        let all = Node {
            passed: all.clone().map(|node| node.passed).sum(),
            counted: all.map(|node| node.counted).sum(),
        };
        let whole = Some((None, all));
        let each = here.iter().map(|(zone, node)| (Some(*zone), *node));
        for (zone, node) in whole.into_iter().chain(each) {
            let source = source(lb, zone, None);
            match lb.kind {
                LoadBalancerType::Application => application(&source, &node, board),
                LoadBalancerType::Network => network(&source, &node, board),
            }
        }
        if lb.kind == LoadBalancerType::Application {
            groups(sights, lb, board);
        }
        hosts(sights, lb, board);
    }
}

fn nodes<'a>(sights: &Sights<'a>) -> Nodes<'a> {
    let mut nodes = Nodes::new();
    for (subject, traffic) in sights.counted {
        if let Subject::Listener(lb, zone, _) = subject {
            let passed = sights.passed.get(subject).copied().unwrap_or_default();
            let node = nodes.entry((lb, zone)).or_default();
            node.counted = [node.counted, *traffic].into_iter().sum();
            node.passed = [node.passed, passed].into_iter().sum();
        }
    }
    nodes
}

fn source(lb: &LoadBalancer, zone: Option<&ZoneId>, group: Option<&TargetGroup>) -> Source {
    let namespace = match lb.kind {
        LoadBalancerType::Application => "AWS/ApplicationELB",
        LoadBalancerType::Network => "AWS/NetworkELB",
    };
    let zone = zone.map(|zone| ("AvailabilityZone", zone.to_string()));
    let own = ("LoadBalancer", names::path(lb));
    let group = group.map(|group| ("TargetGroup", names::group_path(group)));
    let dimensions = zone.into_iter().chain([own]).chain(group);
    Source::new(lb.region.as_str(), namespace, dimensions)
}

/// What an ALB's nodes count (aws-behaviour §4.8). "There is a nonzero value" is the criterion of all of them.
fn application(source: &Source, node: &Node, board: &mut Board) {
    let Node { passed, counted } = node;
    for (name, count) in [
        ("HTTP_Fixed_Response_Count", passed.fixed_responses),
        ("HTTP_Redirect_Count", passed.redirects),
        (
            "HTTP_Redirect_Url_Limit_Exceeded_Count",
            passed.redirects_too_long,
        ),
        ("HTTPCode_ELB_3XX_Count", passed.elb_3xx),
        ("HTTPCode_ELB_4XX_Count", passed.elb_4xx),
        ("HTTPCode_ELB_5XX_Count", passed.elb_5xx),
        ("HTTPCode_ELB_500_Count", passed.elb_500),
        ("HTTPCode_ELB_502_Count", passed.elb_502),
        ("HTTPCode_ELB_503_Count", passed.elb_503),
        ("HTTPCode_ELB_504_Count", passed.elb_504),
    ] {
        board.events(source, name, count);
    }
    // Of clients to the node, and of the node to targets.
    let new = passed.served + passed.target_connections;
    if new > 0 {
        board.total(source, "NewConnectionCount", "Count", new as f64);
    }
    let open = counted.open() + counted.open_to_targets();
    if open > 0 {
        board.gauge(source, "ActiveConnectionCount", "Count", open as f64);
    }
}

/// What an NLB's nodes count (aws-behaviour §5): "always reported".
fn network(source: &Source, node: &Node, board: &mut Board) {
    let Node { passed, counted } = node;
    for name in ["ActiveFlowCount", "ActiveFlowCount_TCP"] {
        board.gauge(source, name, "Count", counted.open() as f64);
    }
    for name in ["NewFlowCount", "NewFlowCount_TCP"] {
        board.total(source, name, "Count", passed.served as f64);
    }
    for name in ["ProcessedBytes", "ProcessedBytes_TCP"] {
        board.total(source, name, "Bytes", passed.bytes as f64);
    }
    for (name, count) in [
        ("TCP_Client_Reset_Count", passed.client_resets),
        ("TCP_ELB_Reset_Count", passed.elb_resets),
        ("TCP_Target_Reset_Count", passed.target_resets),
    ] {
        board.total(source, name, "Count", count as f64);
    }
}

/// What the targets of an ALB did, by target group and zone, and together.
fn groups(sights: &Sights<'_>, lb: &LoadBalancer, board: &mut Board) {
    let mut whole = Answers::default();
    let mut zones: BTreeMap<&ZoneId, Answers> = BTreeMap::new();
    for group in forwards(&sights.world.plan, &lb.id) {
        let mut all = Answers::default();
        for zone in &lb.zones {
            let own = Answers::of(sights, lb, zone, group);
            own.tell(&source(lb, Some(zone), Some(group)), board);
            all.add(&own);
            zones.entry(zone).or_default().add(&own);
        }
        let own = source(lb, None, Some(group));
        all.tell(&own, board);
        per_target(&own, &all, group, board);
        whole.add(&all);
    }
    whole.tell(&source(lb, None, None), board);
    for (zone, all) in zones {
        all.tell(&source(lb, Some(zone), None), board);
    }
}

/// "The average number of requests per target, in a target group."
fn per_target(own: &Source, all: &Answers, group: &TargetGroup, board: &mut Board) {
    if all.traffic.routed == 0 || group.targets.is_empty() {
        return;
    }
    let share = all.traffic.routed as f64 / group.targets.len() as f64;
    let alone = [("TargetGroup", names::group_path(group))];
    let alone = Source::new(&own.region, own.namespace, alone);
    for source in [own, &alone] {
        board.total(source, "RequestCountPerTarget", "Count", share);
    }
}

/// What targets answered.
#[derive(Default)]
struct Answers {
    traffic: Traffic,
    times: Option<Statistics>,
}

impl Answers {
    fn of(sights: &Sights<'_>, lb: &LoadBalancer, zone: &ZoneId, group: &TargetGroup) -> Self {
        let subject = Subject::TargetGroup(lb.id.clone(), zone.clone(), group.id.clone());
        let traffic = sights.passed.get(&subject).copied().unwrap_or_default();
        let times = sights.times.get(&subject).and_then(|times| {
            let each = times.counted();
            let each = each.map(|(time, count)| (time.as_secs_f64(), count as f64));
            let all = Statistics::of_each(each)?;
            Some(all.summing_to(times.total.as_secs_f64()))
        });
        Self { traffic, times }
    }

    fn add(&mut self, other: &Self) {
        self.traffic = [self.traffic, other.traffic].into_iter().sum();
        match (&mut self.times, &other.times) {
            (Some(mine), Some(theirs)) => mine.add(theirs),
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (Some(_) | None, None) => {}
        }
    }

    fn tell(&self, source: &Source, board: &mut Board) {
        let Traffic {
            routed,
            target_2xx,
            target_3xx,
            target_4xx,
            target_5xx,
            target_connection_errors,
            ..
        } = self.traffic;
        for (name, count) in [
            // "Only incremented for requests where the load balancer node was able to choose a target."
            ("RequestCount", routed),
            ("HTTPCode_Target_2XX_Count", target_2xx),
            ("HTTPCode_Target_3XX_Count", target_3xx),
            ("HTTPCode_Target_4XX_Count", target_4xx),
            ("HTTPCode_Target_5XX_Count", target_5xx),
            ("TargetConnectionErrorCount", target_connection_errors),
        ] {
            board.events(source, name, count);
        }
        if let Some(times) = &self.times {
            let times = times.clone();
            board.put(source, "TargetResponseTime", "Seconds", Kind::Values, times);
        }
    }
}

/// How many targets are healthy, and how many are not: "reported if there are registered targets".
fn hosts(sights: &Sights<'_>, lb: &LoadBalancer, board: &mut Board) {
    let plan = &sights.world.plan;
    for group in forwards(plan, &lb.id) {
        let targets = plan.targets(group).map(|target| {
            let state = health::state(sights.world, group, target);
            (target, state.word)
        });
        let targets: Vec<(&Instance, &str)> = targets.collect();
        for zone in [None].into_iter().chain(lb.zones.iter().map(Some)) {
            let here = targets
                .iter()
                .filter(|(target, _)| zone.is_none_or(|zone| target.zone == *zone));
            if here.clone().next().is_none() {
                continue;
            }
            let count = |word: &str| here.clone().filter(|(_, it)| *it == word).count() as f64;
            let source = source(lb, zone, Some(group));
            board.gauge(&source, "HealthyHostCount", "Count", count("healthy"));
            board.gauge(&source, "UnHealthyHostCount", "Count", count("unhealthy"));
        }
    }
}

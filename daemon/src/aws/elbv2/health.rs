//! DescribeTargetHealth: what the nodes of load balancers see, as one state.

use serde_json::Value;
use topologies::event::TargetHealth;
use topologies::plan::Instance;
use topologies::topology::TargetGroup;
use topologies::world::{TargetView, Wanted, World};
use wire::{Call, Fault, Record};

use super::{names, targets};
use crate::aws::{View, ids};

pub(super) fn describe(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let group = names::find_group(view, input["TargetGroupArn"].as_str().unwrap_or_default())?;
    let asked = input["Targets"].as_array();
    let mut shown = Vec::new();
    if let Some(asked) = asked.filter(|asked| !asked.is_empty()) {
        for target in asked {
            let (id, written) = targets::target(view, group, target)?;
            let state = match view.plan.targets(group).find(|it| it.id == *id) {
                Some(instance) => state(view.world, group, instance),
                None => health(
                    "unused",
                    "Target.NotRegistered",
                    "Target is not registered to the target group",
                ),
            };
            shown.push(described(group, written, &state));
        }
    } else {
        for instance in view.plan.targets(group) {
            let id = ids::instance(&instance.id);
            shown.push(described(group, &id, &state(view.world, group, instance)));
        }
    }
    Ok(Record::new().list("TargetHealthDescriptions", shown))
}

fn described(group: &TargetGroup, id: &str, state: &State<'_>) -> Record {
    Record::new()
        .set(
            "Target",
            Record::new().set("Id", id).set("Port", group.port),
        )
        .set("HealthCheckPort", group.port.to_string())
        .set("TargetHealth", state.shown())
}

/// A target's state.
#[derive(Clone, Copy)]
pub(in crate::aws) struct State<'a> {
    /// AWS's word.
    pub(in crate::aws) word: &'static str,
    /// Why, if it is not healthy: code and text.
    why: Option<(&'a str, &'a str)>,
}

impl State<'_> {
    fn shown(&self) -> Record {
        let record = Record::new().set("State", self.word);
        match self.why {
            Some((reason, text)) => record.set("Reason", reason).set("Description", text),
            None => record,
        }
    }
}

fn health<'a>(word: &'static str, reason: &'a str, text: &'a str) -> State<'a> {
    let why = Some((reason, text));
    State { word, why }
}

/// A target's state. The nodes that count are those that send to it: all of the load balancer's with cross-zone on, else
/// that of its own zone; of them, those that answer (aws-behaviour §4.4, §4.5).
pub(in crate::aws) fn state<'w>(
    world: &'w World,
    group: &TargetGroup,
    instance: &Instance,
) -> State<'w> {
    let users = names::users_in(&world.plan.topology, group);
    let Some(first) = users.first() else {
        let text = "Target group is not configured to receive traffic from the load balancer";
        return health("unused", "Target.NotInUse", text);
    };
    if !users.iter().any(|lb| lb.zones.contains(&instance.zone)) {
        let text = "Target is in an Availability Zone that is not enabled for the load balancer";
        return health("unused", "Target.NotInUse", text);
    }
    let known = world.instances.get(&instance.id);
    if known.is_some_and(|known| known.wanted != Wanted::Running) {
        let text = "Target is in the stopped state";
        return health("unused", "Target.InvalidState", text);
    }
    let cross_zone = group.cross_zone.unwrap_or(first.cross_zone);
    let gone = |zone| {
        let mut nodes = users.iter().filter_map(|lb| world.nodes.get(&lb.id));
        nodes.any(|nodes| nodes.get(zone) == Some(&false))
    };
    let views = world.targets.get(&group.id);
    let views = views.and_then(|targets| targets.get(&instance.id));
    let counting: Vec<_> = views
        .into_iter()
        .flatten()
        .filter(|(zone, _)| cross_zone || **zone == instance.zone)
        .collect();
    let answering = counting.iter().filter(|(zone, _)| !gone(*zone));
    let mut seen: Vec<&'w TargetView> = answering.map(|(_, seen)| *seen).collect();
    if seen.is_empty() {
        seen = counting.iter().map(|(_, seen)| *seen).collect();
    }
    fold(&seen)
}

/// Healthy if every node that has an opinion finds it so; one that does not names the reason.
fn fold<'w>(seen: &[&'w TargetView]) -> State<'w> {
    let mut seen = seen
        .iter()
        .filter(|it| it.state != TargetHealth::Initial)
        .peekable();
    if seen.peek().is_none() {
        let text = "Initial health checks in progress";
        return health("initial", "Elb.InitialHealthChecking", text);
    }
    let Some(bad) = seen.find(|it| it.state == TargetHealth::Unhealthy) else {
        let word = "healthy";
        return State { word, why: None };
    };
    health("unhealthy", &bad.reason, &bad.description)
}

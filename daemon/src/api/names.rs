//! Names: lists of them for hints, and what one that is no instance's is instead.

use topologies::plan::{InstanceKind, Plan};

use super::error::{ApiError, Code};

/// Beyond this many, a list is cut.
const LISTED_MAX: usize = 12;

/// `instances are a, b, c`, cut where it would not help any more.
pub(super) fn known<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return format!("there are no {what}");
    }
    let shown = names[..names.len().min(LISTED_MAX)].join(", ");
    match names.len().saturating_sub(LISTED_MAX) {
        0 => format!("{what} are {shown}"),
        more => format!("{what} are {shown} and {more} more"),
    }
}

/// What to say of an instance that is none: what has the name instead, or which instances there are.
pub(super) fn no_instance(plan: &Plan, id: &str) -> ApiError {
    let instances = |of: &dyn Fn(&InstanceKind) -> bool| {
        let found = plan.instances.iter().filter(|one| of(&one.kind));
        known("instances", found.map(|one| one.id.as_str()))
    };
    let node = plan.nodes.iter().find(|node| {
        let (balancer, zone) = (node.load_balancer.as_str(), node.zone.as_str());
        id.strip_prefix(balancer)
            .and_then(|rest| rest.strip_prefix('/'))
            == Some(zone)
    });
    if let Some(node) = node {
        let (balancer, zone) = (&node.load_balancer, &node.zone);
        return ApiError::new(
            Code::NotFound,
            format!("`{id}` is a node of load balancer `{balancer}`: the daemon serves it, it has no process and no log"),
        )
        .hint(format!("it is lost with its zone: `localaws chaos kill-az {zone}`"));
    }
    let topology = &plan.topology;
    if topology
        .load_balancers
        .iter()
        .any(|one| one.id.as_str() == id)
    {
        return ApiError::new(
            Code::NotFound,
            format!("`{id}` is a load balancer, not an instance"),
        )
        .hint(instances(&|kind| matches!(kind, InstanceKind::App(_))));
    }
    let of_it = |kind: &InstanceKind| match kind {
        InstanceKind::App(service) => service.as_str() == id,
        InstanceKind::DbHost(db) => db.as_str() == id,
        InstanceKind::CacheNode(group) => group.as_str() == id,
    };
    if plan.instances.iter().any(|one| of_it(&one.kind)) {
        return ApiError::new(
            Code::NotFound,
            format!("`{id}` has several instances or one of another name"),
        )
        .hint(instances(&of_it));
    }
    ApiError::new(Code::NotFound, format!("instance `{id}` does not exist"))
        .hint(instances(&|_| true))
}

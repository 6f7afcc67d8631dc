//! Views of a plan and of a world.

use topologies::address::{self, ZoneNumber};
use topologies::event::{DbInstanceStatus, TARGET_TIMEOUT, TargetHealth};
use topologies::id::{DbInstanceId, InstanceId, LoadBalancerId, ReplicationGroupId, ZoneId};
use topologies::plan::{EndpointKind, Instance, InstanceKind, LoadBalancerNode, Plan};
use topologies::runtime::RuntimeKind;
use topologies::topology::{LoadBalancerType, Topology};
use topologies::world::{InstanceState, ProcessState, StackPhase, World};

use super::{
    CredentialsView, EndpointView, EndpointsView, FaultView, FaultsView, InstanceView, NetworkView,
    PlanView, PlannedEndpoint, PlannedInstance, StatusView, ZoneView,
};
use crate::api::addresses;
use crate::stack::Stack;
use crate::state::API_PORT;

/// The zone in which clients outside of the stack stand.
const OUTSIDE: &str = "outside";

/// Access key and secret where the topology names none: clients do not call without, and the API takes any.
const ANY_KEY: &str = "test";

/// What the stack is doing.
pub fn status(stack: &Stack, world: &World) -> StatusView {
    let plan = &*world.plan;
    let state = match world.phase {
        StackPhase::Creating => "creating",
        StackPhase::Resuming => "resuming",
        StackPhase::Available => "available",
        StackPhase::Stopping => "stopping",
    };
    let zones = plan.topology.zones().map(|zone| {
        let mut faults = world.faults.values();
        let lost = faults.any(|fault| fault.kind == "kill-az" && fault.target == zone.id.as_str());
        ZoneView {
            name: zone.id.to_string(),
            state: if lost { "unavailable" } else { "available" }.to_owned(),
        }
    });
    let kind = stack.runtime_choice.0;
    let instances = plan
        .instances
        .iter()
        .map(|instance| instance_view(plan, world, kind, instance));
    let nodes = plan.nodes.iter().map(|node| node_view(plan, world, node));
    StatusView {
        stack: plan.topology.name.to_string(),
        state: state.to_owned(),
        runtime: kind.as_str().to_owned(),
        zones: zones.collect(),
        instances: instances.chain(nodes).collect(),
        faults: fault_views(world),
    }
}

/// Faults in force.
pub fn faults(world: &World) -> FaultsView {
    FaultsView {
        stack: world.plan.topology.name.to_string(),
        faults: fault_views(world),
    }
}

/// What to connect to.
pub fn endpoints(stack: &Stack, world: &World) -> EndpointsView {
    let plan = &*world.plan;
    let resolver = address::resolver(plan.slot, ZoneNumber::OUTSIDE);
    let endpoints = plan.endpoints.iter().map(|endpoint| {
        let port = match endpoint.port {
            low @ ..1024 => low.saturating_add(stack.port_offset),
            port => port,
        };
        EndpointView {
            id: endpoint.id.clone(),
            kind: endpoint_kind(&endpoint.kind).to_owned(),
            name: endpoint.name.clone(),
            port,
            addresses: addresses::of_endpoint(plan, world, endpoint),
            url: url(stack, &endpoint.kind, &endpoint.name, port),
        }
    });
    EndpointsView {
        stack: plan.topology.name.to_string(),
        resolver: format!("{resolver}:{}", stack.dns_port),
        api: format!(
            "http://{}:{API_PORT}",
            address::api(plan.slot, ZoneNumber::OUTSIDE)
        ),
        region: crate::aws::region(&plan.topology).to_owned(),
        credentials: credentials(&plan.topology),
        endpoints: endpoints.collect(),
    }
}

fn credentials(topology: &Topology) -> CredentialsView {
    match topology.credentials.first() {
        Some(credential) => CredentialsView {
            access_key_id: credential.access_key_id.clone(),
            secret_access_key: credential.secret_access_key.clone(),
            session_token: credential.session_token.clone(),
        },
        None => CredentialsView {
            access_key_id: ANY_KEY.to_owned(),
            secret_access_key: ANY_KEY.to_owned(),
            session_token: None,
        },
    }
}

/// What was planned.
pub fn plan(plan: &Plan) -> PlanView {
    let view = |from: &str, number| NetworkView {
        from: from.to_owned(),
        resolver: address::resolver(plan.slot, number),
        api: address::api(plan.slot, number),
    };
    let zones = plan.topology.zones();
    let views = std::iter::once(view(OUTSIDE, ZoneNumber::OUTSIDE))
        .chain(zones.map(|zone| view(zone.id.as_str(), zone.number)));
    let instances = plan.instances.iter().map(|instance| {
        let (kind, service) = instance_kind(&instance.kind);
        PlannedInstance {
            id: instance.id.to_string(),
            kind: kind.to_owned(),
            service: service.to_owned(),
            zone: instance.zone.to_string(),
            address: instance.address.seen_from(ZoneNumber::OUTSIDE),
            ports: vec![instance.port],
        }
    });
    let nodes = plan.nodes.iter().map(|node| PlannedInstance {
        id: node_id(node),
        kind: balancer_kind(plan, &node.load_balancer).to_owned(),
        service: node.load_balancer.to_string(),
        zone: node.zone.to_string(),
        address: node.address.seen_from(ZoneNumber::OUTSIDE),
        ports: listener_ports(plan, &node.load_balancer),
    });
    let endpoints = plan.endpoints.iter().map(|endpoint| PlannedEndpoint {
        id: endpoint.id.clone(),
        kind: endpoint_kind(&endpoint.kind).to_owned(),
        name: endpoint.name.clone(),
        port: endpoint.port,
    });
    PlanView {
        stack: plan.topology.name.to_string(),
        network: format!("127.{}.0.0/16", plan.slot.number()),
        views: views.collect(),
        instances: instances.chain(nodes).collect(),
        endpoints: endpoints.collect(),
    }
}

/// Oldest first: by identifier, `f10` would come before `f9`.
fn fault_views(world: &World) -> Vec<FaultView> {
    let mut faults: Vec<_> = world.faults.iter().collect();
    faults.sort_by_key(|(_, fault)| fault.since);
    faults
        .into_iter()
        .map(|(id, fault)| FaultView {
            id: id.clone(),
            kind: fault.kind.clone(),
            target: fault.target.clone(),
            since: fault.since.as_micros(),
            by: fault.by.as_ref().map(ToString::to_string),
        })
        .collect()
}

fn instance_view(
    plan: &Plan,
    world: &World,
    runtime: RuntimeKind,
    instance: &Instance,
) -> InstanceView {
    let (kind, service) = instance_kind(&instance.kind);
    let known = world.instances.get(&instance.id);
    let handle = match known.map(|known| &known.process) {
        Some(ProcessState::Running { handle }) => Some(handle),
        Some(ProcessState::Pending | ProcessState::Exited { .. }) | None => None,
    };
    InstanceView {
        id: instance.id.to_string(),
        kind: kind.to_owned(),
        service: service.to_owned(),
        role: world.role(plan, &instance.id).to_owned(),
        zone: instance.zone.to_string(),
        state: known
            .map_or("pending", |known| instance_state(world, instance, known))
            .to_owned(),
        replication: replication(world, instance).map(str::to_owned),
        address: instance.address.seen_from(ZoneNumber::OUTSIDE),
        pid: handle
            .filter(|_| runtime == RuntimeKind::Process)
            .and_then(|handle| handle.parse().ok()),
        container: handle.filter(|_| runtime == RuntimeKind::Docker).cloned(),
    }
}

/// Whether what follows a primary does follow it, as control last saw it; nothing of what follows none.
fn replication(world: &World, instance: &Instance) -> Option<&'static str> {
    match &instance.kind {
        InstanceKind::DbHost(db) => {
            let replica = world.replicas.get(db);
            let standby = world.databases.get(db).and_then(|it| it.standby.as_ref());
            let standby = standby.filter(|standby| standby.instance == instance.id);
            replica
                .map(|replica| replica.replication.as_str())
                .or(standby.map(|standby| match standby.in_sync {
                    true => "in-sync",
                    false => "out-of-sync",
                }))
        }
        InstanceKind::CacheNode(group) => {
            let follows = world.caches.get(group)?.replicas.get(&instance.id)?;
            Some(if *follows { "replicating" } else { "link-down" })
        }
        InstanceKind::App(_) => None,
    }
}

/// The state of an instance in the words of its service: EC2's instance states with `impaired` of its status checks, the statuses
/// of DB instances, those of cache nodes. A host whose process was last reported to run and which does not answer is unreachable:
/// whether it still runs nobody here can know.
fn instance_state(world: &World, instance: &Instance, known: &InstanceState) -> &'static str {
    let answers = known.reachable != Some(false) && !silent_target(world, &instance.id);
    match (&instance.kind, &known.process) {
        (InstanceKind::App(_), ProcessState::Pending) => "pending",
        (InstanceKind::App(_), ProcessState::Exited { .. }) => "stopped",
        (InstanceKind::App(_), ProcessState::Running { .. }) if answers => "running",
        (InstanceKind::App(_), ProcessState::Running { .. }) => "impaired",
        (InstanceKind::DbHost(db), _) if let Some(asked) = asked_for(world, db) => asked.as_str(),
        (_, ProcessState::Exited { .. }) => "failed",
        // One that did not answer the last daemon either is not on its way.
        (_, _) if !answers => "unreachable",
        (_, ProcessState::Pending) => "creating",
        (InstanceKind::CacheNode(_), ProcessState::Running { .. }) => "available",
        (InstanceKind::DbHost(db), ProcessState::Running { .. }) => {
            let replica = world.replicas.get(db).map(|replica| replica.status);
            let database = world.databases.get(db);
            let primary = database.filter(|database| database.primary == instance.id);
            replica
                .or(primary.map(|database| database.status))
                .map_or("available", DbInstanceStatus::as_str)
        }
    }
}

/// The status of a DB instance that is stopped, or on its way there or back: its hosts are as they are because somebody asked for it.
fn asked_for(world: &World, db: &DbInstanceId) -> Option<DbInstanceStatus> {
    let status = world.databases.get(db)?.status;
    let asked = matches!(
        status,
        DbInstanceStatus::Stopping | DbInstanceStatus::Stopped | DbInstanceStatus::Starting
    );
    asked.then_some(status)
}

/// Whether an instance is a target, and every load balancer node that is there waits for it in vain: the reason code of a check
/// without an answer (aws-behaviour §4.3). A target that answers wrongly or refuses is not silent.
fn silent_target(world: &World, instance: &InstanceId) -> bool {
    let gone = |zone: &ZoneId| {
        world
            .nodes
            .values()
            .any(|nodes| nodes.get(zone) == Some(&false))
    };
    let views = world
        .targets
        .values()
        .filter_map(|targets| targets.get(instance))
        .flatten()
        .filter(|(zone, view)| view.state != TargetHealth::Initial && !gone(zone));
    let mut views = views.peekable();
    views.peek().is_some() && views.all(|(_, view)| view.reason == TARGET_TIMEOUT)
}

fn node_view(plan: &Plan, world: &World, node: &LoadBalancerNode) -> InstanceView {
    let alive = world
        .nodes
        .get(&node.load_balancer)
        .and_then(|nodes| nodes.get(&node.zone));
    // The states of a load balancer (aws-behaviour §4): provisioning, active, failed.
    let state = match alive {
        None => "provisioning",
        Some(true) => "active",
        Some(false) => "failed",
    };
    InstanceView {
        id: node_id(node),
        kind: balancer_kind(plan, &node.load_balancer).to_owned(),
        service: node.load_balancer.to_string(),
        role: "node".to_owned(),
        zone: node.zone.to_string(),
        state: state.to_owned(),
        replication: None,
        address: node.address.seen_from(ZoneNumber::OUTSIDE),
        pid: None,
        container: None,
    }
}

fn node_id(node: &LoadBalancerNode) -> String {
    format!("{}/{}", node.load_balancer, node.zone)
}

fn instance_kind(kind: &InstanceKind) -> (&'static str, &str) {
    match kind {
        InstanceKind::DbHost(db) => ("rds", db.as_str()),
        InstanceKind::CacheNode(group) => ("elasticache", group.as_str()),
        InstanceKind::App(service) => ("ec2", service.as_str()),
    }
}

fn balancer_kind(plan: &Plan, id: &LoadBalancerId) -> &'static str {
    let mut balancers = plan.topology.load_balancers.iter();
    match balancers.find(|lb| lb.id == *id).map(|lb| lb.kind) {
        Some(LoadBalancerType::Network) => "nlb",
        Some(LoadBalancerType::Application) | None => "alb",
    }
}

fn listener_ports(plan: &Plan, id: &LoadBalancerId) -> Vec<u16> {
    let mut balancers = plan.topology.load_balancers.iter();
    balancers
        .find(|lb| lb.id == *id)
        .map(|lb| lb.listeners.iter().map(|l| l.port).collect())
        .unwrap_or_default()
}

fn endpoint_kind(kind: &EndpointKind) -> &'static str {
    match kind {
        EndpointKind::RdsWriter(_) => "rds-writer",
        EndpointKind::RdsInstance(_) => "rds-instance",
        EndpointKind::ElasticachePrimary(_) => "elasticache-primary",
        EndpointKind::ElasticacheReader(_) => "elasticache-reader",
        EndpointKind::ElasticacheNode(_) => "elasticache-node",
        EndpointKind::Alb(_) => "alb",
        EndpointKind::Nlb(_) => "nlb",
        EndpointKind::Record => "record",
    }
}

/// How a client is told to connect.
fn url(stack: &Stack, kind: &EndpointKind, name: &str, port: u16) -> String {
    let topology = &stack.plan().topology;
    match kind {
        EndpointKind::RdsWriter(db) | EndpointKind::RdsInstance(db) => {
            // A read replica has its source's user, database and password.
            let owner = topology.db_instances.iter().find(|owner| {
                owner.id == *db || owner.read_replicas.iter().any(|replica| replica.id == *db)
            });
            let Some(owner) = owner else {
                return format!("postgresql://{name}:{port}");
            };
            let estate = stack.estate.borrow();
            let secrets = estate.secrets.databases.get(&owner.id);
            let password = secrets.map_or("", |secrets| secrets.master.expose());
            let user = escaped(&owner.master_username);
            let database = escaped(&owner.db_name);
            let password = escaped(password);
            format!("postgresql://{user}:{password}@{name}:{port}/{database}")
        }
        EndpointKind::ElasticachePrimary(group) | EndpointKind::ElasticacheReader(group) => {
            redis_url(stack, Some(group), name, port)
        }
        EndpointKind::ElasticacheNode(node) => {
            let plan = stack.plan();
            let group = match plan.instance(node).map(|node| &node.kind) {
                Some(InstanceKind::CacheNode(group)) => Some(group),
                Some(InstanceKind::DbHost(_) | InstanceKind::App(_)) | None => None,
            };
            redis_url(stack, group, name, port)
        }
        EndpointKind::Alb(_) => http_url(name, port),
        EndpointKind::Nlb(_) => format!("tcp://{name}:{port}"),
        EndpointKind::Record => match addresses::destination(&stack.plan(), name) {
            Some(kind) => url(stack, &kind, name, port),
            None => format!("tcp://{name}:{port}"),
        },
    }
}

fn redis_url(stack: &Stack, group: Option<&ReplicationGroupId>, name: &str, port: u16) -> String {
    let plan = stack.plan();
    let mut groups = plan.topology.replication_groups.iter();
    let group = group.and_then(|id| groups.find(|group| group.id == *id));
    match group.and_then(|group| group.auth_token.as_ref()) {
        Some(token) => format!("redis://:{}@{name}:{port}", escaped(token)),
        None => format!("redis://{name}:{port}"),
    }
}

fn http_url(name: &str, port: u16) -> String {
    if port == 80 {
        format!("http://{name}")
    } else {
        format!("http://{name}:{port}")
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use topologies::address::Slot;
    use topologies::world::TargetView;

    use super::*;

    const TIER: &str = include_str!("../../../../topologies/tier-1k.yaml");

    fn view(state: TargetHealth, reason: &str) -> TargetView {
        TargetView {
            state,
            reason: reason.to_owned(),
            description: String::new(),
        }
    }

    #[test]
    fn an_instance_is_impaired_once_no_node_that_is_there_gets_an_answer() {
        let (topology, _) = topologies::check::check(TIER, "tier-1k.yaml");
        let plan =
            topologies::plan::plan(&topology.expect("sound"), Slot::new(64).expect("a slot"));
        let mut world = World::new(&plan);
        let web = InstanceId::from("web-1");
        let [a, b] = ["ap-northeast-2a", "ap-northeast-2b"].map(ZoneId::from);
        let timeout = view(TargetHealth::Unhealthy, TARGET_TIMEOUT);
        let healthy = view(TargetHealth::Healthy, "");
        let seen = |world: &mut World, by_a: &TargetView, by_b: &TargetView| {
            let views = [(a.clone(), by_a.clone()), (b.clone(), by_b.clone())];
            let group = world.targets.entry("web-http".into()).or_default();
            group.insert(web.clone(), views.into_iter().collect());
        };
        assert!(!silent_target(&world, &web), "nobody has an opinion yet");
        seen(&mut world, &healthy, &timeout);
        assert!(!silent_target(&world, &web), "one node gets an answer");
        world
            .nodes
            .insert("site".into(), [(a.clone(), false)].into_iter().collect());
        assert!(silent_target(&world, &web), "that node is gone");
        let refused = view(TargetHealth::Unhealthy, "Target.FailedHealthChecks");
        seen(&mut world, &healthy, &refused);
        assert!(!silent_target(&world, &web), "a refusal is an answer");
    }
}

//! A topology written out with every default filled: a file that means the same, and says all of it.
//!
//! Times of health checks are written as AWS would have them, before the timing's scale divides them. Names of the stack's own
//! endpoints are written as references: they have the stack's name in them, and what is explained is to come up under any.

mod balancing;
mod listeners;
mod route53;

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::id::InstanceId;
use crate::names;
use crate::plan::app_instance;
use crate::topology::{
    Credential, DbInstance, LoadBalancer, LoadBalancerType, Protocol, ReplicationGroup, Service,
    TargetGroup, Timing, Topology,
};
use crate::yaml::values::{Period, PeriodRange, StatusCodes};
use route53::{health_check, hosted_zone};

/// The YAML of a topology with every default filled. [`check`](crate::check::check) makes the same topology of it.
pub fn explain(topology: &Topology) -> String {
    let Topology {
        name,
        suffix,
        account: _,
        account_id,
        credentials,
        timing,
        regions,
        engines,
        services,
        target_groups,
        load_balancers,
        db_instances,
        replication_groups,
        hosted_zones,
        health_checks,
        cidr_collections,
        dns_clients,
    } = topology;
    let own = names::addresses(topology);
    let zones = |region: &crate::topology::Region| -> Json {
        region.zones.iter().map(|zone| zone.id.as_str()).collect()
    };
    let file = json!({
        "name": name.as_str(),
        "suffix": suffix,
        "regions": regions.iter().map(|region| (region.id.to_string(), zones(region))).collect::<Map<_, _>>(),
        "account-id": account_id,
        "credentials": credentials.iter().map(credential).collect::<Vec<_>>(),
        "timing": timing_fields(timing),
        "engines": { "postgres": engines.postgres, "redis": engines.redis },
        "instances": named(services, |service| (service.id.as_str(), instances(service))),
        "target-groups": named(target_groups, |group| (group.id.as_str(), target_group(group, services))),
        "load-balancers": named(load_balancers, |balancer| (balancer.id.as_str(), load_balancer(balancer))),
        "db-instances": named(db_instances, |db| (db.id.as_str(), db_instance(db))),
        "replication-groups": named(replication_groups, |group| (group.id.as_str(), replication_group(group))),
        "hosted-zones": named(hosted_zones, |zone| (zone.name.as_str(), hosted_zone(zone, &own))),
        "health-checks": named(health_checks, |check| (check.id.as_str(), health_check(check, &own))),
        "cidr-collections": named(cidr_collections, |it| (it.name.as_str(), json!(it.locations))),
        "dns-clients": route53::dns_clients(dns_clients),
    });
    serde_saphyr::to_string(&said(file)).expect("maps, lists and scalars can be written as YAML")
}

/// What is absent is not written: nulls, and lists and mappings without entries.
fn said(value: Json) -> Json {
    let is_said = |value: &Json| match value {
        Json::Null => false,
        Json::Array(items) => !items.is_empty(),
        Json::Object(entries) => !entries.is_empty(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    };
    match value {
        Json::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| (key, said(value)));
            Json::Object(entries.filter(|(_, value)| is_said(value)).collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(said).collect()),
        scalar @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => scalar,
    }
}

fn named<'t, T>(things: &'t [T], entry: impl Fn(&'t T) -> (&'t str, Json)) -> Json {
    let entries = things.iter().map(|thing| {
        let (name, value) = entry(thing);
        (name.to_owned(), value)
    });
    Json::Object(entries.collect())
}

fn period(duration: Duration) -> String {
    Period(duration).to_string()
}

fn timing_fields(timing: &Timing) -> Json {
    let Timing {
        profile,
        probe_interval,
        probe_timeout,
        probe_threshold,
        db_failover,
        cache_failover,
        rds_ttl,
        elasticache_ttl,
        load_balancer_ttl,
        health_check_scale,
    } = timing;
    let range =
        |(shortest, longest): (Duration, Duration)| PeriodRange(shortest, longest).to_string();
    json!({
        "profile": profile,
        "probe-interval": period(*probe_interval),
        "probe-timeout": period(*probe_timeout),
        "probe-threshold": probe_threshold,
        "db-failover": range(*db_failover),
        "cache-failover": range(*cache_failover),
        "rds-ttl": period(*rds_ttl),
        "elasticache-ttl": period(*elasticache_ttl),
        "load-balancer-ttl": period(*load_balancer_ttl),
        "health-check-scale": health_check_scale,
    })
}

fn credential(credential: &Credential) -> Json {
    let Credential {
        access_key_id,
        secret_access_key,
        session_token,
    } = credential;
    json!({
        "access-key-id": access_key_id,
        "secret-access-key": secret_access_key,
        "session-token": session_token,
    })
}

fn instances(service: &Service) -> Json {
    let Service {
        id: _,
        instances,
        command,
        image,
        port,
        environment,
    } = service;
    json!({
        "program": (!command.is_empty()).then_some(command),
        "image": image,
        "port": port,
        "placement": instances.iter().map(|instance| &instance.zone).collect::<Vec<_>>(),
        "environment": environment,
    })
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "HTTP",
        Protocol::Tcp => "TCP",
    }
}

/// The name of the service whose instances are the targets, or a list of them.
fn targets(targets: &[InstanceId], services: &[Service]) -> Json {
    let is_all = |service: &&Service| {
        !targets.is_empty() && service.instances.iter().map(|it| &it.id).eq(targets)
    };
    if let Some(service) = services.iter().find(is_all) {
        return json!(service.id);
    }
    // As they will be called where the file says how many a service has.
    let named = services.iter().flat_map(|service| {
        let numbered = service.instances.iter().zip(1..);
        numbered.map(|(it, number)| (&it.id, app_instance(&service.id, number)))
    });
    let named: Vec<InstanceId> = named
        .filter(|(id, _)| targets.contains(id))
        .map(|(_, name)| name)
        .collect();
    json!(named)
}

fn target_group(group: &TargetGroup, services: &[Service]) -> Json {
    let TargetGroup {
        id: _,
        protocol: own,
        port,
        targets: named,
        health_check,
        cross_zone,
        deregistration_delay,
        routing,
    } = group;
    let http = health_check.protocol == Protocol::Http;
    let alb = *own == Protocol::Http;
    let codes = StatusCodes(health_check.matcher.clone()).to_string();
    json!({
        "targets": targets(named, services),
        "protocol": protocol(*own),
        "port": port,
        "health-check": {
            "protocol": protocol(health_check.protocol),
            "path": http.then_some(&health_check.path),
            "matcher": http.then_some(codes),
            "interval": period(health_check.interval),
            "timeout": period(health_check.timeout),
            "healthy-threshold": health_check.healthy_threshold,
            "unhealthy-threshold": health_check.unhealthy_threshold,
        },
        "cross-zone": cross_zone,
        "deregistration-delay": period(*deregistration_delay),
        "load-balancing-algorithm": alb.then(|| balancing::algorithm(routing.algorithm)),
        "stickiness": balancing::stickiness(&routing.stickiness),
        "target-group-health": alb.then(|| balancing::health(routing)),
    })
}

fn load_balancer(balancer: &LoadBalancer) -> Json {
    let LoadBalancer {
        id: _,
        kind,
        region: _,
        zones,
        cross_zone,
        idle_timeout,
        listeners,
        headers,
    } = balancer;
    let alb = *kind == LoadBalancerType::Application;
    json!({
        "type": match kind {
            LoadBalancerType::Application => "application",
            LoadBalancerType::Network => "network",
        },
        "availability-zones": zones,
        "cross-zone": cross_zone,
        "idle-timeout": period(*idle_timeout),
        "xff-header-processing": alb.then_some(headers.forwarded_for),
        "xff-client-port": alb.then_some(headers.client_port),
        "preserve-host-header": alb.then_some(headers.preserve_host),
        "drop-invalid-header-fields": alb.then_some(headers.drop_invalid),
        "listeners": listeners.iter().map(listeners::listener).collect::<Vec<_>>(),
    })
}

fn db_instance(db: &DbInstance) -> Json {
    let DbInstance {
        id: _,
        region: _,
        engine_version,
        hosts,
        port,
        db_name,
        master_username,
        master_user_password,
        parameters,
        read_replicas,
    } = db;
    json!({
        "engine": "postgres",
        "engine-version": engine_version,
        "multi-az": hosts.len() > 1,
        "availability-zone": hosts.first().map(|host| &host.zone),
        "secondary-availability-zone": hosts.get(1).map(|host| &host.zone),
        "port": port,
        "db-name": db_name,
        "master-username": master_username,
        "master-user-password": master_user_password,
        "parameters": parameters,
        "read-replicas": named(read_replicas, |replica| {
            (replica.id.as_str(), json!({ "availability-zone": replica.availability_zone }))
        }),
    })
}

fn replication_group(group: &ReplicationGroup) -> Json {
    let ReplicationGroup {
        id: _,
        region: _,
        engine_version,
        nodes,
        automatic_failover,
        port,
        auth_token,
    } = group;
    json!({
        "engine": "redis",
        "engine-version": engine_version,
        "num-cache-clusters": nodes.len(),
        "preferred-cache-cluster-azs": nodes.iter().map(|node| &node.zone).collect::<Vec<_>>(),
        "automatic-failover-enabled": automatic_failover,
        "port": port,
        "auth-token": auth_token,
    })
}

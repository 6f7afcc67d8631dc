//! ElastiCache replication groups.

use std::collections::BTreeSet;

use super::databases::version;
use super::{Checker, identifiers};
use crate::defaults;
use crate::id::{ReplicationGroupId, ZoneId};
use crate::plan;
use crate::spec::{At, ReplicationGroupSpec};
use crate::topology::{Member, ReplicationGroup};

/// The most nodes of a replication group: a primary and 5 replicas (CreateReplicationGroup).
const NODES_MAX: u32 = 6;

pub(super) fn replication_groups(checker: &mut Checker<'_>) -> Vec<ReplicationGroup> {
    let spec = checker.spec;
    let mut groups = Vec::new();
    for (name, group) in spec.replication_groups.iter() {
        identifiers::name(checker, &identifiers::REPLICATION_GROUP, name);
        groups.extend(replication_group(checker, name, group));
    }
    groups
}

fn replication_group(
    checker: &mut Checker<'_>,
    name: &At<String>,
    group: &ReplicationGroupSpec,
) -> Option<ReplicationGroup> {
    let what = format!("the replication group `{}`", name.value);
    let id = ReplicationGroupId::from(name.value.as_str());
    checker.take(name.value.clone(), &what, name.span);
    checker.take(
        plan::reader_endpoint(&id),
        &format!("the reader endpoint of `{id}`"),
        name.span,
    );
    auth_token(checker, group.auth_token.as_ref());
    let engine_version = version(
        checker,
        group.engine_version.as_ref(),
        "Redis",
        defaults::CACHE_VERSIONS,
    );
    let placement = placement(checker, name, group)?;
    for number in 1..=placement.len() {
        checker.take(
            plan::cache_node(&id, number).to_string(),
            &format!("a node of `{id}`"),
            name.span,
        );
    }
    failover(checker, group, &placement);
    Some(ReplicationGroup {
        region: checker.one_region(&what, name.span, &placement)?,
        id: id.clone(),
        engine_version,
        nodes: placement
            .into_iter()
            .zip(1..)
            .map(|(zone, number)| Member {
                id: plan::cache_node(&id, number),
                zone,
            })
            .collect(),
        automatic_failover: group
            .automatic_failover_enabled
            .as_ref()
            .map_or(defaults::CACHE_AUTOMATIC_FAILOVER, |on| on.value),
        port: group
            .port
            .as_ref()
            .map_or(defaults::CACHE_PORT, |port| port.value),
        auth_token: group.auth_token.as_ref().map(|token| token.value.clone()),
    })
}

fn placement(
    checker: &mut Checker<'_>,
    name: &At<String>,
    group: &ReplicationGroupSpec,
) -> Option<Vec<ZoneId>> {
    let count = group.num_cache_clusters.as_ref();
    let Some(written) = &group.preferred_cache_cluster_azs else {
        let what = format!("replication group `{}`", name.value);
        let zones = checker.default_zones(&what, name.span, "preferred-cache-cluster-azs")?;
        let count = count.map_or(1, |count| count.value.clamp(1, NODES_MAX) as usize);
        return Some(zones.into_iter().cycle().take(count).collect());
    };
    if let Some(count) = count
        && count.value as usize != written.value.len()
    {
        checker.error_with(
            written.span,
            format!(
                "`{}` has {} nodes, but zones for {}",
                name.value,
                count.value,
                written.value.len()
            ),
            "give one zone per node, the primary's first",
        );
    }
    if written.value.len() > NODES_MAX as usize {
        checker.error(
            written.span,
            "a replication group has a primary and at most 5 replicas",
        );
    }
    checker.zones(written)
}

fn failover(checker: &mut Checker<'_>, group: &ReplicationGroupSpec, placement: &[ZoneId]) {
    let on = |written: &Option<At<bool>>| written.as_ref().filter(|on| on.value).map(|on| on.span);
    let automatic = on(&group.automatic_failover_enabled);
    if let Some(span) = automatic
        && placement.len() < 2
    {
        checker.error_with(
            span,
            "automatic failover needs a replica",
            "give `num-cache-clusters: 2` or more",
        );
    }
    let Some(span) = on(&group.multi_az_enabled) else {
        return;
    };
    if automatic.is_none() {
        checker.error_with(
            span,
            "Multi-AZ needs automatic failover",
            "add `automatic-failover-enabled: true`",
        );
    }
    let zones: BTreeSet<&ZoneId> = placement.iter().collect();
    if placement.len() >= 2 && zones.len() < 2 {
        checker.error_with(
            span,
            "Multi-AZ needs nodes in two zones or more",
            "name several zones",
        );
    }
}

/// 16 to 128 printable characters, of the special ones only `!&#$^<>-` (CreateReplicationGroup).
fn auth_token(checker: &mut Checker<'_>, token: Option<&At<String>>) {
    let Some(token) = token else { return };
    let sound = token
        .value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "!&#$^<>-".contains(c));
    if !sound || !(16..=128).contains(&token.value.len()) {
        checker.error_with(
            token.span,
            "this is not an AUTH token that ElastiCache takes",
            "16 to 128 letters, digits and characters of `!&#$^<>-`",
        );
    }
}

//! Which resources a target is: those that were named or have the tags, that pass the filters, and of these as many as were asked for
//! (aws-behaviour §9.1).

use serde_json::Value;
use topologies::id::ZoneId;

use super::catalogue::{
    DB_INSTANCE, INSTANCE, MANAGED, REPLICATION_GROUP, ROLE, SUBNET, ZONE, ZONES,
};
use super::{meaning, words};
use crate::aws::input::{text, texts};
use crate::aws::{View, ec2, elasticache, elbv2, ids, rds, tags};

/// How many of the resources are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    All,
    Count(usize),
    Percent(usize),
}

impl Selection {
    /// `ALL`, `COUNT(2)`, `PERCENT(30)`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = |word: &str| {
            let inside = text.strip_prefix(word)?.strip_prefix('(')?;
            inside.strip_suffix(')')?.parse().ok()
        };
        if text == "ALL" {
            return Some(Self::All);
        }
        let count = number("COUNT").filter(|it: &usize| *it > 0);
        let percent = number("PERCENT").filter(|it| (1..=100).contains(it));
        count
            .map(Self::Count)
            .or_else(|| percent.map(Self::Percent))
    }

    /// So many of these. Shares are rounded down.
    fn of(self, all: usize) -> usize {
        match self {
            Self::All => all,
            Self::Count(count) => count.min(all),
            Self::Percent(percent) => all.saturating_mul(percent) / 100,
        }
    }
}

/// The filters of a target: paths in what the service's Describe call shows of a resource, and values of which one has to be there.
pub(super) fn filters(asked: &Value) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let filters = asked["filters"].as_array().into_iter().flatten();
    filters.map(|it| {
        let path = text(it, "path").unwrap_or_default();
        (path, texts(it, "values"))
    })
}

/// The ARNs of the resources that a target is at this moment. `seed` decides which of them where not all are meant.
pub(super) fn resolve(view: &View<'_>, asked: &Value, seed: &str) -> Vec<String> {
    let (arns, wanted) = (texts(asked, "resourceArns"), &asked["resourceTags"]);
    let kind = text(asked, "resourceType").unwrap_or_default();
    let mut found = candidates(view, kind, asked);
    found.retain(|(arn, shown)| {
        let named = arns.is_empty() || arns.contains(&arn.as_str());
        named && has_tags(view, arn, shown, wanted) && passes(shown, asked)
    });
    let mut found: Vec<String> = found.into_iter().map(|(arn, _)| arn).collect();
    let mode = text(asked, "selectionMode").unwrap_or_default();
    let count = Selection::parse(mode).map_or(0, |it| it.of(found.len()));
    if count < found.len() {
        found.sort_by_key(|arn| ids::digits(seed, arn, 64));
        found.truncate(count);
    }
    found.sort();
    found
}

/// Every resource of a type that can be meant, by its ARN, as the service shows it.
fn candidates(view: &View<'_>, kind: &str, asked: &Value) -> Vec<(String, Value)> {
    match kind {
        INSTANCE => ec2::instances(view),
        SUBNET => subnets(view, &asked["parameters"]),
        DB_INSTANCE => db_instances(view, &asked["parameters"]),
        REPLICATION_GROUP => replication_groups(view, &asked["parameters"]),
        MANAGED => {
            let all = elbv2::shiftable(view).into_iter();
            all.map(|(arn, _)| (arn, Value::Null)).collect()
        }
        // Any role of the account can be assumed.
        ROLE => {
            let arns = texts(asked, "resourceArns").into_iter();
            let own = arns.filter(|arn| super::check::role(arn, view.account).is_ok());
            own.map(|arn| (arn.to_owned(), Value::Null)).collect()
        }
        _ => Vec::new(),
    }
}

fn subnets(view: &View<'_>, parameters: &Value) -> Vec<(String, Value)> {
    let mut all = ec2::subnets(view);
    if let Some(zone) = text(parameters, ZONE) {
        all.retain(|(_, it)| it["AvailabilityZone"] == zone || it["AvailabilityZoneId"] == zone);
    }
    if let Some(vpc) = text(parameters, "vpc") {
        all.retain(|(_, it)| it["VpcId"] == vpc);
    }
    all
}

fn db_instances(view: &View<'_>, parameters: &Value) -> Vec<(String, Value)> {
    let mut all = rds::instances(view);
    if let Some(written) = text(parameters, ZONES) {
        let zones = meaning::list(written);
        let zones: Vec<&ZoneId> = zones.iter().filter_map(|it| zone(view, it)).collect();
        all.retain(|(_, it)| {
            zones
                .iter()
                .any(|zone| it["AvailabilityZone"] == zone.as_str())
        });
    }
    all
}

/// Those with Multi-AZ that have a node in the zone (aws-behaviour §9.2).
fn replication_groups(view: &View<'_>, parameters: &Value) -> Vec<(String, Value)> {
    let mut all = elasticache::groups(view);
    let wanted = zone(view, text(parameters, ZONE).unwrap_or_default());
    all.retain(|(_, it)| {
        let id = text(it, "ReplicationGroupId").unwrap_or_default().into();
        let nodes = view.plan.cache_nodes(&id);
        let mut zones = nodes.map(|node| &node.zone);
        it["MultiAZ"] == "enabled" && wanted.is_some_and(|wanted| zones.any(|it| it == wanted))
    });
    all
}

/// A zone of the region, by its name or id.
pub(super) fn zone<'a>(view: &View<'a>, named: &str) -> Option<&'a ZoneId> {
    ids::find_zone(view.here()?, named)
}

/// Whether a resource has all of these tags. EC2's are in what is shown: an instance of the file is called what it is called there.
fn has_tags(view: &View<'_>, arn: &str, shown: &Value, wanted: &Value) -> bool {
    let mut own = tags::of(view, arn);
    own.extend(tags::read(&shown["Tags"]));
    words(wanted).all(|(key, value)| own.get(key).is_some_and(|it| it == value))
}

/// Whether every filter finds one of its values.
fn passes(shown: &Value, asked: &Value) -> bool {
    filters(asked).all(|(path, values)| {
        let found = path
            .split('.')
            .fold(vec![shown], |at, step| steps(&at, step));
        let found = found.into_iter().filter_map(plain);
        found.into_iter().any(|it| values.contains(&it.as_str()))
    })
}

/// One step further: into members, and into all of a list.
fn steps<'v>(at: &[&'v Value], step: &str) -> Vec<&'v Value> {
    let members = at.iter().filter_map(|it| it.get(step));
    let all = members.flat_map(|it| match it.as_array() {
        Some(list) => list.iter().collect(),
        None => vec![it],
    });
    all.collect()
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s9_1_selection_modes_say_how_many() {
        for (text, of_seven) in [
            ("ALL", Some(7)),
            ("COUNT(2)", Some(2)),
            ("COUNT(9)", Some(7)),
            ("PERCENT(50)", Some(3)),
            ("PERCENT(1)", Some(0)),
            ("PERCENT(100)", Some(7)),
            ("PERCENT(101)", None),
            ("PERCENT(0)", None),
            ("COUNT(0)", None),
            ("COUNT(-1)", None),
            ("COUNT(1", None),
            ("COUNT", None),
            ("all", None),
            ("", None),
        ] {
            assert_eq!(
                Selection::parse(text).map(|it| it.of(7)),
                of_seven,
                "{text}"
            );
        }
    }

    #[test]
    fn s9_1_filters_are_joined_by_and_and_their_values_by_or() {
        let shown = json!({
            "State": {"Name": "running", "Code": 16},
            "Nodes": [{"Zone": "a"}, {"Zone": "b"}],
        });
        let check = |filters: Value| passes(&shown, &json!({"filters": filters}));
        let filter = |path: &str, values: &[&str]| json!({"path": path, "values": values});
        let running = || filter("State.Name", &["stopped", "running"]);
        assert!(check(json!([])));
        assert!(check(json!([running(), filter("State.Code", &["16"])])));
        assert!(check(json!([filter("Nodes.Zone", &["b"])])));
        assert!(!check(json!([running(), filter("Nodes.Zone", &["c"])])));
        assert!(!check(json!([filter("State", &["running"])])));
        assert!(!check(json!([filter("State.Nothing", &["running"])])));
    }
}

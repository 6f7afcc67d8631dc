//! EC2's filters: a name, values of which one must match, `*` and `?` in them. All filters must match.

use serde_json::Value;
use wire::{Fault, Record};

/// Something that a Describe call may show.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) id: String,
    /// What it is shown in: the reservation of an instance.
    pub(super) group: String,
    pub(super) record: Record,
}

/// Names of filters and where in a record their values are, after the API reference of each Describe call.
/// Of a list on the way any element counts.
const PLACES: &[(&str, &[&str])] = &[
    (
        "association.association-id",
        &["Associations", "NetworkAclAssociationId"],
    ),
    (
        "association.network-acl-id",
        &["Associations", "NetworkAclId"],
    ),
    ("association.subnet-id", &["Associations", "SubnetId"]),
    ("availability-zone", &["AvailabilityZone"]),
    ("availability-zone", &["Placement", "AvailabilityZone"]),
    ("availability-zone-id", &["AvailabilityZoneId"]),
    ("cidr-block", &["CidrBlock"]),
    ("client-token", &["ClientToken"]),
    ("default", &["IsDefault"]),
    ("default-for-az", &["DefaultForAz"]),
    ("description", &["Description"]),
    (
        "egress.ip-permission.cidr",
        &["IpPermissionsEgress", "IpRanges", "CidrIp"],
    ),
    (
        "egress.ip-permission.from-port",
        &["IpPermissionsEgress", "FromPort"],
    ),
    (
        "egress.ip-permission.group-id",
        &["IpPermissionsEgress", "UserIdGroupPairs", "GroupId"],
    ),
    (
        "egress.ip-permission.ipv6-cidr",
        &["IpPermissionsEgress", "Ipv6Ranges", "CidrIpv6"],
    ),
    (
        "egress.ip-permission.protocol",
        &["IpPermissionsEgress", "IpProtocol"],
    ),
    (
        "egress.ip-permission.to-port",
        &["IpPermissionsEgress", "ToPort"],
    ),
    (
        "egress.ip-permission.user-id",
        &["IpPermissionsEgress", "UserIdGroupPairs", "UserId"],
    ),
    ("endpoint", &["Endpoint"]),
    ("entry.cidr", &["Entries", "CidrBlock"]),
    ("entry.egress", &["Entries", "Egress"]),
    ("entry.icmp.code", &["Entries", "IcmpTypeCode", "Code"]),
    ("entry.icmp.type", &["Entries", "IcmpTypeCode", "Type"]),
    ("entry.port-range.from", &["Entries", "PortRange", "From"]),
    ("entry.port-range.to", &["Entries", "PortRange", "To"]),
    ("entry.protocol", &["Entries", "Protocol"]),
    ("entry.rule-action", &["Entries", "RuleAction"]),
    ("entry.rule-number", &["Entries", "RuleNumber"]),
    ("group-id", &["GroupId"]),
    ("group-name", &["GroupName"]),
    ("image-id", &["ImageId"]),
    ("instance.group-id", &["SecurityGroups", "GroupId"]),
    ("instance.group-name", &["SecurityGroups", "GroupName"]),
    ("instance-id", &["InstanceId"]),
    ("instance-state-code", &["State", "Code"]),
    ("instance-state-name", &["State", "Name"]),
    ("instance-type", &["InstanceType"]),
    (
        "ip-permission.cidr",
        &["IpPermissions", "IpRanges", "CidrIp"],
    ),
    ("ip-permission.from-port", &["IpPermissions", "FromPort"]),
    (
        "ip-permission.group-id",
        &["IpPermissions", "UserIdGroupPairs", "GroupId"],
    ),
    (
        "ip-permission.ipv6-cidr",
        &["IpPermissions", "Ipv6Ranges", "CidrIpv6"],
    ),
    ("ip-permission.protocol", &["IpPermissions", "IpProtocol"]),
    ("ip-permission.to-port", &["IpPermissions", "ToPort"]),
    (
        "ip-permission.user-id",
        &["IpPermissions", "UserIdGroupPairs", "UserId"],
    ),
    ("is-default", &["IsDefault"]),
    ("key", &["Key"]),
    ("name", &["Name"]),
    ("network-acl-id", &["NetworkAclId"]),
    ("opt-in-status", &["OptInStatus"]),
    ("owner-id", &["OwnerId"]),
    ("private-dns-name", &["PrivateDnsName"]),
    ("private-ip-address", &["PrivateIpAddress"]),
    ("region-name", &["RegionName"]),
    ("resource-id", &["ResourceId"]),
    ("resource-type", &["ResourceType"]),
    ("security-group-rule-id", &["SecurityGroupRuleId"]),
    ("state", &["State"]),
    ("subnet-id", &["SubnetId"]),
    ("value", &["Value"]),
    ("vpc-id", &["VpcId"]),
    ("zone-id", &["ZoneId"]),
    ("zone-name", &["ZoneName"]),
    ("zone-type", &["ZoneType"]),
];

/// Those that pass every filter of the input.
pub(super) fn keep(input: &Value, all: Vec<Shown>) -> Result<Vec<Shown>, Fault> {
    let filters = input["Filters"].as_array().cloned().unwrap_or_default();
    for filter in &filters {
        let name = filter["Name"].as_str().unwrap_or_default();
        let known = PLACES.iter().any(|(it, _)| *it == name);
        if !known && name != "tag-key" && !name.starts_with("tag:") {
            let text = format!("The filter '{name}' is invalid");
            return Err(Fault::sender("InvalidParameterValue", text));
        }
    }
    let passes = |shown: &Shown| {
        let record = Value::from(shown.record.clone());
        filters.iter().all(|filter| matches(filter, &record))
    };
    Ok(all.into_iter().filter(passes).collect())
}

fn matches(filter: &Value, record: &Value) -> bool {
    let name = filter["Name"].as_str().unwrap_or_default();
    let tags = record["Tags"].as_array().into_iter().flatten();
    let found: Vec<String> = if name == "tag-key" {
        tags.map(|tag| text(&tag["Key"])).collect()
    } else if let Some(key) = name.strip_prefix("tag:") {
        tags.filter(|tag| tag["Key"] == key)
            .map(|tag| text(&tag["Value"]))
            .collect()
    } else {
        let places = PLACES.iter().filter(|(it, _)| *it == name);
        places.flat_map(|(_, path)| at(record, path)).collect()
    };
    let wanted = filter["Values"].as_array().into_iter().flatten();
    let mut wanted = wanted.filter_map(Value::as_str);
    wanted.any(|pattern| found.iter().any(|value| is_like(value, pattern)))
}

/// The texts at a place.
fn at(value: &Value, path: &[&str]) -> Vec<String> {
    match (value, path) {
        (Value::Array(all), _) => all.iter().flat_map(|it| at(it, path)).collect(),
        (_, [step, rest @ ..]) => at(&value[*step], rest),
        (_, []) => vec![text(value)],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// Whether a value is like a pattern in which `*` stands for any text and `?` for one character. Linear in both, but for one step
/// back to the last `*`.
fn is_like(value: &str, pattern: &str) -> bool {
    let (value, pattern): (Vec<char>, Vec<char>) =
        (value.chars().collect(), pattern.chars().collect());
    let (mut at, mut step) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < value.len() {
        match pattern.get(step) {
            Some('*') => {
                star = Some((step, at));
                step += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == value[at] => {
                at += 1;
                step += 1;
            }
            Some(_) | None => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    at = *taken;
                    step = *place + 1;
                }
                None => return false,
            },
        }
    }
    pattern[step..].iter().all(|wanted| *wanted == '*')
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns_match_as_a_shell_would() {
        for (value, pattern, like) in [
            ("web-1", "web-1", true),
            ("web-1", "web-*", true),
            ("web-1", "*-?", true),
            ("web-1", "*", true),
            ("", "*", true),
            ("", "", true),
            ("web-1", "", false),
            ("web-12", "web-?", false),
            ("a-b-c", "a*c", true),
            ("a-b-c", "a*b", false),
        ] {
            assert_eq!(is_like(value, pattern), like, "{value} {pattern}");
        }
    }
}

//! Security groups of the default VPC: which there are and what they permit. `routes` gives them to the data plane.
//!
//! The default one is derived from the region as the VPC is, and recorded once it was changed. Every member of a kind gets its security
//! groups where it is made: instances in `instances`, the rest in its own service.

mod permissions;
mod rules;

use serde_json::Value;
use topologies::event::EventKind;
use topologies::id::{RegionId, SecurityGroupId};
use topologies::security_group::{DEFAULT, Peer, SECURITY_GROUP, SecurityGroup, SecurityGroupRule};
use wire::{Call, Fault, Record};

use super::filter::Shown;
use super::{network, tags};
use crate::aws::input::{text, texts};
use crate::aws::security_groups::{Named, all};
use crate::aws::tags::shown as shown_tags;
use crate::aws::{Change, Decision, View, ids};

pub(super) use rules::{
    authorize_egress, authorize_ingress, describe as describe_rules, describe_egress,
    describe_ingress, modify as modify_rules, not_found as no_rule, revoke_egress, revoke_ingress,
};

/// "VPC security groups per Region: 2,500" ("Amazon VPC quotas").
const GROUPS_MAX: usize = 2_500;
/// Characters of a name, and of a description, at most (CreateSecurityGroup).
const TEXT_MAX: usize = 255;

pub(super) fn describe(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let mut groups = all(view);
    let names = texts(input, "GroupNames");
    if let Some(lost) = names
        .iter()
        .find(|name| !groups.iter().any(|(_, it)| it.name == **name))
    {
        return Err(no_name(view, lost));
    }
    groups.retain(|(_, it)| names.is_empty() || names.contains(&it.name.as_str()));
    for id in texts(input, "GroupIds") {
        // One that is there, and has none of the names, is not shown.
        find(view, id)?;
    }
    let asked = texts(input, "GroupIds");
    groups.retain(|(id, _)| asked.is_empty() || asked.contains(&id.as_str()));
    let shown = groups.iter().map(|(id, group)| {
        let record = record(view, id, group);
        network::shown(id.to_string(), record)
    });
    let shown: Vec<Shown> = shown.collect();
    let lost = ("InvalidGroup.NotFound", "security group");
    network::list(call, input, "", lost, "SecurityGroups", shown)
}

fn record(view: &View<'_>, id: &SecurityGroupId, group: &SecurityGroup) -> Record {
    let tags = tags::of(view, "security-group", id.as_str(), None);
    Record::new()
        .set("GroupId", id.as_str())
        .set("GroupName", group.name.as_str())
        .set("Description", group.description.as_str())
        .set("SecurityGroupArn", arn(view, id))
        .set("VpcId", ids::vpc(view.region))
        .set("OwnerId", view.account)
        .list("IpPermissions", permissions::shown(view, group, false))
        .list("IpPermissionsEgress", permissions::shown(view, group, true))
        .list("Tags", shown_tags(&tags))
}

fn arn(view: &View<'_>, id: &SecurityGroupId) -> String {
    tags::arn(view, "security-group", id.as_str())
}

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let vpc = ids::vpc(view.region);
    let asked = text(input, "VpcId").unwrap_or(&vpc);
    if view.here().is_none() || asked != vpc {
        let text = format!("The vpc ID '{asked}' does not exist");
        return Err(Fault::sender("InvalidVpcID.NotFound", text));
    }
    let name = text(input, "GroupName").unwrap_or_default();
    let description = text(input, "Description").unwrap_or_default();
    check_text("GroupName", name)?;
    check_text("GroupDescription", description)?;
    if name.starts_with("sg-") {
        return Err(invalid(format!(
            "Value ({name}) for parameter GroupName is invalid. Group names may not be in the format sg-*."
        )));
    }
    let there = all(view);
    if there.iter().any(|(_, it)| it.name == name) {
        let text = format!("The security group '{name}' already exists for VPC '{vpc}'");
        let code = match name {
            DEFAULT => "InvalidGroup.Reserved",
            _ => "InvalidGroup.Duplicate",
        };
        return Err(Fault::sender(code, text));
    }
    if there.len() >= GROUPS_MAX {
        let text =
            format!("The maximum number of security groups for VPC '{vpc}' has been reached.");
        return Err(Fault::sender("SecurityGroupLimitExceeded", text));
    }
    let tags = tags::specified(input, "security-group")?;
    let id = SecurityGroupId::from(format!("sg-{}", view.draw("security-group", 17)));
    // "By default, a security group allows all outbound traffic" (CreateSecurityGroup).
    let out = SecurityGroupRule {
        id: format!("sgr-{}", view.draw("security-group-rule", 17)),
        egress: true,
        protocol: None,
        ports: None,
        icmp: None,
        peer: Peer::Cidr(topologies::cidr::Cidr::new(
            std::net::Ipv4Addr::UNSPECIFIED,
            0,
        )),
        description: None,
    };
    let group = SecurityGroup {
        region: RegionId::from(view.region),
        name: name.to_owned(),
        description: description.to_owned(),
        rules: vec![out],
    };
    let output = Record::new()
        .set("GroupId", id.as_str())
        .set("SecurityGroupArn", arn(view, &id))
        .list("Tags", shown_tags(&tags));
    let tagged = crate::aws::tags::put(view, &arn(view, &id), tags);
    let changes = std::iter::once(changed(id, group)).chain(tagged);
    Ok((output, changes.collect()))
}

fn check_text(parameter: &str, written: &str) -> Result<(), Fault> {
    let odd = |byte: u8| !byte.is_ascii_graphic() && byte != b' ';
    let why = if written.is_empty() {
        let text = format!("The request must contain the parameter {parameter}");
        return Err(Fault::sender("MissingParameter", text));
    } else if written.len() > TEXT_MAX {
        format!("The maximum length is {TEXT_MAX} characters.")
    } else if written.bytes().any(odd) {
        "Character sets beyond ASCII are not supported.".to_owned()
    } else {
        return Ok(());
    };
    Err(invalid(format!(
        "Value ({written}) for parameter {parameter} is invalid. {why}"
    )))
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (id, group) = named(view, input)?;
    if group.is_default() {
        let text = format!(
            "the specified group: \"{id}\" name: \"{DEFAULT}\" cannot be deleted by a user"
        );
        return Err(Fault::sender("CannotDelete", text));
    }
    let known = &view.world.account.security_groups;
    let names = |rule: &SecurityGroupRule| rule.peer == Peer::Group(id.clone());
    let referenced = all(view)
        .iter()
        .any(|(other, it)| *other != id && it.rules.iter().any(names));
    if referenced || known.members(id.as_str()).next().is_some() {
        let text = format!("resource {id} has a dependent object");
        return Err(Fault::sender("DependencyViolation", text));
    }
    let output = Record::new()
        .set("Return", true)
        .set("GroupId", id.as_str());
    let forgotten = EventKind::ResourceForgotten {
        resource: SECURITY_GROUP.to_owned(),
        arn: arn(view, &id),
        region: group.region,
        id: id.to_string(),
    };
    let mut changes = vec![Change::Note(forgotten)];
    for rule in group.rules {
        let arn = tags::arn(view, "security-group-rule", &rule.id);
        changes.extend(crate::aws::tags::put(view, &arn, Default::default()));
    }
    Ok((output, changes))
}

/// The event that makes a security group, or gives it other rules.
fn changed(id: SecurityGroupId, group: SecurityGroup) -> Change {
    Change::Note(EventKind::SecurityGroupChanged {
        group: id,
        region: group.region,
        name: group.name,
        description: group.description,
        rules: group.rules,
    })
}

/// The one that an input names, by its id or its name.
fn named(view: &View<'_>, input: &Value) -> Result<Named, Fault> {
    match (text(input, "GroupId"), text(input, "GroupName")) {
        (Some(id), _) => find(view, id),
        (None, Some(name)) => find_name(view, name),
        (None, None) => {
            let text = "The request must contain the parameter groupName or groupId";
            Err(Fault::sender("MissingParameter", text))
        }
    }
}

fn find(view: &View<'_>, id: &str) -> Result<Named, Fault> {
    let mut all = all(view).into_iter();
    let found = all.find(|(it, _)| it.as_str() == id);
    found.ok_or_else(|| not_found(id))
}

fn find_name(view: &View<'_>, name: &str) -> Result<Named, Fault> {
    let mut all = all(view).into_iter();
    let found = all.find(|(_, it)| it.name == name);
    found.ok_or_else(|| no_name(view, name))
}

fn no_name(view: &View<'_>, name: &str) -> Fault {
    let text = format!(
        "The security group '{name}' does not exist in default VPC '{}'",
        ids::vpc(view.region)
    );
    Fault::sender("InvalidGroup.NotFound", text)
}

pub(super) fn not_found(id: &str) -> Fault {
    if id.starts_with("sg-") {
        let text = format!("The security group '{id}' does not exist");
        return Fault::sender("InvalidGroup.NotFound", text);
    }
    let text = format!("Invalid id: \"{id}\" (expecting \"sg-...\")");
    Fault::sender("InvalidGroupId.Malformed", text)
}

/// Those with these ids and names that an instance is to have. "Security groups per network interface: 5" ("Amazon VPC quotas").
pub(super) fn for_interface(
    view: &View<'_>,
    ids: &[&str],
    names: &[&str],
) -> Result<Vec<SecurityGroupId>, Fault> {
    let mut found: Vec<SecurityGroupId> = Vec::new();
    let ids = ids.iter().map(|id| find(view, id));
    let names = names.iter().map(|name| find_name(view, name));
    for group in ids.chain(names) {
        let (id, _) = group?;
        if !found.contains(&id) {
            found.push(id);
        }
    }
    if found.len() > 5 {
        let text = "The maximum number of security groups per interface has been reached.";
        return Err(Fault::sender(
            "SecurityGroupsPerInterfaceLimitExceeded",
            text,
        ));
    }
    Ok(found)
}

/// Those as an instance shows them.
pub(super) fn identifiers(view: &View<'_>, groups: &[SecurityGroupId]) -> Vec<Record> {
    let all = all(view);
    let shown = groups.iter().map(|id| {
        let known = all.iter().find(|(it, _)| it == id);
        let name = known.map(|(_, it)| it.name.as_str());
        Record::new()
            .set("GroupId", id.as_str())
            .maybe("GroupName", name)
    });
    shown.collect()
}

/// What of it can have tags: its kind and its id.
pub(super) fn taggables(view: &View<'_>) -> Vec<(&'static str, String)> {
    let mut taggables = Vec::new();
    for (id, group) in all(view) {
        taggables.push(("security-group", id.to_string()));
        let rules = group.rules.into_iter();
        taggables.extend(rules.map(|rule| ("security-group-rule", rule.id)));
    }
    taggables
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::sender("InvalidParameterValue", text)
}

#[cfg(test)]
mod tests;

//! Rules of security groups: permitted, taken back, changed, described.

use serde_json::{Value, json};
use topologies::id::SecurityGroupId;
use topologies::security_group::{Peer, SecurityGroup, SecurityGroupRule};
use wire::{Call, Fault, Record};

use super::permissions::{self, asked, description, ends, grouped, missing, read};
use super::{changed, invalid, named};
use crate::aws::ec2::{network, protocols, tags};
use crate::aws::input::{text, texts};
use crate::aws::security_groups::all;
use crate::aws::tags::shown as shown_tags;
use crate::aws::{Decision, View, ids};

/// "Inbound or outbound rules per security group: 60 … This quota is enforced separately for inbound and outbound rules" ("Amazon VPC
/// quotas").
const RULES_MAX: usize = 60;

pub(in crate::aws::ec2) fn authorize_ingress(
    view: &View<'_>,
    input: &Value,
) -> Result<Decision, Fault> {
    authorize(view, input, false)
}

pub(in crate::aws::ec2) fn authorize_egress(
    view: &View<'_>,
    input: &Value,
) -> Result<Decision, Fault> {
    authorize(view, input, true)
}

fn authorize(view: &View<'_>, input: &Value, egress: bool) -> Result<Decision, Fault> {
    let (id, mut group) = named(view, input)?;
    let asked = asked(input);
    if asked.is_empty() {
        return Err(missing("ipPermissions"));
    }
    let tags = tags::specified(input, "security-group-rule")?;
    let (mut shown, mut changes) = (Vec::new(), Vec::new());
    for permission in &asked {
        for mut rule in read(view, permission, egress)? {
            vacant(&group, &rule)?;
            let number = group.rules.len();
            let digits = view.draw(&format!("security-group-rule {number}"), 17);
            rule.id = format!("sgr-{digits}");
            let arn = tags::arn(view, "security-group-rule", &rule.id);
            shown.push(record(view, &id, &rule).list("Tags", shown_tags(&tags)));
            changes.extend(crate::aws::tags::put(view, &arn, tags.clone()));
            group.rules.push(rule);
        }
    }
    let own = group.rules.iter().filter(|it| it.egress == egress);
    if own.count() > RULES_MAX {
        let text = "The maximum number of rules per security group has been reached.";
        return Err(Fault::sender("RulesPerSecurityGroupLimitExceeded", text));
    }
    changes.push(changed(id, group));
    let output = Record::new().set("Return", true);
    Ok((output.list("SecurityGroupRules", shown), changes))
}

/// Refuses a rule that permits what another one does.
fn vacant(group: &SecurityGroup, rule: &SecurityGroupRule) -> Result<(), Fault> {
    if !group.rules.iter().any(|it| it.permits_the_same(rule)) {
        return Ok(());
    }
    let ports = match ends(rule) {
        (Some(from), Some(to)) => format!(", from port: {from}, to port: {to}"),
        _ => String::new(),
    };
    let protocol = match protocols::name(rule.protocol) {
        all if all == "-1" => "ALL".to_owned(),
        name => name.to_uppercase(),
    };
    let text = format!(
        "the specified rule \"peer: {}, {protocol}{ports}, ALLOW\" already exists",
        rule.peer
    );
    Err(Fault::sender("InvalidPermission.Duplicate", text))
}

pub(in crate::aws::ec2) fn revoke_ingress(
    view: &View<'_>,
    input: &Value,
) -> Result<Decision, Fault> {
    revoke(view, input, false)
}

pub(in crate::aws::ec2) fn revoke_egress(
    view: &View<'_>,
    input: &Value,
) -> Result<Decision, Fault> {
    revoke(view, input, true)
}

/// "For a default VPC, if the values you specify do not match the existing rule's values, no error is returned, and the output
/// describes the security group rules that were not revoked" (RevokeSecurityGroupIngress); this is one.
fn revoke(view: &View<'_>, input: &Value, egress: bool) -> Result<Decision, Fault> {
    let (id, mut group) = named(view, input)?;
    let listed = texts(input, "SecurityGroupRuleIds");
    let asked = asked(input);
    if listed.is_empty() && asked.is_empty() {
        let text = "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.";
        return Err(Fault::sender("MissingParameter", text));
    }
    let (mut places, mut unknown) = (Vec::new(), Vec::new());
    for rule in listed {
        places.push(place_of(&group, rule, Some(egress))?);
    }
    for permission in &asked {
        for rule in read(view, permission, egress)? {
            let mut rules = group.rules.iter();
            match rules.position(|it| it.permits_the_same(&rule)) {
                Some(place) => places.push(place),
                None => unknown.push(rule),
            }
        }
    }
    places.sort_unstable();
    places.dedup();
    let mut changes = Vec::new();
    let revoked: Vec<Record> = places
        .iter()
        .map(|place| revoked(&id, &group.rules[*place]))
        .collect();
    for place in places.into_iter().rev() {
        let gone = group.rules.remove(place);
        let arn = tags::arn(view, "security-group-rule", &gone.id);
        changes.extend(crate::aws::tags::put(view, &arn, Default::default()));
    }
    if !revoked.is_empty() {
        changes.push(changed(id, group));
    }
    let unknown: Vec<&SecurityGroupRule> = unknown.iter().collect();
    let output = Record::new()
        .set("Return", true)
        .list("UnknownIpPermissions", grouped(view, &unknown))
        .list("RevokedSecurityGroupRules", revoked);
    Ok((output, changes))
}

/// Where a rule is, of one direction if that is said.
fn place_of(group: &SecurityGroup, id: &str, egress: Option<bool>) -> Result<usize, Fault> {
    let mut rules = group.rules.iter();
    let found = rules.position(|it| it.id == id && egress.is_none_or(|egress| it.egress == egress));
    found.ok_or_else(|| not_found(id))
}

pub(in crate::aws::ec2) fn not_found(id: &str) -> Fault {
    let text = format!("The security group rule ID '{id}' does not exist");
    Fault::sender("InvalidSecurityGroupRuleId.NotFound", text)
}

/// Rules become others and keep their ids.
pub(in crate::aws::ec2) fn modify(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (id, mut group) = named(view, input)?;
    for update in input["SecurityGroupRules"].as_array().into_iter().flatten() {
        let rule = text(update, "SecurityGroupRuleId").unwrap_or_default();
        let place = place_of(&group, rule, None)?;
        let before = group.rules.remove(place);
        let after = &update["SecurityGroupRule"];
        let mut read = read(view, &permission(after), before.egress)?;
        let Some(mut rule) = read.pop().filter(|_| read.is_empty()) else {
            return Err(invalid(
                "A security group rule has one source or destination.",
            ));
        };
        if std::mem::discriminant(&rule.peer) != std::mem::discriminant(&before.peer) {
            return Err(invalid(format!(
                "The source or destination type of {} cannot be changed.",
                before.id
            )));
        }
        vacant(&group, &rule)?;
        rule.id = before.id;
        group.rules.insert(place, rule);
    }
    let output = Record::new().set("Return", true);
    Ok((output, vec![changed(id, group)]))
}

/// A rule as the permission that it is.
fn permission(rule: &Value) -> Value {
    let one = |name: &str, as_name: &str| match rule[name].as_str() {
        Some(value) => json!([{ as_name: value, "Description": rule["Description"] }]),
        None => json!([]),
    };
    json!({
        "IpProtocol": rule["IpProtocol"],
        "FromPort": rule["FromPort"],
        "ToPort": rule["ToPort"],
        "IpRanges": one("CidrIpv4", "CidrIp"),
        "Ipv6Ranges": one("CidrIpv6", "CidrIpv6"),
        "PrefixListIds": one("PrefixListId", "PrefixListId"),
        "UserIdGroupPairs": one("ReferencedGroupId", "GroupId"),
    })
}

pub(in crate::aws::ec2) fn describe_ingress(
    view: &View<'_>,
    input: &Value,
) -> Result<Decision, Fault> {
    describe_anew(view, input, false)
}

pub(in crate::aws::ec2) fn describe_egress(
    view: &View<'_>,
    input: &Value,
) -> Result<Decision, Fault> {
    describe_anew(view, input, true)
}

/// Rules get other descriptions; "you can remove a description by omitting it".
fn describe_anew(view: &View<'_>, input: &Value, egress: bool) -> Result<Decision, Fault> {
    let (id, mut group) = named(view, input)?;
    let listed = &input["SecurityGroupRuleDescriptions"];
    let listed = listed.as_array().cloned().unwrap_or_default();
    let asked = asked(input);
    if listed.is_empty() && asked.is_empty() {
        let text = "Either 'ipPermissions' or 'securityGroupRuleDescriptions' should be provided.";
        return Err(Fault::sender("MissingParameter", text));
    }
    for one in &listed {
        let rule = text(one, "SecurityGroupRuleId").unwrap_or_default();
        let place = place_of(&group, rule, Some(egress))?;
        group.rules[place].description = description(one)?;
    }
    for asked in &asked {
        for rule in permissions::read(view, asked, egress)? {
            let mut rules = group.rules.iter_mut();
            let Some(known) = rules.find(|it| it.permits_the_same(&rule)) else {
                let text = "The specified rule does not exist in this security group.";
                return Err(Fault::sender("InvalidPermission.NotFound", text));
            };
            known.description = rule.description;
        }
    }
    let output = Record::new().set("Return", true);
    Ok((output, vec![changed(id, group)]))
}

pub(in crate::aws::ec2) fn describe(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let mut shown = Vec::new();
    for (id, group) in all(view) {
        for rule in &group.rules {
            let tags = tags::of(view, "security-group-rule", &rule.id, None);
            let record = record(view, &id, rule).list("Tags", shown_tags(&tags));
            shown.push(network::shown(rule.id.clone(), record));
        }
    }
    let asked = texts(input, "SecurityGroupRuleIds");
    if let Some(lost) = asked
        .iter()
        .find(|id| !shown.iter().any(|it| it.id == **id))
    {
        return Err(not_found(lost));
    }
    let lost = ("InvalidSecurityGroupRuleId.NotFound", "security group rule");
    network::list(
        call,
        input,
        "SecurityGroupRuleIds",
        lost,
        "SecurityGroupRules",
        shown,
    )
}

fn record(view: &View<'_>, group: &SecurityGroupId, rule: &SecurityGroupRule) -> Record {
    let referenced = match &rule.peer {
        Peer::Group(id) => {
            let info = Record::new().set("GroupId", id.as_str());
            let info = info.set("UserId", view.account);
            Some(info.set("VpcId", ids::vpc(view.region)))
        }
        Peer::Cidr(_) | Peer::Ipv6(_) => None,
    };
    common(group, rule)
        .set("GroupOwnerId", view.account)
        .set(
            "SecurityGroupRuleArn",
            tags::arn(view, "security-group-rule", &rule.id),
        )
        .maybe("ReferencedGroupInfo", referenced)
}

fn revoked(group: &SecurityGroupId, rule: &SecurityGroupRule) -> Record {
    let referenced = match &rule.peer {
        Peer::Group(id) => Some(id.as_str()),
        Peer::Cidr(_) | Peer::Ipv6(_) => None,
    };
    common(group, rule).maybe("ReferencedGroupId", referenced)
}

fn common(group: &SecurityGroupId, rule: &SecurityGroupRule) -> Record {
    let (from, to) = ends(rule);
    let record = Record::new()
        .set("SecurityGroupRuleId", rule.id.as_str())
        .set("GroupId", group.as_str())
        .set("IsEgress", rule.egress)
        .set("IpProtocol", protocols::name(rule.protocol))
        // Unlike permissions, rules show that they are about all ports.
        .set("FromPort", from.unwrap_or(-1))
        .set("ToPort", to.unwrap_or(-1))
        .maybe("Description", rule.description.as_deref());
    match &rule.peer {
        Peer::Cidr(cidr) => record.set("CidrIpv4", cidr.to_string()),
        Peer::Ipv6(block) => record.set("CidrIpv6", block.as_str()),
        Peer::Group(_) => record,
    }
}

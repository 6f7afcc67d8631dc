//! Rules as IpPermissions say them: several rules of the same protocol and ports in one.

use std::net::Ipv6Addr;

use serde_json::{Value, json};
use topologies::security_group::{Peer, SecurityGroup, SecurityGroupRule};
use wire::{Fault, Record};

use super::{find, find_name, invalid};
use crate::aws::View;
use crate::aws::ec2::protocols::{self, ICMP, ICMPV6, TCP, UDP};
use crate::aws::input::{not_implemented, text};

/// Characters of a rule's description at most.
const DESCRIPTION_MAX: usize = 255;

/// The rules of one direction.
pub(super) fn shown(view: &View<'_>, group: &SecurityGroup, egress: bool) -> Vec<Record> {
    let own = group.rules.iter().filter(|it| it.egress == egress);
    let own: Vec<&SecurityGroupRule> = own.collect();
    grouped(view, &own)
}

/// Rules as permissions.
pub(super) fn grouped(view: &View<'_>, rules: &[&SecurityGroupRule]) -> Vec<Record> {
    let what = |it: &SecurityGroupRule| (it.protocol, it.ports, it.icmp);
    let mut permissions: Vec<Vec<&SecurityGroupRule>> = Vec::new();
    for rule in rules {
        match permissions.iter_mut().find(|it| what(it[0]) == what(rule)) {
            Some(same) => same.push(rule),
            None => permissions.push(vec![rule]),
        }
    }
    let record = |rules: Vec<&SecurityGroupRule>| {
        let (from, to) = ends(rules[0]);
        let peers = |of: &dyn Fn(&SecurityGroupRule) -> Option<Record>| -> Vec<Record> {
            rules.iter().filter_map(|it| of(it)).collect()
        };
        let described = |record: Record, rule: &SecurityGroupRule| {
            record.maybe("Description", rule.description.as_deref())
        };
        Record::new()
            .set("IpProtocol", protocols::name(rules[0].protocol))
            .maybe("FromPort", from)
            .maybe("ToPort", to)
            .list(
                "IpRanges",
                peers(&|rule| match &rule.peer {
                    Peer::Cidr(cidr) => {
                        let record = Record::new().set("CidrIp", cidr.to_string());
                        Some(described(record, rule))
                    }
                    Peer::Ipv6(_) | Peer::Group(_) => None,
                }),
            )
            .list(
                "Ipv6Ranges",
                peers(&|rule| match &rule.peer {
                    Peer::Ipv6(block) => {
                        let record = Record::new().set("CidrIpv6", block.as_str());
                        Some(described(record, rule))
                    }
                    Peer::Cidr(_) | Peer::Group(_) => None,
                }),
            )
            .list(
                "UserIdGroupPairs",
                peers(&|rule| match &rule.peer {
                    Peer::Group(id) => {
                        let record = Record::new().set("GroupId", id.as_str());
                        Some(described(record.set("UserId", view.account), rule))
                    }
                    Peer::Cidr(_) | Peer::Ipv6(_) => None,
                }),
            )
            .list("PrefixListIds", Vec::<Record>::new())
    };
    permissions.into_iter().map(record).collect()
}

/// The ports of a rule as they are shown, or ICMP's type and code.
pub(super) fn ends(rule: &SecurityGroupRule) -> (Option<i64>, Option<i64>) {
    match (rule.ports, rule.icmp) {
        (Some((from, to)), _) => (Some(from.into()), Some(to.into())),
        (None, Some((kind, code))) => (Some(kind.into()), Some(code.into())),
        (None, None) => (None, None),
    }
}

/// The permissions of an input: a list, or its one permission in members of their own.
pub(super) fn asked(input: &Value) -> Vec<Value> {
    let list = input["IpPermissions"].as_array();
    if let Some(list) = list.filter(|list| !list.is_empty()) {
        return list.clone();
    }
    if let Some(name) = text(input, "SourceSecurityGroupName") {
        // "Creates rules that grant full ICMP, UDP, and TCP access" (AuthorizeSecurityGroupIngress).
        let pairs = json!([{ "GroupName": name }]);
        return [("icmp", -1, -1), ("tcp", 0, 65_535), ("udp", 0, 65_535)]
            .map(|(protocol, from, to)| {
                json!({ "IpProtocol": protocol, "FromPort": from, "ToPort": to, "UserIdGroupPairs": pairs })
            })
            .into();
    }
    if text(input, "CidrIp").is_none() && text(input, "IpProtocol").is_none() {
        return Vec::new();
    }
    vec![json!({
        "IpProtocol": input["IpProtocol"],
        "FromPort": input["FromPort"],
        "ToPort": input["ToPort"],
        "IpRanges": [{ "CidrIp": input["CidrIp"] }],
    })]
}

/// The rules of a permission, without identifiers.
pub(super) fn read(
    view: &View<'_>,
    permission: &Value,
    egress: bool,
) -> Result<Vec<SecurityGroupRule>, Fault> {
    let written = text(permission, "IpProtocol").ok_or_else(|| missing("ipProtocol"))?;
    let protocol = protocols::read(written)?;
    let (from, to) = (&permission["FromPort"], &permission["ToPort"]);
    let (ports, icmp) = match protocol {
        Some(TCP | UDP) => (Some(ports(from, to)?), None),
        Some(ICMP | ICMPV6) => (None, Some(kind(from, to)?)),
        // Ports of other protocols are not looked at (AuthorizeSecurityGroupIngress, "IpProtocol").
        None | Some(_) => (None, None),
    };
    if has(permission, "PrefixListIds") {
        return Err(not_implemented("A rule with PrefixListIds"));
    }
    let list = |name: &str| permission[name].as_array().cloned().unwrap_or_default();
    let mut peers = Vec::new();
    for range in list("IpRanges") {
        peers.push((v4(&range["CidrIp"])?, description(&range)?));
    }
    for range in list("Ipv6Ranges") {
        peers.push((v6(&range["CidrIpv6"])?, description(&range)?));
    }
    for pair in list("UserIdGroupPairs") {
        peers.push((group(view, &pair)?, description(&pair)?));
    }
    if peers.is_empty() {
        return Err(missing("ipRanges, ipv6Ranges or groups"));
    }
    let rules = peers
        .into_iter()
        .map(|(peer, description)| SecurityGroupRule {
            id: String::new(),
            egress,
            protocol,
            ports,
            icmp,
            peer,
            description,
        });
    Ok(rules.collect())
}

fn has(permission: &Value, name: &str) -> bool {
    permission[name].as_array().is_some_and(|it| !it.is_empty())
}

fn ports(from: &Value, to: &Value) -> Result<(u16, u16), Fault> {
    let (Some(from), Some(to)) = (from.as_i64(), to.as_i64()) else {
        return Err(invalid(
            "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.",
        ));
    };
    let port = |way: &str, port: i64| {
        let text = || invalid(format!("TCP/UDP ({way}) port ({port}) out of range"));
        u16::try_from(port).map_err(|_| text())
    };
    let (first, last) = (port("from", from)?, port("to", to)?);
    if first > last {
        return Err(invalid(format!("Invalid TCP/UDP port range ({from}:{to})")));
    }
    Ok((first, last))
}

/// ICMP's type and code; -1 for all.
fn kind(kind: &Value, code: &Value) -> Result<(i16, i16), Fault> {
    let number = |value: &Value| {
        let number = value.as_i64().unwrap_or(-1);
        let fits = i16::try_from(number).ok();
        fits.filter(|it| (-1..=255).contains(it))
            .ok_or_else(|| invalid(format!("ICMP code ({number}) out of range")))
    };
    Ok((number(kind)?, number(code)?))
}

fn v4(written: &Value) -> Result<Peer, Fault> {
    let written = written.as_str().ok_or_else(|| missing("cidrIp"))?;
    let cidr = written.parse().map_err(|_| malformed(written))?;
    Ok(Peer::Cidr(cidr))
}

/// It is kept as it is, and meets nobody.
fn v6(written: &Value) -> Result<Peer, Fault> {
    let written = written.as_str().ok_or_else(|| missing("cidrIpv6"))?;
    let parsed = written.split_once('/').and_then(|(address, prefix)| {
        let address: Ipv6Addr = address.parse().ok()?;
        let prefix: u32 = prefix.parse().ok().filter(|it| *it <= 128)?;
        let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
        let first = Ipv6Addr::from_bits(address.to_bits() & mask);
        Some(format!("{first}/{prefix}"))
    });
    parsed.map(Peer::Ipv6).ok_or_else(|| malformed(written))
}

fn malformed(written: &str) -> Fault {
    invalid(format!("CIDR block {written} is malformed"))
}

fn group(view: &View<'_>, pair: &Value) -> Result<Peer, Fault> {
    let other = text(pair, "UserId").filter(|it| *it != view.account);
    if let Some(other) = other {
        return Err(not_implemented(format!(
            "A rule for a security group of another account, {other},"
        )));
    }
    let (id, _) = match (text(pair, "GroupId"), text(pair, "GroupName")) {
        (Some(id), _) => find(view, id)?,
        (None, Some(name)) => find_name(view, name)?,
        (None, None) => return Err(missing("groupId")),
    };
    Ok(Peer::Group(id))
}

pub(super) fn description(of: &Value) -> Result<Option<String>, Fault> {
    let Some(written) = text(of, "Description").filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let known =
        |byte: u8| byte.is_ascii_alphanumeric() || b". _-:/()#,@[]+=&;{}!$*".contains(&byte);
    if written.len() > DESCRIPTION_MAX || !written.bytes().all(known) {
        return Err(invalid(
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set: \
             a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        ));
    }
    Ok(Some(written.to_owned()))
}

pub(super) fn missing(parameter: &str) -> Fault {
    let text = format!("The request must contain the parameter {parameter}");
    Fault::sender("MissingParameter", text)
}

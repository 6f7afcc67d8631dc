//! Entries of network ACLs: read, checked, put and taken away.

use serde_json::Value;
use topologies::cidr::Cidr;
use topologies::network_acl::{NetworkAcl, NetworkAclEntry};
use wire::{Fault, Record};

use super::{LAST, changed, named};
use crate::aws::ec2::protocols::{self, ICMP, TCP, UDP};
use crate::aws::input::{is_on, not_implemented, text};
use crate::aws::{Decision, View};

/// "Rules per network ACL: 20 … one-way limit" ("Amazon VPC quotas").
const ENTRIES_MAX: usize = 20;

pub(in crate::aws::ec2) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (id, mut acl) = named(view, input)?;
    let entry = read(input)?;
    if place(&acl, &entry).is_some() {
        let text = format!(
            "The network acl entry identified by {} already exists.",
            entry.number
        );
        return Err(Fault::sender("NetworkAclEntryAlreadyExists", text));
    }
    let there = acl.entries.iter().filter(|it| it.egress == entry.egress);
    if there.count() >= ENTRIES_MAX {
        let text = format!("The maximum number of network acl entries for {id} has been reached.");
        return Err(Fault::sender("NetworkAclEntryLimitExceeded", text));
    }
    acl.entries.push(entry);
    acl.entries.sort_by_key(|it| (!it.egress, it.number));
    Ok((Record::new(), vec![changed(id, acl)]))
}

pub(in crate::aws::ec2) fn replace(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (id, mut acl) = named(view, input)?;
    let entry = read(input)?;
    let place = place(&acl, &entry).ok_or_else(|| lost(id.as_str(), entry.number))?;
    acl.entries[place] = entry;
    Ok((Record::new(), vec![changed(id, acl)]))
}

pub(in crate::aws::ec2) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (id, mut acl) = named(view, input)?;
    let (number, egress) = (number(input)?, is_on(input, "Egress"));
    let before = acl.entries.len();
    acl.entries
        .retain(|it| (it.number, it.egress) != (number, egress));
    if acl.entries.len() == before {
        return Err(lost(id.as_str(), number));
    }
    Ok((Record::new(), vec![changed(id, acl)]))
}

fn lost(acl: &str, number: u16) -> Fault {
    let text = format!("The network acl entry identified by {number} in {acl} does not exist.");
    Fault::sender("InvalidNetworkAclEntry.NotFound", text)
}

/// Where the entry is that has the same number for the same direction.
fn place(acl: &NetworkAcl, entry: &NetworkAclEntry) -> Option<usize> {
    let mut entries = acl.entries.iter();
    entries.position(|it| (it.number, it.egress) == (entry.number, entry.egress))
}

pub(super) fn record(entry: &NetworkAclEntry) -> Record {
    let protocol = entry.protocol.map_or(-1, i64::from);
    let ports = entry.ports.map(|(from, to)| {
        let range = Record::new().set("From", from);
        range.set("To", to)
    });
    let icmp = entry
        .icmp
        .map(|(kind, code)| Record::new().set("Type", kind).set("Code", code));
    Record::new()
        .set("RuleNumber", entry.number)
        .set("Egress", entry.egress)
        .set("RuleAction", if entry.allow { "allow" } else { "deny" })
        .set("Protocol", protocol.to_string())
        .set("CidrBlock", entry.cidr.to_string())
        .maybe("PortRange", ports)
        .maybe("IcmpTypeCode", icmp)
}

fn read(input: &Value) -> Result<NetworkAclEntry, Fault> {
    if text(input, "Ipv6CidrBlock").is_some() {
        return Err(not_implemented("A network ACL entry with Ipv6CidrBlock"));
    }
    let protocol = protocols::read(text(input, "Protocol").unwrap_or_default())?;
    let written = text(input, "CidrBlock").ok_or_else(|| missing("cidrBlock"))?;
    let cidr: Cidr = written.parse().map_err(|_| {
        invalid(format!(
            "Value ({written}) for parameter cidrBlock is invalid. This is not a valid CIDR block."
        ))
    })?;
    // "If you specify -1 or a protocol number other than 6, 17, or 1, traffic on all ports is allowed, regardless of any ports or
    // ICMP types or codes that you specify" (CreateNetworkAclEntry).
    let ported = matches!(protocol, Some(TCP | UDP));
    Ok(NetworkAclEntry {
        number: number(input)?,
        egress: is_on(input, "Egress"),
        allow: text(input, "RuleAction") == Some("allow"),
        protocol,
        cidr,
        ports: ported.then(|| ports(&input["PortRange"])).transpose()?,
        icmp: (protocol == Some(ICMP))
            .then(|| icmp(&input["IcmpTypeCode"]))
            .transpose()?,
    })
}

/// "Positive integer from 1 to 32766. The range 32767 to 65535 is reserved for internal use" (CreateNetworkAclEntry).
fn number(input: &Value) -> Result<u16, Fault> {
    let asked = input["RuleNumber"].as_i64().unwrap_or(0);
    let number = u16::try_from(asked)
        .ok()
        .filter(|it| (1..LAST).contains(it));
    number.ok_or_else(|| {
        invalid(format!(
            "Value ({asked}) for parameter ruleNumber is invalid. It must be between 1 and {}.",
            LAST - 1
        ))
    })
}

fn ports(range: &Value) -> Result<(u16, u16), Fault> {
    let (Some(from), Some(to)) = (range["From"].as_i64(), range["To"].as_i64()) else {
        return Err(missing("portRange"));
    };
    match (u16::try_from(from), u16::try_from(to)) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        _ => Err(invalid(format!("Invalid TCP/UDP port range ({from}:{to})"))),
    }
}

/// "If you specify protocol 1 (ICMP)", both; -1 for all.
fn icmp(asked: &Value) -> Result<(i16, i16), Fault> {
    let (Some(kind), Some(code)) = (asked["Type"].as_i64(), asked["Code"].as_i64()) else {
        return Err(missing("icmpTypeCode"));
    };
    match (i16::try_from(kind), i16::try_from(code)) {
        (Ok(kind @ -1..=255), Ok(code @ -1..=255)) => Ok((kind, code)),
        _ => Err(invalid(format!(
            "ICMP type ({kind}) and code ({code}) must be between -1 and 255"
        ))),
    }
}

fn missing(parameter: &str) -> Fault {
    let text = format!("The request must contain the parameter {parameter}");
    Fault::sender("MissingParameter", text)
}

fn invalid(text: String) -> Fault {
    Fault::sender("InvalidParameterValue", text)
}

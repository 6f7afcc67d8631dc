//! ChangeResourceRecordSets: a batch of changes to a zone's records, made all or none.
//!
//! What is wrong with a change by itself ends the call (`InvalidInput`, `NoSuchHealthCheck`); what is wrong with it in its zone is
//! collected and told of at once (`InvalidChangeBatch`).

mod read;
mod sets;

use serde_json::Value;
use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::records::with_alias_ttls;
use topologies::topology::{HostedZone, Record as Own, RecordType, RecordValue};
use wire::{Fault, Record};

use super::{dotted, find_zone, propagation, records};
use crate::aws::input::text;
use crate::aws::{Change, Decision, View};

use read::read;
use sets::together;

/// Changes of a batch, and records of a zone, at most ("Quotas", and the words that exceeding them is refused with).
const CHANGES_MAX: usize = 1_000;
const RECORDS_MAX: usize = 10_000;

/// Why a change is not made.
enum Wrong {
    /// It can not be meant by anybody.
    Call(Fault),
    /// Its zone does not allow it.
    Batch(String),
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self::Call(fault)
    }
}

pub(super) fn change(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let zone = find_zone(view, text(input, "HostedZoneId").unwrap_or_default())?;
    let batch = &input["ChangeBatch"];
    let changes = batch["Changes"].as_array().map_or(0, Vec::len);
    if changes > CHANGES_MAX {
        return Err(too_many(view, CHANGES_MAX));
    }
    let mut records = zone.records.clone();
    let mut wrong = Vec::new();
    for change in batch["Changes"].as_array().into_iter().flatten() {
        let made = read(view, zone, change).and_then(|record| {
            let action = text(change, "Action").unwrap_or_default();
            make(zone, &mut records, record, action).map_err(Wrong::Batch)
        });
        match made {
            Ok(()) => {}
            Err(Wrong::Batch(text)) => wrong.push(text),
            Err(Wrong::Call(fault)) => return Err(fault),
        }
    }
    if records.len() > RECORDS_MAX {
        return Err(too_many(view, RECORDS_MAX));
    }
    if wrong.is_empty() {
        wrong = together(zone, &records);
    }
    if !wrong.is_empty() {
        let text = format!("[{}]", wrong.join(", "));
        return Err(view.fault("InvalidChangeBatch", text));
    }
    let ttl = view.topology().timing.load_balancer_ttl;
    let zone = HostedZone {
        name: zone.name.clone(),
        records: with_alias_ttls(records, ttl),
    };
    let edited = EventKind::TopologyEdited {
        by: "route53:ChangeResourceRecordSets".to_owned(),
        edits: vec![Edit::PutHostedZone(Box::new(zone))],
    };
    let info = propagation::begun(view, text(batch, "Comment"));
    let output = Record::new().set("ChangeInfo", info);
    Ok((output, vec![Change::Note(edited)]))
}

fn too_many(view: &View<'_>, most: usize) -> Fault {
    let text = format!("[Number of records limit of {most} exceeded.]");
    view.fault("InvalidChangeBatch", text)
}

/// `[name='www.shop.internal.', type='A', set identifier='primary']`.
fn label(record: &Own) -> String {
    let (name, kind) = (dotted(&record.name), record.value.kind().as_str());
    match &record.set_identifier {
        Some(set) => format!("[name='{name}', type='{kind}', set identifier='{set}']"),
        None => format!("[name='{name}', type='{kind}']"),
    }
}

fn make(
    zone: &HostedZone,
    records: &mut Vec<Own>,
    record: Own,
    action: &str,
) -> Result<(), String> {
    if records::is_required(zone, &record) {
        match (action, record.value.kind()) {
            ("DELETE", RecordType::Soa) => {
                return Err("A HostedZone must contain exactly one SOA record.".to_owned());
            }
            ("DELETE", _) => {
                let text = "A HostedZone must contain at least one NS record for the zone itself.";
                return Err(text.to_owned());
            }
            ("CREATE", _) => return Err(exists(&record)),
            _ => {}
        }
    }
    let same = |it: &Own| {
        it.name == record.name
            && it.value.kind() == record.value.kind()
            && it.set_identifier == record.set_identifier
    };
    let there = records.iter().position(same);
    match (action, there) {
        ("CREATE", Some(_)) => Err(exists(&record)),
        ("DELETE", None) => Err(format!(
            "Tried to delete resource record set {} but it was not found",
            label(&record)
        )),
        ("DELETE", Some(at)) if differ(&records[at], &record) => Err(format!(
            "Tried to delete resource record set {} but the values provided do not match the current values",
            label(&record)
        )),
        ("DELETE", Some(at)) => {
            records.remove(at);
            Ok(())
        }
        (_, Some(at)) => {
            records[at] = record;
            Ok(())
        }
        (_, None) => {
            records.push(record);
            Ok(())
        }
    }
}

fn exists(record: &Own) -> String {
    let label = label(record);
    format!("Tried to create resource record set {label} but it already exists")
}

/// Whether they are not the same in everything but the order of values and the TTL that an alias has from its target.
fn differ(one: &Own, other: &Own) -> bool {
    let plain = |record: &Own| {
        let mut record = record.clone();
        match &mut record.value {
            RecordValue::A(addresses) => addresses.sort_unstable(),
            RecordValue::Txt(texts) | RecordValue::Data(_, texts) => texts.sort_unstable(),
            RecordValue::Cname(_) => {}
            RecordValue::AliasLoadBalancer { .. } | RecordValue::AliasRecord { .. } => {
                record.ttl = std::time::Duration::ZERO;
            }
        }
        record
    };
    plain(one) != plain(other)
}

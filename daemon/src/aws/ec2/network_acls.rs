//! Network ACLs of the default VPC: which there are, which subnet has which, and what they say. `routes` gives them to the data plane.
//!
//! The default one is derived from the region as the VPC is, lets everything pass until it is changed, and has every subnet that
//! nobody gave another ("Default network ACL").

mod entry;

use serde_json::Value;
use topologies::event::EventKind;
use topologies::id::{NetworkAclId, RegionId, ZoneId};
use topologies::network_acl::{NETWORK_ACL, NetworkAcl, NetworkAclEntry};
use topologies::topology::Zone;
use wire::{Call, Fault, Record};

use super::filter::Shown;
use super::{network, tags};
use crate::aws::input::text;
use crate::aws::tags::{Tags, shown as shown_tags};
use crate::aws::{Change, Decision, View, ids};

pub(super) use entry::{create as create_entry, delete as delete_entry, replace as replace_entry};

/// "Network ACLs per VPC: 200" ("Amazon VPC quotas").
const ACLS_MAX: usize = 200;
/// The number of the entry that every network ACL ends with and nobody can take away: an asterisk, in the console.
const LAST: u16 = 32_767;

/// A network ACL by its id.
type Named = (NetworkAclId, NetworkAcl);

pub(super) fn describe(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let shown = all(view).into_iter().map(|(id, acl)| {
        let tags = tags::of(view, "network-acl", id.as_str(), None);
        let record = record(view, &id, &acl, &tags);
        network::shown(id.to_string(), record)
    });
    let shown: Vec<Shown> = shown.collect();
    let lost = ("InvalidNetworkAclID.NotFound", "networkAcl");
    network::list(call, input, "NetworkAclIds", lost, "NetworkAcls", shown)
}

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let vpc = text(input, "VpcId").unwrap_or_default();
    if view.here().is_none() || vpc != ids::vpc(view.region) {
        let text = format!("The vpc ID '{vpc}' does not exist");
        return Err(Fault::sender("InvalidVpcID.NotFound", text));
    }
    let token = text(input, "ClientToken");
    let there = all(view);
    if let Some((id, acl)) = there
        .iter()
        .find(|(_, it)| token.is_some() && it.client_token.as_deref() == token)
    {
        let tags = tags::of(view, "network-acl", id.as_str(), None);
        return Ok((made(record(view, id, acl, &tags), token), Vec::new()));
    }
    if there.len() >= ACLS_MAX {
        let text = format!("The maximum number of network acls for {vpc} has been reached.");
        return Err(Fault::sender("NetworkAclLimitExceeded", text));
    }
    let tags = tags::specified(input, "network-acl")?;
    let id = NetworkAclId::from(format!("acl-{}", view.draw("network-acl", 17)));
    let acl = NetworkAcl {
        region: RegionId::from(view.region),
        default: false,
        entries: Vec::new(),
        client_token: token.map(str::to_owned),
    };
    let output = made(record(view, &id, &acl, &tags), token);
    let tagged = (!tags.is_empty()).then(|| EventKind::TagsChanged {
        arn: tags::arn(view, "network-acl", id.as_str()),
        tags,
    });
    let mut changes = vec![changed(id, acl)];
    changes.extend(tagged.map(Change::Note));
    Ok((output, changes))
}

fn made(record: Record, token: Option<&str>) -> Record {
    let output = Record::new().set("NetworkAcl", record);
    output.maybe("ClientToken", token)
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (id, acl) = named(view, input)?;
    if acl.default {
        let text = format!("cannot delete default network ACL {id}");
        return Err(Fault::sender("InvalidParameterValue", text));
    }
    if zones(view).any(|zone| association(view, &zone.id).1 == id) {
        let text = format!("The networkAcl '{id}' has dependencies and cannot be deleted.");
        return Err(Fault::sender("DependencyViolation", text));
    }
    let forgotten = EventKind::ResourceForgotten {
        resource: NETWORK_ACL.to_owned(),
        region: acl.region,
        id: id.to_string(),
        arn: tags::arn(view, "network-acl", id.as_str()),
    };
    Ok((Record::new(), vec![Change::Note(forgotten)]))
}

/// Gives a subnet another network ACL; the association has another id from then on.
pub(super) fn replace_association(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let asked = text(input, "AssociationId").unwrap_or_default();
    let zone = zones(view).find(|zone| association(view, &zone.id).0 == asked);
    let zone = zone.ok_or_else(|| {
        let text = format!("The association ID '{asked}' does not exist");
        Fault::sender("InvalidAssociationID.NotFound", text)
    })?;
    let (acl, _) = named(view, input)?;
    let association = format!("aclassoc-{}", view.draw("network-acl-association", 17));
    let output = Record::new().set("NewAssociationId", association.as_str());
    let associated = EventKind::NetworkAclAssociated {
        zone: zone.id.clone(),
        region: RegionId::from(view.region),
        association,
        acl,
    };
    Ok((output, vec![Change::Note(associated)]))
}

/// The ids of those that are there: what can have tags.
pub(super) fn names(view: &View<'_>) -> impl Iterator<Item = String> {
    all(view).into_iter().map(|(id, _)| id.to_string())
}

pub(super) fn not_found(id: &str) -> Fault {
    let text = format!("The networkAcl ID '{id}' does not exist");
    Fault::sender("InvalidNetworkAclID.NotFound", text)
}

/// Every network ACL of the region that was called, the default one among them.
fn all(view: &View<'_>) -> Vec<Named> {
    let region = RegionId::from(view.region);
    let own = view.world.account.network_acls.all();
    let own = own.filter(|(_, it)| it.region == region);
    let mut all: Vec<Named> = own.map(|(id, it)| (id.clone(), it.clone())).collect();
    if view.here().is_some() && !all.iter().any(|(_, it)| it.default) {
        let everything = |egress| NetworkAclEntry {
            number: 100,
            egress,
            allow: true,
            protocol: None,
            cidr: anywhere(),
            ports: None,
            icmp: None,
        };
        let default = NetworkAcl {
            region,
            default: true,
            entries: [true, false].map(everything).into(),
            client_token: None,
        };
        all.push((default_id(view), default));
    }
    all
}

/// The one that an input names.
fn named(view: &View<'_>, input: &Value) -> Result<Named, Fault> {
    let asked = text(input, "NetworkAclId").unwrap_or_default();
    let mut all = all(view).into_iter();
    all.find(|(id, _)| id.as_str() == asked)
        .ok_or_else(|| not_found(asked))
}

fn default_id(view: &View<'_>) -> NetworkAclId {
    ids::derived("acl", view.region).into()
}

fn anywhere() -> topologies::cidr::Cidr {
    topologies::cidr::Cidr::new(std::net::Ipv4Addr::UNSPECIFIED, 0)
}

fn zones<'v>(view: &View<'v>) -> impl Iterator<Item = &'v Zone> + use<'v> {
    view.here().into_iter().flat_map(|region| &region.zones)
}

/// The association of a zone's subnet: its id, and the network ACL that the subnet has.
fn association(view: &View<'_>, zone: &ZoneId) -> (String, NetworkAclId) {
    match view.world.account.network_acls.association(zone) {
        Some(association) => (association.id.clone(), association.acl.clone()),
        None => (ids::derived("aclassoc", zone.as_str()), default_id(view)),
    }
}

/// The event that makes a network ACL, or gives it other entries.
fn changed(id: NetworkAclId, acl: NetworkAcl) -> Change {
    Change::Note(EventKind::NetworkAclChanged {
        acl: id,
        region: acl.region,
        default: acl.default,
        entries: acl.entries,
        client_token: acl.client_token,
    })
}

fn record(view: &View<'_>, id: &NetworkAclId, acl: &NetworkAcl, tags: &Tags) -> Record {
    let associations = zones(view).filter_map(|zone| {
        let (association, own) = association(view, &zone.id);
        let record = Record::new()
            .set("NetworkAclAssociationId", association)
            .set("NetworkAclId", id.as_str())
            .set("SubnetId", ids::subnet(&zone.id));
        (own == *id).then_some(record)
    });
    let last = |egress| NetworkAclEntry {
        number: LAST,
        egress,
        allow: false,
        protocol: None,
        cidr: anywhere(),
        ports: None,
        icmp: None,
    };
    let mut entries = acl.entries.clone();
    entries.extend([true, false].map(last));
    entries.sort_by_key(|it| (!it.egress, it.number));
    Record::new()
        .set("NetworkAclId", id.as_str())
        .set("VpcId", ids::vpc(view.region))
        .set("OwnerId", view.account)
        .set("IsDefault", acl.default)
        .list("Associations", associations)
        .list("Entries", entries.iter().map(entry::record))
        .list("Tags", shown_tags(tags))
}

#[cfg(test)]
mod tests;

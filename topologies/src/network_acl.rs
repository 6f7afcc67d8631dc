//! Network ACLs: numbered entries about what may cross a subnet's border, each way, and which subnet has which (aws-behaviour §7.1).
//!
//! Every VPC has a default one, which is recorded only once it was changed. A subnet is a zone here, so zones stand for them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cidr::Cidr;
use crate::event::{Event, EventKind};
use crate::id::{NetworkAclId, RegionId, ZoneId};

/// Under which type network ACLs are forgotten.
pub const NETWORK_ACL: &str = "ec2:network-acl";
/// Under which type it is forgotten that a subnet has another than the default one.
pub const NETWORK_ACL_ASSOCIATION: &str = "ec2:network-acl-association";

/// An entry of a network ACL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkAclEntry {
    /// Entries are looked at by ascending number; the first that matches decides.
    pub number: u16,
    /// Whether it is about what leaves the subnet.
    pub egress: bool,
    /// Whether what matches may pass.
    pub allow: bool,
    /// The protocol's number; none for all protocols.
    pub protocol: Option<u8>,
    /// Where it comes from, or goes to if it leaves.
    pub cidr: Cidr,
    /// The first and the last of the ports it goes to; none for all.
    pub ports: Option<(u16, u16)>,
    /// ICMP's type and code, which nothing here sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<(i16, i16)>,
}

/// A network ACL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkAcl {
    /// The region of its VPC.
    pub region: RegionId,
    /// Whether it is the one that subnets have if nobody says otherwise.
    pub default: bool,
    /// Its entries, by direction and number.
    pub entries: Vec<NetworkAclEntry>,
    /// Who asks for it again with this token gets the same one.
    pub client_token: Option<String>,
}

/// That a subnet has a network ACL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Association {
    /// Its identifier, another with every change.
    pub id: String,
    /// The region of both.
    pub region: RegionId,
    /// The network ACL.
    pub acl: NetworkAclId,
}

/// The network ACLs of an account: a fold of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAcls {
    acls: BTreeMap<NetworkAclId, NetworkAcl>,
    associations: BTreeMap<ZoneId, Association>,
}

impl NetworkAcls {
    /// Those that were made, and default ones that were changed.
    pub fn all(&self) -> impl Iterator<Item = (&NetworkAclId, &NetworkAcl)> {
        self.acls.iter()
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&NetworkAcl> {
        self.acls.get(id)
    }

    /// What was said last about which one a zone's subnet has; nothing if it has had the default one from the beginning.
    pub fn association(&self, zone: &ZoneId) -> Option<&Association> {
        self.associations.get(zone)
    }

    /// The one that decides for a zone's subnet; none if that is a default one as it came, which lets everything pass.
    pub fn of(&self, region: &RegionId, zone: &ZoneId) -> Option<&NetworkAcl> {
        let own = self.associations.get(zone);
        let own = own.and_then(|it| self.acls.get(&it.acl));
        own.or_else(|| {
            let mut all = self.acls.values();
            all.find(|it| it.default && it.region == *region)
        })
    }

    /// Whether some subnet has one that is not a default one as it came: it may keep what is healthy from being reached.
    pub fn filter(&self) -> bool {
        let given = |it: &Association| self.acls.contains_key(&it.acl);
        self.acls.values().any(|it| it.default) || self.associations.values().any(given)
    }

    /// What a reset has to forget: its type, its region, its identifier.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&str, &RegionId, &str)> {
        let acls = self.acls.iter();
        let acls = acls.map(|(id, it)| (NETWORK_ACL, &it.region, id.as_str()));
        let associations = self.associations.values();
        acls.chain(associations.map(|it| (NETWORK_ACL_ASSOCIATION, &it.region, it.id.as_str())))
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.acls.remove(id);
    }

    pub(crate) fn forget_association(&mut self, id: &str) {
        self.associations.retain(|_, it| it.id != id);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "few events are for network ACLs"
    )]
    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.event {
            EventKind::NetworkAclChanged {
                acl,
                region,
                default,
                entries,
                client_token,
            } => {
                let changed = NetworkAcl {
                    region: region.clone(),
                    default: *default,
                    entries: entries.clone(),
                    client_token: client_token.clone(),
                };
                self.acls.insert(acl.clone(), changed);
            }
            EventKind::NetworkAclAssociated {
                zone,
                region,
                association,
                acl,
            } => {
                let association = Association {
                    id: association.clone(),
                    region: region.clone(),
                    acl: acl.clone(),
                };
                self.associations.insert(zone.clone(), association);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    fn put(acls: &mut NetworkAcls, event: EventKind) {
        let (seq, at) = (1, Time::ZERO);
        acls.apply(&Event { seq, at, event });
    }

    fn changed(acl: &str, default: bool) -> EventKind {
        EventKind::NetworkAclChanged {
            acl: acl.into(),
            region: "r".into(),
            default,
            entries: Vec::new(),
            client_token: None,
        }
    }

    fn given(acl: &str) -> EventKind {
        EventKind::NetworkAclAssociated {
            zone: "ra".into(),
            region: "r".into(),
            association: format!("to-{acl}"),
            acl: acl.into(),
        }
    }

    #[test]
    fn a_subnet_has_its_own_one_or_the_default_one_as_it_is() {
        let mut acls = NetworkAcls::default();
        let of = |acls: &NetworkAcls, region: &str, zone: &str| {
            acls.of(&region.into(), &zone.into()).map(|it| it.default)
        };
        put(&mut acls, changed("own", false));
        assert!(!acls.filter());
        assert_eq!(of(&acls, "r", "ra"), None);
        put(&mut acls, given("own"));
        assert!(acls.filter());
        assert_eq!(of(&acls, "r", "ra"), Some(false));
        assert_eq!(of(&acls, "r", "rb"), None);
        put(&mut acls, given("default"));
        assert!(!acls.filter());
        assert_eq!(of(&acls, "r", "ra"), None);
        put(&mut acls, changed("default", true));
        assert!(acls.filter());
        for (region, zone, default) in [
            ("r", "ra", Some(true)),
            ("r", "rb", Some(true)),
            ("s", "sa", None),
        ] {
            assert_eq!(of(&acls, region, zone), default, "{zone}");
        }
    }

    #[test]
    fn what_is_forgotten_leaves_nothing() {
        let mut acls = NetworkAcls::default();
        for event in [
            changed("own", false),
            changed("default", true),
            given("own"),
        ] {
            put(&mut acls, event);
        }
        let records = acls.records();
        let records: Vec<_> = records
            .map(|(resource, _, id)| (resource.to_owned(), id.to_owned()))
            .collect();
        assert_eq!(records.len(), 3);
        for (resource, id) in records {
            match resource.as_str() {
                NETWORK_ACL => acls.forget(&id),
                _ => acls.forget_association(&id),
            }
        }
        assert_eq!(acls, NetworkAcls::default());
    }
}

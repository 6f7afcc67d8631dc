//! Subnet groups of RDS and ElastiCache: in which zones a database or cache may be placed. There is always the default one, with the
//! default subnets.

use serde_json::{Value, json};
use topologies::event::EventKind;
use topologies::id::{RegionId, ZoneId};
use wire::{Call, Fault, Record, page};

use super::input::{text, texts};
use super::{Change, Decision, View, ids, tags};

/// The group of the default VPC.
pub(super) const DEFAULT: &str = "default";

/// A service's manner.
pub(super) struct Manner {
    /// Under which they are recorded.
    pub(super) resource: &'static str,
    /// The service and type in their ARNs.
    pub(super) arn: (&'static str, &'static str),
    /// What stands before `SubnetGroup` in names: `DB`.
    pub(super) prefix: &'static str,
    /// The fewest zones: RDS's cover at least two (CreateDBSubnetGroup).
    pub(super) zones_min: usize,
    /// What is placed by the group with this name, if there is anything.
    pub(super) user: fn(&View<'_>, &str) -> Option<String>,
}

/// A subnet group.
pub(super) struct Group {
    pub(super) name: String,
    description: String,
    zones: Vec<ZoneId>,
}

impl Manner {
    fn member(&self, what: &str) -> String {
        format!("{}SubnetGroup{what}", self.prefix)
    }

    fn fault(&self, view: &View<'_>, what: &str, text: impl Into<String>) -> Fault {
        view.fault(&format!("{}SubnetGroup{what}", self.prefix), text)
    }

    pub(super) fn describe(
        &self,
        view: &View<'_>,
        call: &Call<'_>,
        input: &Value,
    ) -> Result<Record, Fault> {
        let found = match text(input, &self.member("Name")) {
            Some(name) => vec![self.find(view, name)?],
            None => self.all(view),
        };
        let page = page(call, input, &found, |group| group.name.as_str())?;
        let shown = page.items.iter().map(|group| self.record(view, group));
        let mut output = Record::new().list(&self.member("s"), shown);
        page.write(&mut output);
        Ok(output)
    }

    pub(super) fn create(&self, view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
        let name = self.name(input);
        let fits = (1..=255).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_. ".contains(&byte));
        if !fits || name == DEFAULT {
            let text = format!(
                "The parameter {} is not a valid identifier: '{name}' must have 1 to 255 letters, digits, periods, underscores, \
                 spaces or hyphens, and must not be default.",
                self.member("Name")
            );
            return Err(Fault::sender("InvalidParameterValue", text));
        }
        if self.find(view, &name).is_ok() {
            let text = format!("The subnet group '{name}' already exists.");
            return Err(self.fault(view, "AlreadyExistsFault", text));
        }
        let tagged = tags::put(view, &self.arn(view, &name), tags::read(&input["Tags"]));
        let (output, mut changes) = self.put(view, input, name)?;
        changes.extend(tagged);
        Ok((output, changes))
    }

    pub(super) fn modify(&self, view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
        let group = self.find(view, &self.name(input))?;
        if group.name == DEFAULT {
            let text = "The default subnet group can not be modified.";
            return Err(Fault::sender("InvalidParameterValue", text));
        }
        self.put(view, input, group.name)
    }

    pub(super) fn delete(&self, view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
        let group = self.find(view, &self.name(input))?;
        if group.name == DEFAULT {
            let text = "The default subnet group can not be deleted.";
            return Err(Fault::sender("InvalidParameterValue", text));
        }
        if let Some(user) = (self.user)(view, &group.name) {
            let text = format!(
                "Cannot delete the subnet group '{}': {user} is still using it.",
                group.name
            );
            let fault = if self.prefix == "DB" {
                "InvalidDBSubnetGroupStateFault"
            } else {
                "CacheSubnetGroupInUse"
            };
            return Err(view.fault(fault, text));
        }
        let forgotten = EventKind::ResourceForgotten {
            resource: self.resource.to_owned(),
            region: RegionId::from(view.region),
            arn: self.arn(view, &group.name),
            id: group.name,
        };
        Ok((Record::new(), vec![Change::Note(forgotten)]))
    }

    fn name(&self, input: &Value) -> String {
        let name = text(input, &self.member("Name")).unwrap_or_default();
        name.to_ascii_lowercase()
    }

    fn put(&self, view: &View<'_>, input: &Value, name: String) -> Result<Decision, Fault> {
        let known = self.find(view, &name).ok();
        let given = texts(input, "SubnetIds");
        let zones = match &known {
            Some(known) if given.is_empty() => known.zones.clone(),
            _ => self.zones(view, &given)?,
        };
        let member = self.member("Description");
        let description = text(input, &member).map(str::to_owned);
        let group = Group {
            description: description
                .or(known.map(|it| it.description))
                .unwrap_or_default(),
            zones,
            name,
        };
        let recorded = EventKind::ResourceRecorded {
            resource: self.resource.to_owned(),
            region: RegionId::from(view.region),
            id: group.name.clone(),
            attributes: json!({ "Description": group.description, "Zones": group.zones }),
        };
        let output = Record::new().set(&self.member(""), self.record(view, &group));
        Ok((output, vec![Change::Note(recorded)]))
    }

    /// The zones of the subnets that are named, of which there have to be enough.
    fn zones(&self, view: &View<'_>, subnets: &[&str]) -> Result<Vec<ZoneId>, Fault> {
        let there = default_zones(view);
        let mut zones = Vec::new();
        for subnet in subnets {
            let Some(zone) = there.iter().find(|zone| ids::subnet(zone) == *subnet) else {
                let text = format!("The subnet ID '{subnet}' does not exist");
                return Err(view.fault("InvalidSubnet", text));
            };
            if !zones.contains(zone) {
                zones.push(zone.clone());
            }
        }
        if zones.len() < self.zones_min {
            let text = format!(
                "The subnet group doesn't meet Availability Zone (AZ) coverage requirement. Please add subnets to cover at least \
                 {} AZs.",
                self.zones_min
            );
            return Err(self.fault(view, "DoesNotCoverEnoughAZs", text));
        }
        Ok(zones)
    }

    fn all(&self, view: &View<'_>) -> Vec<Group> {
        let region = RegionId::from(view.region);
        let recorded = view.world.account.resources(self.resource, &region);
        let recorded = recorded.map(|(name, it)| Group {
            name: name.to_owned(),
            description: text(&it.attributes, "Description")
                .unwrap_or_default()
                .to_owned(),
            zones: texts(&it.attributes, "Zones")
                .into_iter()
                .map(ZoneId::from)
                .collect(),
        });
        let default = view.here().map(|_| Group {
            name: DEFAULT.to_owned(),
            description: DEFAULT.to_owned(),
            zones: default_zones(view),
        });
        let mut all: Vec<Group> = recorded.chain(default).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// The one with this name.
    pub(super) fn find(&self, view: &View<'_>, name: &str) -> Result<Group, Fault> {
        let name = name.to_ascii_lowercase();
        let found = self.all(view).into_iter().find(|group| group.name == name);
        found.ok_or_else(|| {
            let text = format!("Subnet group '{name}' does not exist.");
            self.fault(view, "NotFoundFault", text)
        })
    }

    /// The zones of the group with this name, or of the default one.
    pub(super) fn named(&self, view: &View<'_>, name: Option<&str>) -> Result<Vec<ZoneId>, Fault> {
        match name {
            Some(name) => self.find(view, name).map(|group| group.zones),
            None => Ok(default_zones(view)),
        }
    }

    fn arn(&self, view: &View<'_>, name: &str) -> String {
        let (service, kind) = self.arn;
        view.arn(service, &format!("{kind}:{name}"))
    }

    pub(super) fn record(&self, view: &View<'_>, group: &Group) -> Record {
        let database = self.prefix == "DB";
        let subnets = group.zones.iter().map(|zone| {
            let subnet = Record::new()
                .set("SubnetIdentifier", ids::subnet(zone))
                .set(
                    "SubnetAvailabilityZone",
                    Record::new().set("Name", zone.as_str()),
                );
            if database {
                subnet.set("SubnetStatus", "Active")
            } else {
                subnet.list("SupportedNetworkTypes", ["ipv4"])
            }
        });
        let record = Record::new()
            .set(&self.member("Name"), group.name.as_str())
            .set(&self.member("Description"), group.description.as_str())
            .set("VpcId", ids::vpc(view.region))
            .list("Subnets", subnets);
        let arn = self.arn(view, &group.name);
        if database {
            record
                .set("SubnetGroupStatus", "Complete")
                .set("DBSubnetGroupArn", arn)
                .list("SupportedNetworkTypes", ["IPV4"])
        } else {
            record
                .set("ARN", arn)
                .list("SupportedNetworkTypes", ["ipv4"])
        }
    }
}

fn default_zones(view: &View<'_>) -> Vec<ZoneId> {
    let region = view.here().into_iter();
    region
        .flat_map(|region| &region.zones)
        .map(|zone| zone.id.clone())
        .collect()
}

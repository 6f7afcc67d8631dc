//! What the AWS API keeps of an account beyond what the topology means and the world sees: attributes that are given back as they
//! came, tags, and when things were made.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alarm::Alarms;
use crate::event::{Event, EventKind};
use crate::experiment::{EXPERIMENT, Experiments};
use crate::id::RegionId;
use crate::network_acl::{NETWORK_ACL, NETWORK_ACL_ASSOCIATION, NetworkAcls};
use crate::security_group::{SECURITY_GROUP, SECURITY_GROUP_MEMBER, SecurityGroups};
use crate::time::Time;
use crate::zonal_shift::{ZONAL_SHIFT, ZonalShifts};

/// An account: a fold of events, as the rest of the world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Records by service and type (`rds:db`), region and identifier.
    resources: BTreeMap<String, BTreeMap<RegionId, BTreeMap<String, Resource>>>,
    /// Tags by ARN.
    tags: BTreeMap<String, BTreeMap<String, String>>,
    /// What services published, by service and source.
    published: BTreeMap<Publisher, BTreeMap<String, Arc<VecDeque<Published>>>>,
    /// Experiments of Fault Injection Service.
    #[serde(default)]
    pub experiments: Experiments,
    /// Zonal shifts of Application Recovery Controller.
    #[serde(default)]
    pub zonal_shifts: ZonalShifts,
    /// Network ACLs of VPCs.
    #[serde(default)]
    pub network_acls: NetworkAcls,
    /// Security groups of VPCs.
    #[serde(default)]
    pub security_groups: SecurityGroups,
    /// Alarms of CloudWatch.
    #[serde(default)]
    pub alarms: Alarms,
}

/// A service that publishes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Publisher {
    /// RDS; sources are DB instances.
    Rds,
    /// ElastiCache; sources are replication groups and nodes.
    Elasticache,
}

/// An event that a service published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Its place in the timeline.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// RDS's number of it: 49 for RDS-EVENT-0049.
    pub id: Option<u16>,
    /// Its message.
    pub message: String,
}

/// Events that are kept of each source; RDS and ElastiCache keep those of 14 days (DescribeEvents).
const PUBLISHED_MAX: usize = 200;

/// A recorded resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// When it was recorded first.
    pub created: Time,
    /// Its attributes, by the names of AWS's model.
    pub attributes: Value,
}

impl Account {
    /// A resource's record.
    pub fn resource(&self, resource: &str, region: &RegionId, id: &str) -> Option<&Resource> {
        self.resources.get(resource)?.get(region)?.get(id)
    }

    /// The records of a type in a region, by identifier.
    pub fn resources<'a>(
        &'a self,
        resource: &str,
        region: &RegionId,
    ) -> impl Iterator<Item = (&'a str, &'a Resource)> {
        let regions = self.resources.get(resource);
        let records = regions.and_then(|regions| regions.get(region));
        let records = records.into_iter().flatten();
        records.map(|(id, record)| (id.as_str(), record))
    }

    /// Every record: its type, its region, its identifier. Experiments that are not over are none yet.
    pub fn records(&self) -> impl Iterator<Item = (&str, &RegionId, &str)> {
        let experiments = self.experiments.all();
        let over = experiments.filter(|(_, it)| it.status().is_over());
        let over = over.map(|(id, it)| (EXPERIMENT, &it.blueprint.region, id.as_str()));
        let shifts = self.zonal_shifts.all();
        let shifts = shifts.map(|(id, it)| (ZONAL_SHIFT, &it.region, id.as_str()));
        let resources = self.resources.iter().flat_map(|(resource, regions)| {
            let records = regions
                .iter()
                .flat_map(|(region, records)| records.keys().map(move |id| (region, id.as_str())));
            records.map(move |(region, id)| (resource.as_str(), region, id))
        });
        let acls = self.network_acls.records();
        let groups = self.security_groups.records();
        let records = resources.chain(over).chain(shifts);
        records.chain(acls).chain(groups)
    }

    /// Whether network ACLs or security groups may keep what is healthy from being reached.
    pub fn filters(&self) -> bool {
        self.network_acls.filter() || self.security_groups.filter()
    }

    /// A resource's tags; empty if it has none.
    pub fn tags(&self, arn: &str) -> impl Iterator<Item = (&str, &str)> {
        let tags = self.tags.get(arn).into_iter().flatten();
        tags.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// What a service published, by source, oldest first; the last 200 of each source.
    pub fn published(&self, publisher: Publisher) -> impl Iterator<Item = (&str, &Published)> {
        let sources = self.published.get(&publisher).into_iter().flatten();
        sources.flat_map(|(source, events)| events.iter().map(move |it| (source.as_str(), it)))
    }

    fn publish(&mut self, publisher: Publisher, source: &str, event: Published) {
        let sources = self.published.entry(publisher).or_default();
        let events = Arc::make_mut(sources.entry(source.to_owned()).or_default());
        if events.len() >= PUBLISHED_MAX {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// Every ARN that has tags.
    pub fn tagged(&self) -> impl Iterator<Item = &str> {
        self.tags.keys().map(String::as_str)
    }

    /// What has a fold of its own is forgotten there.
    fn forget(&mut self, resource: &str, id: &str) {
        match resource {
            EXPERIMENT => self.experiments.forget(id),
            ZONAL_SHIFT => self.zonal_shifts.forget(id),
            NETWORK_ACL => self.network_acls.forget(id),
            NETWORK_ACL_ASSOCIATION => self.network_acls.forget_association(id),
            SECURITY_GROUP => self.security_groups.forget(id),
            SECURITY_GROUP_MEMBER => self.security_groups.forget_member(id),
            _ => {}
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "few events are for the account alone"
    )]
    pub(crate) fn apply(&mut self, event: &Event) {
        self.experiments.apply(event);
        self.zonal_shifts.apply(event);
        self.network_acls.apply(event);
        self.security_groups.apply(event);
        self.alarms.apply(event);
        match &event.event {
            EventKind::ResourceRecorded {
                resource,
                region,
                id,
                attributes,
            } => {
                let regions = self.resources.entry(resource.clone()).or_default();
                let records = regions.entry(region.clone()).or_default();
                let record = records.entry(id.clone()).or_insert_with(|| Resource {
                    created: event.at,
                    attributes: Value::Null,
                });
                record.attributes = attributes.clone();
            }
            EventKind::ResourceForgotten {
                resource,
                region,
                id,
                arn,
            } => {
                self.forget(resource, id);
                let regions = self.resources.get_mut(resource);
                if let Some(records) = regions.and_then(|regions| regions.get_mut(region)) {
                    records.remove(id);
                }
                self.tags.remove(arn);
            }
            EventKind::TagsChanged { arn, tags } if tags.is_empty() => {
                self.tags.remove(arn);
            }
            EventKind::TagsChanged { arn, tags } => {
                self.tags.insert(arn.clone(), tags.clone());
            }
            EventKind::RdsEvent {
                source,
                id,
                message,
            } => {
                let published = Published {
                    seq: event.seq,
                    at: event.at,
                    id: Some(*id),
                    message: message.clone(),
                };
                self.publish(Publisher::Rds, source.as_str(), published);
            }
            EventKind::ElasticacheEvent { source, message } => {
                let published = Published {
                    seq: event.seq,
                    at: event.at,
                    id: None,
                    message: message.clone(),
                };
                self.publish(Publisher::Elasticache, source, published);
            }
            _ => {}
        }
    }
}

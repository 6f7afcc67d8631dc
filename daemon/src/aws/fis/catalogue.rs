//! The actions and the types of resources that are built, as the service lists them (aws-behaviour §9.2). What is not built is not listed.

use serde_json::{Map, Value};
use wire::{Call, Fault, Record, page};

use super::not_found;
use crate::aws::View;
use crate::aws::input::text;

/// An action.
pub(super) struct Action {
    pub(super) id: &'static str,
    pub(super) description: &'static str,
    /// What it is aimed at: the name of that in the action, and its type.
    pub(super) target: Option<(&'static str, &'static str)>,
    pub(super) parameters: &'static [Parameter],
}

/// A type of resources.
pub(super) struct ResourceType {
    pub(super) id: &'static str,
    description: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// Whether its resources are found by tags.
    pub(super) has_tags: bool,
}

/// A parameter of an action or of a type of resources.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) required: bool,
    description: &'static str,
}

pub(super) const INSTANCE: &str = "aws:ec2:instance";
pub(super) const SUBNET: &str = "aws:ec2:subnet";
pub(super) const DB_INSTANCE: &str = "aws:rds:db";
pub(super) const REPLICATION_GROUP: &str = "aws:elasticache:replicationgroup";
pub(super) const ROLE: &str = "aws:iam:role";
pub(super) const MANAGED: &str = "aws:arc:zonal-shift-managed-resource";

/// The parameter that says in which zone.
pub(super) const ZONE: &str = "availabilityZoneIdentifier";
/// The same of several.
pub(super) const ZONES: &str = "availabilityZoneIdentifiers";

const fn required(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name,
        required: true,
        description,
    }
}

const fn optional(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name,
        required: false,
        description,
    }
}

const DURATION: Parameter = required("duration", "How long it lasts, PT1M to PT12H.");
const PERCENTAGE: Parameter = required("percentage", "The share of the calls, 1 to 100.");
/// The parameters of the three that make calls fail.
const OF_CALLS: &[Parameter] = &[
    DURATION,
    required("service", "The service that is called: ec2."),
    PERCENTAGE,
    required(
        "operations",
        "The operations that are called, with commas between.",
    ),
];
const ROLES: Option<(&str, &str)> = Some(("Roles", ROLE));
const INSTANCES: Option<(&str, &str)> = Some(("Instances", INSTANCE));

/// By identifier.
pub(super) const ACTIONS: &[Action] = &[
    Action {
        id: "aws:arc:start-zonal-autoshift",
        description: "Shifts the load balancers away from the zone.",
        target: Some(("ManagedResources", MANAGED)),
        parameters: &[
            DURATION,
            required(ZONE, "The zone, by name or identifier."),
            required(
                "managedResourceTypes",
                "Which of the resources: ASG, ALB, NLB, EKS, with commas between.",
            ),
            optional(
                "zonalAutoshiftStatus",
                "Whether their zonal autoshift is on: ENABLED by default; DISABLED or ANY here.",
            ),
        ],
    },
    Action {
        id: "aws:ec2:api-insufficient-instance-capacity-error",
        description: "Calls of the roles that start instances in the zones find no capacity.",
        target: ROLES,
        parameters: &[
            DURATION,
            required(ZONES, "Zones, by name or identifier, with commas between."),
            PERCENTAGE,
        ],
    },
    Action {
        id: "aws:ec2:reboot-instances",
        description: "Reboots the instances.",
        target: INSTANCES,
        parameters: &[],
    },
    Action {
        id: "aws:ec2:stop-instances",
        description: "Stops the instances, and starts them again if it is said when.",
        target: INSTANCES,
        parameters: &[
            optional(
                "startInstancesAfterDuration",
                "After how long they are started, PT1M to PT12H.",
            ),
            optional(
                "completeIfInstancesTerminated",
                "Whether the action completes though instances were terminated meanwhile and can not be started.",
            ),
        ],
    },
    Action {
        id: "aws:ec2:terminate-instances",
        description: "Terminates the instances.",
        target: INSTANCES,
        parameters: &[],
    },
    Action {
        id: "aws:elasticache:replicationgroup-interrupt-az-power",
        description: "The nodes of the replication groups in the zone lose power; none starts there before the end.",
        target: Some(("ReplicationGroups", REPLICATION_GROUP)),
        parameters: &[DURATION],
    },
    Action {
        id: "aws:fis:inject-api-internal-error",
        description: "Calls of the roles meet internal errors.",
        target: ROLES,
        parameters: OF_CALLS,
    },
    Action {
        id: "aws:fis:inject-api-throttle-error",
        description: "Calls of the roles are throttled.",
        target: ROLES,
        parameters: OF_CALLS,
    },
    Action {
        id: "aws:fis:inject-api-unavailable-error",
        description: "Calls of the roles find the service unavailable.",
        target: ROLES,
        parameters: OF_CALLS,
    },
    Action {
        id: "aws:fis:wait",
        description: "Waits.",
        target: None,
        parameters: &[DURATION],
    },
    Action {
        id: "aws:network:disrupt-connectivity",
        description: "The subnets are cut off.",
        target: Some(("Subnets", SUBNET)),
        parameters: &[
            DURATION,
            required(
                "scope",
                "From what: all, or availability-zone for the subnets of other zones.",
            ),
        ],
    },
    Action {
        id: "aws:rds:reboot-db-instances",
        description: "Reboots the DB instances.",
        target: Some(("DBInstances", DB_INSTANCE)),
        parameters: &[optional(
            "forceFailover",
            "Whether the standby of a Multi-AZ DB instance takes over.",
        )],
    },
];

/// By identifier.
pub(super) const RESOURCE_TYPES: &[ResourceType] = &[
    ResourceType {
        id: MANAGED,
        description: "A load balancer that can be shifted away from a zone.",
        parameters: &[],
        has_tags: true,
    },
    ResourceType {
        id: INSTANCE,
        description: "An instance.",
        parameters: &[],
        has_tags: true,
    },
    ResourceType {
        id: SUBNET,
        description: "A subnet.",
        parameters: &[
            optional(ZONE, "Those in this zone."),
            optional("vpc", "Those of this VPC."),
        ],
        has_tags: true,
    },
    ResourceType {
        id: REPLICATION_GROUP,
        description: "A replication group with Multi-AZ.",
        parameters: &[required(ZONE, "The zone of the nodes that are hit.")],
        has_tags: true,
    },
    ResourceType {
        id: ROLE,
        description: "A role that calls are made with.",
        parameters: &[],
        has_tags: false,
    },
    ResourceType {
        id: DB_INSTANCE,
        description: "A DB instance.",
        parameters: &[optional(
            ZONES,
            "Those whose primary is in one of these zones, with commas between.",
        )],
        has_tags: true,
    },
];

pub(super) fn action(id: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|it| it.id == id)
}

pub(super) fn resource_type(id: &str) -> Option<&'static ResourceType> {
    RESOURCE_TYPES.iter().find(|it| it.id == id)
}

pub(super) fn list_actions(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let page = page(call, input, ACTIONS, |it| it.id)?;
    let shown = page.items.iter().map(|it| summary(view, it));
    let mut output = Record::new().list("actions", shown);
    page.write(&mut output);
    Ok(output)
}

pub(super) fn get_action(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let id = text(input, "id").unwrap_or_default();
    let action =
        action(id).ok_or_else(|| not_found(view, format!("Action with ID {id} not found.")))?;
    let shown = summary(view, action).set("parameters", parameters(action.parameters));
    Ok(Record::new().set("action", shown))
}

pub(super) fn list_resource_types(
    _: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let page = page(call, input, RESOURCE_TYPES, |it| it.id)?;
    let shown = page.items.iter().map(of_type);
    let mut output = Record::new().list("targetResourceTypes", shown);
    page.write(&mut output);
    Ok(output)
}

pub(super) fn get_resource_type(
    view: &View<'_>,
    _: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let id = text(input, "resourceType").unwrap_or_default();
    let found = resource_type(id)
        .ok_or_else(|| not_found(view, format!("TargetResourceType {id} not found.")))?;
    let shown = of_type(found).set("parameters", parameters(found.parameters));
    Ok(Record::new().set("targetResourceType", shown))
}

fn summary(view: &View<'_>, action: &Action) -> Record {
    let targets: Map<String, Value> = action
        .target
        .into_iter()
        .map(|(name, kind)| {
            let target = Record::new().set("resourceType", kind);
            (name.to_owned(), target.into())
        })
        .collect();
    Record::new()
        .set("id", action.id)
        .set("arn", view.arn("fis", &format!("action/{}", action.id)))
        .set("description", action.description)
        .set("targets", targets)
        .set("tags", Map::new())
}

fn of_type(it: &ResourceType) -> Record {
    Record::new()
        .set("resourceType", it.id)
        .set("description", it.description)
}

fn parameters(all: &[Parameter]) -> Map<String, Value> {
    let shown = all.iter().map(|it| {
        let shown = Record::new()
            .set("description", it.description)
            .set("required", it.required);
        (it.name.to_owned(), shown.into())
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_in_order_and_whole() {
        assert!(ACTIONS.is_sorted_by(|one, other| one.id < other.id));
        assert!(RESOURCE_TYPES.is_sorted_by(|one, other| one.id < other.id));
        for action in ACTIONS {
            if let Some((_, kind)) = action.target {
                assert!(resource_type(kind).is_some(), "{}: {kind}", action.id);
            }
        }
    }
}

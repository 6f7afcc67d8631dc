//! EC2: the regions and zones that the stack has, its default network with network ACLs and security groups, and application instances.

mod filter;
mod instances;
mod network;
mod network_acls;
mod protocols;
mod security_groups;
pub(super) mod tags;
mod zones;

use serde_json::Value;
use topologies::id::ZoneId;

use super::{Handler, Operations, View};

pub(super) const OPERATIONS: Operations = &[
    (
        "AuthorizeSecurityGroupEgress",
        Handler::Change(security_groups::authorize_egress),
    ),
    (
        "AuthorizeSecurityGroupIngress",
        Handler::Change(security_groups::authorize_ingress),
    ),
    ("CreateNetworkAcl", Handler::Change(network_acls::create)),
    (
        "CreateNetworkAclEntry",
        Handler::Change(network_acls::create_entry),
    ),
    (
        "CreateSecurityGroup",
        Handler::Change(security_groups::create),
    ),
    ("CreateTags", Handler::Change(tags::create)),
    ("DeleteNetworkAcl", Handler::Change(network_acls::delete)),
    (
        "DeleteNetworkAclEntry",
        Handler::Change(network_acls::delete_entry),
    ),
    (
        "DeleteSecurityGroup",
        Handler::Change(security_groups::delete),
    ),
    ("DeleteTags", Handler::Change(tags::delete)),
    (
        "DescribeAccountAttributes",
        Handler::Read(zones::describe_account_attributes),
    ),
    (
        "DescribeAvailabilityZones",
        Handler::Read(zones::describe_availability_zones),
    ),
    ("DescribeImages", Handler::Read(network::describe_images)),
    (
        "DescribeInstanceStatus",
        Handler::Read(instances::describe_status),
    ),
    ("DescribeInstances", Handler::Read(instances::describe)),
    ("DescribeNetworkAcls", Handler::Read(network_acls::describe)),
    ("DescribeRegions", Handler::Read(zones::describe_regions)),
    (
        "DescribeSecurityGroupRules",
        Handler::Read(security_groups::describe_rules),
    ),
    (
        "DescribeSecurityGroups",
        Handler::Read(security_groups::describe),
    ),
    ("DescribeSubnets", Handler::Read(network::describe_subnets)),
    ("DescribeTags", Handler::Read(tags::describe)),
    ("DescribeVpcs", Handler::Read(network::describe_vpcs)),
    (
        "ModifyInstanceAttribute",
        Handler::Change(instances::modify_attribute),
    ),
    (
        "ModifySecurityGroupRules",
        Handler::Change(security_groups::modify_rules),
    ),
    ("RebootInstances", Handler::Change(instances::reboot)),
    (
        "ReplaceNetworkAclAssociation",
        Handler::Change(network_acls::replace_association),
    ),
    (
        "ReplaceNetworkAclEntry",
        Handler::Change(network_acls::replace_entry),
    ),
    (
        "RevokeSecurityGroupEgress",
        Handler::Change(security_groups::revoke_egress),
    ),
    (
        "RevokeSecurityGroupIngress",
        Handler::Change(security_groups::revoke_ingress),
    ),
    ("RunInstances", Handler::Change(instances::run)),
    ("StartInstances", Handler::Change(instances::start)),
    ("StopInstances", Handler::Change(instances::stop)),
    ("TerminateInstances", Handler::Change(instances::terminate)),
    (
        "UpdateSecurityGroupRuleDescriptionsEgress",
        Handler::Change(security_groups::describe_egress),
    ),
    (
        "UpdateSecurityGroupRuleDescriptionsIngress",
        Handler::Change(security_groups::describe_ingress),
    ),
];

/// The instances of the region that was called, as DescribeInstances shows them, by their ARNs.
pub(super) fn instances(view: &View<'_>) -> Vec<(String, Value)> {
    named(view, "instance", instances::all(view))
}

/// The subnets of the region that was called, as DescribeSubnets shows them, by their ARNs.
pub(super) fn subnets(view: &View<'_>) -> Vec<(String, Value)> {
    named(view, "subnet", network::subnets(view))
}

fn named(view: &View<'_>, kind: &str, shown: Vec<filter::Shown>) -> Vec<(String, Value)> {
    let shown = shown.into_iter();
    shown
        .map(|it| (tags::arn(view, kind, &it.id), it.record.into()))
        .collect()
}

/// The zones in which a call would start instances.
pub(super) fn starts_in(view: &View<'_>, operation: &str, input: &Value) -> Vec<ZoneId> {
    instances::starts_in(view, operation, input)
}

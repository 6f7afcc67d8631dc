//! EC2: the regions and zones that the stack has, its default network, and application instances.

mod filter;
mod instances;
mod network;
pub(super) mod tags;
mod zones;

use super::{Handler, Operations};

pub(super) const OPERATIONS: Operations = &[
    ("CreateTags", Handler::Change(tags::create)),
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
    ("DescribeRegions", Handler::Read(zones::describe_regions)),
    (
        "DescribeSecurityGroups",
        Handler::Read(network::describe_security_groups),
    ),
    ("DescribeSubnets", Handler::Read(network::describe_subnets)),
    ("DescribeTags", Handler::Read(tags::describe)),
    ("DescribeVpcs", Handler::Read(network::describe_vpcs)),
    ("RebootInstances", Handler::Change(instances::reboot)),
    ("RunInstances", Handler::Change(instances::run)),
    ("StartInstances", Handler::Change(instances::start)),
    ("StopInstances", Handler::Change(instances::stop)),
    ("TerminateInstances", Handler::Change(instances::terminate)),
];

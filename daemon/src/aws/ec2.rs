//! EC2: the regions and zones that the stack has, its default network, and application instances.

mod filter;
mod instances;
mod network;

use serde_json::Value;
use wire::{Call, Fault, Record};

use super::{Handler, Operations, View};

pub(super) const OPERATIONS: Operations = &[
    ("DescribeImages", Handler::Read(network::describe_images)),
    (
        "DescribeInstanceStatus",
        Handler::Read(instances::describe_status),
    ),
    ("DescribeInstances", Handler::Read(instances::describe)),
    ("DescribeRegions", Handler::Read(describe_regions)),
    ("DescribeSubnets", Handler::Read(network::describe_subnets)),
    ("DescribeVpcs", Handler::Read(network::describe_vpcs)),
    ("RunInstances", Handler::Change(instances::run)),
    ("StartInstances", Handler::Change(instances::start)),
    ("StopInstances", Handler::Change(instances::stop)),
    ("TerminateInstances", Handler::Change(instances::terminate)),
];

fn describe_regions(view: &View<'_>, _: &Call<'_>, _: &Value) -> Result<Record, Fault> {
    let regions = view.topology().regions.iter().map(|region| {
        Record::new()
            .set("RegionName", region.id.as_str())
            .set(
                "Endpoint",
                format!("ec2.{}.{}", region.id, view.topology().suffix),
            )
            .set("OptInStatus", "opt-in-not-required")
    });
    Ok(Record::new().list("Regions", regions))
}

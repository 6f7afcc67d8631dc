//! EC2: the regions and zones that the stack has.

use serde_json::Value;
use wire::{Call, Fault, Record};

use super::{Handler, Operations, View};

pub(super) const OPERATIONS: Operations = &[("DescribeRegions", Handler::Read(describe_regions))];

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

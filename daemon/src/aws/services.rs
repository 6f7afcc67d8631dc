//! Which services have operations. Everything that goes through all of them (dispatch, coverage, tests) reads this list.

use super::{
    Handler, Operations, arc_zonal_shift, cloudwatch, ec2, elasticache, elbv2, fis, iam, rds,
    resourcegroupstaggingapi, route53, sts,
};

/// The tables, by the name of the service's model.
pub(super) const SERVICES: &[(&str, Operations)] = &[
    ("arc-zonal-shift", arc_zonal_shift::OPERATIONS),
    ("cloudwatch", cloudwatch::OPERATIONS),
    ("ec2", ec2::OPERATIONS),
    ("elasticache", elasticache::OPERATIONS),
    ("elbv2", elbv2::OPERATIONS),
    ("fis", fis::OPERATIONS),
    ("iam", iam::OPERATIONS),
    ("rds", rds::OPERATIONS),
    (
        "resourcegroupstaggingapi",
        resourcegroupstaggingapi::OPERATIONS,
    ),
    ("route53", route53::OPERATIONS),
    ("sts", sts::OPERATIONS),
];

/// The operations of a service that are built.
pub(super) fn operations(service: &str) -> Vec<&'static str> {
    let table = SERVICES.iter().find(|(name, _)| *name == service);
    let table = table.into_iter().flat_map(|(_, table)| *table);
    table.map(|(name, _)| *name).collect()
}

/// Who answers an operation, if it is built.
pub(super) fn handler(service: &str, operation: &str) -> Option<Handler> {
    let (_, table) = SERVICES.iter().find(|(name, _)| *name == service)?;
    let (_, handler) = table.iter().find(|(name, _)| *name == operation)?;
    Some(*handler)
}

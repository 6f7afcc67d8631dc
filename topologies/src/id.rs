//! Identifiers, each a type of its own so that a zone can not be passed where an instance is meant.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Makes the identifier of `text`; it is not checked here.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

identifiers! {
    /// A running stack, `tier-10k`.
    StackId;
    /// A region, `ap-northeast-2`.
    RegionId;
    /// An Availability Zone, `ap-northeast-2a`.
    ZoneId;
    /// One thing that runs: a database host, a cache node, an application instance. `orders-1`, `web-3`.
    InstanceId;
    /// A group of like application instances, `web`.
    ServiceId;
    /// An RDS DB instance (or read replica), `orders`. With Multi-AZ it has two hosts, each an [`InstanceId`].
    DbInstanceId;
    /// An ElastiCache replication group, `sessions`.
    ReplicationGroupId;
    /// A load balancer, `site`.
    LoadBalancerId;
    /// A target group, `web`.
    TargetGroupId;
    /// A Route 53 health check, `site-is-up`.
    HealthCheckId;
    /// An injected fault, `f1`.
    FaultId;
    /// An experiment of Fault Injection Service, `EXP4f1c`.
    ExperimentId;
    /// A zonal shift of Application Recovery Controller.
    ZonalShiftId;
    /// A network ACL, `acl-0f3a…`.
    NetworkAclId;
    /// A security group, `sg-0f3a…`.
    SecurityGroupId;
    /// An alarm of CloudWatch, by its name.
    AlarmId;
}

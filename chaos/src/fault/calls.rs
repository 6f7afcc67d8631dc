//! Which calls of the AWS API a fault is about.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// All calls, those of a service, or those of one operation: `rds`, `rds:DescribeDBInstances`. Services are named as their models are.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ApiCalls {
    /// All.
    #[default]
    All,
    /// Those of a service.
    Service(String),
    /// Those of an operation of a service.
    Operation(String, String),
}

impl ApiCalls {
    /// Whether a call is one of them.
    pub fn include(&self, service: &str, operation: &str) -> bool {
        match self {
            Self::All => true,
            Self::Service(only) => only == service,
            Self::Operation(only, this) => only == service && this == operation,
        }
    }

    /// Whether it is all of them.
    pub(super) fn all(&self) -> bool {
        *self == Self::All
    }
}

impl FromStr for ApiCalls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [service] if !service.is_empty() => Ok(Self::Service((*service).to_owned())),
            [service, operation] if !service.is_empty() && !operation.is_empty() => Ok(
                Self::Operation((*service).to_owned(), (*operation).to_owned()),
            ),
            _ => Err(format!(
                "`{text}` names no calls, write `rds` or `rds:DescribeDBInstances`"
            )),
        }
    }
}

impl TryFrom<String> for ApiCalls {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ApiCalls> for String {
    fn from(calls: ApiCalls) -> Self {
        match calls {
            ApiCalls::All => Self::new(),
            ApiCalls::Service(service) => service,
            ApiCalls::Operation(service, operation) => format!("{service}:{operation}"),
        }
    }
}

/// `all`, `rds`, `rds:DescribeDBInstances`.
impl fmt::Display for ApiCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Service(service) => f.write_str(service),
            Self::Operation(service, operation) => write!(f, "{service}:{operation}"),
        }
    }
}

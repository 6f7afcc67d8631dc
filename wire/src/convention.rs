//! How a service words what it refuses. AWS's frameworks differ: EC2 and RDS have codes of their own, the others share the texts of
//! the framework that their servers were generated with.
//!
//! Sources: EC2 User Guide, "Error codes for the Amazon EC2 API" (MissingParameter, InvalidParameterValue, UnknownParameter,
//! NoSuchVersion, RequestLimitExceeded); the "Common errors" page of each service's API reference; texts as clients quote them in
//! their trackers: "1 validation error detected: Value `[GET]` at 'cors.allowMethods' failed to satisfy constraint: ..." (Lambda),
//! "Could not find operation X for version Y" (IAM, SES), "The parameter instanceId is not recognized" (EC2),
//! "STRING_VALUE cannot be converted to Integer" (DynamoDB), "Unexpected list element termination" (CloudFront, Elastic Load Balancing).

use crate::catalog::{Protocol, Service};
use crate::decode::Misread;
use crate::fault::Fault;
use crate::validate::{Constraint, Violation, coral};

/// The manner of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Convention {
    /// EC2: one error at a time, in EC2's words.
    Ec2,
    /// RDS and ElastiCache: missing parameters as EC2 has them, the rest as the others.
    Database,
    /// `ValidationError`: the other query services.
    Query,
    /// `InvalidInput`: Route 53.
    Route53,
    /// `ValidationException`: JSON, REST-JSON and CBOR.
    Json,
}

impl Convention {
    pub(crate) fn of(service: &Service) -> Self {
        match (service.name(), service.protocols()[0]) {
            ("rds" | "elasticache" | "neptune" | "docdb", _) => Self::Database,
            ("route53", _) => Self::Route53,
            // CloudWatch's clients still match on the codes of its query days.
            (_, _) if service.is_query_compatible() => Self::Query,
            (_, Protocol::Ec2) => Self::Ec2,
            (_, Protocol::Query) => Self::Query,
            (_, Protocol::Json | Protocol::RestJson | Protocol::RestXml | Protocol::Cbor) => {
                Self::Json
            }
        }
    }

    /// Whether the service refuses this at all. RDS and ElastiCache check most words themselves, later, with codes of their own.
    pub(crate) fn minds(self, violation: &Violation<'_>) -> bool {
        !(self == Self::Database && matches!(violation.constraint, Constraint::Enum(_)))
    }

    /// The error for violations, of which there is at least one.
    pub(crate) fn fault(self, violations: &[Violation<'_>]) -> Fault {
        let missing = violations
            .iter()
            .find(|violation| violation.constraint == Constraint::Required);
        match (self, missing, violations.first()) {
            (Self::Ec2 | Self::Database, Some(missing), _) => {
                let message = format!(
                    "The request must contain the parameter {}",
                    missing.path.query(self == Self::Ec2)
                );
                Fault::sender("MissingParameter", message)
            }
            (Self::Ec2, None, Some(first)) => ec2(first),
            (Self::Ec2 | Self::Database | Self::Query, _, _) => {
                Fault::sender("ValidationError", coral(violations))
            }
            (Self::Route53, _, _) => Fault::sender("InvalidInput", coral(violations)),
            (Self::Json, _, _) => Fault::sender("ValidationException", coral(violations)),
        }
    }

    /// The error for what cannot be read.
    pub(crate) fn misread(self, protocol: Protocol, misread: &Misread) -> Fault {
        match (protocol, misread) {
            (Protocol::Ec2, Misread::Unknown { path }) => Fault::sender(
                "UnknownParameter",
                format!("The parameter {path} is not recognized"),
            ),
            (
                Protocol::Ec2,
                Misread::Unexpected {
                    path,
                    found,
                    expected,
                },
            ) => {
                let message = format!(
                    "Value ({found}) for parameter {path} is invalid. Expecting a value of type {}",
                    expected.java()
                );
                Fault::sender("InvalidParameterValue", message)
            }
            (Protocol::Query | Protocol::Ec2, Misread::TooDeep) => Fault::sender(
                "MalformedQueryString",
                "a parameter's name has too many parts",
            ),
            (Protocol::Query | Protocol::RestXml, Misread::Unexpected { .. }) => {
                Fault::sender("MalformedInput", misread.text())
            }
            (Protocol::Query | Protocol::Ec2 | Protocol::RestXml, _) => {
                Fault::sender("MalformedInput", misread.text())
            }
            (Protocol::Json | Protocol::RestJson | Protocol::Cbor, _) => {
                Fault::sender("SerializationException", misread.text())
            }
        }
    }

    pub(crate) fn unknown_version(self, service: &Service, action: &str, version: &str) -> Fault {
        if self == Self::Ec2 {
            let message = format!(
                "The requested version ({version}) of service {} does not exist",
                service.id()
            );
            return Fault::sender("NoSuchVersion", message);
        }
        let message = format!("Could not find operation {action} for version {version}");
        Fault::sender("InvalidAction", message)
    }

    /// The error for a marker that the operation did not give: the model's, where it has one.
    pub(crate) fn bad_marker(self, service: &Service) -> Fault {
        let text = "The specified pagination token is not valid.";
        let known = [
            "InvalidNextToken",
            "InvalidNextTokenException",
            "InvalidMarkerException",
            "InvalidPaginationToken",
        ];
        if let Some(name) = known
            .iter()
            .find(|name| service.model().error(name).is_some())
        {
            return service.fault(name, text);
        }
        match self {
            Self::Ec2 => Fault::sender("InvalidNextToken", text),
            Self::Database => Fault::sender("InvalidParameterValue", "Invalid value for Marker."),
            Self::Query => Fault::sender("ValidationError", text),
            Self::Route53 => Fault::sender("InvalidInput", text),
            Self::Json => Fault::sender("ValidationException", text),
        }
    }

    /// The error for a page size out of bounds.
    pub(crate) fn bad_size(self, name: &str, asked: &str, min: usize, max: usize) -> Fault {
        match self {
            Self::Ec2 => {
                let message = format!(
                    "Value ( {asked} ) for parameter {name} is invalid. Expecting a value from {min} to {max}."
                );
                Fault::sender("InvalidParameterValue", message)
            }
            Self::Database => {
                let message =
                    format!("Invalid value {asked} for {name}. Must be between {min} and {max}");
                Fault::sender("InvalidParameterValue", message)
            }
            Self::Query | Self::Route53 | Self::Json => {
                let message = format!(
                    "1 validation error detected: Value '{asked}' at '{name}' must be from {min} to {max}"
                );
                let code = match self {
                    Self::Route53 => "InvalidInput",
                    Self::Json => "ValidationException",
                    Self::Ec2 | Self::Database | Self::Query => "ValidationError",
                };
                Fault::sender(code, message)
            }
        }
    }

    /// Codes and statuses on which every SDK backs off and tries again.
    pub(crate) fn throttled(self) -> Fault {
        match self {
            Self::Ec2 => {
                Fault::sender("RequestLimitExceeded", "Request limit exceeded.").status(503)
            }
            Self::Database | Self::Query | Self::Route53 => {
                Fault::sender("Throttling", "Rate exceeded")
            }
            Self::Json => Fault::sender("ThrottlingException", "Rate exceeded"),
        }
    }

    /// "Common errors" of the services' API references: what SDKs try again.
    pub(crate) fn unavailable(self) -> Fault {
        let code = match self {
            Self::Ec2 | Self::Database | Self::Query | Self::Route53 => "ServiceUnavailable",
            Self::Json => "ServiceUnavailableException",
        };
        let text = "The request has failed due to a temporary failure of the server.";
        Fault::receiver(code, text).status(503)
    }
}

fn ec2(violation: &Violation<'_>) -> Fault {
    let (path, value) = (violation.path.query(true), &violation.shown);
    let message = if matches!(violation.constraint, Constraint::Enum(_)) {
        format!("Invalid value '{value}' for {path}.")
    } else {
        let text = violation.constraint.text();
        format!("Value ({value}) for parameter {path} is invalid. {text}.")
    };
    Fault::sender("InvalidParameterValue", message)
}

//! From bytes to an input: a walk of the model over what was sent. Depth is bounded everywhere, sizes by the size of the body.

mod cbor;
mod form;
mod json;
mod rest;
mod scalar;
mod xml;

use serde_json::{Map, Value};

use crate::call::{Call, Parts};
use crate::catalog::Protocol;
use crate::convention::Convention;
use crate::fault::Fault;
use crate::model::Kind;

/// Levels of nesting that are followed. AWS's deepest inputs have about a dozen.
pub(crate) const DEPTH_MAX: usize = 64;

/// What cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Misread {
    /// Not well-formed.
    Syntax(String),
    /// Nested beyond [`DEPTH_MAX`].
    TooDeep,
    /// Another type than the model's: where, what was found (in the framework's words or the text itself), what was expected.
    Unexpected {
        path: String,
        found: String,
        expected: Kind,
    },
    /// A parameter that the operation does not have. Only EC2 minds.
    Unknown { path: String },
}

impl Misread {
    /// For a person.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Syntax(detail) => detail.clone(),
            Self::TooDeep => "Nested too deeply".to_owned(),
            Self::Unexpected {
                found, expected, ..
            } => match (found.as_str(), expected) {
                ("START_OF_STRUCTURE", _) => {
                    "Start of structure or map found where not expected".to_owned()
                }
                ("START_OF_LIST", _) => "Start of list found where not expected".to_owned(),
                (_, Kind::Structure | Kind::Map | Kind::List) => "Unexpected field type".to_owned(),
                (found, _) => format!("{found} cannot be converted to {}", expected.java()),
            },
            Self::Unknown { path } => format!("The parameter {path} is not recognized"),
        }
    }
}

impl Kind {
    /// As Java calls it, in whose words AWS's servers complain.
    pub(crate) fn java(self) -> &'static str {
        match self {
            Self::Structure | Self::Map => "Map",
            Self::List => "List",
            Self::String => "String",
            Self::Blob => "ByteBuffer",
            Self::Boolean => "Boolean",
            Self::Integer => "Integer",
            Self::Long => "Long",
            Self::Float => "Float",
            Self::Double => "Double",
            Self::Timestamp => "Date",
            Self::Document => "Document",
        }
    }
}

/// Reads the input of a call.
pub(crate) fn input(call: &Call<'_>) -> Result<Value, Fault> {
    media_type(call)?;
    let Some(field) = call.row().input() else {
        return Ok(Value::Object(Map::new()));
    };
    let body = call.request.body;
    let read = match (&call.parts, call.protocol) {
        (Parts::Form(form), protocol) => form::read(field, form, protocol == Protocol::Ec2),
        (Parts::Labels(labels), protocol) => {
            rest::read(field, &call.request, labels, protocol == Protocol::RestXml)
        }
        (Parts::Body, Protocol::Cbor) => cbor::read(field, body),
        (Parts::Body, _) => json::read(field, body),
    };
    read.map_err(|misread| Convention::of(call.service).misread(call.protocol, &misread))
}

/// A body that says it is something else is not looked at.
fn media_type(call: &Call<'_>) -> Result<(), Fault> {
    let request = &call.request;
    let Some(given) = request.media_type().filter(|_| !request.body.is_empty()) else {
        return Ok(());
    };
    match call.protocol {
        // As DynamoDB and KMS answer: to them it is no operation at all.
        Protocol::Json
            if !matches!(
                given,
                "application/x-amz-json-1.0" | "application/x-amz-json-1.1" | "application/json"
            ) =>
        {
            Err(Fault::sender("UnknownOperationException", "").status(404))
        }
        Protocol::RestJson if given == "application/xml" || given == "text/xml" => {
            let message = format!("Unsupported media type: {given}");
            Err(Fault::sender("UnsupportedMediaTypeException", message).status(415))
        }
        Protocol::Json
        | Protocol::RestJson
        | Protocol::RestXml
        | Protocol::Query
        | Protocol::Ec2
        | Protocol::Cbor => Ok(()),
    }
}

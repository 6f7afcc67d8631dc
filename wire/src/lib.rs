//! AWS's protocols from AWS's models: requests in, typed inputs out; outputs and errors in, responses out. Pure: no sockets, no
//! clock, no randomness, and no knowledge of what is being served.
//!
//! ```text
//! Request ─identify─► Call ─sigv4::verify─► Caller      (who)
//!                      │ └──input──► Value              (what, checked against the model)
//!                      └──respond(Ok(Value) | Err(Fault), request id)──► Response
//! ```
//!
//! Values are `serde_json::Value`s by the model's member names. A timestamp is a number of seconds since the epoch with millisecond
//! fractions ([`timestamp`], [`milliseconds`]); a blob is base64; `NaN` and the infinities are strings of these names. A member that
//! was not sent, or was sent as null, is absent.
//!
//! ```
//! use wire::{Catalog, Record, Request, identify, respond};
//!
//! let body = b"Action=DescribeDBInstances&Version=2014-10-31&MaxRecords=20";
//! let headers: &[(&str, &[u8])] = &[("content-type", b"application/x-www-form-urlencoded")];
//! let request = Request { method: "POST", uri: "/", headers, body };
//! let call = identify(Catalog::standard(), request).expect("it is a call to RDS");
//! assert_eq!((call.service().name(), call.operation()), ("rds", "DescribeDBInstances"));
//! assert_eq!(call.input().expect("it is valid")["MaxRecords"], 20);
//!
//! let instance = Record::new().set("DBInstanceIdentifier", "orders").time("InstanceCreateTime", 1_700_000_000_000);
//! let output = Record::new().list("DBInstances", [instance]);
//! let response = respond(&call, &Ok(output.into()), "b9b4b068");
//! assert_eq!(response.status, 200);
//! ```

mod call;
mod catalog;
mod convention;
mod decode;
mod encode;
mod fault;
mod identify;
mod model;
mod page;
mod path;
mod record;
mod request;
mod route;
pub mod sigv4;
mod text;
mod time;
mod validate;

pub use crate::call::{Call, Scope};
pub use crate::catalog::{Catalog, Protocol, Service};
pub use crate::encode::{refuse, respond};
pub use crate::fault::{Blame, Fault};
pub use crate::identify::{Refusal, identify};
pub use crate::page::{Limit, Page, limits, marker, page, page_of, seal};
pub use crate::path::Path;
pub use crate::record::Record;
pub use crate::request::{Request, Response};
pub use crate::time::{milliseconds, timestamp};
pub use crate::validate::{Constraint, Violation, coral};

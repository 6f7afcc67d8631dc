//! Security Token Service: who one is, and credentials for a time.
//!
//! After the STS API reference. There are no roles and no policies: whoever calls may have the credentials of any role.

use serde_json::Value;
use wire::{Call, Fault, Record};

use super::{Handler, Operations, View};

pub(super) const OPERATIONS: Operations =
    &[("GetCallerIdentity", Handler::Read(get_caller_identity))];

fn get_caller_identity(view: &View<'_>, _: &Call<'_>, _: &Value) -> Result<Record, Fault> {
    Ok(Record::new()
        .set("UserId", view.caller.id.as_str())
        .set("Account", view.account)
        .set("Arn", view.caller.arn.as_str()))
}

//! Identity and Access Management: who the account is. It has no users, groups or policies, and that is what is said of them.
//!
//! Roles are not told of: any can be assumed (see `sts`), so none is there and none is missing.

use serde_json::Value;
use wire::{Call, Fault, Record};

use super::{Handler, Operations, View};

pub(super) const OPERATIONS: Operations = &[
    ("GetUser", Handler::Read(get_user)),
    ("ListAccountAliases", Handler::Read(list_account_aliases)),
    ("ListUsers", Handler::Read(list_users)),
];

/// The account itself, as which every access key counts, if nobody is named.
fn get_user(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    if let Some(name) = input["UserName"].as_str() {
        let text = format!("The user with name {name} cannot be found.");
        return Err(view.fault("NoSuchEntityException", text));
    }
    if view.caller.id != view.account {
        let text = "Must specify userName when calling with non-User credentials";
        return Err(Fault::sender("ValidationError", text));
    }
    let user = Record::new()
        .set("UserId", view.account)
        .set("Arn", view.caller.arn.as_str())
        .time("CreateDate", view.facts.epoch);
    Ok(Record::new().set("User", user))
}

fn list_account_aliases(_: &View<'_>, _: &Call<'_>, _: &Value) -> Result<Record, Fault> {
    Ok(none("AccountAliases"))
}

fn list_users(_: &View<'_>, _: &Call<'_>, _: &Value) -> Result<Record, Fault> {
    Ok(none("Users"))
}

fn none(list: &str) -> Record {
    let nothing = Vec::<Value>::new();
    Record::new().list(list, nothing).set("IsTruncated", false)
}

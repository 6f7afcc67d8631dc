//! What handlers of several services read from inputs.

use serde_json::Value;
use wire::Fault;

/// A text.
pub(super) fn text<'i>(input: &'i Value, name: &str) -> Option<&'i str> {
    input[name].as_str()
}

/// Whether a flag is set.
pub(super) fn is_on(input: &Value, name: &str) -> bool {
    input[name] == true
}

/// The texts of a list.
pub(super) fn texts<'i>(input: &'i Value, name: &str) -> Vec<&'i str> {
    let list = input[name].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// Whether RDS and ElastiCache take this as an identifier of something new: letters, digits and hyphens, a letter first, no hyphen
/// last or twice (CreateDBInstance, CreateReplicationGroup).
pub(super) fn is_identifier(written: &str, length_max: usize) -> bool {
    let begins = |first: char| first.is_ascii_alphabetic();
    written.len() <= length_max
        && written.starts_with(begins)
        && written
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !written.ends_with('-')
        && !written.contains("--")
}

/// Refuses an input with members that are not built: nobody is to think that they have an effect.
pub(super) fn only(operation: &str, input: &Value, built: &[&str]) -> Result<(), Fault> {
    let members = input.as_object().into_iter().flatten();
    let strange = members.map(|(name, _)| name.as_str());
    let strange: Vec<&str> = strange.filter(|name| !built.contains(name)).collect();
    if strange.is_empty() {
        return Ok(());
    }
    Err(not_implemented(format!(
        "{operation} with {}",
        strange.join(", ")
    )))
}

/// A part of an operation that nobody built.
pub(super) fn not_implemented(what: impl std::fmt::Display) -> Fault {
    Fault::receiver("NotImplemented", format!("{what} is not implemented")).status(501)
}

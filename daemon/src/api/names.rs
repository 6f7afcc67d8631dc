//! Lists of names for hints.

/// Beyond this many, a list is cut.
const LISTED_MAX: usize = 12;

/// `instances are a, b, c`, cut where it would not help any more.
pub(super) fn known<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return format!("there are no {what}");
    }
    let shown = names[..names.len().min(LISTED_MAX)].join(", ");
    match names.len().saturating_sub(LISTED_MAX) {
        0 => format!("{what} are {shown}"),
        more => format!("{what} are {shown} and {more} more"),
    }
}

//! Pages of Route 53's lists. Those of zones and health checks go on from a marker, as other services' do; those in the order of
//! names go on from a name.

use serde_json::Value;
use wire::{Call, Fault, Record, page};

use crate::aws::View;
use crate::aws::input::text;

/// The most zones or health checks of a page.
pub(super) const PAGE_MAX: usize = 100;

/// A page of what has ids, in their order, under the name of the output's member.
pub(super) fn by_id<T>(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
    mut all: Vec<(String, T)>,
    (member, shown): (&str, impl Fn(&T) -> Record),
) -> Result<Record, Fault> {
    all.sort_by(|one, other| one.0.cmp(&other.0));
    let page = page(call, input, &all, |(id, _)| id.as_str())?;
    let size = size(view, input, PAGE_MAX)?;
    let mut output = Record::new()
        .list(member, page.items.iter().map(|(_, it)| shown(it)))
        .set("Marker", text(input, "Marker").unwrap_or_default())
        .set("MaxItems", size.to_string());
    page.write(&mut output);
    Ok(output)
}

/// Leaves a page of what is in order already, and gives what comes after it.
pub(super) fn cut<T>(all: &mut Vec<T>, size: usize) -> Option<T> {
    all.truncate(size.saturating_add(1));
    if all.len() > size { all.pop() } else { None }
}

/// How many things a page may have: what was asked for, at most `most`.
pub(super) fn size(view: &View<'_>, input: &Value, most: usize) -> Result<usize, Fault> {
    let Some(asked) = text(input, "MaxItems") else {
        return Ok(most);
    };
    match asked.parse() {
        Ok(0) | Err(_) => {
            let text = format!("Invalid value for maxitems: {asked}");
            Err(view.fault("InvalidInput", text))
        }
        Ok(size) => Ok(most.min(size)),
    }
}

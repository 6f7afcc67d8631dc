//! What differs between two plans, in words.

use std::collections::BTreeMap;

use super::{Instance, Plan};

/// One line for each instance that is new, gone or elsewhere; if all stand as they stood, the parts of the topology that differ.
/// None if the plans are the same. Both have to be on the same slot.
pub fn difference(before: &Plan, after: &Plan) -> Vec<String> {
    let by_id = |plan: &'_ Plan| -> BTreeMap<_, Instance> {
        let instances = plan.instances.iter().cloned();
        instances.map(|it| (it.id.clone(), it)).collect()
    };
    let (old, new) = (by_id(before), by_id(after));
    let gone = old.keys().filter(|id| !new.contains_key(*id));
    let mut lines: Vec<String> = gone.map(|id| format!("without `{id}`")).collect();
    for (id, instance) in &new {
        match old.get(id) {
            None => lines.push(format!("with `{id}`")),
            Some(old) if old != instance => lines.push(format!("`{id}` stands elsewhere")),
            Some(_) => {}
        }
    }
    if lines.is_empty() {
        lines.extend(parts(before, after));
    }
    lines
}

/// The top-level parts of the topology whose meaning differs.
fn parts(before: &Plan, after: &Plan) -> Vec<String> {
    if before.topology == after.topology {
        return Vec::new();
    }
    let fields = |plan: &Plan| match serde_json::to_value(&plan.topology) {
        Ok(serde_json::Value::Object(fields)) => fields,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    let (old, new) = (fields(before), fields(after));
    let differ = new
        .iter()
        .filter(|(part, value)| old.get(*part) != Some(*value));
    let mut lines: Vec<String> = differ
        .map(|(part, _)| format!("other {}", part.replace('_', "-")))
        .collect();
    if lines.is_empty() {
        lines.push("another topology".to_owned());
    }
    lines
}

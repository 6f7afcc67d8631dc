//! An input held against its model: required members, ranges, lengths, patterns and enums, each violation as data. The words for
//! them are in [`coral`] and in the convention of the service.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::decode::DEPTH_MAX;
use crate::model::{Field, Kind, Shape};
use crate::path::{Path, Step};

/// What the model demands of a value and does not get.
#[derive(Clone, PartialEq, Debug)]
pub enum Constraint<'m> {
    /// The member has to be there.
    Required,
    /// A string, blob, list or map is shorter than this.
    LengthMin(f64),
    /// A string, blob, list or map is longer than this.
    LengthMax(f64),
    /// A number is less than this.
    Min(f64),
    /// A number is more than this.
    Max(f64),
    /// A string does not match this pattern.
    Pattern(&'m str),
    /// A string is none of these words.
    Enum(Vec<&'m str>),
    /// An element of a list does not satisfy one of these.
    Elements(Vec<Constraint<'m>>),
    /// A key of a map does not satisfy one of these.
    Keys(Vec<Constraint<'m>>),
    /// A value of a map does not satisfy one of these.
    Values(Vec<Constraint<'m>>),
}

impl Constraint<'_> {
    /// As AWS's framework words it.
    pub fn text(&self) -> String {
        let all = |constraints: &[Self]| {
            let texts: Vec<String> = constraints.iter().map(Self::text).collect();
            texts.join(", ")
        };
        match self {
            Self::Required => "Member must not be null".to_owned(),
            Self::LengthMin(min) => {
                format!("Member must have length greater than or equal to {min}")
            }
            Self::LengthMax(max) => format!("Member must have length less than or equal to {max}"),
            Self::Min(min) => format!("Member must have value greater than or equal to {min}"),
            Self::Max(max) => format!("Member must have value less than or equal to {max}"),
            Self::Pattern(pattern) => {
                format!("Member must satisfy regular expression pattern: {pattern}")
            }
            Self::Enum(words) => {
                format!("Member must satisfy enum value set: [{}]", words.join(", "))
            }
            Self::Elements(constraints) => {
                format!("Member must satisfy constraint: [{}]", all(constraints))
            }
            Self::Keys(constraints) => {
                format!("Map keys must satisfy constraint: [{}]", all(constraints))
            }
            Self::Values(constraints) => {
                format!("Map value must satisfy constraint: [{}]", all(constraints))
            }
        }
    }
}

/// A constraint that a value does not satisfy, and where.
#[derive(Clone, PartialEq, Debug)]
pub struct Violation<'m> {
    /// Where.
    pub path: Path<'m>,
    /// The value as text; empty for a missing member and for a sensitive one.
    pub shown: String,
    /// True for values that must not be repeated, such as passwords.
    pub sensitive: bool,
    /// What it does not satisfy.
    pub constraint: Constraint<'m>,
}

/// `2 validation errors detected: Value null at 'a' failed to satisfy constraint: ...; Value 'x' at 'b.1.member' ...`
pub fn coral(violations: &[Violation<'_>]) -> String {
    let texts: Vec<String> = violations
        .iter()
        .map(|violation| {
            let value = match (&violation.constraint, violation.sensitive) {
                (Constraint::Required, _) => "Value null at".to_owned(),
                (_, true) => "Value at".to_owned(),
                (_, false) => format!("Value '{}' at", violation.shown),
            };
            let (path, constraint) = (violation.path.coral(), violation.constraint.text());
            format!("{value} '{path}' failed to satisfy constraint: {constraint}")
        })
        .collect();
    let plural = if violations.len() == 1 { "" } else { "s" };
    format!(
        "{} validation error{plural} detected: {}",
        violations.len(),
        texts.join("; ")
    )
}

/// Everything in which an input violates its model, in the model's order.
pub(crate) fn violations<'m>(shape: Shape<'m>, input: &Value) -> Vec<Violation<'m>> {
    let mut walk = Walk::default();
    walk.structure(shape, input);
    walk.found
}

#[derive(Default)]
struct Walk<'m> {
    path: Path<'m>,
    found: Vec<Violation<'m>>,
}

impl<'m> Walk<'m> {
    fn structure(&mut self, shape: Shape<'m>, value: &Value) {
        for member in shape.members() {
            self.path.push(Step::Member(member));
            match value.get(member.name()) {
                Some(value) if !value.is_null() => self.value(member, value),
                _ if member.is_required() => {
                    self.add(Constraint::Required, member.shape(), &Value::Null)
                }
                _ => {}
            }
            self.path.pop();
        }
    }

    fn value(&mut self, field: Field<'m>, value: &Value) {
        let shape = field.shape();
        if self.path.depth() > DEPTH_MAX {
            return;
        }
        for constraint in constraints(shape) {
            if !satisfies(shape, &constraint, value) {
                self.add(constraint, shape, value);
            }
        }
        match (shape.kind(), value) {
            (Kind::Structure, value) => self.structure(shape, value),
            (Kind::List, Value::Array(values)) => self.list(field, values, value),
            (Kind::Map, Value::Object(entries)) => {
                let (key, entry) = shape.entry();
                let keys: Vec<Value> = entries
                    .keys()
                    .map(|key| Value::from(key.as_str()))
                    .collect();
                if let Some(violated) = violated(key.shape(), keys.iter()) {
                    self.add(Constraint::Keys(violated), shape, value);
                }
                if is_scalar(entry) {
                    if let Some(violated) = violated(entry.shape(), entries.values()) {
                        self.add(Constraint::Values(violated), shape, value);
                    }
                    return;
                }
                for (key, value) in entries {
                    self.path.push(Step::Key(key.clone()));
                    self.value(entry, value);
                    self.path.pop();
                }
            }
            (_, _) => {}
        }
    }

    fn list(&mut self, field: Field<'m>, values: &[Value], whole: &Value) {
        let element = field.shape().element();
        if is_scalar(element) {
            if let Some(violated) = violated(element.shape(), values.iter()) {
                self.add(Constraint::Elements(violated), field.shape(), whole);
            }
            return;
        }
        for (index, value) in values.iter().enumerate() {
            self.path
                .push(Step::Element(element, index + 1, field.is_flattened()));
            self.value(element, value);
            self.path.pop();
        }
    }

    fn add(&mut self, constraint: Constraint<'m>, shape: Shape<'m>, value: &Value) {
        let sensitive = shape.is_sensitive();
        let shown = if sensitive {
            String::new()
        } else {
            show(value)
        };
        self.found.push(Violation {
            path: self.path.clone(),
            shown,
            sensitive,
            constraint,
        });
    }
}

fn is_scalar(field: Field<'_>) -> bool {
    !matches!(field.kind(), Kind::Structure | Kind::List | Kind::Map)
}

/// All constraints of a scalar shape, if any of the values violates any of them.
fn violated<'m, 'v>(
    shape: Shape<'m>,
    mut values: impl Iterator<Item = &'v Value>,
) -> Option<Vec<Constraint<'m>>> {
    let constraints: Vec<Constraint<'m>> = constraints(shape).collect();
    let holds = |value: &Value| {
        constraints
            .iter()
            .all(|constraint| satisfies(shape, constraint, value))
    };
    let broken = !constraints.is_empty() && values.any(|value| !holds(value));
    broken.then_some(constraints)
}

/// What a shape demands by itself, in the order in which AWS's framework names it.
fn constraints<'m>(shape: Shape<'m>) -> impl Iterator<Item = Constraint<'m>> {
    let bounds = shape.bounds();
    let number = matches!(
        shape.kind(),
        Kind::Integer | Kind::Long | Kind::Float | Kind::Double
    );
    let max = bounds.max.map(|max| {
        if number {
            Constraint::Max(max)
        } else {
            Constraint::LengthMax(max)
        }
    });
    let min = bounds.min.map(|min| {
        if number {
            Constraint::Min(min)
        } else {
            Constraint::LengthMin(min)
        }
    });
    let pattern = shape
        .pattern()
        .map(|pattern| Constraint::Pattern(pattern.source()));
    let words: Vec<&'m str> = shape.words().collect();
    let words = (!words.is_empty()).then_some(Constraint::Enum(words));
    [max, min, pattern, words].into_iter().flatten()
}

fn satisfies(shape: Shape<'_>, constraint: &Constraint<'_>, value: &Value) -> bool {
    let number = |holds: &dyn Fn(f64) -> bool| value.as_f64().is_none_or(holds);
    let length = |holds: &dyn Fn(f64) -> bool| length(shape, value).is_none_or(holds);
    match constraint {
        Constraint::Min(min) => number(&|value| value >= *min),
        Constraint::Max(max) => number(&|value| value <= *max),
        Constraint::LengthMin(min) => length(&|value| value >= *min),
        Constraint::LengthMax(max) => length(&|value| value <= *max),
        Constraint::Pattern(_) => match (shape.pattern(), value.as_str()) {
            (Some(pattern), Some(text)) => pattern.matches(text),
            _ => true,
        },
        Constraint::Enum(words) => value.as_str().is_none_or(|text| words.contains(&text)),
        Constraint::Required
        | Constraint::Elements(_)
        | Constraint::Keys(_)
        | Constraint::Values(_) => true,
    }
}

fn length(shape: Shape<'_>, value: &Value) -> Option<f64> {
    let length = match value {
        Value::String(text) if shape.kind() == Kind::Blob => {
            BASE64_STANDARD.decode(text).ok()?.len()
        }
        Value::String(text) => text.chars().count(),
        Value::Array(values) => values.len(),
        Value::Object(entries) => entries.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => return None,
    };
    Some(length as f64)
}

/// A value as Java shows it.
fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => {
            let shown: Vec<String> = values.iter().map(show).collect();
            format!("[{}]", shown.join(", "))
        }
        Value::Object(entries) => {
            let shown: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{key}={}", show(value)))
                .collect();
            format!("{{{}}}", shown.join(", "))
        }
    }
}

/// Names and kinds in a value that the model does not have, as paths.
pub(crate) fn strays(shape: Shape<'_>, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    stray_members(shape, value, "", &mut found);
    found
}

fn stray_members(shape: Shape<'_>, value: &Value, above: &str, found: &mut Vec<String>) {
    let Value::Object(members) = value else {
        found.push(format!("{above}: not an object"));
        return;
    };
    for (name, value) in members {
        let path = if above.is_empty() {
            name.clone()
        } else {
            format!("{above}.{name}")
        };
        match shape.member(name) {
            Some(member) => stray_values(member, value, &path, found),
            None => found.push(format!("{path}: not in {}", shape.name())),
        }
    }
}

fn stray_values(field: Field<'_>, value: &Value, path: &str, found: &mut Vec<String>) {
    let fits = match (field.kind(), value) {
        (_, Value::Null) | (Kind::Document, _) => true,
        (Kind::Structure, value) => {
            stray_members(field.shape(), value, path, found);
            true
        }
        (Kind::List, Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                stray_values(
                    field.shape().element(),
                    value,
                    &format!("{path}[{index}]"),
                    found,
                );
            }
            true
        }
        (Kind::Map, Value::Object(entries)) => {
            for (key, value) in entries {
                stray_values(
                    field.shape().entry().1,
                    value,
                    &format!("{path}.{key}"),
                    found,
                );
            }
            true
        }
        (Kind::String | Kind::Blob, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) => true,
        (Kind::Integer | Kind::Long, value) => value.is_i64(),
        (Kind::Float | Kind::Double, value) => value.is_number() || value.is_string(),
        (Kind::Timestamp, value) => value.is_number(),
        (_, _) => false,
    };
    if !fits {
        found.push(format!("{path}: not a {}", field.kind().java()));
    }
}

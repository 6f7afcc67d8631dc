//! Holds a tree of YAML values against a JSON schema and collects every difference.
//!
//! The schema comes from the types, so that the file's description exists once. Only what those types' schemas use is
//! understood: references, kinds, enumerations, ranges, properties, items, alternatives, and choices (one of several fields).

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::rate;
use super::tree::{Node, Value};
use super::values;
use super::vocabulary::{self, Word};
use super::{Language, LeftOut};
use crate::nearest::nearest;
use crate::notes::{Note, Span};

/// What fields of the file itself begin with that are nobody's business but the user's.
const OWN_FIELDS: &str = "x-";

/// What the comparison found.
pub(super) struct Verdict {
    /// Every difference, in the file's order.
    pub(super) notes: Vec<Note>,
    /// What was taken out of the tree because it has another shape.
    pub(super) left_out: LeftOut,
    /// Whether the tree, freed of what is unknown or said twice, can be decoded.
    pub(super) usable: bool,
}

/// Compares. Unknown fields are taken out of the tree, misspelt ones renamed to what was meant, and the second of two equal
/// keys is taken out. So is what is declared in a field of the file (`db-instances`, `steps`), or is a field that may be absent, and has a
/// shape that can not be decoded: the rest of the file can still be looked at.
pub(super) fn hold_against(tree: &mut Node, schema: &Json, language: Language) -> Verdict {
    let mut walk = Walk {
        language,
        root: schema,
        notes: Vec::new(),
        left_out: LeftOut::default(),
        usable: true,
    };
    if tree.value == Value::Null {
        walk.refuse(Note::error(Span::START, "this file is empty").hint(language.beginning));
    } else {
        walk.visit(tree, schema, "");
    }
    Verdict {
        notes: walk.notes,
        left_out: walk.left_out,
        usable: walk.usable,
    }
}

struct Walk<'s> {
    language: Language,
    root: &'s Json,
    notes: Vec<Note>,
    left_out: LeftOut,
    usable: bool,
}

impl<'s> Walk<'s> {
    /// Notes a difference after which the tree can not be decoded.
    fn refuse(&mut self, note: Note) {
        self.usable = false;
        self.notes.push(note);
    }

    /// Holds `node` against `schema`; `at` says where, in the file's own words.
    fn visit(&mut self, node: &mut Node, schema: &'s Json, at: &str) {
        let schema = self.resolve(node, schema);
        if self.admitted(node, schema) == Admission::Refused {
            let expected = self.expected(schema);
            let found = match node.text() {
                Some(text) if text.chars().count() <= 40 => format!("`{text}`"),
                Some(_) | None => node.kind().to_owned(),
            };
            let note = Note::error(node.span, format!("expected {expected}, found {found}"));
            let form = schema["format"].as_str().unwrap_or_default();
            self.refuse(match values::problem(form, "") {
                Some(hint) => note.hint(hint),
                None if at.is_empty() => note.hint(self.language.beginning),
                None => note,
            });
            return;
        }
        self.visit_scalar(node, schema);
        match &mut node.value {
            Value::List(items) => {
                let of = &schema["items"];
                items.retain_mut(|item| {
                    let declared = is_field_of_file(at) && is_mapping(self.resolve(item, of));
                    let sound = self.visit_apart(item, of, at, declared);
                    self.left_out.items |= !sound;
                    sound
                });
            }
            Value::Map(_) => self.visit_map(node, schema, at),
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Number(_)
            | Value::Text(_) => {}
        }
    }

    /// Visits a part; whether it stays, for with `spared` one that can not be decoded is the only one that can not.
    fn visit_apart(&mut self, node: &mut Node, schema: &'s Json, at: &str, spared: bool) -> bool {
        let before = std::mem::replace(&mut self.usable, true);
        self.visit(node, schema, at);
        let sound = std::mem::replace(&mut self.usable, before);
        self.usable &= sound || spared;
        sound || !spared
    }

    /// Follows references, and of alternatives takes the one that admits the node.
    fn resolve(&self, node: &Node, mut schema: &'s Json) -> &'s Json {
        loop {
            if let Some(name) = schema["$ref"].as_str() {
                let pointer = name.trim_start_matches('#');
                schema = self.root.pointer(pointer).unwrap_or(&Json::Null);
            } else if let Some(alternatives) = schema["anyOf"].as_array() {
                let fits = alternatives.iter().find(|alternative| {
                    self.admitted(node, self.resolve(node, alternative)) != Admission::Refused
                });
                let Some(fit) = fits.or(alternatives.first()) else {
                    return schema;
                };
                schema = fit;
            } else {
                return schema;
            }
        }
    }

    /// Whether the kind of a value is one of the schema's.
    fn admitted(&self, node: &Node, schema: &Json) -> Admission {
        let any_of = |admits: &dyn Fn(&str) -> bool| match &schema["type"] {
            Json::String(one) => admits(one),
            Json::Array(several) => several.iter().filter_map(Json::as_str).any(admits),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => {
                words(schema).is_empty() || admits("string")
            }
        };
        let named = match &node.value {
            Value::Map(_) if choices(schema).is_some() => true,
            _ if choices(schema).is_some() => false,
            Value::Null => any_of(&|kind| kind == "null"),
            Value::Bool(_) => any_of(&|kind| kind == "boolean"),
            // A name or password of digits only is text where text is wanted.
            Value::Integer(_) | Value::Number(_) if is_free_text(schema) => true,
            Value::Integer(_) => any_of(&|kind| kind == "integer" || kind == "number"),
            Value::Number(_) => any_of(&|kind| kind == "number"),
            Value::Text(_) => any_of(&|kind| kind == "string"),
            Value::List(_) => any_of(&|kind| kind == "array"),
            Value::Map(_) => any_of(&|kind| kind == "object"),
        };
        if named {
            Admission::Admitted
        } else {
            Admission::Refused
        }
    }

    /// What a schema wants, in words.
    fn expected(&self, schema: &Json) -> String {
        if !words(schema).is_empty() {
            return format!("one of {}", list(&words(schema)));
        }
        if let Some(choices) = choices(schema) {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            return format!("one of {} and what belongs to it", list(&names));
        }
        let word = |kind: &str| match kind {
            "string" => "text",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "true or false",
            "array" => "a list",
            "object" => "a mapping",
            _ => "",
        };
        let kinds: Vec<&str> = match &schema["type"] {
            Json::String(one) => vec![word(one)],
            Json::Array(several) => several.iter().filter_map(Json::as_str).map(word).collect(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => {
                vec!["something else"]
            }
        };
        let kinds: Vec<&str> = kinds.into_iter().filter(|kind| !kind.is_empty()).collect();
        kinds.join(" or ")
    }

    fn visit_scalar(&mut self, node: &Node, schema: &Json) {
        if let Value::Integer(number) = node.value {
            let bound = |name: &str| schema[name].as_f64().map(|bound| bound as i128);
            let (least, most) = (bound("minimum"), bound("maximum"));
            if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
                let range = match (least, most) {
                    (Some(least), Some(most)) => format!("{least} to {most}"),
                    (Some(least), None) => format!("{least} or more"),
                    (None, _) => "a smaller number".to_owned(),
                };
                let message = format!("{number} is out of range: allowed is {range}");
                let note = Note::error(node.span, message);
                if fits(number, schema["format"].as_str().unwrap_or_default()) {
                    self.notes.push(note);
                } else {
                    self.refuse(note);
                }
            }
        }
        let Some(text) = node.text() else { return };
        let words = words(schema);
        if !words.is_empty() && !words.contains(&text.as_str()) {
            let note = Note::error(node.span, format!("unknown value `{text}`"));
            self.refuse(match nearest(&text, &words) {
                Some(near) => note.hint(format!("did you mean `{near}`?")),
                None => note.hint(format!("allowed: {}", list(&words))),
            });
        }
        if let Some(problem) = values::problem(schema["format"].as_str().unwrap_or_default(), &text)
        {
            self.refuse(Note::error(node.span, format!("can not read `{text}`")).hint(problem));
        }
    }

    fn visit_map(&mut self, node: &mut Node, schema: &'s Json, at: &str) {
        let place = node.span;
        let Value::Map(entries) = &mut node.value else {
            return;
        };
        let choices = choices(schema);
        let is_choice = choices.is_some();
        let fields = choices.or_else(|| fields(schema));
        let free = &schema["additionalProperties"];
        let mut dropped = false;
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        let mut kept = Vec::with_capacity(entries.len());
        for (mut key, mut value) in entries.drain(..) {
            let Some(mut name) = key.text() else {
                self.refuse(Note::error(key.span, "a name must be text"));
                continue;
            };
            // For anchors and notes of the user's own, as in Compose files.
            if at.is_empty() && name.starts_with(OWN_FIELDS) {
                continue;
            }
            let known = fields.as_deref().filter(|_| !free.is_object());
            if let Some(meant) = known.and_then(|known| self.meant(&key, &name, at, known)) {
                // What was meant is looked at too, unless it is said elsewhere.
                let Some(near) = meant.filter(|near| !seen.contains_key(near)) else {
                    dropped = true;
                    continue;
                };
                key.value = Value::Text(near.clone());
                name = near;
            }
            if let Some(line) = seen.get(&name) {
                self.notes.push(
                    Note::error(key.span, format!("`{name}` is here twice"))
                        .hint(format!("the first one is on line {line}")),
                );
                continue;
            }
            seen.insert(name.clone(), key.span.line);
            let field = fields.as_deref().and_then(|fields| field_of(fields, &name));
            let below = if at.is_empty() {
                name.clone()
            } else {
                format!("{at}.{name}")
            };
            let declared = field.is_none() && is_field_of_file(at);
            let optional =
                field.is_some() && at.is_empty() && !is_choice && !requires(schema, &name);
            let spared = declared || optional;
            if self.visit_apart(&mut value, field.unwrap_or(free), &below, spared) {
                kept.push((key, value));
            } else {
                let field = self.resolve(&value, field.unwrap_or(free));
                self.left_out.declarations |= optional && field["additionalProperties"].is_object();
                self.left_out.names.insert((at.to_owned(), name));
            }
        }
        if is_choice && (kept.len() != 1 || dropped) {
            self.usable = false;
            if kept.len() > 1 || !dropped {
                let known = fields.as_deref().unwrap_or_default();
                self.notes.push(not_one(place, at, &kept, known));
            }
        }
        *entries = kept;
        self.look_for_required(place, schema, at, &seen);
    }

    /// Tells of a field that nobody knows, and says which one was meant, if one can be guessed; none for a known field.
    fn meant(
        &mut self,
        key: &Node,
        name: &str,
        at: &str,
        fields: &[(&str, &Json)],
    ) -> Option<Option<String>> {
        if field_of(fields, name).is_some() {
            return None;
        }
        let known: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let word = vocabulary::word(name, &known);
        let near = match word {
            Some(Word::Called(here)) => Some(here.to_owned()),
            Some(Word::NoEffect) => None,
            None => nearest(name, &known).map(str::to_owned),
        };
        let note = unknown_field(key, name, at, word, near.as_deref(), &known);
        self.notes.push(note);
        Some(near)
    }

    fn look_for_required(
        &mut self,
        place: Span,
        schema: &Json,
        at: &str,
        seen: &BTreeMap<String, u32>,
    ) {
        let required = schema["required"].as_array().into_iter().flatten();
        for required in required.filter_map(Json::as_str) {
            if seen.contains_key(required) {
                continue;
            }
            let whose = if at.is_empty() {
                "the file".to_owned()
            } else {
                format!("`{at}`")
            };
            let note = Note::error(place, format!("{whose} has no `{required}`"));
            let about = schema["properties"][required]["description"].as_str();
            self.refuse(match about {
                Some(about) => note.hint(format!("`{required}`: {}", about.replace('\n', " "))),
                None => note,
            });
        }
    }
}

/// Whether a number can be decoded into the type that the schema's format names.
fn fits(number: i128, format: &str) -> bool {
    match format {
        "uint8" => u8::try_from(number).is_ok(),
        "uint16" => u16::try_from(number).is_ok(),
        "uint32" | rate::FORMAT => u32::try_from(number).is_ok(),
        _ => u64::try_from(number).is_ok(),
    }
}

fn requires(schema: &Json, field: &str) -> bool {
    let required = schema["required"].as_array().into_iter().flatten();
    required
        .filter_map(Json::as_str)
        .any(|required| required == field)
}

/// Whether a place is a field of the file itself.
fn is_field_of_file(at: &str) -> bool {
    !at.is_empty() && !at.contains('.')
}

fn is_mapping(schema: &Json) -> bool {
    choices(schema).is_some() || fields(schema).is_some()
}

fn field_of<'s>(fields: &[(&str, &'s Json)], name: &str) -> Option<&'s Json> {
    let mut fields = fields.iter();
    fields.find_map(|(known, field)| (*known == name).then_some(*field))
}

#[derive(PartialEq, Eq)]
enum Admission {
    Admitted,
    Refused,
}

fn unknown_field(
    key: &Node,
    name: &str,
    at: &str,
    word: Option<Word>,
    near: Option<&str>,
    known: &[&str],
) -> Note {
    let whose = if at.is_empty() {
        String::new()
    } else {
        format!(" in `{at}`")
    };
    let note = Note::error(key.span, format!("unknown field `{name}`{whose}"));
    match (word, near) {
        (Some(Word::NoEffect), _) => {
            note.hint("it is real on AWS, and has no effect here; leave it out")
        }
        (Some(Word::Called(here)), _) => note.hint(format!("it is called `{here}` here")),
        (None, Some(near)) => note.hint(format!("did you mean `{near}`?")),
        (None, None) => note.hint(format!("known fields: {}", list(known))),
    }
}

/// The note about a choice of which nothing or more than one thing was taken.
fn not_one(place: Span, at: &str, kept: &[(Node, Node)], choices: &[(&str, &Json)]) -> Note {
    let taken: Vec<String> = kept.iter().filter_map(|(key, _)| key.text()).collect();
    let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
    let known: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    match kept.get(1) {
        Some((second, _)) => {
            let message = format!("`{at}` has {}, and can be only one", list(&taken));
            Note::error(second.span, message)
        }
        None => Note::error(place, format!("`{at}` is empty"))
            .hint(format!("write one of {}", list(&known))),
    }
}

/// The fields of which a choice takes one, with what belongs to each; none for what is no choice.
fn choices(schema: &Json) -> Option<Vec<(&str, &Json)>> {
    let mut choices = Vec::new();
    for alternative in schema["oneOf"].as_array()? {
        choices.extend(fields(alternative)?);
    }
    (!choices.is_empty()).then_some(choices)
}

/// The fields that a schema names.
fn fields(schema: &Json) -> Option<Vec<(&str, &Json)>> {
    let fields = schema["properties"].as_object()?.iter();
    Some(fields.map(|(name, field)| (name.as_str(), field)).collect())
}

/// Whether a schema wants text of no particular form.
fn is_free_text(schema: &Json) -> bool {
    let text = match &schema["type"] {
        Json::String(one) => one == "string",
        Json::Array(several) => several.iter().any(|kind| kind == "string"),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => false,
    };
    text && schema["format"].as_str().unwrap_or_default().is_empty() && words(schema).is_empty()
}

/// The words that an enumeration allows; none for what is no enumeration.
fn words(schema: &Json) -> Vec<&str> {
    let constants = |name: &str| -> Vec<&str> {
        let alternatives = schema[name].as_array().into_iter().flatten();
        alternatives
            .filter_map(|one| one["const"].as_str())
            .collect()
    };
    match schema["enum"].as_array() {
        Some(words) => words.iter().filter_map(Json::as_str).collect(),
        None => schema["const"]
            .as_str()
            .map_or_else(|| constants("oneOf"), |word| vec![word]),
    }
}

fn list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

//! Files that people write, in YAML: read with every mistake of shape at once, each with its place.
//!
//! The types of a file are its only description: what a field may hold is in their JSON schema, which editors use and which
//! a file is held against before it is decoded. What the fields mean is not known here.

mod decode;
mod shape;
mod tree;
pub mod values;
mod vocabulary;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use decode::At;
pub use tree::MAX_BYTES;

use crate::notes::Note;

/// What a file is, in messages about one that is something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language {
    /// What it is called after "a" or "no": `topology`.
    pub noun: &'static str,
    /// What it begins with, as a sentence.
    pub beginning: &'static str,
}

/// A text that was read.
#[derive(Debug)]
pub struct Read<T> {
    /// The file, if it has the right shape apart from fields that nobody knows.
    pub spec: Option<T>,
    /// Every mistake of shape: unknown and missing fields, wrong kinds of value, numbers out of range.
    pub notes: Vec<Note>,
}

/// Reads a text of at most [`MAX_BYTES`].
pub fn read<T: DeserializeOwned + JsonSchema>(text: &str, language: Language) -> Read<T> {
    let nothing = |notes| Read { spec: None, notes };
    let mut tree = match tree::parse(text, language) {
        Ok(tree) => tree,
        Err(note) => return nothing(vec![note]),
    };
    let shape::Verdict { mut notes, usable } =
        shape::hold_against(&mut tree, &schema::<T>(), language);
    if !usable {
        return nothing(notes);
    }
    match decode::decode(&tree) {
        Ok(spec) => Read {
            spec: Some(spec),
            notes,
        },
        Err(note) => {
            // A number out of range was told already; it may not fit its type either.
            if notes.is_empty() {
                notes.push(note);
            }
            nothing(notes)
        }
    }
}

/// The JSON schema of a file, for editors.
pub fn schema<T: JsonSchema>() -> serde_json::Value {
    schemars::schema_for!(T).to_value()
}

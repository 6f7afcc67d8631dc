//! Files that people write, in YAML: read with every mistake of shape at once, each with its place.
//!
//! The types of a file are its only description: what a field may hold is in their JSON schema, which editors use and which
//! a file is held against before it is decoded. What the fields mean is not known here.

mod decode;
pub mod rate;
mod shape;
mod tree;
pub mod values;
mod vocabulary;

use std::collections::BTreeSet;

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
    /// The file, if it has the right shape apart from fields that nobody knows and what was left out.
    pub spec: Option<T>,
    /// What the file says that `spec` lacks, for its shape: nobody should miss it.
    pub left_out: LeftOut,
    /// Every mistake of shape: unknown and missing fields, wrong kinds of value, numbers out of range.
    pub notes: Vec<Note>,
}

/// What was declared with another shape than it must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// By name, after the field that they are declared in: `db-instances`, `orders`. Fields of the file themselves stand after nothing.
    pub(crate) names: BTreeSet<(String, String)>,
    /// Whether items of a list are among it.
    pub(crate) items: bool,
    /// Whether a whole field that declares by name is: nobody knows what it declares.
    pub(crate) declarations: bool,
}

impl LeftOut {
    /// Whether something of this name is among it, or may be.
    pub(crate) fn may_have(&self, name: &str) -> bool {
        self.declarations || self.names.iter().any(|(_, left_out)| left_out == name)
    }

    /// Whether this field of the file is among it, or something that it declares.
    pub(crate) fn is_of(&self, field: &str) -> bool {
        let mut names = self.names.iter();
        names.any(|(of, name)| of == field || (of.is_empty() && name == field))
    }

    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.items
    }
}

/// Reads a text of at most [`MAX_BYTES`].
pub fn read<T: DeserializeOwned + JsonSchema>(text: &str, language: Language) -> Read<T> {
    let nothing = |notes| Read {
        spec: None,
        left_out: LeftOut::default(),
        notes,
    };
    let mut tree = match tree::parse(text, language) {
        Ok(tree) => tree,
        Err(note) => return nothing(vec![note]),
    };
    let shape::Verdict {
        mut notes,
        left_out,
        usable,
    } = shape::hold_against(&mut tree, &schema::<T>(), language);
    if !usable {
        return nothing(notes);
    }
    match decode::decode(&tree) {
        Ok(spec) => Read {
            spec: Some(spec),
            left_out,
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

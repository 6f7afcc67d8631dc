//! Building outputs: an object of the model's member names, absent members left out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::time;

/// A structure of an output while it is being made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record(Map<String, Value>);

impl Record {
    /// An empty structure.
    pub fn new() -> Self {
        Self::default()
    }

    /// The structure that a value is; empty if it is none.
    pub fn from_value(value: &Value) -> Self {
        Self(value.as_object().cloned().unwrap_or_default())
    }

    /// With a member.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.put(name, value);
        self
    }

    /// With a member if there is one.
    #[must_use]
    pub fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// With a timestamp, in milliseconds since the epoch.
    #[must_use]
    pub fn time(self, name: &str, milliseconds: i64) -> Self {
        self.set(name, time::timestamp(milliseconds))
    }

    /// With bytes.
    #[must_use]
    pub fn blob(self, name: &str, bytes: &[u8]) -> Self {
        self.set(name, BASE64_STANDARD.encode(bytes))
    }

    /// With a list.
    #[must_use]
    pub fn list(self, name: &str, values: impl IntoIterator<Item = impl Into<Value>>) -> Self {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        self.set(name, values)
    }

    /// Adds a member to what is there.
    pub fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl From<Record> for Value {
    fn from(record: Record) -> Self {
        Self::Object(record.0)
    }
}

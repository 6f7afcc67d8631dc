//! Errors as AWS's clients see them: a code, a message, an HTTP status, who is to blame, and members that the model adds.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Who has to change something for the call to succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The caller: `<Type>Sender</Type>`.
    Sender,
    /// The service: `<Type>Receiver</Type>`.
    Receiver,
}

/// An error to answer with. [`crate::respond`] writes it as the call's protocol has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// AWS's code: what a client matches on (`DBInstanceNotFound`).
    pub code: Cow<'static, str>,
    /// The name of the model's error shape, where that is another (`DBInstanceNotFoundFault`).
    pub shape: Option<Cow<'static, str>>,
    /// For a person.
    pub message: String,
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// Who is to blame.
    pub blame: Blame,
    /// Members of the error shape beyond its message.
    pub members: Box<Map<String, Value>>,
}

impl Fault {
    /// An error of the caller with status 400.
    pub fn sender(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            shape: None,
            message: message.into(),
            status: 400,
            blame: Blame::Sender,
            members: Box::default(),
        }
    }

    /// An error of the service with status 500.
    pub fn receiver(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            status: 500,
            blame: Blame::Receiver,
            ..Self::sender(code, message)
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with a member of the error shape.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }
}

//! A call that was recognised: which service, operation and protocol, from whom, and how to read its input.

use std::borrow::Cow;

use serde_json::Value;

use crate::catalog::{Protocol, Service};
use crate::convention::Convention;
use crate::decode;
use crate::fault::Fault;
use crate::model::Operation;
use crate::request::Request;
use crate::route::Labels;
use crate::validate::{self, Violation};

/// Whose key signed a request, and for what: the scope of a signature. Nothing of it is verified here; see [`crate::sigv4`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The access key's id: `AKIA...`.
    pub access_key: String,
    /// The day of the signature: `20260131`.
    pub date: String,
    /// The region.
    pub region: String,
    /// The service's signing name.
    pub service: String,
}

/// The parameters of a form, decoded.
pub(crate) type Form<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// What a call's input is made of besides the body.
#[derive(Debug)]
pub(crate) enum Parts<'a> {
    /// Query and ec2: the form, from the URI or the body.
    Form(Form<'a>),
    /// REST: the labels of the URI.
    Labels(Labels),
    /// Everything lies in the body.
    Body,
}

/// A request whose service and operation are known.
#[derive(Debug)]
pub struct Call<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) service: &'a Service,
    pub(crate) operation: usize,
    pub(crate) protocol: Protocol,
    pub(crate) region: Option<String>,
    pub(crate) scope: Option<Scope>,
    pub(crate) parts: Parts<'a>,
}

impl<'a> Call<'a> {
    /// The service.
    pub fn service(&self) -> &'a Service {
        self.service
    }

    /// The operation's name.
    pub fn operation(&self) -> &'a str {
        self.row().name()
    }

    /// The protocol in which the answer has to be.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The region: that of the signature, else that of the host name.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Key, day, region and service of the signature; none for a call without one.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// True for operations that AWS serves without a signature (`AssumeRoleWithWebIdentity`).
    pub fn needs_no_signature(&self) -> bool {
        self.row().is_unsigned()
    }

    /// The operation's input, checked against the model in the manner of its service.
    ///
    /// An object of the members' names in the model. Timestamps are seconds since the epoch with millisecond fractions, blobs are
    /// base64, doubles that JSON has no number for are the strings `NaN`, `Infinity` and `-Infinity`. Absent members are absent.
    ///
    /// # Errors
    /// What AWS would answer: the input cannot be read, or violates the model.
    pub fn input(&self) -> Result<Value, Fault> {
        let value = self.read()?;
        let convention = Convention::of(self.service);
        let violations = self.violations(&value);
        let convicted: Vec<Violation<'_>> = violations
            .into_iter()
            .filter(|violation| convention.minds(violation))
            .collect();
        if convicted.is_empty() {
            return Ok(value);
        }
        Err(convention.fault(&convicted))
    }

    /// The operation's input as it was sent, its types checked and nothing else.
    ///
    /// # Errors
    /// What AWS would answer to something that cannot be read.
    pub fn read(&self) -> Result<Value, Fault> {
        decode::input(self)
    }

    /// Everything in which an input violates the model, in the model's order.
    pub fn violations(&self, input: &Value) -> Vec<Violation<'a>> {
        match self.row().input() {
            Some(field) => validate::violations(field.shape(), input),
            None => Vec::new(),
        }
    }

    /// The names in an output that the model does not have, as paths: a misspelt member would be dropped without a word.
    pub fn strays(&self, output: &Value) -> Vec<String> {
        match self.row().output() {
            Some(field) => validate::strays(field.shape(), output),
            None => Vec::new(),
        }
    }

    /// An error of the model, by the name of its shape or by its code, with the model's status. What the model does not have
    /// becomes an error of the caller with status 400, as EC2's errors all are: its model names none.
    pub fn fault(&self, name: &str, message: impl Into<String>) -> Fault {
        self.service.fault(name, message)
    }

    /// The answer for an operation that the model has and nobody built: never an empty success.
    pub fn not_implemented(&self) -> Fault {
        let message = format!(
            "{} of {} is not implemented",
            self.operation(),
            self.service.id()
        );
        // 501 is what SDKs do not retry among the statuses of servers.
        Fault::receiver("NotImplemented", message).status(501)
    }

    /// The answer for too many calls.
    pub fn throttled(&self) -> Fault {
        Convention::of(self.service).throttled()
    }

    /// The answer while the service has a failure of its own that will pass.
    pub fn unavailable(&self) -> Fault {
        Convention::of(self.service).unavailable()
    }

    pub(crate) fn row(&self) -> Operation<'a> {
        self.service.model().operation_at(self.operation)
    }
}

impl Service {
    /// See [`Call::fault`].
    pub fn fault(&self, name: &str, message: impl Into<String>) -> Fault {
        let Some(error) = self.model().error(name) else {
            return Fault::sender(name.to_owned(), message);
        };
        let code = error.code().to_owned();
        let mut fault = if error.blames_receiver() {
            Fault::receiver(code, message)
        } else {
            Fault::sender(code, message)
        };
        fault.shape = Some(error.shape().name().to_owned().into());
        fault.status(error.status())
    }
}

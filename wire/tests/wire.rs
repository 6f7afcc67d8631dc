//! What the crate promises, from outside: requests in, responses out.

#[path = "wire/bad_input.rs"]
mod bad_input;
#[path = "wire/errors.rs"]
mod errors;
#[path = "wire/finding.rs"]
mod finding;
#[path = "wire/pages.rs"]
mod pages;
#[path = "wire/signatures.rs"]
mod signatures;
#[path = "wire/validation.rs"]
mod validation;

use wire::{Call, Catalog, Refusal, Request, identify};

/// A request with owned headers, to be made in one expression.
pub(crate) struct Sent<'a> {
    method: &'a str,
    uri: &'a str,
    headers: Vec<(&'a str, &'a [u8])>,
    body: &'a [u8],
}

pub(crate) fn post<'a>(uri: &'a str, body: &'a (impl AsRef<[u8]> + ?Sized)) -> Sent<'a> {
    Sent {
        method: "POST",
        uri,
        headers: Vec::new(),
        body: body.as_ref(),
    }
}

pub(crate) fn get(uri: &str) -> Sent<'_> {
    Sent {
        method: "GET",
        ..post(uri, b"")
    }
}

/// A form for the service with this signing name.
pub(crate) fn form<'a>(scope: &'a str, body: &'a (impl AsRef<[u8]> + ?Sized)) -> Sent<'a> {
    post("/", body)
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .scope(scope)
}

pub(crate) fn json<'a>(target: &'a str, body: &'a (impl AsRef<[u8]> + ?Sized)) -> Sent<'a> {
    post("/", body)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target)
}

pub(crate) fn cbor<'a>(operation: &'a str, body: &'a (impl AsRef<[u8]> + ?Sized)) -> Sent<'a> {
    post(operation, body)
        .header("content-type", "application/cbor")
        .header("smithy-protocol", "rpc-v2-cbor")
}

impl<'a> Sent<'a> {
    pub(crate) fn header(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value.as_bytes()));
        self
    }

    /// With an unverified signature for a service.
    pub(crate) fn scope(self, service: &str) -> Self {
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260131/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
        );
        // Tests end soon enough.
        self.header("authorization", Box::leak(credential.into_boxed_str()))
    }

    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            method: self.method,
            uri: self.uri,
            headers: &self.headers,
            body: self.body,
        }
    }

    pub(crate) fn call(&self) -> Call<'_> {
        identify(Catalog::standard(), self.request()).expect("the request is a call")
    }

    pub(crate) fn refusal(&self) -> Refusal {
        *identify(Catalog::standard(), self.request()).expect_err("the request is no call")
    }

    /// `service.operation over Protocol`.
    pub(crate) fn found(&self) -> String {
        let call = self.call();
        format!(
            "{}.{} over {:?}",
            call.service().name(),
            call.operation(),
            call.protocol()
        )
    }

    /// `status code: message` of the refusal, wherever it comes from.
    pub(crate) fn refused(&self) -> String {
        let fault = match identify(Catalog::standard(), self.request()) {
            Ok(call) => call.input().expect_err("the input is refused"),
            Err(refusal) => refusal.fault,
        };
        format!("{} {}: {}", fault.status, fault.code, fault.message)
    }
}

//! Signature Version 4: whose key signed a request, and whether it did. Header and query (presigned) form; the clock and the
//! secrets are the caller's.
//!
//! After "Create a signed AWS API request" and "Troubleshoot Signature Version 4 signing for AWS API requests" of the IAM User Guide.

mod canonical;
mod signature;

use std::borrow::Cow;

use crate::call::{Call, Scope};
use crate::catalog::Protocol;
use crate::fault::Fault;
use crate::request::Request;
use crate::sigv4::signature::{Signature, Source};

/// How far a signature's time may be from ours, in milliseconds: five minutes.
const SKEW_MAX: i64 = 5 * 60 * 1000;

/// The longest that a presigned URL may be good for, in seconds: seven days.
const EXPIRES_MAX: i64 = 7 * 24 * 60 * 60;

/// What signs with an access key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The secret access key.
    pub key: String,
    /// The session token that has to come with it; for temporary credentials.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// Who called, as far as the signature goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    /// The holder of this access key.
    Key(String),
    /// Nobody: an operation that needs no signature came without one.
    Anonymous,
}

/// Verifies the signature of a call. `secret` gives the secret of an access key, `now` is in milliseconds since the epoch.
///
/// # Errors
/// As AWS answers, by protocol: no signature, an incomplete one, an unknown key, one that is too old or not yet valid, one for
/// another service, or one that another secret made.
pub fn verify(
    call: &Call<'_>,
    secret: impl FnOnce(&str) -> Option<Secret>,
    now: i64,
) -> Result<Caller, Fault> {
    verify_over(call, call.request.body, secret, now)
}

/// The same of a call whose body came encoded: `body` is what was signed, the call was read from what it decodes to.
///
/// # Errors
/// As [`verify`].
pub fn verify_over(
    call: &Call<'_>,
    body: &[u8],
    secret: impl FnOnce(&str) -> Option<Secret>,
    now: i64,
) -> Result<Caller, Fault> {
    let refusal = |refusal: Refusal| refusal.fault(call.protocol);
    let signature = match Signature::of(&call.request).map_err(refusal)? {
        Some(signature) => signature,
        None if call.needs_no_signature() => return Ok(Caller::Anonymous),
        None => return Err(refusal(Refusal::Unsigned)),
    };
    check_scope(call, &signature).map_err(refusal)?;
    check_time(&signature, now).map_err(refusal)?;
    let secret = secret(&signature.scope.access_key).ok_or_else(|| refusal(Refusal::UnknownKey))?;
    if secret.session_token.as_deref() != signature.session_token.as_deref()
        && secret.session_token.is_some()
    {
        return Err(refusal(Refusal::UnknownKey));
    }
    let received = Request {
        body,
        ..call.request
    };
    if !signature.is_of(&received, &secret.key) {
        return Err(refusal(Refusal::Mismatch(None)));
    }
    Ok(Caller::Key(signature.scope.access_key))
}

/// The scope of a request's signature, whether or not the signature is complete or right.
pub(crate) fn scope(request: &Request<'_>) -> Option<Scope> {
    let credential = match request.header("authorization") {
        Some(header) => {
            let (_, rest) = header.split_once("Credential=")?;
            Cow::Borrowed(rest.split([',', ' ']).next()?)
        }
        None => signature::query_parameter(request, "X-Amz-Credential")?,
    };
    signature::parse_scope(&credential)
}

fn check_scope(call: &Call<'_>, signature: &Signature) -> Result<(), Refusal> {
    let scope = &signature.scope;
    if scope.service != call.service.signing_name() {
        let name = call.service.signing_name();
        return Err(Refusal::Mismatch(Some(format!(
            "Credential should be scoped to correct service: '{name}'. "
        ))));
    }
    if !signature.time.starts_with(&scope.date) {
        return Err(Refusal::Mismatch(Some(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from '{}'.",
            scope.date,
            signature.time.get(..8).unwrap_or_default(),
            signature.time
        ))));
    }
    Ok(())
}

fn check_time(signature: &Signature, now: i64) -> Result<(), Refusal> {
    let signed = signature.milliseconds;
    let (until, allowance) = match signature.source {
        Source::Header => (signed.saturating_add(SKEW_MAX), SKEW_MAX),
        Source::Query { expires } => (signed.saturating_add(expires * 1000), expires * 1000),
    };
    let (time, minutes) = (&signature.time, |length: i64| length / 60_000);
    if now > until {
        let (earliest, now) = (signature::stamp(now - allowance), signature::stamp(now));
        return Err(Refusal::Expired(format!(
            "Signature expired: {time} is now earlier than {earliest} ({now} - {} min.)",
            minutes(allowance)
        )));
    }
    if signed > now.saturating_add(SKEW_MAX) {
        let (latest, now) = (signature::stamp(now + SKEW_MAX), signature::stamp(now));
        return Err(Refusal::Expired(format!(
            "Signature not yet current: {time} is still later than {latest} ({now} + {} min.)",
            minutes(SKEW_MAX)
        )));
    }
    Ok(())
}

/// Why a signature is refused.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    Unsigned,
    Incomplete(String),
    UnknownKey,
    Expired(String),
    /// Wrong, and perhaps why.
    Mismatch(Option<String>),
}

/// The general text for a signature that is another.
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                        Access Key and signing method. Consult the service documentation for details.";

const UNKNOWN_KEY: &str = "The security token included in the request is invalid.";

impl Refusal {
    /// The "Common errors" of the services' API references; EC2's from "Error codes for the Amazon EC2 API".
    fn fault(self, protocol: Protocol) -> Fault {
        match protocol {
            Protocol::Query | Protocol::RestXml => self.query(),
            Protocol::Ec2 => self.ec2(),
            Protocol::Json | Protocol::Cbor => self.json(400),
            Protocol::RestJson => self.json(403),
        }
    }

    fn query(self) -> Fault {
        match self {
            Self::Unsigned => Fault::sender(
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
            )
            .status(403),
            Self::Incomplete(text) => Fault::sender("IncompleteSignature", text),
            Self::UnknownKey => Fault::sender("InvalidClientTokenId", UNKNOWN_KEY).status(403),
            Self::Expired(text) => Fault::sender("SignatureDoesNotMatch", text).status(403),
            Self::Mismatch(text) => {
                let text = text.unwrap_or_else(|| MISMATCH.to_owned());
                Fault::sender("SignatureDoesNotMatch", text).status(403)
            }
        }
    }

    fn ec2(self) -> Fault {
        match self {
            Self::UnknownKey => {
                let text = "AWS was not able to validate the provided access credentials";
                Fault::sender("AuthFailure", text).status(401)
            }
            Self::Expired(_) => Fault::sender("RequestExpired", "Request has expired."),
            other @ (Self::Unsigned | Self::Incomplete(_) | Self::Mismatch(_)) => other.query(),
        }
    }

    fn json(self, status: u16) -> Fault {
        match self {
            Self::Unsigned => Fault::sender(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ),
            Self::Incomplete(text) => Fault::sender("IncompleteSignatureException", text),
            Self::UnknownKey => Fault::sender("UnrecognizedClientException", UNKNOWN_KEY),
            Self::Expired(text) => Fault::sender("InvalidSignatureException", text),
            Self::Mismatch(text) => Fault::sender(
                "InvalidSignatureException",
                text.unwrap_or_else(|| MISMATCH.to_owned()),
            ),
        }
        .status(status)
    }
}

//! Security Token Service: who one is, and credentials for a time.
//!
//! After the STS API reference. There are no roles and no policies: whoever calls may have the credentials of any role of the
//! account. A web identity's token is read and not verified: nobody here knows its issuer's key.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use wire::{Call, Fault, Record};

use super::session::Principal;
use super::{Handler, Operations, Session, View, ids};

pub(super) const OPERATIONS: Operations = &[
    ("AssumeRole", Handler::Read(assume_role)),
    (
        "AssumeRoleWithWebIdentity",
        Handler::Read(assume_role_with_web_identity),
    ),
    ("GetAccessKeyInfo", Handler::Read(get_access_key_info)),
    ("GetCallerIdentity", Handler::Read(get_caller_identity)),
    ("GetSessionToken", Handler::Read(get_session_token)),
];

/// Seconds that a role's credentials last if nothing else is asked for (AssumeRole, "DurationSeconds").
const ROLE_SECONDS: i64 = 3_600;
/// Seconds that a role's credentials last at most which another role asked for ("role chaining").
const CHAINED_SECONDS_MAX: i64 = 3_600;
/// Seconds that the account's own session lasts, and at most: "If the duration is longer than one hour, the session for AWS account
/// owners defaults to one hour" (GetSessionToken).
const OWN_SECONDS: i64 = 3_600;

fn get_caller_identity(view: &View<'_>, _: &Call<'_>, _: &Value) -> Result<Record, Fault> {
    Ok(Record::new()
        .set("UserId", view.caller.id.as_str())
        .set("Account", view.account)
        .set("Arn", view.caller.arn.as_str()))
}

fn assume_role(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let seconds = seconds(input, ROLE_SECONDS);
    if is_session(view) && seconds > CHAINED_SECONDS_MAX {
        let text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(Fault::sender("ValidationError", text));
    }
    let assumed = assume(view, input)?;
    let output = given(view, &assumed, seconds);
    let source = input["SourceIdentity"].as_str();
    Ok(output.maybe("SourceIdentity", source))
}

fn assume_role_with_web_identity(
    view: &View<'_>,
    _: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let token = input["WebIdentityToken"].as_str().unwrap_or_default();
    let claims = claims(token).ok_or_else(|| {
        let text = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
        view.fault("InvalidIdentityToken", text)
    })?;
    let ends = claims["exp"].as_i64();
    if ends.is_some_and(|ends| ends.saturating_mul(1_000) <= view.now) {
        let text =
            "Token expired: current date/time must be before the expiration date/time of the token";
        return Err(view.fault("ExpiredTokenException", text));
    }
    let assumed = assume(view, input)?;
    let audience = claims["aud"].as_str().or(claims["aud"][0].as_str());
    Ok(given(view, &assumed, seconds(input, ROLE_SECONDS))
        .maybe("SubjectFromWebIdentityToken", claims["sub"].as_str())
        .maybe("Audience", audience)
        .maybe("Provider", claims["iss"].as_str()))
}

fn get_session_token(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    if is_session(view) {
        let text = "Cannot call GetSessionToken with session credentials";
        return Err(Fault::sender("AccessDenied", text).status(403));
    }
    let seconds = seconds(input, OWN_SECONDS).min(OWN_SECONDS);
    let session = issue(view, view.caller.clone(), seconds);
    Ok(Record::new().set("Credentials", credentials(&session)))
}

/// Whose a key is. Where the topology names its keys, only those and temporary ones are known to be the account's.
fn get_access_key_info(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let asked = input["AccessKeyId"].as_str().unwrap_or_default();
    let keys = &view.topology().credentials;
    let known = keys.iter().any(|key| key.access_key_id == asked);
    if keys.is_empty() || known || asked.starts_with("ASIA") {
        return Ok(Record::new().set("Account", view.account));
    }
    let text = format!("The access key {asked} is none of this account");
    Err(Fault::sender("AccessDenied", text).status(403))
}

/// `arn:aws:iam::123456789012:role/path/NAME` becomes `arn:aws:sts::123456789012:assumed-role/NAME/SESSION`.
fn assume(view: &View<'_>, input: &Value) -> Result<Principal, Fault> {
    let arn = input["RoleArn"].as_str().unwrap_or_default();
    let session = input["RoleSessionName"].as_str().unwrap_or_default();
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let (account, path) = match parts.as_slice() {
        ["arn", _, "iam", "", account, resource] => (*account, resource.strip_prefix("role/")),
        _ => ("", None),
    };
    let name = path.and_then(|path| path.rsplit('/').next());
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(Fault::sender(
            "ValidationError",
            format!("{arn} is invalid"),
        ));
    };
    if account != view.account {
        let (who, action) = (&view.caller.arn, "sts:AssumeRole");
        let text = format!("User: {who} is not authorized to perform: {action} on resource: {arn}");
        return Err(Fault::sender("AccessDenied", text).status(403));
    }
    // AWS's unique ids of roles: AROA and 17 capitals and digits (IAM identifiers, "Unique identifiers").
    let id = ids::digits("role", arn, 17).to_ascii_uppercase();
    let resource = format!("assumed-role/{name}/{session}");
    Ok(Principal {
        arn: view.global_arn("sts", &resource),
        id: format!("AROA{id}:{session}"),
    })
}

fn given(view: &View<'_>, assumed: &Principal, seconds: i64) -> Record {
    let session = issue(view, assumed.clone(), seconds);
    let user = Record::new()
        .set("AssumedRoleId", assumed.id.as_str())
        .set("Arn", assumed.arn.as_str());
    Record::new()
        .set("Credentials", credentials(&session))
        .set("AssumedRoleUser", user)
}

fn issue(view: &View<'_>, principal: Principal, seconds: i64) -> Session {
    let expires = view.now.saturating_add(seconds.saturating_mul(1_000));
    let unique = view.draw("access-key", 16);
    view.facts.issuer.issue(principal, expires, &unique)
}

fn credentials(session: &Session) -> Record {
    Record::new()
        .set("AccessKeyId", session.access_key.as_str())
        .set("SecretAccessKey", session.secret.as_str())
        .set("SessionToken", session.token.as_str())
        .time("Expiration", session.expires)
}

fn seconds(input: &Value, usual: i64) -> i64 {
    input["DurationSeconds"].as_i64().unwrap_or(usual)
}

/// Whether temporary credentials of a role call.
fn is_session(view: &View<'_>) -> bool {
    view.caller.arn.contains(":assumed-role/")
}

/// What a JSON Web Token claims (RFC 7519); none if it is no such token.
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let claims = BASE64_URL_SAFE_NO_PAD
        .decode(claims.trim_end_matches('='))
        .ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.is_object().then_some(claims)
}

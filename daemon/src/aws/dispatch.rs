//! From a request to its answer, or to what the driver has to decide for it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;
use topologies::topology::Topology;
use topologies::world::World;
use wire::sigv4::{self, Caller, Secret};
use wire::{Call, Catalog, Fault, Protocol, Refusal, Request, Response, identify};

use super::change::{Decide, Decided};
use super::session::{Claims, Issuer, Principal};
use super::view::{Context, Facts, global_arn, partition};
use super::{Handler, fis, services, trouble};

/// Where a temporary credential's token is.
const TOKEN: &str = "x-amz-security-token";

/// A request that has been read.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) method: Method,
    /// Path and query, as they were sent.
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
    /// As it came: what was signed.
    pub(super) body: Bytes,
    /// What it decodes to, if it came encoded.
    pub(super) decoded: Option<Bytes>,
}

/// What requests are answered from.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) world: Arc<World>,
    pub(super) facts: Facts,
}

/// What belongs to one request alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// In milliseconds of the wall clock.
    pub(super) now: i64,
    /// Of its request id, and of everything that is drawn for it.
    pub(super) entropy: [u8; 16],
}

/// How far a request comes without the driver.
pub(super) enum Step {
    /// It is answered.
    Done(Response),
    /// The driver has to decide; [`finish`] makes the answer.
    Ask(Decide),
}

/// How far a call comes.
enum Outcome {
    Output(Value),
    Ask(Decide),
}

/// Begins with a request.
pub(super) fn begin(incoming: &Incoming, ground: &Ground, moment: Moment) -> Step {
    incoming.with(|request| {
        let call = match identify(Catalog::standard(), request) {
            Ok(call) => call,
            Err(refusal) => return Step::Done(refused(&refusal, moment)),
        };
        match answer(&call, (&request, &incoming.body), ground, moment) {
            Ok(Outcome::Ask(decide)) => Step::Ask(decide),
            Ok(Outcome::Output(output)) => Step::Done(respond(&call, &Ok(output), moment)),
            Err(fault) => Step::Done(respond(&call, &Err(fault), moment)),
        }
    })
}

/// Service and operation of a request that is a call.
pub(super) fn call(incoming: &Incoming) -> Option<(String, String)> {
    incoming.with(|request| {
        let call = identify(Catalog::standard(), request).ok()?;
        let service = call.service().name().to_owned();
        Some((service, call.operation().to_owned()))
    })
}

/// The answer to a request that faults do not let through.
pub(super) fn trouble(incoming: &Incoming, refusal: trouble::Refusal, moment: Moment) -> Response {
    incoming.with(|request| match identify(Catalog::standard(), request) {
        Ok(call) => {
            let fault = match refusal {
                trouble::Refusal::Throttled => call.throttled(),
                trouble::Refusal::Unavailable => call.unavailable(),
            };
            respond(&call, &Err(fault), moment)
        }
        // It was understood when it was looked at for faults.
        Err(refusal) => refused(&refusal, moment),
    })
}

/// The answer to a request that the driver decided; none if it did not do so in time.
pub(super) fn finish(incoming: &Incoming, decided: Option<Decided>, moment: Moment) -> Response {
    incoming.with(|request| match identify(Catalog::standard(), request) {
        Ok(call) => {
            let result = decided.unwrap_or_else(|| Err(call.unavailable()));
            respond(&call, &result, moment)
        }
        // It was understood when it was begun with.
        Err(refusal) => refused(&refusal, moment),
    })
}

/// The answer to a request whose body is larger than any may be, or did not come. What was read of it is enough to know the
/// protocol, where that is in the head.
pub(super) fn unread(
    incoming: &Incoming,
    fault: impl FnOnce(Protocol) -> Fault,
    moment: Moment,
) -> Response {
    incoming.with(|request| match identify(Catalog::standard(), request) {
        Ok(call) => respond(&call, &Err(fault(call.protocol())), moment),
        Err(mut refusal) => {
            refusal.fault = fault(refusal.protocol);
            refused(&refusal, moment)
        }
    })
}

/// The answer when something went wrong that must not.
pub(super) fn failed(moment: Moment) -> Response {
    let text =
        "The request processing has failed because of an unknown error, exception or failure.";
    let refusal = Refusal {
        fault: Fault::receiver("InternalFailure", text),
        protocol: Protocol::Query,
        service: None,
    };
    refused(&refusal, moment)
}

/// "Common errors": AWS's front ends have one code for it, with the newer protocols' ending.
pub(super) fn too_large(protocol: Protocol) -> Fault {
    Fault::sender(
        coded(protocol, "RequestEntityTooLarge"),
        "The request is larger than this service takes.",
    )
    .status(413)
}

/// A body that does not come in time.
pub(super) fn too_late(protocol: Protocol) -> Fault {
    let text = "The request was not received within the time that it may take.";
    Fault::sender(coded(protocol, "RequestTimeout"), text).status(408)
}

/// A body that breaks off.
pub(super) fn broken_off(protocol: Protocol) -> Fault {
    let text = "The request ended before all that it announced was received.";
    Fault::sender(coded(protocol, "IncompleteBody"), text)
}

/// A body that is not encoded as its headers say.
pub(super) fn undecodable(protocol: Protocol) -> Fault {
    let text = "The request's body is not encoded as its Content-Encoding says.";
    match protocol {
        Protocol::Query | Protocol::Ec2 | Protocol::RestXml => {
            Fault::sender("MalformedInput", text)
        }
        Protocol::Json | Protocol::RestJson | Protocol::Cbor => {
            Fault::sender("SerializationException", text)
        }
    }
}

fn coded(protocol: Protocol, code: &str) -> String {
    match protocol {
        Protocol::Query | Protocol::Ec2 | Protocol::RestXml => code.to_owned(),
        Protocol::Json | Protocol::RestJson | Protocol::Cbor => format!("{code}Exception"),
    }
}

impl Incoming {
    fn with<T>(&self, work: impl FnOnce(Request<'_>) -> T) -> T {
        let headers = self.headers.iter();
        let headers: Vec<(&str, &[u8])> = headers
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        work(Request {
            method: self.method.as_str(),
            uri: &self.uri,
            headers: &headers,
            body: self.decoded.as_ref().unwrap_or(&self.body),
        })
    }
}

impl Moment {
    /// The request's id, in AWS's form: a random UUID.
    fn id(&self) -> String {
        let mut bytes = self.entropy;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let digits = hex::encode(bytes);
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
        parts.join("-")
    }
}

fn respond(call: &Call<'_>, result: &Result<Value, Fault>, moment: Moment) -> Response {
    if let Ok(output) = result {
        debug_assert_eq!(
            call.strays(output),
            Vec::<String>::new(),
            "{}",
            call.operation()
        );
    }
    wire::respond(call, result, &moment.id())
}

fn refused(refusal: &Refusal, moment: Moment) -> Response {
    wire::refuse(Catalog::standard(), refusal, &moment.id())
}

fn answer(
    call: &Call<'_>,
    received: (&Request<'_>, &[u8]),
    ground: &Ground,
    moment: Moment,
) -> Result<Outcome, Fault> {
    let topology = &ground.world.plan.topology;
    let region = match call.region() {
        Some(region) => region.to_owned(),
        None => super::region(topology).to_owned(),
    };
    let caller = caller(call, received, ground, &region, moment.now)?;
    let name = call.service().name();
    let handler = services::handler(name, call.operation());
    let service = Catalog::standard().service(name);
    let (Some(handler), Some(service)) = (handler, service) else {
        return Err(call.not_implemented());
    };
    let input = call.input()?;
    dry_run(call, &input)?;
    let context = Context {
        now: moment.now,
        region,
        service,
        caller,
        entropy: moment.entropy,
        facts: ground.facts.clone(),
    };
    let view = context.view(&ground.world);
    if let Some(fault) = fis::refusal(&view, call, &input) {
        return Err(fault);
    }
    match handler {
        Handler::Read(read) => Ok(Outcome::Output(read(&view, call, &input)?.into())),
        Handler::Measure(measure) => {
            let (output, measured) = measure(&view, &input)?;
            ground.facts.metrics.put(measured, moment.now);
            Ok(Outcome::Output(output.into()))
        }
        Handler::Change(change) => Ok(Outcome::Ask(Box::new(move |world, decided| {
            // What it answers is of the moment at which its events will be.
            let now = context.facts.wall(decided);
            let context = Context { now, ..context };
            let (output, changes) = change(&context.view(world), &input)?;
            Ok((output.into(), changes))
        }))),
    }
}

/// EC2's way to ask whether one may: "Checks whether you have the required permissions for the action".
fn dry_run(call: &Call<'_>, input: &Value) -> Result<(), Fault> {
    if call.protocol() == Protocol::Ec2 && input["DryRun"] == true {
        let text = "Request would have succeeded, but DryRun flag is set.";
        return Err(Fault::sender("DryRunOperation", text).status(412));
    }
    Ok(())
}

/// Who calls. Where the topology names access keys, a signature has to be right; where not, any is taken, and none.
fn caller(
    call: &Call<'_>,
    (request, body): (&Request<'_>, &[u8]),
    ground: &Ground,
    region: &str,
    now: i64,
) -> Result<Principal, Fault> {
    let topology = &ground.world.plan.topology;
    let issuer = &ground.facts.issuer;
    let token = token(request);
    let claims = token.and_then(|token| issuer.read(token));
    if !topology.credentials.is_empty() {
        let secret = |key: &str| secret(topology, issuer, key, token);
        if sigv4::verify_over(call, body, secret, now)? == Caller::Anonymous {
            return Ok(root(topology, region));
        }
    }
    match claims {
        Some(claims) if owns(topology, call, &claims) => {
            if claims.expires <= now {
                let text = "The security token included in the request is expired";
                let fault = Fault::sender(coded(call.protocol(), "ExpiredToken"), text);
                return Err(fault.status(403));
            }
            Ok(claims.principal)
        }
        Some(_) | None => Ok(root(topology, region)),
    }
}

/// Whether the key that signed is the token's, not one of the topology's that came with a token of somebody else.
fn owns(topology: &Topology, call: &Call<'_>, claims: &Claims) -> bool {
    let keys = &topology.credentials;
    let key = call.scope().map(|scope| scope.access_key.as_str());
    key == Some(&claims.access_key)
        && keys
            .iter()
            .all(|known| known.access_key_id != claims.access_key)
}

/// The account itself, as whose key every access key of the topology counts.
fn root(topology: &Topology, region: &str) -> Principal {
    let account = &topology.account_id;
    Principal {
        arn: global_arn(partition(region), "iam", account, "root"),
        id: account.clone(),
    }
}

fn secret(topology: &Topology, issuer: &Issuer, key: &str, token: Option<&str>) -> Option<Secret> {
    let mut credentials = topology.credentials.iter();
    let known = credentials.find(|credential| credential.access_key_id == key);
    match known {
        Some(known) => Some(Secret {
            key: known.secret_access_key.clone(),
            session_token: known.session_token.clone(),
        }),
        None => issuer.secret_of(key, token?),
    }
}

/// The token of temporary credentials. Those that are issued here have nothing that a query would encode.
fn token<'a>(request: &Request<'a>) -> Option<&'a str> {
    request.header(TOKEN).or_else(|| {
        let parameters = request
            .query()
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let mut tokens = parameters.filter(|(name, _)| name.eq_ignore_ascii_case(TOKEN));
        tokens.next().map(|(_, token)| token)
    })
}

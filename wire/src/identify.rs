//! Whose request is it? Service, operation and region of a request, from what clients send: a target header, an RPC path, an
//! action and its version, the scope of the signature, method and path, and last the host name.

use crate::call::{Call, Form, Parts, Scope};
use crate::catalog::{Catalog, Protocol, Service};
use crate::convention::Convention;
use crate::fault::Fault;
use crate::request::Request;
use crate::sigv4;
use crate::text;

/// A request that no operation could be found for: the error, and the protocol in which to answer it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// What is wrong.
    pub fault: Fault,
    /// How to say it.
    pub protocol: Protocol,
    /// The service, where that much was understood.
    pub service: Option<String>,
}

/// Finds out which operation of which service a request calls. Nothing of the signature is verified.
///
/// # Errors
/// A refusal with the code that AWS has for it; render it with [`crate::refuse`].
pub fn identify<'a>(catalog: &'a Catalog, request: Request<'a>) -> Result<Call<'a>, Box<Refusal>> {
    let scope = sigv4::scope(&request);
    let host = Host::of(&request);
    let region = scope.as_ref().map(|scope| scope.region.clone());
    let found = Finder {
        catalog,
        request,
        scope: scope.as_ref(),
        host: &host,
    }
    .find()?;
    Ok(Call {
        request,
        service: found.service,
        operation: found.operation,
        protocol: found.protocol,
        region: region.or_else(|| host.region.map(str::to_owned)),
        scope,
        parts: found.parts,
    })
}

struct Found<'a> {
    service: &'a Service,
    operation: usize,
    protocol: Protocol,
    parts: Parts<'a>,
}

/// Labels of the host name: `rds.eu-west-1.amazonaws.com`, `rds.eu-west-1.localhost:4566`.
struct Host<'a> {
    labels: Vec<&'a str>,
    region: Option<&'a str>,
}

impl<'a> Host<'a> {
    fn of(request: &Request<'a>) -> Self {
        let host = request.header("host").unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let labels: Vec<&str> = name.split('.').collect();
        let region = labels
            .iter()
            .copied()
            .find(|label| looks_like_region(label));
        Self { labels, region }
    }

    fn names(&self, service: &Service) -> bool {
        self.labels.first() == Some(&service.endpoint_prefix())
    }
}

/// `eu-west-1`, `us-gov-east-1`.
fn looks_like_region(label: &str) -> bool {
    let mut parts = label.split('-').rev();
    let number = parts.next().unwrap_or_default();
    let words: Vec<&str> = parts.collect();
    let is_word =
        |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && words.len() >= 2
        && words.iter().all(is_word)
        && words.last().is_some_and(|area| area.len() == 2)
}

struct Finder<'a, 'f> {
    catalog: &'a Catalog,
    request: Request<'a>,
    scope: Option<&'f Scope>,
    host: &'f Host<'a>,
}

impl<'a> Finder<'a, '_> {
    fn find(&self) -> Result<Found<'a>, Box<Refusal>> {
        if let Some(found) = self.rpc()? {
            return Ok(found);
        }
        if let Some(target) = self.request.header("x-amz-target") {
            return self.target(target);
        }
        if let Some(form) = self.form()? {
            return self.action(form);
        }
        self.rest()
    }

    /// `POST /service/GraniteServiceVersion20100801/operation/PutMetricAlarm`.
    fn rpc(&self) -> Result<Option<Found<'a>>, Box<Refusal>> {
        let Some(rest) = self.request.path().strip_prefix("/service/") else {
            return Ok(None);
        };
        let Some((prefix, operation)) = rest.split_once("/operation/") else {
            return Ok(None);
        };
        // The path names the Smithy service, perhaps with its namespace in front.
        let prefix = prefix.rsplit('.').next().unwrap_or(prefix);
        let candidates = self.with(Protocol::Cbor);
        let named = candidates
            .into_iter()
            .find(|service| service.target_prefix() == Some(prefix));
        let Some(service) = named else {
            return Err(refuse(unserved(prefix), Protocol::Cbor, None));
        };
        let media_type = self.request.media_type();
        if self.request.header("smithy-protocol") != Some("rpc-v2-cbor")
            || (media_type != Some("application/cbor") && !self.request.body.is_empty())
        {
            let fault = Fault::sender(
                "UnsupportedMediaTypeException",
                "the content type must be application/cbor",
            );
            return Err(refuse(fault.status(415), Protocol::Cbor, Some(service)));
        }
        found(service, operation, Protocol::Cbor, Parts::Body).map(Some)
    }

    /// `X-Amz-Target: TrentService.Encrypt`.
    fn target(&self, target: &str) -> Result<Found<'a>, Box<Refusal>> {
        let (prefix, operation) = target.rsplit_once('.').unwrap_or(("", target));
        let candidates = self.with(Protocol::Json);
        let named = candidates
            .iter()
            .find(|service| service.target_prefix() == Some(prefix));
        match named {
            Some(service) => found(service, operation, Protocol::Json, Parts::Body),
            None => {
                let fault = Fault::sender("UnknownOperationException", "");
                Err(refuse(fault, Protocol::Json, self.scoped(Protocol::Json)))
            }
        }
    }

    /// The parameters of a query call; none for a request that is none.
    fn form(&self) -> Result<Option<Form<'a>>, Box<Refusal>> {
        let query = self.request.query();
        let typed = self.request.media_type() == Some("application/x-www-form-urlencoded");
        let scoped = self.scoped(Protocol::Query);
        let looks = |text: &[u8]| text.starts_with(b"Action=") || find(text, b"&Action=");
        let in_body = typed || looks(self.request.body);
        if !in_body && !looks(query.as_bytes()) && scoped.is_none() {
            return Ok(None);
        }
        // A protocol of its own with a form's content type (curl's default) is not a form.
        if typed
            && scoped.is_none()
            && !looks(self.request.body)
            && !looks(query.as_bytes())
            && self.speaks_rest()
        {
            return Ok(None);
        }
        let broken = || {
            let fault = Fault::sender(
                "MalformedQueryString",
                "The query string contains a syntax error",
            );
            let protocol = scoped.map_or(Protocol::Query, |service| service.protocols()[0]);
            refuse(fault, protocol, scoped)
        };
        let mut pairs = text::pairs(query).ok_or_else(broken)?;
        if in_body {
            let body = std::str::from_utf8(self.request.body).map_err(|_| broken())?;
            pairs.extend(text::pairs(body).ok_or_else(broken)?);
        }
        Ok(Some(pairs))
    }

    fn action(&self, form: Form<'a>) -> Result<Found<'a>, Box<Refusal>> {
        let get = |name: &str| {
            let pair = form.iter().find(|(other, _)| other == name);
            pair.map(|(_, value)| value.to_string())
        };
        let mut candidates = self.with(Protocol::Query);
        candidates.extend(self.with(Protocol::Ec2));
        let scope = self.scope.map(|scope| scope.service.as_str());
        if candidates
            .iter()
            .any(|service| Some(service.signing_name()) == scope)
        {
            candidates.retain(|service| Some(service.signing_name()) == scope);
        } else if let Some(scope) = scope {
            return Err(refuse(unserved(scope), Protocol::Query, None));
        } else if candidates.iter().any(|service| self.host.names(service)) {
            candidates.retain(|service| self.host.names(service));
        }
        let single = (candidates.len() == 1).then(|| candidates[0]);
        let protocol = single.map_or(Protocol::Query, form_protocol);
        let Some(action) = get("Action") else {
            return Err(refuse(
                Fault::sender("MissingAction", "Missing Action"),
                protocol,
                single,
            ));
        };
        let version = get("Version");
        let fitting = candidates.iter().find(|service| match &version {
            Some(version) => accepts_version(service, version),
            None => service.has_operation(&action),
        });
        let Some(service) = fitting.copied() else {
            let version = version.unwrap_or_default();
            let fault = match single {
                Some(service) => {
                    Convention::of(service).unknown_version(service, &action, &version)
                }
                None => unknown_action(&action, &version),
            };
            return Err(refuse(fault, protocol, single));
        };
        let protocol = form_protocol(service);
        let Some(operation) = service.model().operation_index(&action) else {
            let version = version.as_deref().unwrap_or(service.api_version());
            let fault = if protocol == Protocol::Ec2 {
                let message = format!("The action {action} is not valid for this web service.");
                Fault::sender("InvalidAction", message)
            } else {
                unknown_action(&action, version)
            };
            return Err(refuse(fault, protocol, Some(service)));
        };
        let parts = Parts::Form(form);
        Ok(Found {
            service,
            operation,
            protocol,
            parts,
        })
    }

    fn rest(&self) -> Result<Found<'a>, Box<Refusal>> {
        let mut candidates = self.with(Protocol::RestJson);
        candidates.extend(self.with(Protocol::RestXml));
        match self.scope {
            Some(scope) => {
                candidates.retain(|service| service.signing_name() == scope.service);
                if candidates.is_empty() {
                    return Err(self.unplaced(&scope.service));
                }
            }
            None if candidates.iter().any(|service| self.host.names(service)) => {
                candidates.retain(|service| self.host.names(service));
            }
            None => {}
        }
        for service in &candidates {
            let (method, path) = (self.request.method, self.request.path());
            if let Some((operation, labels)) =
                service.routes().find(method, path, self.request.query())
            {
                let protocol = rest_protocol(service);
                let parts = Parts::Labels(labels);
                return Ok(Found {
                    service,
                    operation,
                    protocol,
                    parts,
                });
            }
        }
        let service = candidates
            .first()
            .copied()
            .filter(|_| candidates.len() == 1);
        let protocol = service.map_or(Protocol::RestXml, rest_protocol);
        let message = format!(
            "no operation for {} {}",
            self.request.method,
            self.request.path()
        );
        let fault = Fault::sender("UnknownOperationException", message).status(404);
        Err(refuse(fault, protocol, service))
    }

    /// A signed request that says neither target nor action, for a service that has no REST.
    fn unplaced(&self, scope: &str) -> Box<Refusal> {
        let mut services = self.catalog.services();
        let Some(service) = services.find(|service| service.signing_name() == scope) else {
            return refuse(unserved(scope), Protocol::RestXml, None);
        };
        let fault = match service.protocols()[0] {
            Protocol::Query | Protocol::Ec2 => Fault::sender("MissingAction", "Missing Action"),
            Protocol::Json | Protocol::RestJson | Protocol::RestXml | Protocol::Cbor => {
                Fault::sender("UnknownOperationException", "").status(404)
            }
        };
        refuse(fault, service.protocols()[0], Some(service))
    }

    fn with(&self, protocol: Protocol) -> Vec<&'a Service> {
        self.catalog
            .services()
            .filter(|service| service.speaks(protocol))
            .collect()
    }

    /// The service of the signature, if it speaks the protocol (for query: or EC2's, and nothing else).
    fn scoped(&self, protocol: Protocol) -> Option<&'a Service> {
        let scope = self.scope?;
        self.catalog.services().find(|service| {
            let first = service.protocols()[0];
            let speaks = match protocol {
                Protocol::Query => matches!(first, Protocol::Query | Protocol::Ec2),
                Protocol::Ec2
                | Protocol::Json
                | Protocol::RestJson
                | Protocol::RestXml
                | Protocol::Cbor => service.speaks(protocol),
            };
            service.signing_name() == scope.service && speaks
        })
    }

    fn speaks_rest(&self) -> bool {
        let Some(scope) = self.scope else {
            return false;
        };
        let mut named = self
            .catalog
            .services()
            .filter(|service| service.signing_name() == scope.service);
        named.any(|service| service.speaks(Protocol::RestJson) || service.speaks(Protocol::RestXml))
    }
}

fn find(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

fn form_protocol(service: &Service) -> Protocol {
    if service.speaks(Protocol::Ec2) {
        Protocol::Ec2
    } else {
        Protocol::Query
    }
}

fn rest_protocol(service: &Service) -> Protocol {
    if service.speaks(Protocol::RestJson) {
        Protocol::RestJson
    } else {
        Protocol::RestXml
    }
}

/// EC2 goes on serving clients of its older versions; the others have one version each.
fn accepts_version(service: &Service, version: &str) -> bool {
    let is_date = version.len() == 10
        && version
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
    if service.speaks(Protocol::Ec2) {
        return is_date && version <= service.api_version();
    }
    version == service.api_version()
}

fn found<'a>(
    service: &'a Service,
    operation: &str,
    protocol: Protocol,
    parts: Parts<'a>,
) -> Result<Found<'a>, Box<Refusal>> {
    match service.model().operation_index(operation) {
        Some(operation) => Ok(Found {
            service,
            operation,
            protocol,
            parts,
        }),
        None => {
            // JSON services answer 400, RPC ones 404.
            let status = if protocol == Protocol::Cbor { 404 } else { 400 };
            let fault = Fault::sender("UnknownOperationException", "").status(status);
            Err(refuse(fault, protocol, Some(service)))
        }
    }
}

/// As IAM, SES and STS say it.
fn unknown_action(action: &str, version: &str) -> Fault {
    let message = format!("Could not find operation {action} for version {version}");
    Fault::sender("InvalidAction", message)
}

fn unserved(scope: &str) -> Fault {
    Fault::receiver(
        "NotImplemented",
        format!("the service {scope} is not served here"),
    )
    .status(501)
}

fn refuse(fault: Fault, protocol: Protocol, service: Option<&Service>) -> Box<Refusal> {
    let service = service.map(|service| service.name().to_owned());
    Box::new(Refusal {
        fault,
        protocol,
        service,
    })
}

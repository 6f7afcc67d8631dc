//! The services whose models are at hand. A model is unpacked when its service is first asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::model::Model;
use crate::route::Routes;

/// A way of putting calls into HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Forms in, XML out.
    Query,
    /// EC2's dialect of query.
    Ec2,
    /// AWS JSON 1.0 and 1.1.
    Json,
    /// REST with JSON bodies.
    RestJson,
    /// REST with XML bodies.
    RestXml,
    /// Smithy RPC v2 with CBOR bodies.
    Cbor,
}

impl Protocol {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "query" => Self::Query,
            "ec2" => Self::Ec2,
            "json" => Self::Json,
            "rest-json" => Self::RestJson,
            "rest-xml" => Self::RestXml,
            "smithy-rpc-v2-cbor" => Self::Cbor,
            _ => return None,
        })
    }
}

/// What is known of a service without its model.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    api_version: String,
    endpoint_prefix: String,
    protocol: String,
    #[serde(default)]
    protocols: Vec<String>,
    signing_name: Option<String>,
    target_prefix: Option<String>,
    json_version: Option<String>,
    xml_namespace: Option<String>,
    service_id: String,
    aws_query_compatible: Option<serde::de::IgnoredAny>,
    global_endpoint: Option<String>,
}

/// A service: its metadata, and its model once it was asked for.
#[derive(Debug)]
pub struct Service {
    name: String,
    metadata: Metadata,
    protocols: Vec<Protocol>,
    gzip: Cow<'static, [u8]>,
    model: OnceLock<Model>,
    routes: OnceLock<Routes>,
}

impl Service {
    fn new(name: &str, metadata: Metadata, gzip: Cow<'static, [u8]>) -> Result<Self, String> {
        let mut protocols: Vec<Protocol> = Vec::new();
        for named in metadata.protocols.iter().chain([&metadata.protocol]) {
            if let Some(protocol) = Protocol::named(named)
                && !protocols.contains(&protocol)
            {
                protocols.push(protocol);
            }
        }
        if protocols.is_empty() {
            return Err(format!(
                "{name} speaks no known protocol: {}",
                metadata.protocol
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            metadata,
            protocols,
            gzip,
            model: OnceLock::new(),
            routes: OnceLock::new(),
        })
    }

    /// The name of the model: `elbv2`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// AWS's name for people: `Elastic Load Balancing v2`.
    pub fn id(&self) -> &str {
        &self.metadata.service_id
    }

    /// The version of the API: `2015-12-01`.
    pub fn api_version(&self) -> &str {
        &self.metadata.api_version
    }

    /// The name in the scope of a signature: `elasticloadbalancing`.
    pub fn signing_name(&self) -> &str {
        let prefix = &self.metadata.endpoint_prefix;
        self.metadata.signing_name.as_ref().unwrap_or(prefix)
    }

    /// The first label of the service's hosts: `monitoring`.
    pub fn endpoint_prefix(&self) -> &str {
        &self.metadata.endpoint_prefix
    }

    /// True for services with one endpoint for all regions: IAM, Route 53, STS.
    pub fn is_global(&self) -> bool {
        self.metadata.global_endpoint.is_some()
    }

    /// The protocols that it speaks, the preferred one first.
    pub fn protocols(&self) -> &[Protocol] {
        &self.protocols
    }

    /// The names of its operations, sorted. Loads the model.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = &str> {
        self.model().operations().map(|operation| operation.name())
    }

    /// True when the model has the operation. Loads the model.
    pub fn has_operation(&self, name: &str) -> bool {
        self.model().operation_index(name).is_some()
    }

    /// True once the model is in memory.
    pub fn is_loaded(&self) -> bool {
        self.model.get().is_some()
    }

    /// Of the patterns in the model, how many there are and which cannot be checked (look-around, or too large). Compiles them all.
    pub fn patterns(&self) -> (usize, Vec<&str>) {
        self.model().patterns()
    }

    pub(crate) fn target_prefix(&self) -> Option<&str> {
        self.metadata.target_prefix.as_deref()
    }

    pub(crate) fn json_version(&self) -> &str {
        self.metadata.json_version.as_deref().unwrap_or("1.0")
    }

    pub(crate) fn xml_namespace(&self) -> Option<&str> {
        self.metadata.xml_namespace.as_deref()
    }

    /// True for services that gave up query for another protocol and still tell clients the old error codes.
    pub(crate) fn is_query_compatible(&self) -> bool {
        self.metadata.aws_query_compatible.is_some()
    }

    pub(crate) fn speaks(&self, protocol: Protocol) -> bool {
        self.protocols.contains(&protocol)
    }

    pub(crate) fn model(&self) -> &Model {
        self.model.get_or_init(|| {
            self.load()
                .expect("the models of a catalog were checked when it was made or by a test")
        })
    }

    pub(crate) fn routes(&self) -> &Routes {
        self.routes.get_or_init(|| Routes::new(self.model()))
    }

    fn load(&self) -> Result<Model, String> {
        Model::load(&self.gzip, self.speaks(Protocol::Ec2))
    }
}

macro_rules! vendored {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../models/", $name, ".json.gz")))),*]
    };
}

/// The models that are shipped, sorted. `wire/models/strip.py` has the same list.
const VENDORED: &[(&str, &[u8])] = vendored![
    "arc-zonal-shift",
    "autoscaling",
    "cloudwatch",
    "ec2",
    "elasticache",
    "elbv2",
    "fis",
    "iam",
    "kms",
    "rds",
    "resourcegroupstaggingapi",
    "route53",
    "sts",
];

/// A set of services.
#[derive(Debug)]
pub struct Catalog {
    services: Vec<Service>,
}

impl Catalog {
    /// The services that are shipped. Cheap: no model is unpacked.
    pub fn standard() -> &'static Self {
        static STANDARD: OnceLock<Catalog> = OnceLock::new();
        STANDARD.get_or_init(|| {
            let models = VENDORED
                .iter()
                .map(|(name, gzip)| (*name, Cow::Borrowed(*gzip)));
            Self::new(include_str!("../models/index.json"), models)
                .expect("the shipped models are checked by a test")
        })
    }

    /// The services of an index (as `strip.py` writes it) and their gzip'd models, all of them read at once.
    ///
    /// # Errors
    /// A text that names the model and what is wrong with it.
    pub fn of(index: &str, models: Vec<(String, Vec<u8>)>) -> Result<Self, String> {
        let borrowed = models
            .iter()
            .map(|(name, gzip)| (name.as_str(), Cow::Owned(gzip.clone())));
        let catalog = Self::new(index, borrowed)?;
        for service in &catalog.services {
            let model = service
                .load()
                .map_err(|error| format!("{}: {error}", service.name))?;
            service.model.get_or_init(|| model);
        }
        Ok(catalog)
    }

    fn new<'a>(
        index: &str,
        models: impl Iterator<Item = (&'a str, Cow<'static, [u8]>)>,
    ) -> Result<Self, String> {
        let mut index: BTreeMap<String, Metadata> = serde_json::from_str(index)
            .map_err(|error| format!("the index does not parse: {error}"))?;
        let mut services = Vec::new();
        for (name, gzip) in models {
            let metadata = index
                .remove(name)
                .ok_or_else(|| format!("{name} is not in the index"))?;
            services.push(Service::new(name, metadata, gzip)?);
        }
        services.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { services })
    }

    /// The services, sorted by name.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &Service> {
        self.services.iter()
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Catalog, VENDORED};

    #[test]
    fn every_shipped_model_loads() {
        let catalog = Catalog::standard();
        assert_eq!(catalog.services().len(), VENDORED.len());
        for service in catalog.services() {
            let model = service.load();
            assert!(model.is_ok(), "{}: {model:?}", service.name());
        }
    }

    #[test]
    fn scope_names_differ_from_model_names() {
        let catalog = Catalog::standard();
        let scope = |name: &str| catalog.service(name).map(|service| service.signing_name());
        assert_eq!(scope("cloudwatch"), Some("monitoring"));
        assert_eq!(scope("elbv2"), Some("elasticloadbalancing"));
        assert_eq!(scope("resourcegroupstaggingapi"), Some("tagging"));
    }

    #[test]
    fn patterns_that_cannot_be_checked_are_few_and_known() {
        let mut skipped = Vec::new();
        let mut all = 0;
        for service in Catalog::standard().services() {
            let (count, unchecked) = service.patterns();
            all += count;
            skipped.extend(unchecked.iter().map(|source| (service.name(), *source)));
        }
        assert_eq!((all, skipped.len()), (124, 3), "{skipped:#?}");
    }
}

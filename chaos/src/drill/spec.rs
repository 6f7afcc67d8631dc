//! A drill file as written: every value with its place, nothing checked but the shape, which these types describe.

use schemars::JsonSchema;
use serde::Deserialize;
use topologies::yaml::rate::Rate;
use topologies::yaml::values::{Limit, Period};
use topologies::yaml::{self, At, Language, Read};

use super::check::CLIENTS_MAX;
use super::{DnsCache, Expectation};
use crate::budget::Budget;
use crate::fault::Fault;

const DRILL: Language = Language {
    noun: "drill",
    beginning: "a drill has `name`, `workload`, `steps`, `duration` and `expect`",
};

/// Reads a text as a drill file, with every mistake of shape.
pub(super) fn read(text: &str) -> Read<DrillSpec> {
    yaml::read(text, DRILL)
}

/// A drill: what clients do, what is broken and healed when, and what is promised.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "localaws drill")]
pub(super) struct DrillSpec {
    /// Its name: letters, digits, `-` and `_`.
    pub(super) name: At<String>,
    /// What it shows, in a sentence.
    #[serde(default)]
    pub(super) description: String,
    /// The topology that it was written for, relative to this file.
    pub(super) topology: Option<String>,
    /// The clients.
    pub(super) workload: Vec<At<WorkloadSpec>>,
    /// What is broken and healed, in order of time.
    pub(super) steps: Vec<At<StepSpec>>,
    /// How long clients work.
    pub(super) duration: At<Period>,
    /// How long redundancy may take to be whole after that; 30s if absent.
    pub(super) settle: Option<At<Period>>,
    /// How much trouble the stack is built to bear; one zone if absent.
    pub(super) budget: Option<Budget>,
    /// What is promised.
    pub(super) expect: At<Vec<At<Expectation>>>,
}

/// Clients of one endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WorkloadSpec {
    /// Insert rows through an RDS endpoint.
    SqlWrites(ClientsSpec),
    /// Set keys through an ElastiCache primary endpoint.
    RedisWrites(ClientsSpec),
    /// GET a path through a load balancer or a record.
    Http(HttpSpec),
}

/// Clients of a database or cache.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ClientsSpec {
    /// The endpoint's identifier.
    pub(super) endpoint: At<String>,
    /// What promises and reports call these clients; the endpoint's identifier if absent.
    #[serde(rename = "as")]
    pub(super) label: Option<At<String>>,
    /// How many clients; 4 if absent.
    #[schemars(range(min = 1, max = CLIENTS_MAX))]
    pub(super) clients: Option<u16>,
    /// How many operations each begins a second; 50 if absent.
    #[schemars(range(min = 1))]
    pub(super) rate: Option<At<Rate>>,
    /// After this long without an answer a client gives up; `none` waits for ever; 1s if absent.
    pub(super) timeout: Option<At<Limit>>,
    /// How long a client goes on with a name's address; `none` if absent.
    pub(super) dns_cache: Option<DnsCache>,
}

/// Clients of a web site.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct HttpSpec {
    /// The endpoint's identifier.
    pub(super) endpoint: At<String>,
    /// The path; `/` if absent.
    pub(super) path: Option<At<String>>,
    /// What promises and reports call these clients; the endpoint's identifier if absent.
    #[serde(rename = "as")]
    pub(super) label: Option<At<String>>,
    /// How many clients; 4 if absent.
    #[schemars(range(min = 1, max = CLIENTS_MAX))]
    pub(super) clients: Option<u16>,
    /// How many requests each begins a second; 50 if absent.
    #[schemars(range(min = 1))]
    pub(super) rate: Option<At<Rate>>,
    /// After this long without an answer a client gives up; `none` waits for ever; 1s if absent.
    pub(super) timeout: Option<At<Limit>>,
    /// How long a client goes on with a name's address; `none` if absent.
    pub(super) dns_cache: Option<DnsCache>,
}

/// Something done at a moment: one of `inject` and `heal`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct StepSpec {
    /// When, from the beginning.
    pub(super) at: At<Period>,
    /// A fault.
    pub(super) inject: Option<Fault>,
    /// The name by which a later step heals the fault.
    #[serde(rename = "as")]
    pub(super) label: Option<At<String>>,
    /// What an earlier step injected as this, or `all`.
    pub(super) heal: Option<At<String>>,
}

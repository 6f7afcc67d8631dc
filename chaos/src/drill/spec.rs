//! A drill file as written: unknown fields are refused, places are kept, nothing is checked.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::Expectation;
use crate::budget::Budget;
use crate::fault::Fault;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DrillSpec {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) topology: Option<String>,
    pub(super) workload: Vec<Spanned<WorkloadSpec>>,
    pub(super) steps: Vec<Spanned<StepSpec>>,
    pub(super) duration: Spanned<String>,
    pub(super) settle: Option<Spanned<String>>,
    pub(super) budget: Option<Spanned<Budget>>,
    pub(super) expect: Vec<Spanned<Expectation>>,
}

/// Clients of one endpoint.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WorkloadSpec {
    SqlWrites(ClientsSpec),
    RedisWrites(ClientsSpec),
    Http(HttpSpec),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ClientsSpec {
    pub(super) endpoint: Spanned<String>,
    pub(super) clients: Option<Spanned<u16>>,
    pub(super) rate: Option<Spanned<u32>>,
    pub(super) timeout: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct HttpSpec {
    pub(super) endpoint: Spanned<String>,
    pub(super) path: Option<Spanned<String>>,
    pub(super) clients: Option<Spanned<u16>>,
    pub(super) rate: Option<Spanned<u32>>,
    pub(super) timeout: Option<Spanned<String>>,
}

/// One of `inject` and `heal`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct StepSpec {
    pub(super) at: Spanned<String>,
    pub(super) inject: Option<Fault>,
    #[serde(rename = "as")]
    pub(super) label: Option<Spanned<String>>,
    pub(super) heal: Option<Spanned<String>>,
}

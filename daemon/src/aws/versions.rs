//! The engines of RDS and ElastiCache and their major versions that are driven. Which of their minor versions runs is this machine's
//! affair.

use serde_json::Value;
use topologies::defaults::{CACHE_VERSIONS, DB_VERSIONS};
use wire::{Call, Fault, Record, page};

use super::input::{is_on, text};

/// An engine, in its service's manner.
pub(super) struct Engine {
    /// What requests and answers call it. The family of its parameter groups is this, with a version.
    pub(super) name: &'static str,
    /// What descriptions call it.
    title: &'static str,
    /// What stands before `EngineVersions`: `DB`.
    prefix: &'static str,
    /// The lowest version and the highest.
    versions: (u16, u16),
    /// The error for any other.
    unknown: &'static str,
}

/// RDS's.
pub(super) const POSTGRES: Engine = Engine {
    name: "postgres",
    title: "PostgreSQL",
    prefix: "DB",
    versions: DB_VERSIONS,
    unknown: "InvalidParameterCombination",
};

/// ElastiCache's.
pub(super) const REDIS: Engine = Engine {
    name: "redis",
    title: "Redis",
    prefix: "Cache",
    versions: CACHE_VERSIONS,
    unknown: "InvalidParameterValue",
};

impl Engine {
    /// The version that is asked for: `16`, or `16.3`, of which the first part counts, as the newest that is installed is taken.
    pub(super) fn asked(&self, input: &Value) -> Result<Option<u16>, Fault> {
        let Some(written) = text(input, "EngineVersion") else {
            return Ok(None);
        };
        let major = written.split('.').next().and_then(|it| it.parse().ok());
        let (lowest, highest) = self.versions;
        match major.filter(|major| (lowest..=highest).contains(major)) {
            Some(major) => Ok(Some(major)),
            None => {
                let text = format!("Cannot find version {written} for {}", self.name);
                Err(Fault::sender(self.unknown, text))
            }
        }
    }

    /// DescribeDBEngineVersions and DescribeCacheEngineVersions.
    pub(super) fn describe(&self, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
        let (lowest, highest) = self.versions;
        let engine = text(input, "Engine").is_none_or(|engine| engine == self.name);
        let family = text(input, &self.member("ParameterGroupFamily"));
        let wanted =
            text(input, "EngineVersion").map(|it| it.split('.').next().unwrap_or_default());
        let versions = (lowest..=highest).filter(|version| {
            let name = version.to_string();
            engine
                && wanted.is_none_or(|wanted| wanted == name)
                && family.is_none_or(|family| family == self.family(&name))
                && (!is_on(input, "DefaultOnly") || *version == highest)
        });
        let versions: Vec<String> = versions.map(|version| version.to_string()).collect();
        let page = page(call, input, &versions, String::as_str)?;
        let shown = page.items.iter().map(|version| self.record(version));
        let mut output = Record::new().list(&self.member("EngineVersions"), shown);
        page.write(&mut output);
        Ok(output)
    }

    fn record(&self, version: &str) -> Record {
        let record = Record::new()
            .set("Engine", self.name)
            .set("EngineVersion", version)
            .set(&self.member("ParameterGroupFamily"), self.family(version))
            .set(&self.member("EngineDescription"), self.title)
            .set(
                &self.member("EngineVersionDescription"),
                format!("{} {version}", self.title),
            );
        if self.prefix == "DB" {
            record
                .set("MajorEngineVersion", version)
                .set("SupportsReadReplica", true)
                .set("Status", "available")
        } else {
            record
        }
    }

    fn family(&self, version: &str) -> String {
        format!("{}{version}", self.name)
    }

    fn member(&self, what: &str) -> String {
        format!("{}{what}", self.prefix)
    }
}

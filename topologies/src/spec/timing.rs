//! How long things take, as written: a profile's name, or a mapping. Which of them it is is seen by hand: an untagged enum would say
//! of any mistake only that neither fits.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::At;
use crate::yaml::values::{Period, PeriodRange};

/// A timing profile, alone or with numbers that differ from it.
#[derive(Clone, Debug)]
pub struct TimingSpec(pub TimingFields);

/// A timing profile and numbers that differ from it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TimingFields {
    /// The profile that absent numbers come from; `custom` takes them from `fast`.
    pub profile: Option<ProfileSpec>,
    /// Time from one probe of a database or cache host to the next.
    pub probe_interval: Option<At<Period>>,
    /// A probe without an answer fails after this time.
    pub probe_timeout: Option<At<Period>>,
    /// Consecutive failed probes after which a silent host is taken for lost.
    #[schemars(range(min = 1, max = 100))]
    pub probe_threshold: Option<u32>,
    /// How long the failover of a Multi-AZ DB instance takes beyond detection.
    pub db_failover: Option<PeriodRange>,
    /// How long the failover of a replication group takes beyond detection.
    pub cache_failover: Option<PeriodRange>,
    /// TTL of RDS endpoints.
    pub rds_ttl: Option<At<Period>>,
    /// TTL of ElastiCache endpoints.
    pub elasticache_ttl: Option<At<Period>>,
    /// TTL of load balancer names.
    pub load_balancer_ttl: Option<At<Period>>,
    /// Divides the intervals and timeouts of health checks; 1 is AWS's pace.
    #[schemars(range(min = 1, max = 1000))]
    pub health_check_scale: Option<u32>,
}

/// A timing profile's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum ProfileSpec {
    /// As quick as the machine allows.
    Fast,
    /// AWS's documented times.
    Aws,
    /// Numbers of one's own.
    Custom,
}

impl<'de> Deserialize<'de> for TimingSpec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimingVisitor)
    }
}

struct TimingVisitor;

impl<'de> serde::de::Visitor<'de> for TimingVisitor {
    type Value = TimingSpec;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a profile's name or a mapping")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<TimingSpec, E> {
        let profile = ProfileSpec::deserialize(serde::de::value::StrDeserializer::<E>::new(name))?;
        Ok(TimingSpec(TimingFields {
            profile: Some(profile),
            ..TimingFields::default()
        }))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<TimingSpec, A::Error> {
        TimingFields::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(TimingSpec)
    }
}

impl JsonSchema for TimingSpec {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimingSpec".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let profile = generator.subschema_for::<ProfileSpec>();
        let fields = generator.subschema_for::<TimingFields>();
        schemars::json_schema!({ "anyOf": [profile, fields] })
    }
}

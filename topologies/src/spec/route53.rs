//! Route 53 as written: hosted zones, records, health checks, and where clients are.

use schemars::JsonSchema;
use serde::Deserialize;

use super::At;
use crate::yaml::values::{Literal, Period, Words};

/// A Route 53 hosted zone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostedZoneSpec {
    /// Its records.
    #[serde(default)]
    pub records: Vec<At<RecordSpec>>,
}

/// A record type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum RecordTypeSpec {
    /// IPv4 addresses, or an alias.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Who may issue certificates: `0 issue "ca.example.com"`.
    Caa,
    /// Another name.
    Cname,
    /// The digest of a zone's key: `12345 13 2 <hexadecimal digits>`.
    Ds,
    /// How HTTPS is spoken: `1 . alpn="h3,h2"`.
    Https,
    /// Mail servers: `10 mail.example.com`.
    Mx,
    /// Rules to rewrite a name: `100 10 "u" "sip+E2U" "!^.*$!sip:info@example.com!" .`
    Naptr,
    /// Name servers of a name below the hosted zone's own.
    Ns,
    /// A name for an address.
    Ptr,
    /// The same as TXT.
    Spf,
    /// A service's hosts: `1 10 5269 xmpp.example.com`.
    Srv,
    /// Fingerprints of SSH keys: `4 2 <hexadecimal digits>`.
    Sshfp,
    /// How a service is spoken: `16 svc.example.com port=8443`.
    Svcb,
    /// Certificates' fingerprints: `3 1 1 <hexadecimal digits>`.
    Tlsa,
    /// Text.
    Txt,
}

/// The place of a record in a failover pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum FailoverSpec {
    /// Answered while healthy, and when nothing is.
    Primary,
    /// Answered while the primary is unhealthy.
    Secondary,
}

/// A record of a hosted zone. Several with one name and type make a set by one routing policy: `failover`, `weight`,
/// `multivalue-answer`, `region`, `geolocation`, `geoproximity` or `cidr`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RecordSpec {
    /// The name, with or without the hosted zone's; `@` is the hosted zone's own, `*` whatever else there is below it.
    pub name: At<String>,
    /// The type; A if absent.
    #[serde(rename = "type")]
    pub kind: Option<At<RecordTypeSpec>>,
    /// The values; with CNAME, `${orders.address}` stands for an endpoint's name.
    pub values: Option<At<Words>>,
    /// The load balancer, or record of the same hosted zone, that this is an alias of.
    pub alias: Option<At<String>>,
    /// Whether the health of the alias's target counts.
    pub evaluate_target_health: Option<At<bool>>,
    /// TTL; an alias has its target's.
    pub ttl: Option<At<Period>>,
    /// Tells records of one name and type apart.
    pub set_identifier: Option<At<String>>,
    /// Its place in a failover pair.
    pub failover: Option<At<FailoverSpec>>,
    /// Its share of the answers, to all others': 0 to 255.
    #[schemars(range(min = 0, max = 255))]
    pub weight: Option<At<u8>>,
    /// Answered together with up to seven others.
    pub multivalue_answer: Option<At<bool>>,
    /// Answered to clients that this region is near to (latency routing).
    pub region: Option<At<String>>,
    /// Answered to clients there.
    pub geolocation: Option<At<GeolocationSpec>>,
    /// Answered to clients that are nearer to this place than to others'.
    pub geoproximity: Option<At<GeoproximitySpec>>,
    /// Answered to clients with these addresses (IP-based routing).
    pub cidr: Option<At<CidrSpec>>,
    /// The health check that it is answered by.
    pub health_check: Option<At<String>>,
}

/// A part of the world: a continent, a country, or a part of one. `country: "*"` is wherever no other record is for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GeolocationSpec {
    /// AF, AN, AS, EU, OC, NA or SA.
    pub continent: Option<At<String>>,
    /// A country's two letters, in quotes where they are a word of YAML's, or `"*"`.
    pub country: Option<At<String>>,
    /// A part of the country: a state of the USA.
    pub subdivision: Option<At<String>>,
}

/// A place: a region's, or one's own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GeoproximitySpec {
    /// The region.
    pub region: Option<At<String>>,
    /// Degrees to the north of the equator, with two digits behind the point.
    pub latitude: Option<At<Literal>>,
    /// Degrees to the east of Greenwich.
    pub longitude: Option<At<Literal>>,
    /// By how many hundredths it draws clients nearer; 0 if absent.
    #[schemars(range(min = -99, max = 99))]
    pub bias: Option<At<i8>>,
}

/// A location of a CIDR collection.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CidrSpec {
    /// The collection.
    pub collection: At<String>,
    /// The location; `"*"` is every client of none.
    pub location: At<String>,
}

/// Where clients are.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlaceSpec {
    /// The AWS region that answers them soonest; the stack's first if absent.
    pub region: Option<At<String>>,
    /// Their continent; the country's if absent.
    pub continent: Option<At<String>>,
    /// Their country.
    pub country: Option<At<String>>,
    /// The part of their country.
    pub subdivision: Option<At<String>>,
}

/// What a health check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(inline)]
pub enum HealthCheckTypeSpec {
    /// An endpoint that answers over HTTP.
    Http,
    /// An endpoint whose answer over HTTP has a text.
    HttpStrMatch,
    /// An endpoint that takes connections.
    Tcp,
    /// Other health checks.
    Calculated,
    /// An alarm.
    CloudwatchMetric,
}

/// What a health check is while its alarm has not enough data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum UnsureSpec {
    /// Healthy.
    Healthy,
    /// Unhealthy.
    Unhealthy,
    /// What it was.
    LastKnownStatus,
}

/// A CloudWatch alarm.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlarmSpec {
    /// Its name; alarms are put by the AWS API.
    pub name: At<String>,
    /// Its region; the stack's first if absent.
    pub region: Option<At<String>>,
}

/// A Route 53 health check.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HealthCheckSpec {
    /// What it looks at; HTTP if absent.
    #[serde(rename = "type")]
    pub kind: Option<HealthCheckTypeSpec>,
    /// The name it asks for; `${site.address}` stands for a load balancer's.
    pub fully_qualified_domain_name: Option<At<String>>,
    /// The address that is asked in place of the name's.
    pub ip_address: Option<At<String>>,
    /// The port; 80 if absent.
    #[schemars(range(min = 1))]
    pub port: Option<At<u16>>,
    /// The path, with HTTP; `/` if absent.
    pub resource_path: Option<At<String>>,
    /// What the first 5,120 bytes of the answer have to have, with `HTTP_STR_MATCH`.
    pub search_string: Option<At<String>>,
    /// 30 seconds (the default) or 10, before timing divides it.
    pub request_interval: Option<At<Period>>,
    /// Consecutive results until the state flips.
    #[schemars(range(min = 1, max = 10))]
    pub failure_threshold: Option<At<u32>>,
    /// The health checks that are counted, with `CALCULATED`.
    pub child_health_checks: Option<At<Words>>,
    /// How many of them have to be healthy, with `CALCULATED`.
    #[schemars(range(min = 0, max = 256))]
    pub health_threshold: Option<At<u32>>,
    /// The alarm, with `CLOUDWATCH_METRIC`.
    pub alarm: Option<At<AlarmSpec>>,
    /// What it is while there are not enough data, with `CLOUDWATCH_METRIC`; `LastKnownStatus` if absent.
    pub insufficient_data_health_status: Option<At<UnsureSpec>>,
    /// Whether healthy is taken for unhealthy, and the other way round.
    pub inverted: Option<bool>,
    /// Whether it looks at nothing and counts as healthy.
    pub disabled: Option<bool>,
}

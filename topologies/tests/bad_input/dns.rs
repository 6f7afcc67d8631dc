//! Hosted zones, their records, and health checks.

use super::{base, told};

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table of inputs")]
fn dns() {
    let zone = |records: &str| {
        base(&format!(
            "hosted-zones:\n  shop.internal:\n    records:\n{records}"
        ))
    };
    told(
        "dns",
        &[
            (
                "cyclic alias",
                zone(
                    "      - { name: a, alias: b }\n      - { name: b, alias: c }\n      - { name: c, alias: a }\n      - { name: d, alias: d }\n",
                ),
            ),
            (
                "cyclic CNAME",
                zone(
                    "      - { name: a, type: CNAME, values: b.shop.internal }\n      - { name: b, type: CNAME, values: a.shop.internal }\n      - { name: c, type: CNAME, values: c.shop.internal. }\n      - { name: d, type: CNAME, values: a.shop.internal }\n      - { name: e, type: CNAME, values: www.example.com }\n",
                ),
            ),
            (
                "cyclic CNAME over two hosted zones",
                base(
                    "hosted-zones:\n  a.internal: { records: [{ name: x, type: CNAME, values: x.b.internal }] }\n  b.internal: { records: [{ name: x, type: CNAME, values: x.a.internal }] }\n",
                ),
            ),
            (
                "alias to nothing",
                zone(
                    "      - { name: www, values: 192.0.2.1 }\n      - { name: a, alias: wwww }\n      - { name: b, alias: site }\n",
                ),
            ),
            (
                "neither or both",
                zone("      - { name: a }\n      - { name: b, alias: a, values: 192.0.2.1 }\n"),
            ),
            (
                "half a pair",
                zone("      - { name: www, values: 192.0.2.1, failover: PRIMARY }\n"),
            ),
            (
                "two primaries",
                zone(
                    "      - { name: www, values: 192.0.2.1, failover: PRIMARY, health-check: up }\n      - { name: www, values: 192.0.2.2, failover: PRIMARY, health-check: up }\nhealth-checks: { up: { fully-qualified-domain-name: example.com } }\n",
                ),
            ),
            (
                "duplicate",
                zone(
                    "      - { name: www, values: 192.0.2.1 }\n      - { name: www.shop.internal., values: 192.0.2.2 }\n",
                ),
            ),
            (
                "CNAME",
                zone(
                    "      - { name: '@', type: CNAME, values: example.com }\n      - { name: x, type: CNAME, values: [example.com, example.org] }\n      - { name: x, values: 192.0.2.1 }\n",
                ),
            ),
            (
                "values",
                zone(
                    "      - { name: a, values: [1.2.3, site] }\n      - { name: b, type: CNAME, values: 'not a name' }\n      - { name: c, type: CNAME, values: '${orders.url}' }\ndb-instances: { orders: {} }\n",
                ),
            ),
            (
                "names",
                zone(
                    "      - { name: 'a b', values: 192.0.2.1 }\n      - { name: www.example.com., values: 192.0.2.1 }\n",
                ),
            ),
            (
                "TTL",
                zone(
                    "      - { name: a, values: 192.0.2.1, ttl: 500ms }\n      - { name: b, alias: a, ttl: 5s }\n",
                ),
            ),
            (
                "unknown health check",
                zone("      - { name: a, values: 192.0.2.1, health-check: up }\n"),
            ),
            (
                "hosted zone",
                base(
                    "hosted-zones: { internal: {}, 'a b': {}, shop.example: {}, Shop.Example.: {} }\n",
                ),
            ),
            (
                "health check",
                base(
                    "health-checks:\n  up: { fully-qualified-domain-name: '${site.url}', request-interval: 15s, failure-threshold: 11 }\n  down: { type: TCP, resource-path: /, fully-qualified-domain-name: 'a b' }\n",
                ),
            ),
        ],
    );
}

#[test]
fn routing() {
    let zone = |records: &str| {
        base(&format!(
            "hosted-zones:\n  shop.internal:\n    records:\n{records}cidr-collections: {{ offices: {{ seoul: 203.0.113.0/24 }} }}\n"
        ))
    };
    told(
        "routing",
        &[
            (
                "two policies",
                zone(
                    "      - { name: a, values: 192.0.2.1, weight: 1, region: us-east-1, set-identifier: x }\n",
                ),
            ),
            (
                "several policies in a set",
                zone(
                    "      - { name: a, values: 192.0.2.1, weight: 1, set-identifier: x }\n      - { name: a, values: 192.0.2.2, multivalue-answer: true, set-identifier: y }\n      - { name: a, values: 192.0.2.3 }\n",
                ),
            ),
            (
                "set identifiers",
                zone(
                    "      - { name: a, values: 192.0.2.1, weight: 1, set-identifier: x }\n      - { name: a, values: 192.0.2.2, weight: 2, set-identifier: x }\n      - { name: a, values: 192.0.2.3, weight: 3 }\n      - { name: b, values: 192.0.2.3, set-identifier: x }\n",
                ),
            ),
            (
                "weight",
                zone("      - { name: a, values: 192.0.2.1, weight: 256, set-identifier: x }\n"),
            ),
            (
                "weights and TTLs",
                zone(
                    "      - { name: b, values: 192.0.2.1, weight: 1, ttl: 5s, set-identifier: x }\n      - { name: b, values: 192.0.2.2, weight: 1, ttl: 6s, set-identifier: y }\n",
                ),
            ),
            (
                "multivalue answers",
                zone(
                    "      - { name: a, alias: b, multivalue-answer: true, set-identifier: x }\n      - { name: b, type: CNAME, values: example.com, multivalue-answer: true, set-identifier: x }\n",
                ),
            ),
            (
                "places",
                zone(
                    "      - { name: a, values: 192.0.2.1, region: korea }\n      - { name: b, values: 192.0.2.1, geolocation: { country: Korea } }\n      - { name: c, values: 192.0.2.1, geolocation: { continent: AS, country: KR } }\n      - { name: d, values: 192.0.2.1, geolocation: { country: KR, subdivision: CA } }\n      - { name: e, values: 192.0.2.1, geolocation: { continent: XX } }\n      - { name: f, values: 192.0.2.1, geoproximity: { latitude: 91, longitude: 0 } }\n      - { name: g, values: 192.0.2.1, geoproximity: { bias: 1 } }\n      - { name: h, values: 192.0.2.1, geolocation: { country: KR } }\n      - { name: h, values: 192.0.2.2, geolocation: { country: KR }, set-identifier: again }\n",
                ),
            ),
            (
                "CIDR collections",
                zone(
                    "      - { name: a, values: 192.0.2.1, cidr: { collection: office, location: seoul } }\n      - { name: b, values: 192.0.2.1, cidr: { collection: offices, location: soul } }\n",
                ),
            ),
            (
                "blocks",
                base(
                    "cidr-collections: { 'a b': { x: [203.0.113.0/25, 203.0.113.0] }, c: { y: [10.0.0.0/8, 10.1.0.0/8] } }\ndns-clients: { inside: { country: KR }, 10.0.0.0/8: { subdivision: CA } }\n",
                ),
            ),
        ],
    );
}

#[test]
fn record_types_and_health_checks() {
    let zone = |records: &str| {
        base(&format!(
            "hosted-zones:\n  shop.internal:\n    records:\n{records}"
        ))
    };
    told(
        "record_types_and_health_checks",
        &[
            (
                "values",
                zone(
                    "      - { name: a, type: AAAA, values: 192.0.2.1 }\n      - { name: b, type: MX, values: mail.example.com }\n      - { name: c, type: SRV, values: 1 2 3 }\n      - { name: d, type: CAA, values: 0 issue ca }\n      - { name: e, type: DS, values: 1 13 2 abcd }\n      - { name: f, type: HTTPS, values: 1 . colour=red }\n      - { name: '@', type: NS, values: ns.example.com }\n",
                ),
            ),
            ("SOA", zone("      - { name: '@', type: SOA, values: x }\n")),
            (
                "aliases",
                zone(
                    "      - { name: a, type: AAAA, alias: b }\n      - { name: b, values: 192.0.2.1 }\n      - { name: c, type: NS, alias: b }\n",
                ),
            ),
            (
                "names",
                zone(
                    "      - { name: 'a.*', values: 192.0.2.1 }\n      - { name: '*a', values: 192.0.2.1 }\n",
                ),
            ),
            (
                "health checks",
                base(
                    "health-checks:\n  a: {}\n  b: { type: CALCULATED }\n  c: { type: CALCULATED, child-health-checks: [c, d] }\n  d: { type: CLOUDWATCH_METRIC, port: 80 }\n  e: { type: HTTP_STR_MATCH, ip-address: 10.0.0.1 }\n  f: { ip-address: 127.64.17.10, search-string: x, alarm: { name: y } }\n  g: { type: CLOUDWATCH_METRIC, alarm: { name: y, region: us-west-1 } }\n  h: { type: HTTPS, ip-address: 127.64.17.10 }\n",
                ),
            ),
        ],
    );
}

/// A chain of CNAMEs that ends, and a record that a longer zone's name hides, are no circle.
#[test]
fn cnames_that_lead_somewhere_are_accepted() {
    for zones in [
        "a.internal: { records: [{ name: x, type: CNAME, values: y.a.internal }, { name: y, type: CNAME, values: z.a.internal }, { name: z, values: 192.0.2.1 }] }",
        "example: { records: [{ name: x.a, type: CNAME, values: x.a.example }] }\n  a.example: { records: [{ name: x, values: 192.0.2.1 }] }",
    ] {
        let found = base(&format!("hosted-zones:\n  {zones}\n"));
        assert!(!found.contains("error"), "{found}");
    }
}

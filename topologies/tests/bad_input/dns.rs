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

//! Instances, and what leads to them: target groups and load balancers.

use topologies::check::check;
use topologies::explain::explain;

use super::{BASE, base, notes, told};

#[test]
fn instances_and_target_groups() {
    let web = |fields: &str| {
        notes(&format!(
            "region: us-east-1\navailability-zones: [a, b]\ninstances:\n  web: {{ program: app, port: 80, {fields} }}\n"
        ))
    };
    let group = |fields: &str| {
        notes(&format!(
            "region: us-east-1\navailability-zones: [a, b]\ninstances: {{ web: {{ program: app, port: 80 }} }}\ntarget-groups:\n  web: {{ {fields} }}\n"
        ))
    };
    told(
        "instances",
        &[
            (
                "no program",
                notes(
                    "region: us-east-1\navailability-zones: [a]\ninstances: { web: { program: [], port: 80 } }\n",
                ),
            ),
            (
                "neither program nor image",
                notes(
                    "region: us-east-1\navailability-zones: [a]\ninstances: { web: { port: 80 } }\n",
                ),
            ),
            (
                "count and placement",
                web("count: 3, placement: [a, b], availability-zones: [a]"),
            ),
            ("zone twice", web("availability-zones: [a, a]")),
            ("no zone", web("placement: []")),
            (
                "environment",
                web("environment: { 1A: x, PORT: 8080, INSTANCE_ID: x }"),
            ),
            (
                "unknown reference",
                web(
                    "environment: { A: \"${order.url}\", B: \"x ${instance.name} y\", C: \"${\", D: \"$${fine}\" }",
                ),
            ),
            ("unknown instances", group("targets: wbe")),
            ("wrong port", group("targets: web, port: 8080")),
            (
                "TCP check with a path",
                group("targets: web, protocol: TCP, health-check: { path: /x, matcher: 200 }"),
            ),
            (
                "HTTP group with TCP check",
                group("targets: web, health-check: { protocol: TCP }"),
            ),
            (
                "ranges",
                group(
                    "targets: web, deregistration-delay: 2h, health-check: { interval: 500ms, timeout: 121s, matcher: 200-500, path: health }",
                ),
            ),
            (
                "timeout beyond interval",
                group("targets: web, health-check: { interval: 5s, timeout: 6s }"),
            ),
        ],
    );
}

#[test]
fn references_to_databases_and_caches() {
    let text = "\
region: us-east-1
availability-zones: [a, b]
instances:
  web:
    program: app
    port: 80
    environment:
      A: ${order.url}
      B: ${orders.uri}
      C: ${sessions.url}
      D: \"redis://${sessions.primary.adress}:1\"
db-instances: { orders: {} }
replication-groups: { sessions: {} }
";
    told("references", &[("unknown parts", notes(text))]);
}

/// An image may have a program of its own.
#[test]
fn an_image_needs_no_program() {
    let text = "region: us-east-1\navailability-zones: [a]\ninstances: { web: { image: nginx, port: 80 } }\n";
    let (topology, notes) = check(text, "shop.yaml");
    let topology = topology.unwrap_or_else(|| panic!("{notes:?}"));
    let web = &topology.services[0];
    assert!(web.command.is_empty());
    assert_eq!(web.image.as_deref(), Some("nginx"));
    let again = explain(&topology);
    assert_eq!(check(&again, "shop.yaml").0, Some(topology), "{again}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table of inputs")]
fn load_balancers() {
    let alb = |listeners: &str| {
        base(&format!(
            "load-balancers:\n  site:\n    type: application\n    listeners:\n{listeners}"
        ))
    };
    let nlb = |listeners: &str| {
        base(&format!(
            "load-balancers:\n  edge:\n    type: network\n    listeners:\n{listeners}"
        ))
    };
    told(
        "load_balancers",
        &[
            (
                "ALB in one zone",
                base(
                    "load-balancers:\n  site:\n    type: application\n    availability-zones: [a]\n    listeners: [{ port: 80, default-action: { forward: web } }]\n",
                ),
            ),
            (
                "no listeners",
                base("load-balancers: { site: { type: application, listeners: [] } }\n"),
            ),
            (
                "NLB with rules",
                nlb(
                    "      - port: 80\n        default-action: { forward: tcp }\n        rules: [{ priority: 1, path-pattern: /x, action: { forward: tcp } }]\n",
                ),
            ),
            (
                "NLB with HTTP",
                nlb("      - { port: 80, protocol: HTTP, default-action: { forward: web } }\n"),
            ),
            (
                "NLB with an answer",
                nlb(
                    "      - { port: 80, default-action: { fixed-response: { status-code: 200 } } }\n",
                ),
            ),
            (
                "ALB with TCP",
                alb("      - { port: 80, protocol: TCP, default-action: { forward: tcp } }\n"),
            ),
            (
                "unknown target group",
                alb("      - { port: 80, default-action: { forward: wbe } }\n"),
            ),
            (
                "port twice",
                alb(
                    "      - { port: 80, default-action: { forward: web } }\n      - { port: 80, default-action: { forward: web } }\n",
                ),
            ),
            (
                "no action",
                alb("      - { port: 80, default-action: {} }\n"),
            ),
            (
                "bad answer",
                alb(
                    "      - { port: 80, default-action: { fixed-response: { status-code: 302, content-type: image/png } } }\n",
                ),
            ),
            (
                "rules",
                alb(
                    "      - port: 80\n        default-action: { forward: web }\n        rules:\n          - { priority: 1, path-pattern: [/a, /b, /c, /d], action: { forward: web } }\n          - { priority: 1, action: { forward: web } }\n          - { priority: 2, path-pattern: api, action: { forward: web } }\n          - { priority: 3, path-pattern: '/*/*/*/*/*/*', action: { forward: web } }\n",
                ),
            ),
            (
                "a group of two",
                base(
                    "load-balancers:\n  one: { type: network, listeners: [{ port: 80, default-action: { forward: tcp } }] }\n  two: { type: network, listeners: [{ port: 80, default-action: { forward: tcp } }] }\n",
                ),
            ),
            (
                "cross-zone and idle timeout",
                base(
                    "load-balancers:\n  site: { type: application, cross-zone: false, idle-timeout: 2h, listeners: [{ port: 80, default-action: { forward: web } }] }\n",
                ),
            ),
        ],
    );
}

#[test]
fn rules_and_routing() {
    let rules = |rules: &str| {
        base(&format!(
            "load-balancers:\n  site:\n    type: application\n    listeners:\n      - port: 80\n        default-action: {{ forward: web }}\n        rules:\n{rules}"
        ))
    };
    told(
        "rules_and_routing",
        &[
            (
                "conditions",
                rules(
                    "          - { priority: 1, http-header: [{ name: 'x-*', values: [a, b, c, d] }], action: { forward: web } }\n          - { priority: 2, http-request-method: [get], action: { forward: web } }\n          - { priority: 3, source-ip: here, action: { forward: web } }\n          - { priority: 4, query-string: [{ values: [{ value: '' }] }], action: { forward: web } }\n",
                ),
            ),
            (
                "redirects",
                rules(
                    "          - { priority: 1, path-pattern: /a, action: { redirect: { status-code: 301, query: x } } }\n          - { priority: 2, path-pattern: /a, action: { redirect: { status-code: 303, port: 0 } } }\n          - { priority: 3, path-pattern: /a, action: { redirect: { status-code: 302, path: x }, forward: web } }\n",
                ),
            ),
            (
                "several groups",
                rules(
                    "          - { priority: 1, path-pattern: /a, action: { forward-config: { target-groups: [{ target-group: web }, { target-group: web, weight: 0 }, { target-group: wbe }], stickiness: 200h } } }\n          - { priority: 2, path-pattern: /a, action: { forward-config: { target-groups: [] } } }\n",
                ),
            ),
            (
                "routing of requests",
                notes(&BASE.replace(
                    "target-groups: {",
                    "target-groups: { odd: { targets: web, cross-zone: false, load-balancing-algorithm: round_robin, stickiness: { type: lb_cookie, cookie-name: AWSALBX } }, low: { targets: web, target-group-health: { unhealthy-state-routing: { count: 2 } } }, tcp2: { targets: web, protocol: TCP, stickiness: {} },",
                )),
            ),
        ],
    );
}

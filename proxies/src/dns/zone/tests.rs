//! What names answer.

use std::collections::BTreeMap;

use topologies::address::{HostAddress, Slot, ZoneNumber};

use super::*;
use crate::dns::asker::Rotation;

/// Of the type that its first value has.
fn set(values: Vec<Value>) -> RecordSet {
    let kind = match values.first() {
        Some(Value::Cname(_)) => RecordType::Cname,
        Some(Value::Data(_)) => RecordType::Txt,
        Some(Value::Host(_) | Value::Address(_) | Value::Alias(_)) | None => RecordType::A,
    };
    RecordSet::simple(kind, Duration::from_secs(5), values)
}

fn text(text: &[u8]) -> Value {
    Value::Data(text.into())
}

fn host() -> HostAddress {
    HostAddress {
        slot: Slot::new(100).unwrap(),
        zone: ZoneNumber::zone(2).unwrap(),
        host: 7,
    }
}

fn routes() -> Routes {
    let cname = |name: &str| vec![set(vec![Value::Cname(name.into())])];
    let alias = |name: &str| vec![set(vec![Value::Alias(name.into())])];
    let apex = |name: &str| Apex {
        name: name.into(),
        soa_ttl: Duration::from_secs(900),
        soa_minimum: Duration::from_secs(9),
        soa: None,
    };
    Routes {
        apexes: vec![apex("internal"), apex("shop.internal")],
        names: BTreeMap::from([
            (
                "db.eu.internal".into(),
                vec![set(vec![Value::Host(host())])],
            ),
            ("shop.internal".into(), alias("db.eu.internal")),
            ("www.shop.internal".into(), cname("DB.eu.internal")),
            ("out.shop.internal".into(), cname("example.org")),
            ("gone.shop.internal".into(), cname("nothing.shop.internal")),
            ("a.shop.internal".into(), cname("b.shop.internal")),
            ("b.shop.internal".into(), cname("a.shop.internal")),
            ("x.shop.internal".into(), alias("y.shop.internal")),
            ("y.shop.internal".into(), alias("x.shop.internal")),
            ("via.shop.internal".into(), alias("www.shop.internal")),
            ("t.shop.internal".into(), vec![set(vec![text(b"v=1")])]),
            (
                "*.w.shop.internal".into(),
                vec![set(vec![Value::Host(host())])],
            ),
            ("own.w.shop.internal".into(), vec![set(vec![text(b"own")])]),
            (
                "eu.shop.internal".into(),
                vec![RecordSet::simple(
                    RecordType::Ns,
                    Duration::from_secs(5),
                    vec![text(b"\x02ns")],
                )],
            ),
        ]),
        ..Routes::default()
    }
}

fn check(name: &str, wanted: impl Into<Option<RecordType>>, expected: &str) {
    let wanted = wanted.into();
    let routes = routes();
    let mut rotation = Rotation::default();
    let view = ZoneNumber::zone(1).unwrap();
    let mut asker = Asker::new(&routes.clients, view, None, &mut rotation);
    let records = |found: &[Found]| {
        let line = |it: &Found| {
            let name = it.name.as_deref().unwrap_or("@");
            match &it.data {
                Data::A(address) => format!("{name} A {address}"),
                Data::Cname(target) => format!("{name} CNAME {target}"),
                Data::Other(kind, data) => {
                    let data = String::from_utf8_lossy(data);
                    format!("{name} {} {data}", kind.as_str())
                }
            }
        };
        found.iter().map(line).collect::<Vec<_>>().join(", ")
    };
    let found = match resolve(&routes, name, wanted, &mut asker) {
        Resolution::Found(found) => records(&found),
        Resolution::NoData(found, apex) => {
            format!("{} no data in {}", records(&found), apex.name)
        }
        Resolution::NoName(found, apex) => {
            format!("{} no name in {}", records(&found), apex.name)
        }
        Resolution::NotOurs => "not ours".to_owned(),
        Resolution::Lost => "lost".to_owned(),
    };
    assert_eq!(found.trim_start(), expected, "{name} {wanted:?}");
}

#[test]
fn addresses_are_those_seen_from_the_view() {
    check("db.eu.internal", RecordType::A, "@ A 127.100.18.7");
}

#[test]
fn aliases_show_no_other_name() {
    check("shop.internal", RecordType::A, "@ A 127.100.18.7");
    check("via.shop.internal", RecordType::A, "@ A 127.100.18.7");
    check("x.shop.internal", RecordType::A, "lost");
}

#[test]
fn cnames_are_followed_as_far_as_they_are_ours() {
    check(
        "www.shop.internal",
        RecordType::A,
        "@ CNAME db.eu.internal, db.eu.internal A 127.100.18.7",
    );
    check(
        "www.shop.internal",
        RecordType::Cname,
        "@ CNAME DB.eu.internal",
    );
    check("out.shop.internal", RecordType::A, "@ CNAME example.org");
    check(
        "gone.shop.internal",
        RecordType::A,
        "@ CNAME nothing.shop.internal no name in shop.internal",
    );
    check("a.shop.internal", RecordType::A, "lost");
}

#[test]
fn what_is_missing_is_missing_in_the_right_way() {
    check("db.eu.internal", RecordType::Mx, "no data in internal");
    check("eu.internal", RecordType::A, "no data in internal");
    check("internal", RecordType::A, "no data in internal");
    check("t.shop.internal", RecordType::A, "no data in shop.internal");
    check("t.shop.internal", RecordType::Txt, "@ TXT v=1");
    check(
        "no.shop.internal",
        RecordType::A,
        "no name in shop.internal",
    );
    check("example.org", RecordType::A, "not ours");
    check("notshop.example", RecordType::A, "not ours");
    check("xinternal", RecordType::A, "not ours");
}

#[test]
fn wildcards_cover_what_does_not_exist() {
    check("any.w.shop.internal", RecordType::A, "@ A 127.100.18.7");
    check("a.b.w.shop.internal", RecordType::A, "@ A 127.100.18.7");
    check(
        "own.w.shop.internal",
        RecordType::A,
        "no data in shop.internal",
    );
    check(
        "below.own.w.shop.internal",
        RecordType::A,
        "no name in shop.internal",
    );
    check("w.shop.internal", RecordType::A, "no data in shop.internal");
}

#[test]
fn what_is_delegated_can_not_be_asked_from_here() {
    check("eu.shop.internal", RecordType::Ns, "@ NS \u{2}ns");
    check(
        "eu.shop.internal",
        RecordType::Ds,
        "no data in shop.internal",
    );
    check("eu.shop.internal", RecordType::A, "lost");
    check("www.eu.shop.internal", RecordType::Ns, "lost");
}

#[test]
fn types_that_nobody_knows_have_no_data() {
    check("db.eu.internal", None, "no data in internal");
}

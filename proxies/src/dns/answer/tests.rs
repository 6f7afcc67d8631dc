//! Packets in, packets out.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use topologies::topology::Location;

use super::*;
use crate::routes::{Candidate, Client, Part, Policy, RecordSet, Value};

fn routes(addresses: u8) -> Routes {
    let values = (1..=addresses)
        .map(|it| Value::Address(Ipv4Addr::new(192, 0, 2, it)))
        .collect();
    let set = RecordSet::simple(Type::A, Duration::from_secs(60), values);
    Routes {
        apexes: vec![Apex {
            name: "shop.internal".into(),
            soa_ttl: Duration::from_secs(900),
            soa_minimum: Duration::from_secs(7),
            soa: None,
        }],
        names: BTreeMap::from([("www.shop.internal".into(), vec![set])]),
        ..Routes::default()
    }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    query
}

fn ask(routes: &Routes, query: &Message, transport: Transport) -> Message {
    let bytes = query.to_vec().unwrap();
    let mut rotation = Rotation::default();
    let answer = answer(
        routes,
        ZoneNumber::OUTSIDE,
        &bytes,
        transport,
        &mut rotation,
    );
    Message::from_vec(&answer.unwrap()).unwrap()
}

fn check(name: &str, kind: RecordType, code: ResponseCode, answers: usize, authorities: usize) {
    let response = ask(&routes(2), &query(name, kind), Transport::Udp);
    let counts = (response.answers.len(), response.authorities.len());
    assert_eq!(response.metadata.response_code, code, "{name} {kind}");
    assert_eq!(counts, (answers, authorities), "{name} {kind}");
    assert!(response.metadata.recursion_desired && response.metadata.recursion_available);
}

#[test]
fn codes_and_sections() {
    use RecordType as T;
    use ResponseCode as C;
    check("www.shop.internal.", T::A, C::NoError, 2, 0);
    check("www.shop.internal.", T::AAAA, C::NoError, 0, 1);
    check("shop.internal.", T::A, C::NoError, 0, 1);
    check("no.shop.internal.", T::A, C::NXDomain, 0, 1);
    check("example.org.", T::A, C::Refused, 0, 0);
    check(".", T::NS, C::Refused, 0, 0);
    check("www.shop.internal.", T::ANY, C::Refused, 0, 0);
    check("shop.internal.", T::SOA, C::NoError, 1, 0);
    check("shop.internal.", T::NS, C::NoError, 4, 0);
    check("www.shop.internal.", T::SOA, C::NoError, 0, 1);
}

#[test]
fn the_case_of_the_question_is_kept() {
    let response = ask(
        &routes(1),
        &query("wWw.sHop.INTERNAL.", RecordType::A),
        Transport::Udp,
    );
    assert_eq!(response.answers[0].name.to_ascii(), "wWw.sHop.INTERNAL.");
}

#[test]
fn negative_answers_have_the_soas_minimum() {
    let response = ask(
        &routes(1),
        &query("no.shop.internal.", RecordType::A),
        Transport::Udp,
    );
    let soa = &response.authorities[0];
    assert_eq!(
        (soa.ttl, soa.name.to_ascii().as_str()),
        (7, "shop.internal.")
    );
    assert!(matches!(&soa.data, RData::SOA(soa) if soa.minimum == 7));
}

#[test]
fn s6_1_negative_answers_last_no_longer_than_the_soa_itself() {
    let mut routes = routes(1);
    routes.apexes[0].soa_minimum = Duration::from_secs(86_400);
    let question = query("no.shop.internal.", RecordType::A);
    let response = ask(&routes, &question, Transport::Udp);
    let soa = &response.authorities[0];
    assert_eq!(soa.ttl, 900);
    assert!(matches!(&soa.data, RData::SOA(soa) if soa.minimum == 86_400));
}

#[test]
fn what_does_not_fit_is_truncated() {
    let many = routes(100);
    let plain = query("www.shop.internal.", RecordType::A);
    let response = ask(&many, &plain, Transport::Udp);
    assert!(response.metadata.truncation && response.answers.is_empty());
    let response = ask(&many, &plain, Transport::Tcp);
    assert!(!response.metadata.truncation && response.answers.len() == 100);
}

#[test]
fn edns_is_echoed_and_its_size_is_used() {
    let mut asked = query("www.shop.internal.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_max_payload(4096).set_version(0);
    asked.set_edns(edns);
    let response = ask(&routes(60), &asked, Transport::Udp);
    assert_eq!(
        (response.answers.len(), response.max_payload()),
        (60, UDP_MAX)
    );
    let mut edns = Edns::new();
    edns.set_version(1);
    asked.set_edns(edns);
    let response = ask(&routes(1), &asked, Transport::Udp);
    // BADVERS and BADSIG share a number, of which the upper bits are in the OPT record.
    let code = u16::from(response.metadata.response_code);
    assert_eq!((code, response.answers.len()), (16, 0));
}

#[test]
fn other_opcodes_and_several_questions_are_turned_down() {
    let mut update = query("www.shop.internal.", RecordType::A);
    update.metadata.op_code = OpCode::Update;
    let response = ask(&routes(1), &update, Transport::Udp);
    assert_eq!(response.metadata.response_code, ResponseCode::NotImp);
    let mut two = query("www.shop.internal.", RecordType::A);
    let again = two.queries[0].clone();
    two.add_query(again);
    let response = ask(&routes(1), &two, Transport::Udp);
    assert_eq!(response.metadata.response_code, ResponseCode::FormErr);
}

#[test]
fn answers_are_not_answered() {
    let mut answered = query("www.shop.internal.", RecordType::A);
    answered.metadata.message_type = MessageType::Response;
    let bytes = answered.to_vec().unwrap();
    let mut rotation = Rotation::default();
    let view = ZoneNumber::OUTSIDE;
    assert_eq!(
        answer(&routes(1), view, &bytes, Transport::Udp, &mut rotation),
        None
    );
    let mut garbage = vec![0xff; 20];
    assert_eq!(
        answer(&routes(1), view, &garbage, Transport::Udp, &mut rotation),
        None
    );
    garbage[2] = 0;
    let refused = answer(&routes(1), view, &garbage, Transport::Udp, &mut rotation).unwrap();
    let refused = Message::from_vec(&refused).unwrap();
    assert_eq!(refused.metadata.response_code, ResponseCode::FormErr);
    assert_eq!(refused.metadata.id, 0xffff);
}

proptest! {
    #[test]
    fn garbage_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut rotation = Rotation::default();
        let _any = answer(&routes(2), ZoneNumber::OUTSIDE, &bytes, Transport::Udp, &mut rotation);
    }

    #[test]
    fn damaged_questions_are_survived(at in 0_usize..35, to: u8, cut in 0_usize..40) {
        let mut bytes = query("www.shop.internal.", RecordType::A).to_vec().unwrap();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        bytes.truncate(cut);
        let mut rotation = Rotation::default();
        let answer = answer(&routes(2), ZoneNumber::OUTSIDE, &bytes, Transport::Udp, &mut rotation);
        prop_assert!(answer.is_none_or(|answer| answer.len() <= UDP_PLAIN.max(usize::from(UDP_MAX))));
    }
}

fn with_subnet(mut query: Message, subnet: &str) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(1232).set_version(0);
    let subnet: ClientSubnet = subnet.parse().unwrap();
    edns.options_mut().insert(EdnsOption::Subnet(subnet));
    query.set_edns(edns);
    query
}

#[test]
fn s6_2_a_client_subnet_is_gone_by_and_sent_back() {
    let mut routes = routes(1);
    let us = |addresses: &str, country: &str| Client {
        addresses: addresses.parse().unwrap(),
        country: Some(country.to_owned()),
        ..Client::default()
    };
    routes.clients.subnets = vec![us("203.0.113.0/24", "US"), us("198.51.100.0/24", "KR")];
    let record = |country: &str, octet| Candidate {
        healthy: true,
        ttl: Duration::from_secs(60),
        part: Part::Location(Location::Country(country.to_owned())),
        values: vec![Value::Address(Ipv4Addr::new(192, 0, 2, octet))],
    };
    let set = RecordSet {
        kind: Type::A,
        policy: Policy::Suited,
        candidates: vec![record("US", 1), record("KR", 2)],
    };
    routes.names.insert("geo.shop.internal".into(), vec![set]);
    let asked = |name: &str, subnet: &str| {
        let query = with_subnet(query(name, RecordType::A), subnet);
        let response = ask(&routes, &query, Transport::Udp);
        let addresses = response.answers.iter().map(|it| {
            let RData::A(A(address)) = &it.data else {
                panic!("{it}")
            };
            address.octets()[3]
        });
        let echo = subnet_of(&response);
        (
            response.metadata.response_code,
            addresses.collect::<Vec<u8>>(),
            (echo.source_prefix(), echo.scope_prefix()),
        )
    };
    let fine = ResponseCode::NoError;
    let geo = "geo.shop.internal.";
    assert_eq!(asked(geo, "203.0.113.0/24"), (fine, vec![1], (24, 24)));
    assert_eq!(asked(geo, "198.51.100.0/26"), (fine, vec![2], (26, 26)));
    // Nothing matches and there is no default: no answer, and no error.
    assert_eq!(asked(geo, "192.0.2.0/24"), (fine, vec![], (24, 24)));
    // What was not chosen by it holds for everybody.
    let www = "www.shop.internal.";
    assert_eq!(asked(www, "203.0.113.0/24"), (fine, vec![1], (24, 0)));
}

fn subnet_of(response: &Message) -> ClientSubnet {
    subnet(response).expect("the subnet is sent back")
}

#[test]
fn s6_1_data_of_every_type_are_sent_as_they_are() {
    let mut routes = routes(1);
    let data = [
        (Type::Mx, "10 mail.shop.internal"),
        (Type::Aaaa, "2001:db8::1"),
        (Type::Caa, "0 issue \"ca.example\""),
        (Type::Https, "1 . alpn=h2"),
    ];
    for (kind, text) in data {
        let value = Value::Data(topologies::rdata::encode(kind, text).unwrap().into());
        let set = RecordSet::simple(kind, Duration::from_secs(60), vec![value]);
        let name = "all.shop.internal".to_owned();
        routes.names.entry(name).or_default().push(set);
    }
    for (kind, shown) in [
        (RecordType::MX, "10 mail.shop.internal."),
        (RecordType::AAAA, "2001:db8::1"),
        (RecordType::CAA, "0 issue \"ca.example\""),
        (RecordType::HTTPS, "1 . alpn=h2,"),
    ] {
        let query = query("all.shop.internal.", kind);
        let response = ask(&routes, &query, Transport::Udp);
        let [answer] = response.answers.as_slice() else {
            panic!("{response}")
        };
        assert_eq!(answer.data.to_string(), shown);
    }
}

#[test]
fn s6_1_a_zone_s_own_soa_and_name_servers_can_be_others() {
    let mut routes = routes(1);
    let soa = "ns.shop.internal. admin.shop.internal. 5 7200 900 1209600 300";
    let data = topologies::rdata::encode(Type::Soa, soa).unwrap();
    routes.apexes[0].soa = Some(data.into());
    routes.apexes[0].soa_ttl = Duration::from_secs(3);
    let server = topologies::rdata::encode(Type::Ns, "ns.shop.internal").unwrap();
    let set = RecordSet::simple(
        Type::Ns,
        Duration::from_secs(60),
        vec![Value::Data(server.into())],
    );
    routes.names.insert("shop.internal".into(), vec![set]);
    let response = ask(
        &routes,
        &query("shop.internal.", RecordType::SOA),
        Transport::Udp,
    );
    assert_eq!(response.answers[0].data.to_string(), soa);
    let response = ask(
        &routes,
        &query("shop.internal.", RecordType::NS),
        Transport::Udp,
    );
    assert_eq!(response.answers.len(), 1);
    let response = ask(
        &routes,
        &query("no.shop.internal.", RecordType::A),
        Transport::Udp,
    );
    assert_eq!(response.authorities[0].ttl, 3);
}

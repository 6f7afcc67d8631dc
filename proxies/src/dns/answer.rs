//! A packet with a question in, a packet with the answer out. Pure: no socket, no clock; total: garbage has an answer, too.

use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, NS, SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use topologies::address::ZoneNumber;

use crate::dns::select::Rotation;
use crate::dns::zone::{Data, Found, Resolution, Type, apex_of, resolve};
use crate::routes::{Apex, Routes};

/// What a client without EDNS takes over UDP (RFC 1035, 4.2.1).
const UDP_PLAIN: usize = 512;
/// The most that is sent over UDP (DNS flag day 2020), and what is said to be taken.
const UDP_MAX: u16 = 1232;
/// A DNS header.
const HEADER: usize = 12;
/// A character string of a TXT record.
const TXT_STRING: usize = 255;

/// The name servers of a private hosted zone, as Route 53 shows them; they can not be reached.
pub const NAME_SERVERS: [&str; 4] = [
    "ns-0.awsdns-00.com.",
    "ns-512.awsdns-00.net.",
    "ns-1024.awsdns-00.org.",
    "ns-1536.awsdns-00.co.uk.",
];
/// Whom the SOA record of every zone names as responsible.
const HOSTMASTER: &str = "awsdns-hostmaster.amazon.com.";
/// Refresh, retry and expire of the SOA record, in seconds; its serial number is 1.
const SOA_TIMES: (i32, i32, i32) = (7200, 900, 1_209_600);
/// "NS records TTL 172,800; SOA TTL 900" (Route 53, "NS and SOA records").
const NS_TTL: u32 = 172_800;
const SOA_TTL: u32 = 900;

/// The SOA record of a zone as text.
pub fn soa_text(minimum: Duration) -> String {
    let (refresh, retry, expire) = SOA_TIMES;
    let (server, minimum) = (NAME_SERVERS[3], seconds(minimum));
    format!("{server} {HOSTMASTER} 1 {refresh} {retry} {expire} {minimum}")
}

/// How the packet came and how the answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// With truncation.
    Udp,
    /// Up to 65,535 bytes.
    Tcp,
}

/// The answer to `packet`, if it deserves one.
pub(crate) fn answer(
    routes: &Routes,
    view: ZoneNumber,
    packet: &[u8],
    transport: Transport,
    rotation: &mut Rotation,
) -> Option<Vec<u8>> {
    let Ok(query) = Message::from_vec(packet) else {
        return malformed(packet);
    };
    if query.metadata.message_type != MessageType::Query {
        // Answering answers is how two servers keep each other busy.
        return None;
    }
    let response = respond(routes, view, &query, rotation);
    let limit = match transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp => query.edns.as_ref().map_or(UDP_PLAIN, |edns| {
            usize::from(edns.max_payload().min(UDP_MAX)).max(UDP_PLAIN)
        }),
    };
    match response.to_vec() {
        Ok(bytes) if bytes.len() <= limit => Some(bytes),
        Ok(_) => truncated(response).to_vec().ok(),
        Err(_) => {
            let mut failed = Message::response(query.metadata.id, query.metadata.op_code);
            failed.metadata.response_code = ResponseCode::ServFail;
            failed.to_vec().ok()
        }
    }
}

/// "Format error" to what has a header at least and is no answer.
fn malformed(packet: &[u8]) -> Option<Vec<u8>> {
    let header = packet.get(..HEADER)?;
    let answer = header[2] & 0x80 != 0;
    let id = u16::from_be_bytes([header[0], header[1]]);
    let error = Message::error_msg(id, OpCode::Query, ResponseCode::FormErr);
    if answer { None } else { error.to_vec().ok() }
}

fn truncated(mut response: Message) -> Message {
    response.answers.clear();
    response.authorities.clear();
    response.metadata.truncation = true;
    response
}

fn respond(routes: &Routes, view: ZoneNumber, query: &Message, rotation: &mut Rotation) -> Message {
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata = Metadata::response_from_request(&query.metadata);
    // To its clients a VPC's resolver is a recursive one.
    response.metadata.recursion_available = true;
    response.add_queries(query.queries.iter().cloned());
    if let Some(asked) = &query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_MAX).set_version(0);
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
        response.edns = Some(edns);
        if asked.version() > 0 {
            response.metadata.response_code = ResponseCode::BADVERS;
            return response;
        }
    }
    if query.metadata.op_code != OpCode::Query {
        response.metadata.response_code = ResponseCode::NotImp;
        return response;
    }
    let [question] = query.queries.as_slice() else {
        response.metadata.response_code = ResponseCode::FormErr;
        return response;
    };
    if question.query_class() != DNSClass::IN || question.query_type() == RecordType::ANY {
        response.metadata.response_code = ResponseCode::Refused;
        return response;
    }
    if fill(&mut response, routes, view, question, rotation).is_none() {
        response.answers.clear();
        response.metadata.response_code = ResponseCode::ServFail;
    }
    response
}

/// Puts records into the response; none if one can not be written.
fn fill(
    response: &mut Message,
    routes: &Routes,
    view: ZoneNumber,
    question: &Query,
    rotation: &mut Rotation,
) -> Option<()> {
    let ascii = question.name().to_lowercase().to_ascii();
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    if let Some(records) = of_apex(routes, name, question) {
        response.add_answers(records?);
        return Some(());
    }
    let wanted = wanted(question.query_type());
    let (found, negative) = match resolve(routes, view, name, wanted, rotation) {
        Resolution::Found(found) => (found, None),
        Resolution::NoData(found, apex) => (found, Some((ResponseCode::NoError, apex))),
        Resolution::NoName(found, apex) => (found, Some((ResponseCode::NXDomain, apex))),
        Resolution::NotOurs => {
            response.metadata.response_code = ResponseCode::Refused;
            return Some(());
        }
        Resolution::Loop => return None,
    };
    for found in found {
        response.add_answer(record(question.name(), found)?);
    }
    if let Some((code, apex)) = negative {
        response.metadata.response_code = code;
        let ttl = seconds(apex.soa_minimum).min(SOA_TTL);
        response.add_authority(soa(apex, parsed(&apex.name)?, ttl)?);
    }
    Some(())
}

fn wanted(asked: RecordType) -> Type {
    let types = [
        (RecordType::A, Type::A),
        (RecordType::CNAME, Type::Cname),
        (RecordType::TXT, Type::Txt),
    ];
    let known = types.into_iter().find(|(it, _)| *it == asked);
    known.map_or(Type::Other, |(_, wanted)| wanted)
}

/// The SOA or NS records of an apex, if that is the question.
fn of_apex(routes: &Routes, name: &str, question: &Query) -> Option<Option<Vec<Record>>> {
    let apex = apex_of(routes, name).filter(|apex| apex.name == name)?;
    let owner = question.name();
    if question.query_type() == RecordType::SOA {
        return Some(soa(apex, owner.clone(), SOA_TTL).map(|soa| vec![soa]));
    }
    let name_server = |server: &&str| {
        let data = RData::NS(NS(Name::from_ascii(server).ok()?));
        Some(Record::from_rdata(owner.clone(), NS_TTL, data))
    };
    (question.query_type() == RecordType::NS)
        .then(|| NAME_SERVERS.iter().map(name_server).collect())
}

/// The SOA record of a private hosted zone; the last number bounds the TTL of negative answers.
fn soa(apex: &Apex, owner: Name, ttl: u32) -> Option<Record> {
    let (refresh, retry, expire) = SOA_TIMES;
    let soa = SOA::new(
        Name::from_ascii(NAME_SERVERS[3]).ok()?,
        Name::from_ascii(HOSTMASTER).ok()?,
        1,
        refresh,
        retry,
        expire,
        seconds(apex.soa_minimum),
    );
    Some(Record::from_rdata(owner, ttl, RData::SOA(soa)))
}

fn record(asked: &Name, found: Found) -> Option<Record> {
    // The asked name as it was asked, in the letters' case of the question.
    let owner = match found.name {
        Some(name) => parsed(&name)?,
        None => asked.clone(),
    };
    let data = match found.data {
        Data::A(address) => RData::A(A(address)),
        Data::Cname(target) => RData::CNAME(CNAME(parsed(&target)?)),
        Data::Txt(text) => {
            let strings = text.as_bytes().chunks(TXT_STRING).collect();
            RData::TXT(TXT::from_bytes(strings))
        }
    };
    Some(Record::from_rdata(owner, seconds(found.ttl), data))
}

fn parsed(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::routes::{Candidate, Policy, RecordSet, Value};

    fn routes(addresses: u8) -> Routes {
        let values = (1..=addresses)
            .map(|it| Value::Address(Ipv4Addr::new(192, 0, 2, it)))
            .collect();
        let set = RecordSet {
            ttl: Duration::from_secs(60),
            policy: Policy::Simple,
            candidates: vec![Candidate {
                healthy: true,
                failover: None,
                values,
            }],
        };
        Routes {
            apexes: vec![Apex {
                name: "shop.internal".into(),
                soa_minimum: Duration::from_secs(7),
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
}

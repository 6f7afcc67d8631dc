//! A packet with a question in, a packet with the answer out. Pure: no socket, no clock; total: garbage has an answer, too.

use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::{A, CNAME, NS, NULL, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use topologies::address::ZoneNumber;
use topologies::prefix::Prefix;
use topologies::topology::RecordType as Type;

use crate::dns::asker::{Asker, Rotation};
use crate::dns::zone::{Data, Found, Resolution, apex_of, resolve};
use crate::routes::{Apex, Routes};

/// What a client without EDNS takes over UDP (RFC 1035, 4.2.1).
const UDP_PLAIN: usize = 512;
/// The most that is sent over UDP (DNS flag day 2020), and what is said to be taken.
const UDP_MAX: u16 = 1232;
/// A DNS header.
const HEADER: usize = 12;

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
    let subnet = subnet(&query);
    let told = subnet.map(|it| Prefix::new(it.addr(), it.source_prefix()));
    let mut asker = Asker::new(&routes.clients, view, told, rotation);
    let mut response = respond(routes, &query, &mut asker);
    if let (Some(subnet), Some(edns)) = (subnet, &mut response.edns) {
        // What the answer holds for: the whole subnet where it was chosen by it, else everybody (RFC 7871, 7.2.1).
        let scope = if asker.located {
            subnet.source_prefix()
        } else {
            0
        };
        let echo = ClientSubnet::new(subnet.addr(), subnet.source_prefix(), scope);
        edns.options_mut().insert(EdnsOption::Subnet(echo));
    }
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

/// Whose question it is, if whoever hands it on says so.
fn subnet(query: &Message) -> Option<ClientSubnet> {
    let option = query.edns.as_ref()?.option(EdnsCode::Subnet)?;
    if let EdnsOption::Subnet(subnet) = option {
        Some(*subnet)
    } else {
        None
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

fn respond(routes: &Routes, query: &Message, asker: &mut Asker<'_>) -> Message {
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
    if fill(&mut response, routes, question, asker).is_none() {
        response.answers.clear();
        response.metadata.response_code = ResponseCode::ServFail;
    }
    response
}

/// Puts records into the response; none if one can not be written.
fn fill(
    response: &mut Message,
    routes: &Routes,
    question: &Query,
    asker: &mut Asker<'_>,
) -> Option<()> {
    let ascii = question.name().to_lowercase().to_ascii();
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    if let Some(records) = of_apex(routes, name, question) {
        response.add_answers(records?);
        return Some(());
    }
    let wanted = Type::of_number(question.query_type().into());
    let (found, negative) = match resolve(routes, name, wanted, asker) {
        Resolution::Found(found) => (found, None),
        Resolution::NoData(found, apex) => (found, Some((ResponseCode::NoError, apex))),
        Resolution::NoName(found, apex) => (found, Some((ResponseCode::NXDomain, apex))),
        Resolution::NotOurs => {
            response.metadata.response_code = ResponseCode::Refused;
            return Some(());
        }
        Resolution::Lost => return None,
    };
    for found in found {
        response.add_answer(record(question.name(), found)?);
    }
    if let Some((code, apex)) = negative {
        response.metadata.response_code = code;
        let ttl = seconds(apex.soa_minimum.min(apex.soa_ttl));
        response.add_authority(soa(apex, parsed(&apex.name)?, ttl)?);
    }
    Some(())
}

/// The SOA or NS records of an apex, if that is the question.
fn of_apex(routes: &Routes, name: &str, question: &Query) -> Option<Option<Vec<Record>>> {
    let apex = apex_of(routes, name).filter(|apex| apex.name == name)?;
    let owner = question.name();
    // Name servers of one's own, put in place of those that the zone began with.
    let mut own = routes.names.get(name).into_iter().flatten();
    if question.query_type() == RecordType::NS && own.any(|set| set.kind == Type::Ns) {
        return None;
    }
    if question.query_type() == RecordType::SOA {
        let soa = soa(apex, owner.clone(), seconds(apex.soa_ttl));
        return Some(soa.map(|soa| vec![soa]));
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
    if let Some(data) = &apex.soa {
        let data = raw(Type::Soa, data);
        return Some(Record::from_rdata(owner, ttl, data));
    }
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
        Data::Other(kind, data) => raw(kind, &data),
    };
    Some(Record::from_rdata(owner, seconds(found.ttl), data))
}

/// Data as they are, names in them not compressed.
fn raw(kind: Type, data: &[u8]) -> RData {
    RData::Unknown {
        code: kind.number().into(),
        rdata: NULL::with(data.to_vec()),
    }
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
mod tests;

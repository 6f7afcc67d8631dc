//! Looks a name up as an application does: one question over UDP, no cache, a deadline.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;

/// The size of answer that is asked for and read.
const ANSWER_MAX: u16 = 1232;

/// The addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// In the order of the answer; never empty.
    pub addresses: Vec<Ipv4Addr>,
    /// How long they may be used: the lowest TTL of the answer.
    pub ttl: Duration,
}

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Nobody answered in time.
    #[error("no answer from {server} within {timeout:?}")]
    Timeout {
        /// Who was asked.
        server: SocketAddr,
        /// How long was waited.
        timeout: Duration,
    },
    /// The name is not one.
    #[error("`{name}` is not a domain name")]
    BadName {
        /// What was asked for.
        name: String,
    },
    /// There is no such name.
    #[error("no such name `{name}`")]
    NoSuchName {
        /// What was asked for.
        name: String,
    },
    /// The name has no address.
    #[error("`{name}` has no address")]
    NoAddress {
        /// What was asked for.
        name: String,
    },
    /// The server turned the question down.
    #[error("{server} answers {code} for `{name}`")]
    Failed {
        /// Who was asked.
        server: SocketAddr,
        /// What was asked for.
        name: String,
        /// The response code.
        code: String,
    },
    /// The answer does not fit into a packet.
    #[error("the answer for `{name}` is truncated")]
    Truncated {
        /// What was asked for.
        name: String,
    },
    /// The question could not be sent, or nobody listens at the server's address.
    #[error("ask {server}")]
    Io {
        /// Who was asked.
        server: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Asks `server` for the addresses of `name`.
///
/// # Errors
/// When there are none, or no answer in time.
pub async fn lookup(
    server: SocketAddr,
    name: &str,
    timeout: Duration,
) -> Result<Answer, LookupError> {
    match tokio::time::timeout(timeout, ask(server, name)).await {
        Ok(result) => result,
        Err(_) => Err(LookupError::Timeout { server, timeout }),
    }
}

async fn ask(server: SocketAddr, name: &str) -> Result<Answer, LookupError> {
    let bad_name = || LookupError::BadName { name: name.into() };
    let failed = |source| LookupError::Io { server, source };
    let mut asked = Name::from_ascii(name).map_err(|_| bad_name())?;
    asked.set_fqdn(true);
    // The identifier is drawn at random, the port by the kernel.
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(asked.clone(), RecordType::A));
    let mut edns = Edns::new();
    edns.set_max_payload(ANSWER_MAX).set_version(0);
    query.set_edns(edns);
    let question = query.to_vec().map_err(|_| bad_name())?;

    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .await
        .map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    socket.send(&question).await.map_err(failed)?;
    let mut packet = vec![0; usize::from(ANSWER_MAX)];
    loop {
        let length = socket.recv(&mut packet).await.map_err(failed)?;
        let Ok(response) = Message::from_vec(&packet[..length]) else {
            continue;
        };
        let ours = response.metadata.id == query.metadata.id
            && response.metadata.message_type == MessageType::Response
            && response
                .queries
                .first()
                .is_some_and(|it| *it.name() == asked);
        if ours {
            return read(server, name, &response);
        }
    }
}

fn read(server: SocketAddr, name: &str, response: &Message) -> Result<Answer, LookupError> {
    let code = response.metadata.response_code;
    if code == ResponseCode::NXDomain {
        return Err(LookupError::NoSuchName { name: name.into() });
    }
    if code != ResponseCode::NoError {
        return Err(LookupError::Failed {
            server,
            name: name.into(),
            code: code.to_string(),
        });
    }
    if response.metadata.truncation {
        return Err(LookupError::Truncated { name: name.into() });
    }
    let addresses: Vec<Ipv4Addr> = response
        .answers
        .iter()
        .filter_map(|record| {
            if let RData::A(address) = &record.data {
                Some(address.0)
            } else {
                None
            }
        })
        .collect();
    if addresses.is_empty() {
        return Err(LookupError::NoAddress { name: name.into() });
    }
    let ttl = response.answers.iter().map(|record| record.ttl).min();
    Ok(Answer {
        addresses,
        ttl: Duration::from_secs(ttl.unwrap_or_default().into()),
    })
}

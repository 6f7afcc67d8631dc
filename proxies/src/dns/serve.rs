//! The resolver's sockets: one packet, one answer, in turn; nothing is queued and nothing grows.

use std::net::UdpSocket as StdUdpSocket;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use topologies::address::ZoneNumber;
use topologies::network::Path;

use crate::core::{Core, Visit};
use crate::dns::answer::{Transport, answer};
use crate::linked::Linked;
use crate::traffic::{Count, Counters};

/// The longest question that is read; a longer one is malformed.
const QUESTION_MAX: usize = 2048;
/// A connection without a question is closed after this time (RFC 7766, 6.2.3, asks for some seconds).
const TCP_IDLE: Duration = Duration::from_secs(10);

/// Answers over UDP what is asked in `view`, until the core ends.
pub(crate) async fn udp(
    core: Rc<Core>,
    view: ZoneNumber,
    socket: StdUdpSocket,
    counters: Arc<Counters>,
) {
    let socket = match UdpSocket::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, "the resolver can not listen");
            return;
        }
    };
    let mut packet = vec![0; QUESTION_MAX];
    loop {
        let (length, asker) = match socket.recv_from(&mut packet).await {
            Ok(received) => received,
            // An earlier answer to somebody who does not listen any more comes back as an error.
            Err(_) => continue,
        };
        let snapshot = core.snapshot();
        if snapshot.network.path(view, view) == Path::Dark {
            continue;
        }
        counters.add(core.number, Count::Requests);
        let answer = answered(&core, view, &packet[..length], Transport::Udp);
        if let Some(answer) = answer {
            // An asker that does not take its answer asks again.
            let _lost = socket.try_send_to(&answer, asker);
        }
    }
}

/// Answers over a connection.
pub(crate) async fn tcp(visit: Visit, client: TcpStream, view: ZoneNumber) {
    let mut client = Linked::new(client, Arc::clone(&visit.flow), visit.core.draw());
    let mut question = Vec::new();
    loop {
        let read = async {
            let length = client.read_u16().await?;
            question.resize(usize::from(length), 0);
            client.read_exact(&mut question).await
        };
        match visit
            .flow
            .unless_doomed(tokio::time::timeout(TCP_IDLE, read))
            .await
        {
            Ok(Ok(Ok(_))) => {}
            Ok(Ok(Err(_)) | Err(_)) | Err(_) => break,
        }
        visit.count(Count::Requests);
        let answer = answered(&visit.core, view, &question, Transport::Tcp);
        let Some(answer) = answer else { break };
        let Ok(length) = u16::try_from(answer.len()) else {
            break;
        };
        let framed = [&length.to_be_bytes(), answer.as_slice()].concat();
        let write = async {
            client.write_all(&framed).await?;
            client.flush().await
        };
        match visit
            .flow
            .unless_doomed(tokio::time::timeout(TCP_IDLE, write))
            .await
        {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(_)) | Err(_)) | Err(_) => break,
        }
    }
    visit.flow.sever();
}

fn answered(
    core: &Core,
    view: ZoneNumber,
    question: &[u8],
    transport: Transport,
) -> Option<Vec<u8>> {
    let snapshot = core.snapshot();
    let mut rotation = core.rotation.borrow_mut();
    answer(&snapshot.routes, view, question, transport, &mut rotation)
}

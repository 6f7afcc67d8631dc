//! Health checks as load balancers send them: one connection, one question, no second chance. When to probe is up to the caller.

mod endpoint;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use endpoint::{Question, endpoint};

/// The most of a response that is read for its status line.
const HEAD_MAX: usize = 16 << 10;
/// Headers of a response that are looked over; a response with more is still a response.
const HEADERS: usize = 128;
/// When a response is first looked for. Most have come by then, all of one round of checks at once, and need no registration
/// with the event queue, which would cost more than the question.
const GLANCE: Duration = Duration::from_millis(2);

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The connection was accepted (TCP).
    Connected,
    /// An HTTP response with this status.
    Status(u16),
    /// No answer in time.
    Timeout,
    /// The connection was refused.
    Refused,
    /// The connection ended or was reset before there was a response.
    Closed,
    /// The response is not HTTP.
    Malformed,
}

/// Asks `target` for `path` as an ALB's node at `from` does: `GET` with `User-Agent: ELB-HealthChecker/2.0`, connection closed
/// afterwards, redirects not followed ("Health checks for ALB target groups"). An unspecified `from` leaves the choice to the kernel.
pub async fn http(
    from: Ipv4Addr,
    target: SocketAddrV4,
    path: &str,
    host: &str,
    timeout: Duration,
) -> ProbeOutcome {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
    );
    let ask = async { ask(from, target, request.as_bytes()).await };
    within(timeout, ask).await
}

/// Connects to `target` from `from` and closes again; with an unspecified `from`, from where the kernel chooses.
pub async fn tcp(from: Ipv4Addr, target: SocketAddrV4, timeout: Duration) -> ProbeOutcome {
    let connected = async { connected(begin(from, target)?).await };
    within(timeout, connected).await
}

/// Connects to `target` from `from` and resets the connection: what was only to be seen is not to be served, too.
pub async fn knock(from: Ipv4Addr, target: SocketAddrV4, timeout: Duration) -> ProbeOutcome {
    let knocked = async {
        let socket = begin(from, target)?;
        socket.set_linger(Some(Duration::ZERO))?;
        connected(socket).await
    };
    within(timeout, knocked).await
}

async fn within(
    timeout: Duration,
    probe: impl Future<Output = io::Result<ProbeOutcome>>,
) -> ProbeOutcome {
    match tokio::time::timeout(timeout, probe).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => failed(&error),
        Err(_) => ProbeOutcome::Timeout,
    }
}

/// A connection that is being set up. On the loopback network it is set up as a rule when this returns, so whoever tries
/// first needs not be woken for it.
fn begin(from: Ipv4Addr, target: SocketAddrV4) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    if !from.is_unspecified() {
        socket.bind(&SocketAddrV4::new(from, 0).into())?;
    }
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        Ok(()) | Err(_) => Ok(socket),
    }
}

/// Waits until the connection is set up, and lets go of it.
async fn connected(socket: Socket) -> io::Result<ProbeOutcome> {
    if socket.peer_addr().is_ok() {
        return Ok(ProbeOutcome::Connected);
    }
    match established(socket).await {
        Ok(_) => Ok(ProbeOutcome::Connected),
        // A handshake is refused, only a connection is reset: this one stood, and was over before anybody looked.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(ProbeOutcome::Connected),
        Err(error) => Err(error),
    }
}

/// Waits until the connection is set up.
async fn established(socket: Socket) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

/// Sends `request` and reads the response's status.
async fn ask(from: Ipv4Addr, target: SocketAddrV4, request: &[u8]) -> io::Result<ProbeOutcome> {
    let socket = begin(from, target)?;
    let mut head = Vec::new();
    let mut stream = match socket.send(request) {
        Ok(sent) if sent == request.len() => {
            tokio::time::sleep(GLANCE).await;
            let mut socket = std::net::TcpStream::from(socket);
            if let Some(outcome) = glance(&mut socket, &mut head)? {
                return Ok(outcome);
            }
            TcpStream::from_std(socket)?
        }
        Ok(sent) => {
            let mut stream = TcpStream::from_std(socket.into())?;
            stream.write_all(&request[sent..]).await?;
            stream
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let mut stream = established(socket).await?;
            stream.write_all(request).await?;
            stream
        }
        Err(error) => return Err(error),
    };
    loop {
        if let Some(outcome) = status(&mut head) {
            return Ok(outcome);
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(ProbeOutcome::Closed);
        }
    }
}

/// The outcome, if the response is there already.
fn glance(
    socket: &mut std::net::TcpStream,
    head: &mut Vec<u8>,
) -> io::Result<Option<ProbeOutcome>> {
    let mut buffer = [0; 2 << 10];
    match io::Read::read(socket, &mut buffer) {
        Ok(0) => Ok(Some(ProbeOutcome::Closed)),
        Ok(length) => {
            head.extend_from_slice(&buffer[..length]);
            Ok(status(head))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(error: &io::Error) -> ProbeOutcome {
    let kind = error.kind();
    if kind == io::ErrorKind::ConnectionRefused {
        ProbeOutcome::Refused
    } else if kind == io::ErrorKind::TimedOut {
        ProbeOutcome::Timeout
    } else {
        ProbeOutcome::Closed
    }
}

/// What the response says as far as it has come; none if there is more to come.
fn status(head: &mut Vec<u8>) -> Option<ProbeOutcome> {
    while let Some((outcome, length)) = parse(head) {
        // A 1xx announces the response, which follows.
        if !matches!(outcome, ProbeOutcome::Status(100..200)) {
            return Some(outcome);
        }
        head.drain(..length);
    }
    (head.len() >= HEAD_MAX).then_some(ProbeOutcome::Malformed)
}

/// What the beginning of a response says, and its length; none if there is more to come.
fn parse(head: &[u8]) -> Option<(ProbeOutcome, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match (response.parse(head), response.code) {
        (Ok(httparse::Status::Partial), _) => None,
        (Ok(httparse::Status::Complete(length)), Some(code)) => {
            Some((ProbeOutcome::Status(code), length))
        }
        // As far as the status it was understood; what follows does not matter to a check.
        (Err(httparse::Error::TooManyHeaders), Some(code)) if code >= 200 => {
            Some((ProbeOutcome::Status(code), 0))
        }
        (Ok(httparse::Status::Complete(_)) | Err(_), _) => Some((ProbeOutcome::Malformed, 0)),
    }
}

//! Health checks as load balancers send them: one connection, one question, no second chance. When to probe is up to the caller.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The most of a response that is read for its status line.
const HEAD_MAX: usize = 16 << 10;
/// Headers of a response that are looked over; a response with more is still a response.
const HEADERS: usize = 128;

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
/// afterwards, redirects not followed ("Health checks for ALB target groups").
pub async fn http(
    from: Ipv4Addr,
    target: SocketAddrV4,
    path: &str,
    host: &str,
    timeout: Duration,
) -> ProbeOutcome {
    let ask = async {
        let mut stream = match connect(from, target).await {
            Ok(stream) => stream,
            Err(error) => return failed(&error),
        };
        match status(&mut stream, path, host).await {
            Ok(outcome) => outcome,
            Err(_) => ProbeOutcome::Closed,
        }
    };
    let asked = tokio::time::timeout(timeout, ask).await;
    asked.unwrap_or(ProbeOutcome::Timeout)
}

/// Connects to `target` from `from` and closes again.
pub async fn tcp(from: Ipv4Addr, target: SocketAddrV4, timeout: Duration) -> ProbeOutcome {
    match tokio::time::timeout(timeout, connect(from, target)).await {
        Ok(Ok(_)) => ProbeOutcome::Connected,
        Ok(Err(error)) => failed(&error),
        Err(_) => ProbeOutcome::Timeout,
    }
}

async fn connect(from: Ipv4Addr, target: SocketAddrV4) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(target.into()).await
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

async fn status(stream: &mut TcpStream, path: &str, host: &str) -> io::Result<ProbeOutcome> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while head.len() < HEAD_MAX {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(ProbeOutcome::Closed);
        }
        while let Some((outcome, length)) = parse(&head) {
            // A 1xx announces the response, which follows.
            if !matches!(outcome, ProbeOutcome::Status(100..200)) {
                return Ok(outcome);
            }
            head.drain(..length);
        }
    }
    Ok(ProbeOutcome::Malformed)
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

//! Health checks over HTTP as Route 53's checkers send them: a status, and where it is wanted a text in the body's beginning
//! (aws-behaviour §6.4).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{HEAD_MAX, ProbeOutcome, ask, begin, established, parse, within};

/// "String must appear entirely in the first 5,120 bytes of the response body".
const BODY_MAX: usize = 5_120;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The path.
    pub path: &'a str,
    /// The host, for the header of that name.
    pub host: &'a str,
    /// The health check's identifier, which the agent's name has.
    pub reference: &'a str,
    /// The text that the body has to have.
    pub text: Option<&'a str>,
}

/// Asks `target`, and tells whether the text, if one is looked for, was found with a status of 2xx or 3xx.
pub async fn endpoint(
    from: Ipv4Addr,
    target: SocketAddrV4,
    question: Question<'_>,
    timeout: Duration,
) -> (ProbeOutcome, bool) {
    let Question {
        path,
        host,
        reference,
        text,
    } = question;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: Amazon-Route53-Health-Check-Service (ref {reference}; report http://amzn.to/1vsZADi)\r\n\r\n"
    );
    let Some(text) = text else {
        let asked = within(timeout, ask(from, target, request.as_bytes())).await;
        return (asked, true);
    };
    let mut found = false;
    let search = async {
        let mut stream = established(begin(from, target)?).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        loop {
            match judged(&response, text) {
                Seen::Found(outcome) => {
                    found = true;
                    return Ok(outcome);
                }
                Seen::Lost(outcome) => return Ok(outcome),
                Seen::Part(_) => {}
            }
            if stream.read_buf(&mut response).await? == 0 {
                // Nothing more comes: what has come is all.
                return Ok(match judged(&response, text) {
                    Seen::Part(Some(outcome)) => outcome,
                    Seen::Found(_) | Seen::Lost(_) | Seen::Part(None) => ProbeOutcome::Closed,
                });
            }
        }
    };
    let outcome = within(timeout, search).await;
    (outcome, found)
}

/// What a response tells as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// The text is there.
    Found(ProbeOutcome),
    /// It is not, and will not be.
    Lost(ProbeOutcome),
    /// There may be more to come behind this status.
    Part(Option<ProbeOutcome>),
}

/// Looks through what has come of a response.
fn judged(whole: &[u8], text: &str) -> Seen {
    let mut response = whole;
    let (outcome, length) = loop {
        match parse(response) {
            // A 1xx announces the response, which follows.
            Some((ProbeOutcome::Status(100..200), length @ 1..)) if whole.len() < HEAD_MAX => {
                response = &response[length..];
            }
            Some((ProbeOutcome::Status(100..200), _)) => {
                return Seen::Lost(ProbeOutcome::Malformed);
            }
            Some(parsed) => break parsed,
            None if response.len() >= HEAD_MAX => return Seen::Lost(ProbeOutcome::Malformed),
            None => return Seen::Part(None),
        }
    };
    match outcome {
        ProbeOutcome::Status(200..400) => {}
        ProbeOutcome::Status(_)
        | ProbeOutcome::Connected
        | ProbeOutcome::Timeout
        | ProbeOutcome::Refused
        | ProbeOutcome::Closed
        | ProbeOutcome::Malformed => return Seen::Lost(outcome),
    }
    let (head, rest) = response.split_at(length.min(response.len()));
    let (body, whole) = if is_chunked(head) {
        joined(rest)
    } else {
        (rest.to_vec(), false)
    };
    let looked_at = &body[..body.len().min(BODY_MAX)];
    let mut places = looked_at.windows(text.len().max(1));
    if places.any(|place| place == text.as_bytes()) {
        Seen::Found(outcome)
    } else if whole || body.len() >= BODY_MAX || response.len() >= HEAD_MAX + 2 * BODY_MAX {
        Seen::Lost(outcome)
    } else {
        Seen::Part(Some(outcome))
    }
}

fn is_chunked(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut lines = head.lines();
    lines.any(|line| line.starts_with("transfer-encoding:") && line.ends_with("chunked"))
}

/// The chunks that have come, without their sizes, and whether the last one has.
fn joined(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|it| it == b"\r\n") else {
            return (body, false);
        };
        let size = std::str::from_utf8(&rest[..end]).ok();
        let size = size.and_then(|line| line.split(';').next());
        let size = size.and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        rest = &rest[end + 2..];
        let Some(size) = size.filter(|size| *size > 0) else {
            return (body, true);
        };
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        let Some(behind) = size.checked_add(2).and_then(|behind| rest.get(behind..)) else {
            return (body, false);
        };
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn s6_4_the_text_has_to_be_within_the_first_5120_bytes() {
        let ok = ProbeOutcome::Status(200);
        let response = |before: usize| {
            let head = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
            format!("{head}{}ready", "x".repeat(before)).into_bytes()
        };
        for (before, expected) in [
            (0, Seen::Found(ok)),
            (BODY_MAX - 5, Seen::Found(ok)),
            (BODY_MAX - 4, Seen::Lost(ok)),
        ] {
            assert_eq!(judged(&response(before), "ready"), expected, "{before}");
        }
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\n", Seen::Part(None)),
            ("HTTP/1.1 200 OK\r\n\r\nrea", Seen::Part(Some(ok))),
            (
                "HTTP/1.1 503 No\r\n\r\nready",
                Seen::Lost(ProbeOutcome::Status(503)),
            ),
            ("ready", Seen::Lost(ProbeOutcome::Malformed)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2;x\r\ndy\r\n",
                Seen::Found(ok),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n0\r\n\r\n",
                Seen::Lost(ok),
            ),
        ] {
            assert_eq!(judged(text.as_bytes(), "ready"), expected, "{text}");
        }
    }

    #[test]
    fn a_response_that_is_only_announced_has_an_end() {
        let announced = |times| "HTTP/1.1 100 Continue\r\n\r\n".repeat(times);
        assert_eq!(judged(announced(10).as_bytes(), "x"), Seen::Part(None));
        let endless = announced(HEAD_MAX);
        let malformed = Seen::Lost(ProbeOutcome::Malformed);
        assert_eq!(judged(endless.as_bytes(), "x"), malformed);
    }

    proptest! {
        #[test]
        fn any_response_is_survived(
            head in prop_oneof![Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), Just("")],
            body in proptest::collection::vec(any::<u8>(), 0..200),
            text in "[a-z]{0,3}",
        ) {
            let response = [head.as_bytes(), &body].concat();
            let _any = judged(&response, &text);
        }
    }
}

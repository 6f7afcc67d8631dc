//! Bodies in, answers out: what of the AWS API touches sockets, clocks and the driver.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use tokio::sync::oneshot;
use wire::{Fault, Protocol};

use super::change::{Decide, Decided};
use super::dispatch::{self, Ground, Incoming, Moment, Step};
use super::session::Issuer;
use super::trouble::{Buckets, trouble};
use super::view::Facts;
use crate::stack::{self, Stack};

/// The largest body that is read: the largest request of the services that are served is CloudWatch's PutMetricData, 1 MB
/// (CloudWatch service quotas).
const BODY_BYTES_MAX: usize = 1 << 20;

/// The largest body that is made of one that came packed: the text of as many metrics as a call may have, with all of their values.
const UNPACKED_BYTES_MAX: u64 = 8 << 20;

/// How much of a larger body is taken off the wire and dropped, so that a client that sends before it listens hears why it is
/// refused; beyond that the connection is closed on it.
const DROPPED_BYTES_MAX: u64 = 256 << 20;

/// A body has to be there within this time.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// The driver decides within this time. Clients of AWS wait for 60 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// The AWS API of a stack.
pub struct Gateway {
    stack: Stack,
    facts: Facts,
    rng: Mutex<ChaCha20Rng>,
    buckets: Mutex<Buckets>,
}

/// Why a body was not read.
enum Unread {
    TooLarge,
    TooLate,
    /// It broke off: what came of it may mean something else than the whole.
    BrokenOff,
    /// It is not encoded as it says.
    Undecodable,
}

impl Gateway {
    /// The AWS API of a stack. Request ids and temporary credentials are drawn from the seed.
    pub fn new(stack: Stack, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let facts = Facts::of(&stack, now(), Issuer::new(key));
        Self {
            stack,
            facts,
            rng: Mutex::new(rng),
            buckets: Mutex::default(),
        }
    }

    /// Answers a request, whatever it is.
    pub(crate) async fn serve(&self, request: Request) -> Response {
        let moment = self.moment();
        let (head, body) = request.into_parts();
        let declared = head.headers.get(CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let patient = head.headers.contains_key(EXPECT);
        let (body, mut unread) = match collect(body, declared, patient).await {
            Ok(body) => (body, None),
            Err((begun, unread)) => (begun, Some(unread)),
        };
        let mut decoded = None;
        if unread.is_none() && encoded(&head.headers) {
            let packed = body.clone();
            match work(move || unpacked(&packed)).await {
                Some(Ok(body)) => decoded = Some(body),
                Some(Err(why)) => unread = Some(why),
                None => unread = Some(Unread::Undecodable),
            }
        }
        let uri = head.uri.path_and_query().map_or("/", |uri| uri.as_str());
        let incoming = Arc::new(Incoming {
            uri: uri.to_owned(),
            method: head.method,
            headers: head.headers,
            body,
            decoded,
        });
        if let Some(unread) = unread {
            let fault: fn(Protocol) -> Fault = match unread {
                Unread::TooLarge => dispatch::too_large,
                Unread::TooLate => dispatch::too_late,
                Unread::BrokenOff => dispatch::broken_off,
                Unread::Undecodable => dispatch::undecodable,
            };
            return apart(moment, move || dispatch::unread(&incoming, fault, moment)).await;
        }
        self.answer(incoming, moment).await
    }

    /// Lets the faults in force have the call first: the answer if they leave nothing else to be done.
    async fn troubled(&self, incoming: &Arc<Incoming>, moment: Moment) -> Option<Response> {
        let faults = self.stack.api_faults.borrow().clone();
        if faults.is_empty() {
            return None;
        }
        let asked = Arc::clone(incoming);
        let call = work(move || dispatch::call(&asked)).await??;
        let met = {
            // Buckets are whole after every step.
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            let (service, operation) = &call;
            trouble(&faults, (service, operation), &mut buckets, moment.now)
        };
        tokio::time::sleep(met.delay).await;
        let refusal = met.refusal?;
        let incoming = Arc::clone(incoming);
        Some(
            apart(moment, move || {
                dispatch::trouble(&incoming, refusal, moment)
            })
            .await,
        )
    }

    async fn answer(&self, incoming: Arc<Incoming>, moment: Moment) -> Response {
        if let Some(response) = self.troubled(&incoming, moment).await {
            return response;
        }
        let ground = self.ground();
        let begun = Arc::clone(&incoming);
        let step = work(move || dispatch::begin(&begun, &ground, moment)).await;
        match step {
            Some(Step::Done(response)) => render(response),
            Some(Step::Ask(decide)) => {
                let decided = self.ask(decide).await;
                apart(moment, move || dispatch::finish(&incoming, decided, moment)).await
            }
            None => render(dispatch::failed(moment)),
        }
    }

    /// Has the driver decide, within bounds.
    async fn ask(&self, decide: Decide) -> Option<Decided> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            let request = stack::Request::Call { decide, answer };
            self.stack.requests.send(request).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(ANSWER_WITHIN, asked).await.ok()?
    }

    fn ground(&self) -> Ground {
        Ground {
            world: self.stack.world.borrow().clone(),
            facts: self.facts.clone(),
        }
    }

    fn moment(&self) -> Moment {
        let mut entropy = [0; 16];
        // A generator is whole after every step of it.
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.fill_bytes(&mut entropy);
        Moment {
            now: now(),
            entropy,
        }
    }
}

/// Milliseconds of the wall clock.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Works beside the tasks that drive the stack: to unpack a model takes longer than they should wait. None if it panicked.
async fn work<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.inspect_err(|cause| tracing::error!(%cause, "a call of the AWS API was not answered"))
        .ok()
}

async fn apart(
    moment: Moment,
    answer: impl FnOnce() -> wire::Response + Send + 'static,
) -> Response {
    let response = work(answer).await;
    render(response.unwrap_or_else(|| dispatch::failed(moment)))
}

/// The body, or what was read of it. `patient` clients ask before they send.
async fn collect(
    mut body: Body,
    declared: Option<u64>,
    patient: bool,
) -> Result<Bytes, (Bytes, Unread)> {
    let large = declared.is_some_and(|length| length > BODY_BYTES_MAX as u64);
    if large && (patient || declared > Some(DROPPED_BYTES_MAX)) {
        return Err((Bytes::new(), Unread::TooLarge));
    }
    let mut read = BytesMut::new();
    let mut total: u64 = 0;
    let mut whole = true;
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                whole = false;
                break;
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            total = total.saturating_add(data.len() as u64);
            if total <= BODY_BYTES_MAX as u64 {
                read.extend_from_slice(&data);
            }
            if total > DROPPED_BYTES_MAX {
                break;
            }
        }
    };
    let in_time = tokio::time::timeout(BODY_WITHIN, reading).await.is_ok();
    let read = read.freeze();
    match in_time {
        _ if total > BODY_BYTES_MAX as u64 => Err((read, Unread::TooLarge)),
        false => Err((read, Unread::TooLate)),
        true if !whole || declared.is_some_and(|length| total < length) => {
            Err((read, Unread::BrokenOff))
        }
        true => Ok(read),
    }
}

/// SDKs pack what they put: "Request compression" (SDKs and Tools Reference Guide), of which gzip is the only way.
fn encoded(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING);
    encoding.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"gzip"))
}

fn unpacked(packed: &[u8]) -> Result<Bytes, Unread> {
    let mut body = Vec::new();
    let mut reader = MultiGzDecoder::new(packed).take(UNPACKED_BYTES_MAX + 1);
    match reader.read_to_end(&mut body) {
        Ok(_) if body.len() as u64 > UNPACKED_BYTES_MAX => Err(Unread::TooLarge),
        Ok(_) => Ok(body.into()),
        Err(_) => Err(Unread::Undecodable),
    }
}

fn render(response: wire::Response) -> Response {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut rendered = (status, response.body).into_response();
    let headers = rendered.headers_mut();
    // What `into_response` says of bytes in general.
    headers.remove(http::header::CONTENT_TYPE);
    for (name, value) in response.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        // What no header can hold is left out, as AWS does with a value of several lines.
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            headers.append(name, value);
        }
    }
    rendered
}

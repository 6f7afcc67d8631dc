//! Makes a [`Drill`] of a drill file's text. Every mistake of meaning is told at once; text that is no drill at all yields the
//! parser's complaint.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::note::{Note, Span};
use super::spec::{ClientsSpec, DrillSpec, HttpSpec, StepSpec, WorkloadSpec};
use super::{Action, Drill, Expectation, Step, Traffic, Workload};
use crate::budget::ONE_ZONE;
use crate::duration;
use crate::nearest::nearest;

/// The longest drill file that is read, in bytes.
pub const BYTES_MAX: usize = 256 * 1024;
/// The longest that clients may work.
pub const DURATION_MAX: Duration = Duration::from_secs(3_600);
/// The most clients of one endpoint.
pub const CLIENTS_MAX: u16 = 1_000;
/// The most operations that all clients of one endpoint may begin a second.
pub const RATE_MAX: u64 = 100_000;

const CLIENTS: u16 = 4;
const RATE: u32 = 50;
const TIMEOUT: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_secs(30);

/// Parses a drill file: the drill, or everything that is wrong with the text.
pub fn parse(text: &str) -> Result<Drill, Vec<Note>> {
    if text.len() > BYTES_MAX {
        return Err(vec![Note::error(
            Span::START,
            "this file is larger than 256 KiB, no drill is",
        )]);
    }
    let options = serde_saphyr::options! { with_snippet: false };
    let spec = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| vec![complaint(&error)])?;
    let mut check = Check::default();
    let drill = check.drill(spec);
    match drill {
        Some(drill) if check.notes.is_empty() => Ok(drill),
        _ => {
            check.notes.sort_by_key(|note| note.span);
            Err(check.notes)
        }
    }
}

fn complaint(error: &serde_saphyr::Error) -> Note {
    let span = error.location().map_or(Span::START, Span::from);
    let message = error.without_snippet().to_string();
    let first = message.lines().next().unwrap_or("this is no drill");
    // The place is in the span already.
    let first = first.split(" at line ").next().unwrap_or(first);
    let first = first.strip_prefix("error: ").unwrap_or(first);
    Note::error(span, first)
}

#[derive(Default)]
struct Check {
    notes: Vec<Note>,
}

impl Check {
    fn error(&mut self, span: impl Into<Span>, message: impl Into<String>) {
        self.notes.push(Note::error(span, message));
    }

    fn drill(&mut self, spec: DrillSpec) -> Option<Drill> {
        let name = &spec.name.value;
        let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(named) {
            let message = format!("name `{name}` must be 1 to 64 letters, digits, `-` and `_`");
            self.error(spec.name.referenced, message);
        }
        let length = self.duration(&spec.duration).unwrap_or_default();
        if length > DURATION_MAX {
            let longest = duration::format(DURATION_MAX);
            self.error(
                spec.duration.referenced,
                format!("a drill lasts at most {longest}"),
            );
        }
        if length.is_zero() && duration::parse(&spec.duration.value).is_some() {
            self.error(spec.duration.referenced, "a drill needs some time");
        }
        let settle = spec
            .settle
            .as_ref()
            .and_then(|settle| self.duration(settle));
        let workload = self.workload(spec.workload);
        let steps = self.steps(spec.steps, length);
        self.expectations(&spec.expect, &workload, spec.name.referenced.into());
        Some(Drill {
            name: spec.name.value,
            description: spec.description,
            topology: spec.topology,
            workload,
            steps,
            duration: length,
            settle: settle.unwrap_or(SETTLE),
            budget: spec.budget.map_or(ONE_ZONE, |budget| budget.value),
            expect: spec
                .expect
                .into_iter()
                .map(|expected| expected.value)
                .collect(),
        })
    }

    fn duration(&mut self, text: &Spanned<String>) -> Option<Duration> {
        let parsed = duration::parse(&text.value);
        if parsed.is_none() {
            let message = format!("`{}` is no duration", text.value);
            let note = Note::error(text.referenced, message);
            self.notes.push(note.hint("write `250ms`, `3s` or `1m30s`"));
        }
        parsed
    }

    fn workload(&mut self, specs: Vec<Spanned<WorkloadSpec>>) -> Vec<Workload> {
        let mut endpoints = BTreeSet::new();
        let mut workload = Vec::new();
        for spec in specs {
            let (clients, traffic) = self.traffic(spec.value);
            let endpoint = clients.endpoint.value.clone();
            if !endpoints.insert(endpoint.clone()) {
                let message = format!("endpoint `{endpoint}` has clients already");
                self.error(clients.endpoint.referenced, message);
            }
            workload.push(self.clients(clients, traffic));
        }
        workload
    }

    fn traffic(&mut self, spec: WorkloadSpec) -> (ClientsSpec, Traffic) {
        match spec {
            WorkloadSpec::SqlWrites(clients) => (clients, Traffic::SqlWrites),
            WorkloadSpec::RedisWrites(clients) => (clients, Traffic::RedisWrites),
            WorkloadSpec::Http(HttpSpec {
                endpoint,
                path,
                clients,
                rate,
                timeout,
            }) => {
                if let Some(path) = &path
                    && (!path.value.starts_with('/')
                        || path.value.chars().any(|c| c.is_control() || c == ' '))
                {
                    let message = format!(
                        "path `{}` must begin with `/` and have no spaces",
                        path.value
                    );
                    self.error(path.referenced, message);
                }
                let path = path.map_or_else(|| "/".to_owned(), |path| path.value);
                let clients = ClientsSpec {
                    endpoint,
                    clients,
                    rate,
                    timeout,
                };
                (clients, Traffic::Http { path })
            }
        }
    }

    fn clients(&mut self, spec: ClientsSpec, traffic: Traffic) -> Workload {
        let clients = spec
            .clients
            .as_ref()
            .map_or(CLIENTS, |clients| clients.value);
        let rate = spec.rate.as_ref().map_or(RATE, |rate| rate.value);
        if let Some(given) = spec
            .clients
            .filter(|given| !(1..=CLIENTS_MAX).contains(&given.value))
        {
            self.error(
                given.referenced,
                format!("clients must be 1 to {CLIENTS_MAX}"),
            );
        }
        let total = u64::from(clients) * u64::from(rate);
        if let Some(given) = spec
            .rate
            .filter(|given| given.value == 0 || total > RATE_MAX)
        {
            let message =
                format!("rate must be at least 1, and {RATE_MAX} at most over all clients");
            self.error(given.referenced, message);
        }
        let timeout = spec.timeout.and_then(|timeout| {
            let parsed = self.duration(&timeout)?;
            if parsed.is_zero() {
                self.error(timeout.referenced, "a client needs some time");
            }
            Some(parsed)
        });
        Workload {
            endpoint: spec.endpoint.value,
            traffic,
            clients,
            rate,
            timeout: timeout.unwrap_or(TIMEOUT),
        }
    }

    fn steps(&mut self, specs: Vec<Spanned<StepSpec>>, length: Duration) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut labels = BTreeSet::new();
        for spec in specs {
            let span = Span::from(spec.referenced);
            let step = spec.value;
            let at = self.duration(&step.at).unwrap_or_default();
            if steps.last().is_some_and(|last| at < last.at) {
                self.error(step.at.referenced, "steps must be in order of time");
            }
            if at > length && !length.is_zero() {
                self.error(step.at.referenced, "this step comes after the drill's end");
            }
            if let Some(action) = self.action(span, step, &mut labels) {
                steps.push(Step { at, action });
            }
        }
        steps
    }

    fn action(
        &mut self,
        span: Span,
        step: StepSpec,
        labels: &mut BTreeSet<String>,
    ) -> Option<Action> {
        match (step.inject, step.heal) {
            (Some(fault), None) => {
                let label = step.label.map(|label| {
                    if label.value == "all" || !labels.insert(label.value.clone()) {
                        let message = format!("label `{}` is taken", label.value);
                        self.error(label.referenced, message);
                    }
                    label.value
                });
                Some(Action::Inject { fault, label })
            }
            (None, Some(heal)) => {
                if let Some(label) = step.label {
                    self.error(
                        label.referenced,
                        "only an injected fault is named with `as`",
                    );
                }
                if heal.value == "all" {
                    return Some(Action::Heal { label: None });
                }
                if !labels.remove(&heal.value) {
                    let known = labels.iter().map(String::as_str);
                    let meant = nearest(&heal.value, known).unwrap_or_else(|| "all".into());
                    let message = format!(
                        "no fault injected before and not healed yet is named `{}`",
                        heal.value
                    );
                    let note = Note::error(heal.referenced, message);
                    self.notes.push(note.hint(format!("write `heal: {meant}`")));
                }
                let label = Some(heal.value);
                Some(Action::Heal { label })
            }
            (Some(_), Some(_)) | (None, None) => {
                self.error(span, "a step has either `inject` or `heal`");
                None
            }
        }
    }

    fn expectations(
        &mut self,
        expected: &[Spanned<Expectation>],
        workload: &[Workload],
        drill: Span,
    ) {
        if expected.is_empty() {
            self.error(drill, "a drill without `expect` proves nothing");
        }
        for expectation in expected {
            let span = expectation.referenced;
            if let Some(endpoint) = expectation.value.endpoint() {
                let clients = workload.iter().find(|clients| clients.endpoint == endpoint);
                match clients {
                    None => self.no_clients(span.into(), endpoint, workload),
                    Some(clients) => self.fits(span.into(), &expectation.value, &clients.traffic),
                }
            }
            if let Expectation::ErrorRateBelow { percent, .. } = expectation.value
                && !(percent > 0.0 && percent <= 100.0)
            {
                self.error(span, "percent must be more than 0 and at most 100");
            }
        }
    }

    fn no_clients(&mut self, span: Span, endpoint: &str, workload: &[Workload]) {
        let known = workload.iter().map(|clients| clients.endpoint.as_str());
        let meant = nearest(endpoint, known);
        let note = Note::error(span, format!("endpoint `{endpoint}` has no clients"));
        self.notes.push(match meant {
            Some(meant) => note.hint(format!("did you mean `{meant}`?")),
            None => note.hint("add them to `workload`"),
        });
    }

    fn fits(&mut self, span: Span, expectation: &Expectation, traffic: &Traffic) {
        let wants_writes = match expectation {
            Expectation::WritesAcceptedAgain { .. }
            | Expectation::NoAcknowledgedWriteLost { .. }
            | Expectation::AcknowledgedWritesLostAtMost { .. }
            | Expectation::NoPhantomWrite { .. } => true,
            Expectation::RequestsAnsweredAgain { .. } => false,
            Expectation::ErrorRateBelow { .. } | Expectation::RedundancyRestored { .. } => return,
        };
        if wants_writes && !traffic.writes() {
            self.error(
                span,
                "this speaks of writes, but the endpoint's clients only request",
            );
        }
        if !wants_writes && traffic.writes() {
            let note = Note::error(
                span,
                "this speaks of requests, but the endpoint's clients write",
            );
            self.notes.push(note.hint("write `writes-accepted-again`"));
        }
    }
}

#[cfg(test)]
mod tests;

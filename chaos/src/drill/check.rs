//! Makes a [`Drill`] of a drill file's text. Every mistake, of shape and of meaning, is told at once.

use std::collections::BTreeSet;
use std::time::Duration;

use topologies::duration;
use topologies::nearest::nearest;
use topologies::notes::{Note, Span};
use topologies::yaml::rate::Rate;
use topologies::yaml::values::{Limit, Period};
use topologies::yaml::{At, Read};

use super::spec::{self, ClientsSpec, DrillSpec, HttpSpec, StepSpec, WorkloadSpec};
use super::{Action, Drill, Expectation, Places, Step, Traffic, Workload};
use crate::budget::ONE_ZONE;

/// The longest that clients may work.
pub const DURATION_MAX: Duration = Duration::from_secs(3_600);
/// The most clients of one endpoint.
pub const CLIENTS_MAX: u16 = 1_000;
/// The most operations that all clients of one endpoint may begin a second.
pub const RATE_MAX: u64 = 100_000;

const CLIENTS: u16 = 4;
const RATE: u32 = 50;
/// How long a client waits that is not told how long.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_secs(30);

/// Parses a drill file: the drill, or everything that is wrong with the text.
pub fn parse(text: &str) -> Result<Drill, Vec<Note>> {
    let Read {
        spec,
        left_out,
        notes,
    } = spec::read(text);
    let mut check = Check {
        notes,
        whole: left_out.is_empty(),
    };
    let drill = spec.map(|spec| check.drill(spec));
    match drill {
        Some(drill) if check.notes.is_empty() => Ok(drill),
        Some(_) | None => {
            check.notes.sort_by_key(|note| note.span);
            Err(check.notes)
        }
    }
}

struct Check {
    notes: Vec<Note>,
    /// Whether every step and every workload has the right shape: if not, what is missed may be in one that has not.
    whole: bool,
}

impl Check {
    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.notes.push(Note::error(span, message));
    }

    fn drill(&mut self, spec: DrillSpec) -> Drill {
        let name = &spec.name.value;
        if !is_name(name) {
            let message = format!("name `{name}` must be 1 to 64 letters, digits, `-` and `_`");
            self.error(spec.name.span, message);
        }
        let Period(length) = spec.duration.value;
        if length.is_zero() {
            self.error(spec.duration.span, "a drill needs some time");
        }
        self.bounded(&spec.duration, "a drill");
        if let Some(settle) = &spec.settle {
            self.bounded(settle, "settling");
        }
        let places = Places {
            workload: spec
                .workload
                .iter()
                .map(|it| endpoint_span(&it.value))
                .collect(),
            steps: spec.steps.iter().map(|it| it.span).collect(),
            expect: spec.expect.value.iter().map(|it| it.span).collect(),
        };
        let workload = self.workload(spec.workload);
        let steps = self.steps(spec.steps, length);
        self.expectations(&spec.expect, &workload);
        let expect = spec.expect.value.into_iter();
        Drill {
            name: spec.name.value,
            description: spec.description,
            topology: spec.topology,
            workload,
            steps,
            duration: length,
            settle: spec.settle.map_or(SETTLE, |settle| settle.value.0),
            budget: spec.budget.unwrap_or(ONE_ZONE),
            expect: expect.map(|expected| expected.value).collect(),
            places,
        }
    }

    fn bounded(&mut self, period: &At<Period>, what: &str) {
        if period.value.0 > DURATION_MAX {
            let longest = duration::format(DURATION_MAX);
            self.error(period.span, format!("{what} takes at most {longest}"));
        }
    }

    fn workload(&mut self, specs: Vec<At<WorkloadSpec>>) -> Vec<Workload> {
        let mut names = BTreeSet::new();
        let mut workload = Vec::new();
        for spec in specs {
            let (clients, traffic) = self.traffic(spec.value);
            let label = clients.label.as_ref();
            let name = label.unwrap_or(&clients.endpoint);
            if !names.insert(name.value.clone()) {
                let note = Note::error(name.span, format!("`{}` has clients already", name.value));
                self.notes
                    .push(note.hint("give these another name: `as: impatient`"));
            }
            if let Some(label) = label.filter(|label| !is_name(label)) {
                let message = format!(
                    "name `{}` must be 1 to 64 letters, digits, `-` and `_`",
                    label.value
                );
                self.error(label.span, message);
            }
            workload.push(self.clients(clients, traffic));
        }
        workload
    }

    fn traffic(&mut self, spec: WorkloadSpec) -> (ClientsSpec, Traffic) {
        let HttpSpec {
            endpoint,
            path,
            label,
            clients,
            rate,
            timeout,
            dns_cache,
        } = match spec {
            WorkloadSpec::SqlWrites(clients) => return (clients, Traffic::SqlWrites),
            WorkloadSpec::RedisWrites(clients) => return (clients, Traffic::RedisWrites),
            WorkloadSpec::Http(http) => http,
        };
        let plain = |path: &str| {
            path.starts_with('/') && !path.contains(|c: char| c == ' ' || c.is_control())
        };
        if let Some(path) = path.as_ref().filter(|path| !plain(path)) {
            let message = format!(
                "path `{}` must begin with `/` and have no spaces",
                path.value
            );
            self.error(path.span, message);
        }
        let path = path.map_or_else(|| "/".to_owned(), |path| path.value);
        let clients = ClientsSpec {
            endpoint,
            label,
            clients,
            rate,
            timeout,
            dns_cache,
        };
        (clients, Traffic::Http { path })
    }

    fn clients(&mut self, spec: ClientsSpec, traffic: Traffic) -> Workload {
        let clients = spec.clients.unwrap_or(CLIENTS);
        let rate = spec.rate.map_or(RATE, |rate| rate.value.0);
        // A bare zero is out of range by its shape.
        let untold = |span| self.notes.iter().all(|note| note.span != span);
        let zero = spec.rate.filter(|given| given.value == Rate(0));
        if let Some(given) = zero.filter(|given| untold(given.span)) {
            self.error(given.span, "clients that begin nothing see nothing");
        }
        if let Some(given) = spec
            .rate
            .filter(|_| u64::from(clients) * u64::from(rate) > RATE_MAX)
        {
            let message = format!("rate must be {RATE_MAX} at most over all clients");
            self.error(given.span, message);
        }
        if let Some(given) = spec
            .timeout
            .filter(|given| given.value == Limit(Some(Duration::ZERO)))
        {
            let note = Note::error(given.span, "a client needs some time");
            self.notes.push(note.hint("`none` waits for ever"));
        }
        let endpoint = spec.endpoint.value;
        Workload {
            name: spec
                .label
                .map_or_else(|| endpoint.clone(), |label| label.value),
            endpoint,
            traffic,
            clients,
            rate,
            timeout: spec.timeout.map_or(Some(TIMEOUT), |given| given.value.0),
            dns_cache: spec.dns_cache.unwrap_or_default(),
        }
    }

    fn steps(&mut self, specs: Vec<At<StepSpec>>, length: Duration) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut labels = BTreeSet::new();
        for spec in specs {
            let At { span, value: step } = spec;
            let Period(at) = step.at.value;
            if steps.last().is_some_and(|last| at < last.at) {
                self.error(step.at.span, "steps must be in order of time");
            }
            if at > length && !length.is_zero() {
                self.error(step.at.span, "this step comes after the drill's end");
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
                        self.error(label.span, message);
                    }
                    label.value
                });
                Some(Action::Inject { fault, label })
            }
            (None, Some(heal)) => {
                if let Some(label) = step.label {
                    self.error(label.span, "only an injected fault is named with `as`");
                }
                if heal.value == "all" {
                    return Some(Action::Heal { label: None });
                }
                if !labels.remove(&heal.value) && self.whole {
                    let known: Vec<&str> = labels.iter().map(String::as_str).collect();
                    let meant = nearest(&heal.value, &known).unwrap_or("all");
                    let message = format!(
                        "no fault injected before and not healed yet is named `{}`",
                        heal.value
                    );
                    let note = Note::error(heal.span, message);
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

    fn expectations(&mut self, expected: &At<Vec<At<Expectation>>>, workload: &[Workload]) {
        if expected.is_empty() && self.whole {
            self.error(expected.span, "a drill without `expect` proves nothing");
        }
        for expectation in &expected.value {
            let span = expectation.span;
            if let Some(endpoint) = expectation.value.endpoint() {
                let clients = workload.iter().find(|clients| clients.name == endpoint);
                match clients {
                    None if self.whole => self.no_clients(span, endpoint, workload),
                    None => {}
                    Some(clients) => self.fits(span, &expectation.value, &clients.traffic),
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
        let known: Vec<&str> = workload.iter().map(|clients| &*clients.name).collect();
        let meant = nearest(endpoint, &known);
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

fn endpoint_span(workload: &WorkloadSpec) -> Span {
    match workload {
        WorkloadSpec::SqlWrites(clients) | WorkloadSpec::RedisWrites(clients) => {
            clients.endpoint.span
        }
        WorkloadSpec::Http(http) => http.endpoint.span,
    }
}

fn is_name(name: &str) -> bool {
    let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(named)
}

#[cfg(test)]
mod tests;

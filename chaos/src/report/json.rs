//! A report for programs. `format` is 1; fields are added without a new number, removed or changed only with one.
//!
//! Moments are milliseconds since the drill's beginning (`at-ms`, `from-ms`, `to-ms`), lengths are milliseconds (`rto-ms`);
//! both with a fraction. A list of keys names the first 1,000 beside its whole `count`.

use std::time::Duration;

use serde::Serialize;

use super::Report;
use crate::blast_radius::Consequence;
use crate::budget::Window;
use crate::drill::{DnsCache, Expectation, Traffic};
use crate::fault::Fault;
use crate::history::{DisturbanceKind, EndpointHistory, FaultSpan};
use crate::ledger::{Counts, Key};
use crate::verdict::{Evidence, Finding, Measures, Verdict};
use crate::verify::reconcile::Reconciliation;
use crate::verify::recovery::{Recovery, Seen, Wait};

/// The version of this format.
pub const FORMAT: u32 = 1;

const KEYS_MAX: usize = 1_000;

/// The whole report.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReportView<'a> {
    format: u32,
    stack: &'a str,
    drill: &'a str,
    description: &'a str,
    verdict: Verdict,
    exit_code: u8,
    duration_ms: f64,
    cut_short: Option<&'a str>,
    restarts: Vec<WindowView>,
    faults: Vec<FaultView<'a>>,
    beyond_budget: Vec<WindowView>,
    expectations: Vec<FindingView<'a>>,
    endpoints: Vec<EndpointView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FaultView<'a> {
    id: &'a str,
    kind: &'static str,
    target: String,
    description: String,
    fault: &'a Fault,
    from_ms: f64,
    to_ms: Option<f64>,
    blast_radius: Vec<ConsequenceView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ConsequenceView<'a> {
    description: String,
    consequence: &'a Consequence,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct WindowView {
    from_ms: f64,
    to_ms: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FindingView<'a> {
    expectation: &'a Expectation,
    description: String,
    verdict: Verdict,
    because: &'a str,
    evidence: Vec<EvidenceView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum EvidenceView<'a> {
    Times(WindowView),
    Keys { first: &'a [Key], count: u64 },
    Timeline { from: u64, to: u64 },
    Operations(Counts),
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct EndpointView<'a> {
    endpoint: &'a str,
    clients: Option<ClientsView<'a>>,
    traffic: Option<&'a Traffic>,
    operations: Counts,
    operations_outside_outages: Counts,
    availability: Option<f64>,
    availability_outside_outages: Option<f64>,
    rto_ms: Option<f64>,
    outages: Vec<OutageView>,
    recoveries: Vec<RecoveryView<'a>>,
    reconciliation: Option<ReconciliationView<'a>>,
    unreadable: Option<&'a str>,
    reasons: Vec<ReasonView<'a>>,
    complete: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ClientsView<'a> {
    of: &'a str,
    count: u16,
    rate: u32,
    timeout_ms: Option<f64>,
    dns_cache: DnsCache,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct OutageView {
    from_ms: f64,
    to_ms: f64,
    ended: bool,
    longest_gap_ms: f64,
    unserved: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RecoveryView<'a> {
    fault: &'a str,
    kind: DisturbanceKind,
    at_ms: f64,
    seen: &'static str,
    served_again: Option<bool>,
    after_ms: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReconciliationView<'a> {
    acknowledged: u64,
    lost: KeysView<Vec<Key>>,
    lost_from_ms: Option<f64>,
    lost_to_ms: Option<f64>,
    rpo_ms: f64,
    phantoms: KeysView<&'a [Key]>,
    duplicates: KeysView<&'a [Key]>,
    strangers: KeysView<&'a [Key]>,
    unanswered_there: u64,
    unanswered_not_there: u64,
    complete: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct KeysView<K> {
    count: usize,
    first: K,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReasonView<'a> {
    reason: &'a str,
    count: u64,
}

/// Renders the report, indented, with a newline at its end.
pub fn render(report: &Report<'_>) -> String {
    let text = serde_json::to_string_pretty(&view(report));
    text.expect("views have no maps with keys that are no strings") + "\n"
}

fn view<'a>(report: &Report<'a>) -> ReportView<'a> {
    let Report {
        stack,
        drill,
        history,
        judgement,
    } = *report;
    let window = |window: &Window| window_view(report, *window);
    ReportView {
        format: FORMAT,
        stack,
        drill: &drill.name,
        description: &drill.description,
        verdict: judgement.verdict,
        exit_code: judgement.verdict.exit_code(),
        duration_ms: millis(report.length()),
        cut_short: history.cut_short.as_deref(),
        restarts: history.restarts.iter().map(window).collect(),
        faults: history
            .faults
            .iter()
            .map(|span| fault(report, span))
            .collect(),
        beyond_budget: judgement.exceeded.iter().map(window).collect(),
        expectations: judgement
            .findings
            .iter()
            .map(|found| finding(report, found))
            .collect(),
        endpoints: judgement
            .measures
            .iter()
            .map(|measures| {
                let mut endpoints = history.endpoints.iter();
                let of = endpoints.find(|one| one.endpoint == measures.endpoint);
                endpoint(report, measures, of)
            })
            .collect(),
    }
}

fn fault<'a>(report: &Report<'a>, span: &'a FaultSpan) -> FaultView<'a> {
    FaultView {
        id: span.id.as_str(),
        kind: span.fault.kind(),
        target: span.fault.target(),
        description: span.fault.to_string(),
        fault: &span.fault,
        from_ms: millis(report.moment(span.from)),
        to_ms: span.to.map(|to| millis(report.moment(to))),
        blast_radius: span
            .consequences
            .iter()
            .map(|consequence| ConsequenceView {
                description: consequence.to_string(),
                consequence,
            })
            .collect(),
    }
}

fn finding<'a>(report: &Report<'a>, finding: &'a Finding) -> FindingView<'a> {
    let evidence = finding.evidence.iter().map(|evidence| match evidence {
        Evidence::Times(window) => EvidenceView::Times(window_view(report, *window)),
        Evidence::Keys { first, count } => EvidenceView::Keys {
            first,
            count: *count,
        },
        Evidence::Timeline { from, to } => EvidenceView::Timeline {
            from: *from,
            to: *to,
        },
        Evidence::Operations(counts) => EvidenceView::Operations(*counts),
    });
    FindingView {
        expectation: &finding.expectation,
        description: finding.expectation.to_string(),
        verdict: finding.verdict,
        because: &finding.because,
        evidence: evidence.collect(),
    }
}

fn endpoint<'a>(
    report: &Report<'a>,
    measures: &'a Measures,
    history: Option<&'a EndpointHistory>,
) -> EndpointView<'a> {
    let (found, unreadable) = match &measures.reconciliation {
        Some(Ok(found)) => (Some(found), None),
        Some(Err(why)) => (None, Some(why.as_str())),
        None => (None, None),
    };
    let mut workload = report.drill.workload.iter();
    EndpointView {
        endpoint: &measures.endpoint,
        clients: workload
            .find(|clients| clients.name == measures.endpoint)
            .map(|clients| ClientsView {
                of: &clients.endpoint,
                count: clients.clients,
                rate: clients.rate,
                timeout_ms: clients.timeout.map(millis),
                dns_cache: clients.dns_cache,
            }),
        traffic: history.map(|history| &history.traffic),
        operations: measures.counts,
        operations_outside_outages: measures.outside_outages,
        availability: measures.counts.availability(),
        availability_outside_outages: measures.outside_outages.availability(),
        rto_ms: measures.rto().map(millis),
        outages: measures
            .outages
            .iter()
            .map(|outage| OutageView {
                from_ms: millis(report.moment(outage.window.from)),
                to_ms: millis(report.moment(outage.window.to)),
                ended: outage.ended,
                longest_gap_ms: millis(outage.longest_gap),
                unserved: outage.unserved,
            })
            .collect(),
        recoveries: measures
            .recoveries
            .iter()
            .map(|recovery| recovery_view(report, recovery))
            .collect(),
        reconciliation: found.map(|found| reconciliation(report, found)),
        unreadable,
        reasons: measures
            .reasons
            .iter()
            .map(|(reason, count)| ReasonView {
                reason,
                count: *count,
            })
            .collect(),
        complete: history.is_none_or(|history| history.ledger.complete()),
    }
}

fn recovery_view<'a>(report: &Report<'a>, recovery: &'a Recovery) -> RecoveryView<'a> {
    let longest = recovery.longest();
    RecoveryView {
        fault: recovery.fault.as_str(),
        kind: recovery.kind,
        at_ms: millis(report.moment(recovery.at)),
        seen: match recovery.seen {
            Seen::Nothing => "nothing",
            Seen::NoOutage => "no-outage",
            Seen::Outages(_) => "outage",
        },
        served_again: longest.map(|wait| wait.outage.ended),
        after_ms: longest.as_ref().map(Wait::length).map(millis),
    }
}

fn reconciliation<'a>(report: &Report<'a>, found: &'a Reconciliation) -> ReconciliationView<'a> {
    let window = found.lost_window();
    ReconciliationView {
        acknowledged: found.acknowledged,
        lost: KeysView {
            count: found.lost.len(),
            first: found
                .lost
                .iter()
                .take(KEYS_MAX)
                .map(|lost| lost.key)
                .collect(),
        },
        lost_from_ms: window.map(|window| millis(report.moment(window.from))),
        lost_to_ms: window.map(|window| millis(report.moment(window.to))),
        rpo_ms: millis(found.rpo()),
        phantoms: keys(&found.phantoms),
        duplicates: keys(&found.duplicates),
        strangers: keys(&found.strangers),
        unanswered_there: found.unknown_found,
        unanswered_not_there: found.unknown_missing,
        complete: found.complete,
    }
}

fn keys(keys: &[Key]) -> KeysView<&[Key]> {
    KeysView {
        count: keys.len(),
        first: &keys[..keys.len().min(KEYS_MAX)],
    }
}

fn window_view(report: &Report<'_>, window: Window) -> WindowView {
    WindowView {
        from_ms: millis(report.moment(window.from)),
        to_ms: millis(report.moment(window.to)),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

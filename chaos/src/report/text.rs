//! A report for the terminal, without colours: one line per fact, the verdict last.

use std::fmt::{self, Write as _};

use topologies::duration::rounded;

use super::Report;
use crate::budget::Window;
use crate::drill::Workload;
use crate::ledger::{Counts, Key};
use crate::verdict::{Evidence, Finding, Measures};
use crate::verify::reconcile::Reconciliation;
use crate::verify::recovery::{Recovery, Seen};

/// Renders the report.
pub fn render(report: &Report<'_>) -> String {
    let mut out = String::new();
    write(&mut out, report).expect("writing to a string does not fail");
    out
}

fn write(out: &mut String, report: &Report<'_>) -> fmt::Result {
    let drill = report.drill;
    writeln!(out, "drill {} on {}", drill.name, report.stack)?;
    if !drill.description.is_empty() {
        writeln!(out, "  {}", drill.description)?;
    }
    writeln!(out, "\nfaults")?;
    for span in &report.history.faults {
        let from = rounded(report.moment(span.from));
        write!(out, "  {} at {from}: {}", span.id, span.fault)?;
        match span.to.filter(|_| span.fault.lasting()) {
            Some(to) => writeln!(out, "; healed at {}", rounded(report.moment(to)))?,
            None => writeln!(out)?,
        }
        for consequence in &span.consequences {
            writeln!(out, "      {consequence}")?;
        }
    }
    for window in &report.judgement.exceeded {
        writeln!(out, "  beyond the budget {}", stretch(report, *window))?;
    }
    for restart in &report.history.restarts {
        let when = stretch(report, *restart);
        writeln!(out, "  the emulator itself was gone {when}")?;
    }
    for measures in &report.judgement.measures {
        writeln!(out)?;
        endpoint(out, report, measures)?;
    }
    writeln!(out, "\nexpectations")?;
    for found in &report.judgement.findings {
        finding(out, report, found)?;
    }
    let verdict = report.judgement.verdict;
    let after = rounded(report.length());
    write!(out, "\nverdict: {verdict}, after {after}")?;
    if let Some(why) = &report.history.cut_short {
        write!(out, ": {why}")?;
    }
    writeln!(out)
}

fn endpoint(out: &mut String, report: &Report<'_>, measures: &Measures) -> fmt::Result {
    let counts = measures.counts;
    let mut workload = report.drill.workload.iter();
    let clients = workload.find(|clients| clients.name == measures.endpoint);
    match clients.and_then(Workload::traits) {
        Some(traits) => writeln!(out, "endpoint {} ({traits})", measures.endpoint)?,
        None => writeln!(out, "endpoint {}", measures.endpoint)?,
    }
    writeln!(out, "  operations     {}", told(counts))?;
    if !measures.outages.is_empty() {
        writeln!(
            out,
            "  outside        {} (of outages)",
            told(measures.outside_outages)
        )?;
    }
    for recovery in &measures.recoveries {
        writeln!(out, "  after {:<9}{}", of(recovery), seen(report, recovery))?;
    }
    match &measures.reconciliation {
        Some(Ok(found)) => reconciliation(out, report, found)?,
        Some(Err(why)) => writeln!(out, "  survivors      could not be read: {why}")?,
        None => (),
    }
    for (reason, count) in measures.reasons.iter().take(5) {
        writeln!(out, "  {count:>6} times   {reason}")?;
    }
    Ok(())
}

fn of(recovery: &Recovery) -> String {
    use crate::history::DisturbanceKind::{Healed, Injected};
    match recovery.kind {
        Injected => recovery.fault.to_string(),
        Healed => format!("{} heal", recovery.fault),
    }
}

fn told(counts: Counts) -> String {
    let availability = counts.availability().unwrap_or_default() * 100.0;
    format!(
        "{} acknowledged, {} failed, {} without an answer ({availability:.2} % served)",
        counts.acknowledged, counts.failed, counts.unknown
    )
}

fn seen(report: &Report<'_>, recovery: &Recovery) -> String {
    let waits = match &recovery.seen {
        Seen::Nothing => return "nobody asked".to_owned(),
        Seen::NoOutage => return "no outage".to_owned(),
        Seen::Outages(waits) => waits,
    };
    let waits: Vec<String> = waits
        .iter()
        .map(|wait| {
            let again = if wait.outage.ended {
                "served again"
            } else {
                "not served again"
            };
            format!(
                "{again} after {} (longest gap {}, {} operations unserved {})",
                rounded(wait.length()),
                rounded(wait.outage.longest_gap),
                wait.outage.unserved,
                stretch(report, wait.outage.window)
            )
        })
        .collect();
    waits.join("; ")
}

fn reconciliation(out: &mut String, report: &Report<'_>, found: &Reconciliation) -> fmt::Result {
    let lost = found.lost.len();
    write!(out, "  acknowledged   {}, lost {lost}", found.acknowledged)?;
    if let Some(window) = found.lost_window() {
        let rpo = rounded(found.rpo());
        write!(
            out,
            " (acknowledged {}, RPO {rpo})",
            stretch(report, window)
        )?;
    }
    if !found.complete {
        write!(out, "; the ledger was full before the end")?;
    }
    writeln!(
        out,
        "\n  unanswered     {} there, {} not there",
        found.unknown_found, found.unknown_missing
    )?;
    for (what, keys) in [
        ("phantoms", &found.phantoms),
        ("duplicates", &found.duplicates),
        ("strangers", &found.strangers),
    ] {
        if !keys.is_empty() {
            writeln!(
                out,
                "  {what:<14} {}: {}",
                keys.len(),
                some(keys, keys.len() as u64)
            )?;
        }
    }
    Ok(())
}

fn finding(out: &mut String, report: &Report<'_>, finding: &Finding) -> fmt::Result {
    let Finding {
        expectation,
        verdict,
        because,
        evidence,
    } = finding;
    writeln!(out, "  {verdict:<8} {expectation}: {because}")?;
    for evidence in evidence {
        match evidence {
            Evidence::Times(window) => writeln!(out, "           {}", stretch(report, *window))?,
            Evidence::Keys { first, count } => {
                writeln!(out, "           keys {}", some(first, *count))?;
            }
            Evidence::Timeline { from, to } => {
                writeln!(out, "           events {from} to {to}")?;
            }
            Evidence::Operations(counts) => writeln!(out, "           {}", told(*counts))?,
        }
    }
    Ok(())
}

fn stretch(report: &Report<'_>, window: Window) -> String {
    let (from, to) = (report.moment(window.from), report.moment(window.to));
    format!(
        "from {:.3}s to {:.3}s",
        from.as_secs_f64(),
        to.as_secs_f64()
    )
}

/// The first keys, and that there are more.
fn some(keys: &[Key], count: u64) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = keys.iter().take(SHOWN).map(Key::to_string).collect();
    let rest = count.saturating_sub(shown.len() as u64);
    let shown = shown.join(" ");
    if rest > 0 {
        format!("{shown} and {rest} more")
    } else {
        shown
    }
}

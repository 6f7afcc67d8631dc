//! Many runs, and what came of them: `localaws rehearse`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use topologies::plan::Plan;

use super::run::{Run, Settings, simulate};
use crate::control::bugs::Bug;

/// How many of the last events before a violation are told.
const LAST_EVENTS: usize = 20;

/// What came of a rehearsal.
#[derive(Clone, Debug, Default)]
pub struct RehearsalReport {
    /// How many seeds were run.
    pub seeds: u64,
    /// Runs in which a rule was broken.
    pub violations: Vec<BrokenRun>,
    /// By endpoint, how long it was not served after faults that the stack was whole for.
    pub recoveries: BTreeMap<String, Recovery>,
    /// Faults injected.
    pub faults: u64,
    /// Acknowledged writes that failovers of caches lost; asynchronous replication does.
    pub cache_writes_lost: u64,
    /// How many things happened in all runs.
    pub steps: u64,
}

/// A run in which a rule was broken.
#[derive(Clone, Debug)]
pub struct BrokenRun {
    /// Runs it again.
    pub seed: u64,
    /// The rule, when, how.
    pub violation: String,
    /// The faults of the run.
    pub faults: Vec<String>,
    /// The last events before, rendered.
    pub last_events: Vec<String>,
}

/// The times that one endpoint was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// How many faults.
    pub faults: usize,
    /// The shortest.
    pub fastest: Duration,
    /// The one in the middle.
    pub median: Duration,
    /// The longest.
    pub worst: Duration,
}

/// Runs the plan under one drawn schedule of faults per seed. `progress` is told of every run and says whether to go on.
pub fn rehearse(
    plan: &Arc<Plan>,
    seeds: Range<u64>,
    planted: Option<Bug>,
    mut progress: impl FnMut(&Run) -> bool,
) -> RehearsalReport {
    let mut report = RehearsalReport::default();
    let mut recoveries: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for seed in seeds {
        let run = simulate(
            plan,
            Settings {
                seed,
                faults: None,
                planted,
            },
        );
        let goes_on = progress(&run);
        report.seeds += 1;
        report.faults += run.faults.len() as u64;
        report.steps += run.steps;
        report.cache_writes_lost += run.cache_writes_lost;
        report.violations.extend(BrokenRun::of(&run, plan));
        for (endpoint, times) in run.recoveries {
            recoveries.entry(endpoint).or_default().extend(times);
        }
        if !goes_on {
            break;
        }
    }
    let recoveries = recoveries.into_iter();
    report.recoveries = recoveries
        .filter_map(|(endpoint, times)| Some((endpoint, Recovery::of(times)?)))
        .collect();
    report
}

impl BrokenRun {
    fn of(run: &Run, plan: &Plan) -> Option<Self> {
        let violation = run.violation.as_ref()?.to_string();
        let first = run.timeline.len().saturating_sub(LAST_EVENTS);
        Some(Self {
            seed: run.seed,
            violation,
            faults: run
                .faults
                .iter()
                .map(|fault| format!("{fault}: {}", fault.fault.target(plan)))
                .collect(),
            last_events: run.timeline[first..]
                .iter()
                .map(ToString::to_string)
                .collect(),
        })
    }
}

impl Recovery {
    fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let (fastest, worst) = (*times.first()?, *times.last()?);
        Some(Self {
            faults: times.len(),
            fastest,
            median: times[times.len() / 2],
            worst,
        })
    }
}

impl fmt::Display for BrokenRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.violation)?;
        for fault in &self.faults {
            writeln!(f, "  {fault}")?;
        }
        for event in &self.last_events {
            writeln!(f, "  {event}")?;
        }
        Ok(())
    }
}

/// A few lines for people.
impl fmt::Display for RehearsalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seeds,
            faults,
            violations,
            cache_writes_lost,
            ..
        } = self;
        writeln!(
            f,
            "{seeds} seeds, {faults} faults, {} violations",
            violations.len()
        )?;
        for violation in violations {
            write!(f, "{violation}")?;
        }
        writeln!(
            f,
            "{:<20} {:>7} {:>10} {:>10} {:>10}",
            "not served for", "faults", "fastest", "median", "worst"
        )?;
        for (endpoint, recovery) in &self.recoveries {
            let seconds = |time: Duration| format!("{:.3}s", time.as_secs_f64());
            let (fastest, median, worst) = (
                seconds(recovery.fastest),
                seconds(recovery.median),
                seconds(recovery.worst),
            );
            writeln!(
                f,
                "{endpoint:<20} {:>7} {fastest:>10} {median:>10} {worst:>10}",
                recovery.faults
            )?;
        }
        writeln!(
            f,
            "acknowledged cache writes lost to asynchronous replication: {cache_writes_lost}"
        )
    }
}

//! `drill run` and `rehearse`: breaks a stack and judges what its clients saw.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ::chaos::fault::Fault;
use ::chaos::report::{self, Report};
use ::chaos::verdict::judge;
use async_trait::async_trait;
use proxies::Ports;
use tokio::signal::unix::{SignalKind, signal};
use topologies::address::Slot;
use topologies::check::{Overrides, check_with};
use topologies::event::{Event, EventKind};
use topologies::id::{FaultId, StackId};
use topologies::plan::{Endpoint, plan};

use super::args::{DrillCommand, DrillRun, Rehearse};
use super::drill_end::{self, Ended};
use super::drill_file::{self, DrillFile};
use super::exit::{Exit, Failure};
use super::keep::overrides;
use super::progress::Display;
use super::target::{self, Target};
use super::topology_file::TopologyFile;
use super::{block_on, output};
use crate::api::drills::{ClockView, DrillNote};
use crate::api::views::{EndpointsView, HealedView, InjectedView};
use crate::driver::Clock;
use crate::secrets::Secrets;
use crate::simulator;
use crate::stack::Injected;
use crate::up::Progress;
use crate::workload::{self, DrillError, Own, Place, Ran, Rig};

/// The file in a stack's directory that a drill locks.
const LOCK: &str = "drill.lock";
/// Schedules from one line of progress to the next.
const STEP: u64 = 500;

pub(super) fn run(arguments: super::args::Drill, stack: Option<StackId>) -> Result<Exit, Failure> {
    let arguments = match arguments.command {
        DrillCommand::Run(arguments) => arguments,
        DrillCommand::Check(arguments) => return drill_file::check(&arguments),
    };
    let file = DrillFile::read(&arguments.file)?;
    file.sound()?;
    let target = target::find(stack)?;
    // What can be known to fail at the end is told before minutes are spent.
    prepare(&arguments)?;
    let _alone = alone(&target)?;
    let outcome = conduct(&target, &file)?;
    deliver(&arguments, &outcome)?;
    match outcome.cut_short {
        Some(failure) => Err(failure),
        None => Ok(Exit::from_number(outcome.verdict.exit_code())),
    }
}

pub(super) fn rehearse(arguments: &Rehearse) -> Result<Exit, Failure> {
    let file = TopologyFile::read(&arguments.file)?;
    let topology = file.topology(&overrides(None, arguments.timing))?;
    let slot = Slot::new(Slot::MIN).expect("the lowest slot is one");
    let plan = Arc::new(plan(&topology, slot));
    let Some(last) = arguments.seed.checked_add(arguments.seeds) else {
        let message = format!(
            "there are no {} seeds from {} on",
            arguments.seeds, arguments.seed
        );
        return Err(Failure::wrong(message).hint("begin with a smaller `--seed`"));
    };
    let display = Display::new();
    let begun = Instant::now();
    let mut done = 0;
    let report = simulator::rehearse(&plan, arguments.seed..last, None, |run| {
        done += 1;
        if let Some(violation) = &run.violation {
            display.tell(&Progress::Line(format!("seed {}: {violation}", run.seed)));
        }
        if done % STEP == 0 {
            let step = format!("{done} of {} schedules", arguments.seeds);
            display.tell(&Progress::Step(step));
        }
        true
    });
    drop(display);
    output::println(&report.to_string())?;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = report.seeds as f64 / seconds.max(f64::EPSILON);
    output::println(&format!("{seconds:.1} s, {rate:.0} schedules a second"))?;
    Ok(if report.violations.is_empty() {
        Exit::Done
    } else {
        Exit::Broken
    })
}

/// What a drill came to, rendered.
struct Outcome {
    verdict: ::chaos::verdict::Verdict,
    text: String,
    json: String,
    junit: String,
    /// What ended it before its time.
    cut_short: Option<Failure>,
}

/// Two drills at once would judge each other's faults: only one at a time has a stack. The lock goes with the process.
fn alone(target: &Target) -> Result<File, Failure> {
    let path = target.home.stack(&target.name).path().join(LOCK);
    let failed = |error: io::Error| {
        Failure::machine(format!("failed to lock `{}`: {error}", path.display()))
    };
    let lock = File::create(&path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Failure::wrong(format!(
            "another drill runs on stack `{}`",
            target.name
        ))
        .hint("wait for its end, or end it with Ctrl-C")),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Ctrl-C, or what a supervisor sends in its place.
async fn interrupted() {
    let terminated = signal(SignalKind::terminate());
    let terminated = async {
        match terminated {
            Ok(mut terminated) => {
                terminated.recv().await;
            }
            // Then only Ctrl-C ends it.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// Runs the drill against the stack. Ctrl-C ends it: what it broke is healed, and nothing is judged.
fn conduct(target: &Target, file: &DrillFile) -> Result<Outcome, Failure> {
    let drill = &file.drill;
    let display = Display::new();
    let tell = |text: &str| display.tell(&Progress::Step(text.to_owned()));
    block_on(async {
        let place = place(target).await?;
        let remote = Remote(target);
        let rig = Own::new(&remote);
        let ran = workload::run(drill, &place, &rig, &tell, interrupted()).await;
        let Ran {
            mut history,
            cut_short,
        } = ran.map_err(|error| not_begun(error, target, file))?;
        let cut_short = match cut_short {
            Some(cut) => Some(drill_end::explain(target, cut).await),
            None => None,
        };
        if let Some(Ended { why, .. }) = &cut_short {
            history.cut_short = Some(why.clone());
        }
        let judgement = judge(drill, &history, &place.plan);
        let verdict = judgement.verdict;
        if cut_short.is_none() {
            let ended = EventKind::DrillEnded {
                drill: drill.name.clone(),
                verdict: format!("{verdict:?}").to_lowercase(),
            };
            // The verdict stands whether or not the timeline tells of it.
            let _noted = rig.note(ended).await;
        }
        let report = Report {
            stack: target.name.as_str(),
            drill,
            history: &history,
            judgement: &judgement,
        };
        Ok(Outcome {
            verdict,
            text: report::text::render(&report),
            json: report::json::render(&report),
            junit: report::junit::render(&report),
            cut_short: cut_short.map(|ended| ended.failure),
        })
    })
}

/// Why a drill was not begun, and the way out.
fn not_begun(error: DrillError, target: &Target, file: &DrillFile) -> Failure {
    let message = error.to_string();
    match error {
        DrillError::Unfit(notes) => file.unfit(&notes, &format!("stack `{}`", target.name)),
        DrillError::Broken(_) => Failure::wrong(message)
            .hint("the drill was not begun; `localaws chaos list` tells them, `localaws chaos heal` ends them"),
        DrillError::Experimented(_) => Failure::wrong(message)
            .hint("the drill was not begun; `aws fis stop-experiment` ends one"),
        DrillError::Disturbed(_) | DrillError::Interrupted | DrillError::Stack(_) => {
            Failure::new(Exit::Unknown, message)
        }
    }
}

/// The stack as the drill's clients need it: what was planned, from its record; its clock; its passwords.
async fn place(target: &Target) -> Result<Place, Failure> {
    let directory = target.home.stack(&target.name);
    let record = directory.record()?;
    let record = record.ok_or_else(|| Failure::wrong("the stack has no record any more"))?;
    let timing = record.timing.as_deref();
    let overrides = Overrides {
        name: Some(record.name.clone()),
        timing: timing.and_then(|timing| serde_json::from_value(timing.into()).ok()),
    };
    let shown = record.topology_path.display().to_string();
    let (topology, _) = check_with(&record.topology, &shown, &overrides);
    let topology = topology.ok_or_else(|| {
        Failure::wrong(format!(
            "the stack's record of `{shown}` is no topology of this version"
        ))
    })?;
    let first = plan(&topology, record.slot);
    let events = Remote(target).events(0).await;
    let events = events.map_err(|why| Failure::new(Exit::Unknown, why))?;
    let plan = workload::fold(&first, &events).plan;
    let secrets = Secrets::open(directory.path(), &plan.topology).map_err(|error| {
        Failure::machine(format!("failed to read the stack's secrets: {error}"))
    })?;
    let client = &target.client;
    let endpoints: EndpointsView = client
        .get("/endpoints")
        .await
        .map_err(|error| target.explain(error))?;
    let clock: ClockView = client
        .get("/clock")
        .await
        .map_err(|error| target.explain(error))?;
    let resolver = endpoints.resolver.parse();
    let offset = |planned: &Endpoint| {
        let view = endpoints
            .endpoints
            .iter()
            .find(|view| view.id == planned.id)?;
        view.port.checked_sub(planned.port)
    };
    Ok(Place {
        clock: Clock::starting_at(clock.now),
        resolver: resolver
            .map_err(|_| Failure::new(Exit::Bug, "the stack's resolver is no address"))?,
        ports: Ports {
            offset: plan.endpoints.iter().filter_map(offset).max().unwrap_or(0),
        },
        plan,
        first: Arc::new(first),
        secrets: Arc::new(secrets),
    })
}

/// A running stack's control API.
struct Remote<'a>(&'a Target);

#[async_trait]
impl Rig for Remote<'_> {
    async fn inject(&self, fault: Fault) -> Result<Injected, String> {
        let view: InjectedView = self
            .0
            .client
            .post("/faults", &fault)
            .await
            .map_err(|error| error.to_string())?;
        let fault = view.id.ok_or("the stack did not name the fault")?;
        Ok(Injected {
            fault,
            consequences: view.consequences,
        })
    }

    async fn heal(&self, fault: Option<FaultId>) -> Result<Vec<FaultId>, String> {
        let path = fault.map_or_else(|| "/faults".to_owned(), |id| format!("/faults/{id}"));
        let view: HealedView = self
            .0
            .client
            .delete(&path)
            .await
            .map_err(|error| error.to_string())?;
        Ok(view.healed)
    }

    async fn events(&self, after: u64) -> Result<Vec<Event>, String> {
        let path = format!("/events?since={after}");
        let lines = self.0.client.all_lines(&path).await;
        let lines = lines.map_err(|error| error.to_string())?;
        let events = lines.iter().map(|line| serde_json::from_str(line));
        let events: Result<Vec<Event>, _> = events.collect();
        events.map_err(|error| format!("an event that is none: {error}"))
    }

    async fn note(&self, kind: EventKind) -> Result<(), String> {
        let note = if let EventKind::DrillStarted { drill } = kind {
            DrillNote {
                drill,
                verdict: None,
            }
        } else if let EventKind::DrillEnded { drill, verdict } = kind {
            DrillNote {
                drill,
                verdict: Some(verdict),
            }
        } else {
            return Err("only drills are noted".to_owned());
        };
        let noted = self.0.client.post::<DrillNote>("/drills", &note).await;
        noted.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// Prints the report and writes the files that were asked for.
fn deliver(arguments: &DrillRun, outcome: &Outcome) -> Result<(), Failure> {
    output::print(if arguments.json {
        &outcome.json
    } else {
        &outcome.text
    })?;
    if let Some(directory) = &arguments.report {
        write(&directory.join("report.txt"), &outcome.text)?;
        write(&directory.join("report.json"), &outcome.json)?;
        write(&directory.join("junit.xml"), &outcome.junit)?;
    }
    if let Some(file) = &arguments.junit {
        write(file, &outcome.junit)?;
    }
    Ok(())
}

/// Makes the directory of the reports, and sees whether they can be written.
fn prepare(arguments: &DrillRun) -> Result<(), Failure> {
    if let Some(directory) = &arguments.report {
        std::fs::create_dir_all(directory).map_err(|error| {
            Failure::machine(format!(
                "failed to create directory `{}`: {error}",
                directory.display()
            ))
        })?;
        for file in ["report.txt", "report.json", "junit.xml"] {
            writable(&directory.join(file))?;
        }
    }
    arguments.junit.as_deref().map_or(Ok(()), writable)
}

/// Whether a file can be written; one that is not there is not left behind.
fn writable(path: &Path) -> Result<(), Failure> {
    let existed = path.exists();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|error| {
        Failure::machine(format!("`{}` can not be written: {error}", path.display()))
            .hint("the drill was not begun")
    })?;
    if !existed {
        // An empty report does less harm than a drill that is not begun.
        let _removed = std::fs::remove_file(path);
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::machine(format!("failed to write `{}`: {error}", path.display())))
}

//! Keeps a stack in this process, from the claim on its name until nothing of it is left that should not be.
//!
//! ```text
//! claim ─► (clear leftovers) ─► runtime, API's address ─► driver up ─► API ─► ready ─► wait ─► down ─► API ends ─► data stays or goes
//!             any failure or a stop on the way ──────────────────────► clear ─► as it was before the claim
//! ```
//! A stack that this bring-up made new is removed if it does not come up; one that was found is left with its data. One that was found
//! running runs on if the bring-up fails before it took anything over.

use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use topologies::check::{Overrides, check_with};
use topologies::id::StackId;
use topologies::spec::ProfileSpec;
use topologies::topology::Topology;

use super::args::TimingProfile;
use super::clear::clear;
use super::exit::{Exit, Failure};
use crate::api::serve::{self, Listeners, unix_listener};
use crate::api::token::Token;
use crate::api::{Api, Down};
use crate::aws::Gateway;
use crate::launch::{RunningStack, lay, up};
use crate::stack::Stack;
use crate::state::{Claim, Home, Phase, Wanted, remove_socket};
use crate::up::{Progress, RuntimeWish, UpOptions};

/// How long the instances of a stack may take to end when asked to, before they are ended.
const DOWN_WITHIN: Duration = Duration::from_secs(60);
/// How long the API may take to end after that.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at whether the stack's directory is still there: without it nobody finds the stack to end it.
const DIRECTORY_LOOK: Duration = Duration::from_secs(1);
/// The address at which AWS's tools expect a local endpoint; the first stack that can has it.
const COMMON_API: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 4566);

/// What is to be kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) name: StackId,
    pub(super) topology_path: std::path::PathBuf,
    pub(super) topology: String,
    pub(super) wish: RuntimeWish,
    pub(super) timing: Option<TimingProfile>,
    pub(super) seed: Option<u64>,
    /// Whether a stack that is new goes with its data when a signal ends it. Whoever asks for `down` says what becomes of the data.
    pub(super) ephemeral: bool,
}

/// What is told while it is kept.
pub(super) enum Told {
    /// Something goes on.
    Progress(Progress),
    /// Every endpoint answers.
    Ready(Stack),
}

/// Who is told.
pub(super) type Tell<'a> = dyn Fn(Told) + Send + Sync + 'a;

/// Wishes to stop, from signals or from who started us.
pub(super) struct Stops(pub(super) mpsc::Receiver<()>);

impl Stops {
    /// The next wish. Cancel-safe. Without anybody left to wish, none comes.
    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

/// Brings a stack up and keeps it until it is asked to end.
pub(super) async fn keep(
    home: &Home,
    launch: Launch,
    tell: &Tell<'_>,
    stops: &mut Stops,
) -> Result<Exit, Failure> {
    let topology = launch.checked()?;
    let ephemeral = launch.ephemeral;
    let mut claim = home.claim(launch.wanted()?)?;
    let fresh = !claim.resume;
    let orphaned = claim.resume && !claim.stopped;
    let mut begun = false;
    match Box::pin(live(home, &mut claim, topology, tell, stops, &mut begun)).await {
        Ok(ended) => {
            let purge = match ended {
                Ended::Asked { purge } => purge,
                Ended::Stopped => ephemeral && fresh,
            };
            finish(claim, purge)?;
            Ok(Exit::Done)
        }
        Err(failure) if orphaned && !begun => {
            let name = &claim.record.name;
            tell(Told::Progress(Progress::Line(format!(
                "what runs of stack `{name}` runs on: `localaws up` takes it over once this is mended, `localaws down {name}` ends it"
            ))));
            Err(failure)
        }
        Err(failure) => {
            tell(step("ending what was started"));
            let removed = claim.is_removed();
            if let Err(left) = clear(home, &claim.directory, &claim.record).await {
                // The record stays, so that `down` can try again. What went wrong first is what the user asked about.
                left.show();
            } else if removed {
                claim.forsake()?;
            } else {
                finish(claim, fresh)?;
            }
            Err(failure)
        }
    }
}

impl Launch {
    /// What its text means. Whoever launches has shown the notes; the text is checked again because it came through a file.
    fn checked(&self) -> Result<Topology, Failure> {
        let overrides = overrides(Some(self.name.clone()), self.timing);
        let (topology, _) = check_with(&self.topology, self.name.as_str(), &overrides);
        topology
            .ok_or_else(|| Failure::new(Exit::Bug, "the topology changed while it was launched"))
    }

    fn wanted(self) -> Result<Wanted, Failure> {
        let fresh_seed = getrandom::u64().map_err(no_random_numbers)?;
        Ok(Wanted {
            name: self.name,
            topology_path: self.topology_path,
            topology: self.topology,
            wish: self.wish,
            timing: self.timing.map(|timing| timing.as_str().to_owned()),
            seed: self.seed,
            fresh_seed,
            now: jiff::Timestamp::now().to_string(),
        })
    }
}

fn no_random_numbers(error: getrandom::Error) -> Failure {
    Failure::machine(format!("no random numbers: {error}"))
}

/// What the command line says in place of the file.
pub(super) fn overrides(name: Option<StackId>, timing: Option<TimingProfile>) -> Overrides {
    Overrides {
        name,
        timing: timing.map(|timing| match timing {
            TimingProfile::Fast => ProfileSpec::Fast,
            TimingProfile::Aws => ProfileSpec::Aws,
        }),
    }
}

/// How a stack that had come up ended: every instance is gone.
enum Ended {
    /// Somebody asked for it, and said whether its data is to go too.
    Asked { purge: bool },
    /// By a signal, or by who started it.
    Stopped,
}

async fn live(
    home: &Home,
    claim: &mut Claim,
    topology: Topology,
    tell: &Tell<'_>,
    stops: &mut Stops,
    begun: &mut bool,
) -> Result<Ended, Failure> {
    if claim.leftovers {
        tell(step("ending what an earlier bring-up left"));
        clear(home, &claim.directory, &claim.record).await?;
    }
    let options = UpOptions {
        topology,
        plan_slot: claim.record.slot,
        directory: claim.directory.path().to_owned(),
        cache: home.cache().to_owned(),
        runtime: claim.record.wish,
        asked: claim.asked,
        seed: claim.record.seed,
        topology_path: claim.record.topology_path.clone(),
        resume: claim.resume,
        stopped: claim.stopped,
    };
    let progress = |progress| tell(Told::Progress(progress));
    let ground = tokio::select! {
        ground = lay(&options, &progress) => ground?,
        () = stops.next() => return Err(interrupted()),
    };
    // Written before anything can start, so that whoever comes next looks for it in the right place.
    claim.record.chose(ground.runtime());
    claim.directory.write_record(&claim.record)?;
    let listeners = listeners(claim)?;
    let token = Token::renew(claim.directory.path()).map_err(|error| {
        Failure::machine(format!("failed to write the control API's token: {error}"))
    })?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(no_random_numbers)?;
    // Not given up half-way, for it is quick. From here on whatever happens goes through `take_down`.
    let running = up(options, ground).await?;
    *begun = true;
    let stack = running.stack.clone();
    let (down, mut downs) = mpsc::channel(1);
    let ending = CancellationToken::new();
    let api = Api {
        aws: Arc::new(Gateway::new(stack.clone(), seed)),
        stack: stack.clone(),
        token,
        down,
        ending: ending.clone(),
    };
    let served = serve::start(api, listeners).map_err(unserved);
    let (cause, asked) = match &served {
        Ok(_) => attend(&running, claim, tell, stops, &mut downs).await,
        Err(failure) => (Err(failure.clone()), None),
    };
    tell(step("ending instances"));
    let ended = match &asked {
        Some(Down { purge, .. }) => Ended::Asked { purge: *purge },
        None => Ended::Stopped,
    };
    let down = Box::pin(take_down(home, claim, running, stops)).await;
    if let Some(asked) = asked {
        // Who asked may have gone; that keeps nothing alive.
        let _ = asked
            .done
            .send(down.clone().map_err(|failure| failure.message));
    }
    ending.cancel();
    if let Ok(end) = served {
        // What does not end in time ends with this process.
        let _ = tokio::time::timeout(END_WITHIN, end).await;
    }
    down?;
    cause.map(|()| ended)
}

/// Waits until the stack is up, then until it is to end: why it is to end too early, if so, and who asked.
async fn attend(
    running: &RunningStack,
    claim: &mut Claim,
    tell: &Tell<'_>,
    stops: &mut Stops,
    downs: &mut mpsc::Receiver<Down>,
) -> (Result<(), Failure>, Option<Down>) {
    let stack = running.stack.clone();
    let cause = {
        let progress = |progress| tell(Told::Progress(progress));
        // Every branch is cancel-safe: nothing is lost with a wait that is not taken up again.
        tokio::select! {
            up = running.ready(&progress) => up.map_err(Failure::from),
            () = stops.next() => Err(interrupted()),
            Some(asked) = downs.recv() => return (Err(interrupted()), Some(asked)),
            () = stack.requests.closed() => Err(driver_gone()),
        }
    };
    let cause = cause.and_then(|()| Ok(claim.set_phase(Phase::Running)?));
    if cause.is_err() {
        return (cause, None);
    }
    claim.resume = true;
    tell(Told::Ready(stack.clone()));
    tokio::select! {
        () = stops.next() => (Ok(()), None),
        Some(asked) = downs.recv() => (Ok(()), Some(asked)),
        () = removed(claim) => (Err(directory_gone(claim)), None),
        () = stack.requests.closed() => (Err(driver_gone()), None),
    }
}

/// Waits until the stack's directory is gone. Cancel-safe.
async fn removed(claim: &Claim) {
    while !claim.is_removed() {
        tokio::time::sleep(DIRECTORY_LOOK).await;
    }
}

fn directory_gone(claim: &Claim) -> Failure {
    let directory = claim.directory.path().display();
    Failure::machine(format!(
        "the stack's directory `{directory}` was removed while it ran"
    ))
    .hint("`localaws down --purge` ends a stack and removes it")
}

/// Ends every instance and every task, in order if that does not take too long and nobody wishes a second time that it stop, by
/// force else.
async fn take_down(
    home: &Home,
    claim: &Claim,
    running: RunningStack,
    stops: &mut Stops,
) -> Result<(), Failure> {
    let mut ending = Box::pin(running.end());
    let ended = tokio::select! {
        ended = tokio::time::timeout(DOWN_WITHIN, &mut ending) => ended.ok(),
        () = stops.next() => None,
    };
    let by_force = || clear(home, &claim.directory, &claim.record);
    match ended {
        Some(Ok(())) => return Ok(()),
        Some(Err(_)) => return by_force().await,
        None => {}
    }
    by_force().await?;
    // What was on its way when it was given up still starts and writes; nothing is left only once that is over too.
    let _ = tokio::time::timeout(END_WITHIN, ending).await;
    by_force().await
}

/// Leaves a stack that has no instances any more.
fn finish(mut claim: Claim, purge: bool) -> Result<(), Failure> {
    if purge {
        return Ok(claim.purge()?);
    }
    remove_socket(&claim.record);
    Ok(claim.set_phase(Phase::Stopped)?)
}

fn listeners(claim: &Claim) -> Result<Listeners, Failure> {
    let socket = &claim.record.socket;
    let unix = unix_listener(socket).map_err(|error| {
        Failure::machine(format!(
            "failed to listen on `{}`: {error}",
            socket.display()
        ))
        .hint("LOCALAWS_HOME names another directory")
    })?;
    let own = claim.lease.try_clone().map_err(unserved)?;
    // Another stack, or another program, may have it: then it is theirs.
    let common = TcpListener::bind(COMMON_API).ok();
    Ok(Listeners {
        unix,
        tcp: std::iter::once(own).chain(common).collect(),
    })
}

fn unserved(error: io::Error) -> Failure {
    Failure::machine(format!("failed to serve the API: {error}"))
}

fn step(text: &str) -> Told {
    Told::Progress(Progress::Step(text.to_owned()))
}

/// 128 and SIGINT's number, as shells have it.
fn interrupted() -> Failure {
    Failure::new(Exit::Other(130), "interrupted before the stack was up")
}

fn driver_gone() -> Failure {
    Failure::new(Exit::Bug, "the control plane ended by itself")
        .hint("`daemon.log` or the lines above may say why")
}

//! Ending, stopping and waking all processes of what we started. Blocking: for a thread that may wait.
//!
//! A leader is stopped before its processes are counted, so that it starts no more of them meanwhile; then it is counted again
//! until nobody new is found.

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::processes::{Body, Identity, Snapshot};
use super::segments;

/// How long killed processes may take to go: one that waits for a disk does not end before that answers.
const KILL_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long a signal may take to be acted on before processes are counted again.
const SIGNAL_WAIT_MAX: Duration = Duration::from_millis(200);
/// How long somebody is waited for who is just becoming another program, and may be of ours: the moment lasts for microseconds,
/// unless the machine has no time for it.
const UNDECIDED_WAIT_MAX: Duration = Duration::from_secs(1);
/// Between two looks at processes.
const LOOK: Duration = Duration::from_millis(1);
/// How often processes are counted again at most; a program that starts new ones faster than they are stopped is hopeless.
const ROUNDS_MAX: usize = 1000;

/// Kills all processes of `bodies` at once, and returns when none is left, nor shared memory of theirs.
pub(super) fn kill(bodies: &[Body]) -> io::Result<()> {
    let leaders: BTreeSet<Identity> = bodies.iter().map(|body| body.leader).collect();
    stop(&leaders)?;
    let first = leaders.iter().map(|leader| leader.started).min();
    let mut ended = kill_found(first, |snapshot| {
        bodies
            .iter()
            .flat_map(|body| snapshot.members(body))
            .collect()
    })?;
    ended.extend(leaders);
    segments::remove_left_by(&ended);
    Ok(())
}

/// Kills everything that carries the mark of the stack in directory `stack`.
pub(super) fn kill_marked(stack: &str) -> io::Result<()> {
    let ended = kill_found(None, |snapshot| snapshot.marked(stack))?;
    segments::remove_left_by(&ended);
    Ok(())
}

/// Stops all processes of `body`.
pub(super) fn freeze(body: &Body) -> io::Result<()> {
    let mut stopped = BTreeSet::from([body.leader]);
    stop(&stopped)?;
    for _ in 0..ROUNDS_MAX {
        let members = Snapshot::take()?.members(body);
        let fresh: BTreeSet<Identity> = members.difference(&stopped).copied().collect();
        if fresh.is_empty() {
            return Ok(());
        }
        stop(&fresh)?;
        stopped.extend(fresh);
    }
    Err(too_many())
}

/// Lets all processes of `body` go on, the leader last.
pub(super) fn thaw(body: &Body) -> io::Result<()> {
    let mut members = Snapshot::take()?.members(body);
    members.remove(&body.leader);
    signal_all(&members, Signal::CONT)?;
    body.leader.signal(Signal::CONT)
}

/// Asks the processes of `body` to end.
pub(super) fn request_end(body: &Body, signal: Signal, whom: Whom) -> io::Result<()> {
    match whom {
        Whom::Leader => body.leader.signal(signal),
        Whom::All => signal_all(&Snapshot::take()?.members(body), signal),
    }
}

/// Who is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// The leader, which ends its children in the right order.
    Leader,
    /// Everyone, as Ctrl-C does: a shell passes nothing on.
    All,
}

/// Kills whom `find` finds, until nobody is left; who that was. None of them started before `first`.
fn kill_found(
    first: Option<u64>,
    find: impl Fn(&Snapshot) -> BTreeSet<Identity>,
) -> io::Result<BTreeSet<Identity>> {
    let started = Instant::now();
    let mut killed = BTreeSet::new();
    loop {
        let snapshot = Snapshot::take()?;
        let members = find(&snapshot);
        if members.is_empty() {
            if started.elapsed() > UNDECIDED_WAIT_MAX || !snapshot.undecided(first) {
                return Ok(killed);
            }
            thread::sleep(LOOK);
            continue;
        }
        if started.elapsed() > KILL_WAIT_MAX {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{} processes do not die of SIGKILL", members.len()),
            ));
        }
        signal_all(&members, Signal::KILL)?;
        wait_while(&members, |member| member.runs());
        killed.extend(members);
    }
}

/// Stops them, and returns when they stand still: a signal takes a moment to arrive, in which one more child can be born.
fn stop(members: &BTreeSet<Identity>) -> io::Result<()> {
    signal_all(members, Signal::STOP)?;
    wait_while(members, |member| member.moves());
    Ok(())
}

/// Returns when it is so of none, or after a moment: a process that waits for a disk hears no signal.
fn wait_while(members: &BTreeSet<Identity>, so: impl Fn(&Identity) -> bool) {
    let started = Instant::now();
    while members.iter().any(&so) && started.elapsed() < SIGNAL_WAIT_MAX {
        thread::sleep(LOOK);
    }
}

fn signal_all<'a>(
    members: impl IntoIterator<Item = &'a Identity>,
    signal: Signal,
) -> io::Result<()> {
    members
        .into_iter()
        .try_for_each(|member| member.signal(signal))
}

fn too_many() -> io::Error {
    io::Error::other("it starts processes faster than they can be stopped")
}

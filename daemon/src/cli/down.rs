//! `down`: asks the daemon to end the stack, or ends what a dead daemon left.

use std::time::{Duration, Instant};

use topologies::id::StackId;

use super::args::Down;
use super::clear::clear;
use super::exit::{Exit, Failure};
use super::progress::Display;
use super::{block_on, forsaken, occupied, output, target};
use crate::api::client::{Client, ClientError};
use crate::state::{Home, KnownStack, Phase, remove_socket};
use crate::up::Progress;

/// How long a daemon may take to end after it has taken the stack down.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// How long one that was just killed may take: the kernel lets go of its lock some milliseconds later.
pub(super) const DYING: Duration = Duration::from_millis(500);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(20);

pub(super) fn run(arguments: Down, stack: Option<StackId>) -> Result<Exit, Failure> {
    let home = Home::current()?;
    let stacks = home.stacks()?;
    let name = match stack {
        Some(name) => name,
        None => only(&stacks)?,
    };
    let known = stacks.iter().find(|stack| stack.record.name == name);
    // One whose record can not be read says why.
    home.stack(&name).record()?;
    if known.is_none() && !forsaken::is_there(&home, &name) {
        return Err(target::no_such(&stacks, &name));
    }
    let display = Display::new();
    display.tell(&Progress::Step(format!("taking down {name}")));
    match known {
        Some(stack) if stack.running => {
            let asked = block_on(ask(&home, stack, arguments.purge))?;
            // One that was killed in the middle of it has left the rest to us.
            let left = arguments.purge && home.stack(&name).path().exists();
            if asked == Asked::Dead || left {
                remove(&home, &name, arguments.purge)?;
            }
        }
        Some(_) => remove(&home, &name, arguments.purge)?,
        None => forsaken::end(&home, &name)?,
    }
    drop(display);
    // Seen, not supposed: a stack that never came up goes with its data whatever was asked for.
    output::eprintln(&if !home.stack(&name).path().exists() {
        format!("{name} is down and removed")
    } else {
        format!(
            "{name} is down; what its databases hold stays for the next `up`, `localaws down {name} --purge` removes it"
        )
    });
    Ok(Exit::Done)
}

fn only(stacks: &[KnownStack]) -> Result<StackId, Failure> {
    let running: Vec<&KnownStack> = stacks.iter().filter(|stack| stack.running).collect();
    match (running.as_slice(), stacks) {
        ([running], _) => Ok(running.record.name.clone()),
        ([], [left]) => Ok(left.record.name.clone()),
        ([], []) => Err(Failure::wrong("there is no stack")),
        (several, all) => {
            let all: Vec<&KnownStack> = all.iter().collect();
            let choice = if several.is_empty() { &all } else { several };
            let names: Vec<&str> = choice.iter().map(|s| s.record.name.as_str()).collect();
            Err(Failure::wrong("there are several stacks")
                .hint(format!("say which: {}", names.join(", "))))
        }
    }
}

/// What became of a daemon that was asked.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// It took the stack down.
    Done,
    /// It had just been killed.
    Dead,
}

/// Asks the daemon, and waits until it has ended.
async fn ask(home: &Home, stack: &KnownStack, purge: bool) -> Result<Asked, Failure> {
    let name = &stack.record.name;
    match Client::new(&stack.record.socket).down(purge).await {
        // The daemon's last word may be lost; whether it is gone is seen below.
        Ok(_) | Err(ClientError::Broken(_)) => {}
        Err(ClientError::Gone { .. }) => {
            if gone(home, name, DYING).await? {
                return Ok(Asked::Dead);
            }
            if let Some(failure) = occupied::unreachable(home, &stack.record) {
                return Err(failure);
            }
            return Err(Failure::new(
                Exit::Broken,
                format!("stack `{name}` is coming up or going down and takes no orders"),
            )
            .hint("try again in a moment, or press Ctrl-C where it comes up"));
        }
        Err(error) => return Err(Failure::from(error)),
    }
    if gone(home, name, GONE_WITHIN).await? {
        return Ok(Asked::Done);
    }
    Err(Failure::new(
        Exit::Broken,
        format!("the daemon of stack `{name}` did not end within {GONE_WITHIN:?}"),
    ))
}

/// Whether no daemon has the stack, waited for as long as `patience`.
pub(super) async fn gone(home: &Home, name: &StackId, patience: Duration) -> Result<bool, Failure> {
    let asked = Instant::now();
    while home.running(name)? {
        if asked.elapsed() > patience {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(true)
}

/// Ends and removes what is left of a stack without a daemon.
fn remove(home: &Home, name: &StackId, purge: bool) -> Result<(), Failure> {
    let Some(seized) = home.seize(name)? else {
        return Ok(());
    };
    let Some(mut record) = seized.record.clone() else {
        // Somebody else has removed it meanwhile.
        return Ok(seized.purge()?);
    };
    if record.phase != Phase::Stopped {
        block_on(clear(home, &seized.directory, &record))?;
    }
    if purge || record.phase == Phase::Creating {
        return Ok(seized.purge()?);
    }
    record.phase = Phase::Stopped;
    remove_socket(&record);
    seized.directory.write_record(&record)?;
    Ok(())
}

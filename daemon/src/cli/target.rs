//! Which running stack a command means, and a client of it.

use std::path::PathBuf;

use topologies::id::StackId;

use super::exit::{Exit, Failure};
use super::occupied;
use crate::api::client::{Client, ClientError};
use crate::stack::timeline;
use crate::state::{Home, KnownStack, Phase};

/// A running stack.
pub(super) struct Target {
    pub(super) name: StackId,
    pub(super) home: Home,
    pub(super) client: Client,
}

/// The stack that is meant by a word of its own, by `--stack` or by the environment.
pub(super) fn chosen(
    name: Option<&StackId>,
    asked: Option<StackId>,
) -> Result<Option<StackId>, Failure> {
    match (name, asked) {
        // What is written here goes before what the environment says of all commands.
        (Some(name), Some(other)) if *name != other && !everywhere(&other) => Err(Failure::wrong(
            format!("two stacks are named, `{name}` and `{other}`"),
        )),
        (Some(name), _) => Ok(Some(name.clone())),
        (None, asked) => Ok(asked),
    }
}

/// Whether it is the environment that names this stack.
fn everywhere(name: &StackId) -> bool {
    std::env::var("LOCALAWS_STACK").is_ok_and(|it| it == name.as_str())
}

/// Finds the stack called `name`, or the only one that runs.
pub(super) fn find(name: Option<StackId>) -> Result<Target, Failure> {
    let home = Home::current()?;
    let stacks = home.stacks()?;
    let stack = match name {
        Some(name) => {
            // One that can not be read is none of them, and says why.
            home.stack(&name).record()?;
            named(&stacks, &name)?
        }
        None => only(&stacks)?,
    };
    Ok(Target {
        name: stack.record.name.clone(),
        client: Client::new(&stack.record.socket),
        home,
    })
}

/// The timeline of the stack called `name`, or of the only one there is, if that does not run.
pub(super) fn past(name: Option<&StackId>) -> Result<Option<PathBuf>, Failure> {
    let home = Home::current()?;
    let stacks = home.stacks()?;
    let meant = match name {
        Some(name) => stacks.iter().find(|stack| stack.record.name == *name),
        None => (stacks.len() == 1).then(|| stacks.first()).flatten(),
    };
    let left = meant.filter(|stack| !stack.running);
    let timeline = left.map(|stack| timeline(home.stack(&stack.record.name).path()));
    Ok(timeline.filter(|timeline| timeline.exists()))
}

fn named<'a>(stacks: &'a [KnownStack], name: &StackId) -> Result<&'a KnownStack, Failure> {
    match stacks.iter().find(|stack| stack.record.name == *name) {
        Some(stack) if stack.running => Ok(stack),
        Some(stack) => Err(not_running(stack)),
        None => Err(no_such(stacks, name)),
    }
}

pub(super) fn no_such(stacks: &[KnownStack], name: &StackId) -> Failure {
    let failure = Failure::wrong(format!("there is no stack `{name}`"));
    if stacks.is_empty() {
        failure.hint("`localaws up FILE` brings one up")
    } else {
        failure.hint(format!("stacks are {}", listed(stacks.iter())))
    }
}

fn only(stacks: &[KnownStack]) -> Result<&KnownStack, Failure> {
    let running: Vec<&KnownStack> = stacks.iter().filter(|stack| stack.running).collect();
    match (running.as_slice(), stacks) {
        ([stack], _) => Ok(stack),
        ([], [left]) => Err(not_running(left)),
        ([], []) => {
            Err(Failure::wrong("no stack is running").hint("`localaws up FILE` brings one up"))
        }
        ([], left) => Err(Failure::wrong("no stack is running")
            .hint(format!("left behind are {}", listed(left.iter())))),
        (several, _) => Err(Failure::wrong("several stacks are running").hint(format!(
            "say which with --stack: {}",
            listed(several.iter().copied())
        ))),
    }
}

fn listed<'a>(stacks: impl Iterator<Item = &'a KnownStack>) -> String {
    let names: Vec<&str> = stacks.map(|stack| stack.record.name.as_str()).collect();
    names.join(", ")
}

fn not_running(stack: &KnownStack) -> Failure {
    let name = &stack.record.name;
    let file = stack.record.topology_path.display();
    let why = match stack.record.phase {
        Phase::Stopped => "it was taken down",
        Phase::Creating | Phase::Running => "its daemon is gone",
    };
    Failure::wrong(format!("stack `{name}` is not running ({why})")).hint(format!(
        "`localaws up {file} --name {name}` resumes it, `localaws down {name} --purge` removes it"
    ))
}

impl Target {
    /// What to say of an error: a daemon that died since we looked is told as such.
    pub(super) fn explain(&self, error: ClientError) -> Failure {
        if matches!(error, ClientError::Gone { .. }) {
            let name = &self.name;
            let record = self.home.stack(name).record().ok().flatten();
            let removed = record.and_then(|record| occupied::unreachable(&self.home, &record));
            if let Some(failure) = removed {
                return failure;
            }
            return Failure::new(
                Exit::Broken,
                format!("stack `{name}` does not answer: its daemon is starting or ending"),
            )
            .hint("try again in a moment");
        }
        Failure::from(error)
    }
}

//! Why a daemon that has a stack does not do what it is asked: it runs, it hangs, or nobody can reach it.

use topologies::id::StackId;

use super::exit::{Exit, Failure};
use crate::api::client::{Client, ClientError};
use crate::api::drills::ClockView;
use crate::state::{Home, Phase, Record, StateError};

/// What to say to who wants to bring up a stack that a daemon has: that it runs, if it does.
pub(super) async fn explain(home: &Home, name: &StackId) -> Failure {
    let running = || StateError::Running(name.clone()).into();
    let Ok(Some(record)) = home.stack(name).record() else {
        return running();
    };
    match Client::new(&record.socket).get::<ClockView>("/clock").await {
        Err(hung @ (ClientError::Hung(_) | ClientError::TimedOut(_))) => Failure {
            message: format!("stack `{name}` is running, but {hung}"),
            ..Failure::from(hung)
        },
        Err(ClientError::Gone { .. }) => unreachable(home, &record).unwrap_or_else(running),
        Ok(_)
        | Err(ClientError::Broken(_) | ClientError::Malformed(_) | ClientError::Refused(_)) => {
            running()
        }
    }
}

/// What to say of a stack that was up and whose control socket is not there, if that is so and a daemon still has it.
pub(super) fn unreachable(home: &Home, record: &Record) -> Option<Failure> {
    let Record { name, socket, .. } = record;
    if record.phase != Phase::Running || socket.exists() {
        return None;
    }
    let pid = home.stack(name).holders().into_iter().next()?;
    let failure = Failure::new(
        Exit::Broken,
        format!(
            "stack `{name}` runs, but its control socket `{}` was removed: its daemon (process {pid}) hears nothing",
            socket.display()
        ),
    );
    Some(failure.hint(format!(
        "`kill {pid}` has it take the stack down, as Ctrl-C does where it is in the foreground; then `localaws up` resumes the stack and `localaws down {name} --purge` removes it"
    )))
}

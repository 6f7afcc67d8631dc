//! Ends what runs of a stack whose directory was removed by hand, or was never written: found by its lock and by its mark, not by its
//! record.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use topologies::id::StackId;

use super::block_on;
use super::clear;
use super::exit::{Exit, Failure};
use crate::runtime::anything_runs_of;
use crate::state::Home;

/// How long a daemon may take to end its instances and itself.
const GONE_WITHIN: Duration = Duration::from_secs(90);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// Whether anything is left of a stack that has no record.
pub(super) fn is_there(home: &Home, name: &StackId) -> bool {
    let directory = home.stack(name);
    directory.path().exists()
        || !directory.holders().is_empty()
        || anything_runs_of(&directory.canonical()).unwrap_or(false)
}

/// Has its daemon end it, ends what is left, and removes that.
pub(super) fn end(home: &Home, name: &StackId) -> Result<(), Failure> {
    let directory = home.stack(name);
    // One that is just being made or removed is neither once whoever decides that has had its turn, which this waits for.
    home.running(name)?;
    if directory.record()?.is_some() {
        let why = format!("stack `{name}` is coming up");
        return Err(Failure::new(Exit::Broken, why).hint("try again in a moment"));
    }
    for pid in directory.holders() {
        terminate(pid, name)?;
    }
    // Runtimes look into a directory; what its daemon has made anew of it is no stack either.
    let path = directory.path().to_owned();
    std::fs::create_dir_all(&path).map_err(|error| {
        Failure::machine(format!("failed to use `{}`: {error}", path.display()))
    })?;
    let Some(seized) = home.seize(name)? else {
        return Ok(());
    };
    block_on(clear::without_record(home, &seized.directory, name))?;
    Ok(seized.purge()?)
}

/// Asks a daemon to end its stack, as Ctrl-C would, and waits until it has. Without its files it takes no other order.
fn terminate(pid: i32, name: &StackId) -> Result<(), Failure> {
    let Some(process) = Pid::from_raw(pid) else {
        return Ok(());
    };
    let stays = |why: String| {
        Failure::new(Exit::Broken, why).hint(format!(
            "`kill -CONT {pid}` lets a stopped one go on; after `kill -9 {pid}`, `localaws down {name}` ends the rest"
        ))
    };
    // One that has ended since it was found is what was wanted.
    if kill_process(process, Signal::TERM).is_err() {
        return match test_kill_process(process) {
            Ok(()) => Err(stays(format!(
                "the daemon (process {pid}) of stack `{name}` can not be ended"
            ))),
            Err(_) => Ok(()),
        };
    }
    let asked = Instant::now();
    while test_kill_process(process).is_ok() {
        if asked.elapsed() > GONE_WITHIN {
            return Err(stays(format!(
                "the daemon (process {pid}) of stack `{name}` did not end within {GONE_WITHIN:?}"
            )));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

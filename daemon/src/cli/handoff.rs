//! A daemon in the background: how `up -d` starts one, and how the two talk until the stack is up.
//!
//! ```text
//! up -d                                       daemon (our binary again, standard input is one end of a socket pair)
//!   Launch, one line of JSON ───────────────►  session of its own, log to daemon.log
//!                             ◄───────────────  Word::Progress ..., then Word::Ready or Word::Failed
//!   prints, ends
//! ```
//! If `up -d` is interrupted or dies before the stack is up, the daemon sees the end of the stream and takes back what it did.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::AsyncBufReadExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use super::keep::{Launch, Stops, Told, keep};
use super::memory::FRUGAL;
use super::progress::Display;
use super::up;
use crate::state::Home;
use crate::up::Progress;

/// The longest line that one says to the other, in bytes.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// How long a daemon may take to read what it is to launch.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// How long a daemon that has said its last word is waited for.
const REAP_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks at whether it has ended.
const REAP_LOOK: Duration = Duration::from_millis(10);

/// What a daemon says to who started it.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// Something goes on.
    Progress(Progress),
    /// Every endpoint answers; the daemon says no more.
    Ready,
    /// It did not come up, and everything is as it was.
    Failed {
        exit: u8,
        message: String,
        hint: Option<String>,
    },
}

/// Starts a daemon for `launch` and returns when its stack is up.
pub(super) fn start(home: &Home, launch: &Launch, display: &Display) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::machine(format!("failed to start a daemon: {error}"));
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let program = std::env::current_exe().map_err(failed)?;
    let mut child = Command::new(program)
        .arg(super::DAEMON)
        // For whoever looks at the list of processes.
        .arg(launch.name.as_str())
        .envs(FRUGAL)
        // They may be relative to this directory, in which it does not stay.
        .env("LOCALAWS_HOME", home.state())
        .env("LOCALAWS_CACHE", home.cache())
        .current_dir("/")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut line = serde_json::to_vec(launch)
        .map_err(|error| Failure::new(Exit::Bug, format!("failed to launch: {error}")))?;
    line.push(b'\n');
    ours.set_write_timeout(Some(READ_WITHIN)).map_err(failed)?;
    (&ours).write_all(&line).map_err(failed)?;
    let heard = super::block_on(hear(ours, display));
    if heard.is_err() {
        reap(&mut child);
    }
    heard.map_err(|failure| {
        if failure.exit != Exit::Bug {
            return failure;
        }
        let log = home.stack(&launch.name).daemon_log();
        failure.hint(format!("`{}` may say more", log.display()))
    })
}

/// Waits a moment for a daemon that has said its last word or is dead. One that is still taking back what it did goes on alone.
fn reap(child: &mut Child) {
    let begun = Instant::now();
    while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < REAP_WITHIN {
        std::thread::sleep(REAP_LOOK);
    }
}

/// Listens to a daemon until its stack is up. The first Ctrl-C has it take everything back, the second stops listening.
async fn hear(stream: UnixStream, display: &Display) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Bug, format!("lost the daemon: {error}"));
    stream.set_nonblocking(true).map_err(failed)?;
    let closing = stream.try_clone().map_err(failed)?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(failed)?;
    let mut lines = tokio::io::BufReader::new(stream).lines();
    let mut interrupted = false;
    loop {
        // Both branches are cancel-safe.
        let line = tokio::select! {
            line = lines.next_line() => line.map_err(failed)?,
            _ = tokio::signal::ctrl_c() => {
                if std::mem::replace(&mut interrupted, true) {
                    return Err(Failure::new(
                        Exit::Other(130),
                        "interrupted twice; the daemon goes on taking back what it did",
                    ));
                }
                closing.shutdown(std::net::Shutdown::Write).map_err(failed)?;
                continue;
            }
        };
        let Some(line) = line else {
            return Err(Failure::new(
                Exit::Bug,
                "the daemon died while the stack came up",
            ));
        };
        match serde_json::from_str(&line) {
            Ok(Word::Progress(progress)) => display.tell(&progress),
            Ok(Word::Ready) => return Ok(()),
            Ok(Word::Failed {
                exit,
                message,
                hint,
            }) => {
                return Err(Failure {
                    exit: Exit::from_number(exit),
                    message,
                    hint,
                });
            }
            Err(error) => {
                return Err(Failure::new(
                    Exit::Bug,
                    format!("the daemon makes no sense: {error}"),
                ));
            }
        }
    }
}

/// The daemon: what our binary is when its first argument says so.
pub(super) fn daemon() -> Exit {
    let Ok(stream) = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from)
    else {
        return Exit::Wrong;
    };
    let mut line = String::new();
    let mut reader = BufReader::new(io::Read::take(&stream, LINE_BYTES_MAX));
    let launch: Launch = match reader
        .read_line(&mut line)
        .map(|_| serde_json::from_str(&line))
    {
        Ok(Ok(launch)) => launch,
        // Started by hand, or by somebody who died meanwhile: nothing to do and nobody to tell.
        Ok(Err(_)) | Err(_) => return Exit::Wrong,
    };
    // Fails only for the leader of a process group, who has left the terminal's session already.
    let _ = rustix::process::setsid();
    let speaker = Mutex::new(Some(stream));
    let outcome = background(launch, &speaker);
    match &outcome {
        Ok(exit) => *exit,
        Err(failure) => {
            say(
                &speaker,
                &Word::Failed {
                    exit: failure.exit.number(),
                    message: failure.message.clone(),
                    hint: failure.hint.clone(),
                },
            );
            failure.show()
        }
    }
}

fn background(launch: Launch, speaker: &Mutex<Option<UnixStream>>) -> Result<Exit, Failure> {
    up::log_here();
    let home = Home::current()?;
    let log = home.stack(&launch.name).daemon_log();
    let heard = speaker
        .lock()
        .expect("nobody panics while speaking")
        .as_ref()
        .and_then(|stream| stream.try_clone().ok());
    up::runtime()?.block_on(async {
        let (wish, wishes) = mpsc::channel(4);
        let mut tasks = up::listen_for_signals(wish.clone())?;
        let up = CancellationToken::new();
        if let Some(stream) = heard {
            tasks.spawn(until_deserted(stream, wish, up.clone()));
        }
        let logged = Mutex::new(false);
        let tell = |told: Told| {
            // The directory exists as soon as anything is told: the stack is claimed by then.
            let mut logged = logged.lock().expect("nobody panics while telling");
            if !std::mem::replace(&mut *logged, true) {
                log_to(&log);
            }
            match told {
                Told::Progress(progress) => say(speaker, &Word::Progress(progress)),
                Told::Ready(_) => {
                    up.cancel();
                    say(speaker, &Word::Ready);
                    let _ = speaker.lock().map(|mut stream| stream.take());
                }
            }
        };
        keep(&home, launch, &tell, &mut Stops(wishes)).await
    })
}

/// Wishes to stop if who started us goes before the stack is `up`. That one also goes when it has heard that it is, so the token,
/// cancelled before that was said, is asked after the stream has ended.
async fn until_deserted(stream: UnixStream, wish: mpsc::Sender<()>, up: CancellationToken) {
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    let Ok(mut stream) = tokio::net::UnixStream::from_std(stream) else {
        return;
    };
    let mut byte = [0];
    let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await;
    if !up.is_cancelled() {
        // A full queue holds such a wish already.
        let _ = wish.try_send(());
    }
}

fn say(speaker: &Mutex<Option<UnixStream>>, word: &Word) {
    let speaker = speaker.lock().expect("nobody panics while speaking");
    if let (Some(mut stream), Ok(mut line)) = (speaker.as_ref(), serde_json::to_vec(word)) {
        line.push(b'\n');
        // Who started us may have gone; that is noticed elsewhere.
        let _ = stream.write_all(&line);
    }
}

/// Standard error, and with it the log, goes to a file. Without one the daemon still does its work.
fn log_to(path: &std::path::Path) {
    if let Ok(file) = File::options().create(true).append(true).open(path) {
        let _ = rustix::stdio::dup2_stderr(&file);
    }
}

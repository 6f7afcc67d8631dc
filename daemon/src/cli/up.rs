//! `up`: brings a stack up and keeps it here, or leaves it to a daemon.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use topologies::id::StackId;

use super::args::Up;
use super::down::{DYING, gone};
use super::exit::{Exit, Failure};
use super::keep::{Launch, Stops, Told, keep, overrides};
use super::memory::frugal;
use super::progress::Display;
use super::topology_file::TopologyFile;
use super::{block_on, handoff, occupied, output, programs, status, tables, target};
use crate::api::views;
use crate::state::Home;

/// Threads of the control plane: one, for what is woken by probes all the time, is done by who was woken. The data plane and the API
/// have their own, and what takes long has the blocking ones.
const THREADS: usize = 1;

pub(super) fn run(arguments: Up, stack: Option<StackId>) -> Result<Exit, Failure> {
    if !arguments.detach {
        // Before anything is read that could be read only once.
        frugal();
    }
    let file = match &arguments.file {
        Some(file) => TopologyFile::read(file)?,
        None => TopologyFile::empty()?,
    };
    let asked = overrides(arguments.name.or(stack), arguments.timing);
    let topology = file.topology(&asked)?;
    // What the file may call a stack, a directory can be called; this holds it.
    let name = crate::state::stack_name(topology.name.as_str())?;
    programs::present(&topology, &file.path, arguments.runtime)?;
    let home = Home::current()?;
    if !block_on(gone(&home, &name, DYING))? {
        return Err(block_on(async {
            Ok(occupied::explain(&home, &name).await)
        })?);
    }
    let launch = Launch {
        name,
        topology_path: file.path,
        topology: file.text,
        wish: arguments.runtime,
        timing: arguments.timing,
        seed: arguments.seed,
        ephemeral: !arguments.detach,
    };
    if arguments.detach {
        detached(&home, &launch)
    } else {
        foreground(&home, launch)
    }
}

fn detached(home: &Home, launch: &Launch) -> Result<Exit, Failure> {
    let display = Display::new();
    handoff::start(home, launch, &display)?;
    drop(display);
    let target = target::find(Some(launch.name.clone()))?;
    let view: views::EndpointsView = block_on(async {
        let answer = target.client.get("/endpoints").await;
        answer.map_err(|error| target.explain(error))
    })?;
    output::print(&tables::endpoints(&view))?;
    output::eprint(&status::usage(&view));
    output::eprintln(&format!("\n`localaws down {}` ends it", launch.name));
    Ok(Exit::Done)
}

fn foreground(home: &Home, launch: Launch) -> Result<Exit, Failure> {
    log_here();
    let name = launch.name.clone();
    let log = home.stack(&name);
    runtime()?.block_on(async {
        let (wish, wishes) = mpsc::channel(4);
        let _signals = listen_for_signals(wish)?;
        let display = std::sync::Mutex::new(Some(Display::new()));
        let tell = |told: Told| {
            let mut display = display.lock().expect("nobody panics while telling");
            match told {
                Told::Progress(progress) => {
                    display.get_or_insert_with(Display::new).tell(&progress);
                }
                Told::Ready(stack) => {
                    *display = None;
                    let world = stack.world.borrow().clone();
                    announce(&views::endpoints(&stack, &world), log.path());
                }
            }
        };
        let kept = keep(home, launch, &tell, &mut Stops(wishes)).await;
        let _ = display.lock().map(|mut display| display.take());
        kept
    })
}

fn announce(view: &views::EndpointsView, directory: &Path) {
    // Nobody reading it is no reason to end the stack.
    let _ = output::print(&tables::endpoints(view));
    output::eprint(&status::usage(view));
    output::eprintln(&format!(
        "\nlogs and timeline are in {}; Ctrl-C takes the stack down",
        directory.display()
    ));
}

/// The runtime of a process that keeps a stack.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("localaws-control")
        .enable_all()
        .build()
        .map_err(|error| Failure::machine(format!("failed to start threads: {error}")))
}

/// Turns SIGINT, SIGTERM and SIGHUP into wishes to stop. Ends with the set that it returns.
pub(super) fn listen_for_signals(wish: mpsc::Sender<()>) -> Result<JoinSet<()>, Failure> {
    let mut tasks = JoinSet::new();
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        let mut signals = signal(kind)
            .map_err(|error| Failure::machine(format!("failed to listen for signals: {error}")))?;
        let wish = wish.clone();
        tasks.spawn(async move {
            while signals.recv().await.is_some() {
                // A full queue holds such wishes already.
                let _ = wish.try_send(());
            }
        });
    }
    Ok(tasks)
}

/// Logs to standard error what LOCALAWS_LOG asks for; warnings if it asks for nothing.
pub(super) fn log_here() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LOCALAWS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,hickory_server=error"));
    // A second subscriber is refused, and the first does as well.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // A line that finds no room in the log is lost. Told of there, it would panic, and take along who logged.
        .log_internal_errors(false)
        .try_init();
}

//! The `localaws` binary: a launcher of instances, a daemon, or the command line.

use std::process::ExitCode;

/// Connections allocate and free a lot; this halves what the system's allocator costs them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let launcher = std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == daemon::shim::LAUNCHER);
    if launcher {
        return daemon::shim::main();
    }
    daemon::cli::run(std::env::args_os())
}

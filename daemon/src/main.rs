//! The `localaws` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == daemon::shim::LAUNCHER)
    {
        return daemon::shim::main();
    }
    ExitCode::SUCCESS
}

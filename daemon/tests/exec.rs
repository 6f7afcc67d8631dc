//! `shim::exec` in a process of one thread, which the usual test harness is not: this binary is its own harness, and starts
//! itself again as the process that becomes the command.

#![expect(clippy::print_stdout, reason = "a harness lists its tests")]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode};

use topologies::runtime::Resolution;

const TEST: &str = "a_command_asks_the_nameserver_and_stays_itself";
const CHILD: &str = "--become-the-command";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    if has(CHILD) {
        return become_the_command();
    }
    if has("--list") {
        if !has("--ignored") {
            println!("{TEST}: test");
        }
        return ExitCode::SUCCESS;
    }
    a_command_asks_the_nameserver_and_stays_itself()
}

fn become_the_command() -> ExitCode {
    let script = "cat /etc/resolv.conf; id -u; echo $COLOR; exit 7";
    let error = daemon::shim::exec(
        &Resolution::Nameserver(Ipv4Addr::new(127, 64, 16, 2)),
        &["sh", "-c", script].map(str::to_owned),
        &BTreeMap::from([("COLOR".to_owned(), "blue".to_owned())]),
    );
    println!("refused: {error}");
    ExitCode::FAILURE
}

fn a_command_asks_the_nameserver_and_stays_itself() -> ExitCode {
    let output = std::env::current_exe()
        .and_then(|own| Command::new(own).arg(CHILD).output())
        .expect("this binary can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    if text.starts_with("refused: create a user namespace") {
        println!("this machine does not allow it: {text}");
        return ExitCode::SUCCESS;
    }
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(text, format!("nameserver 127.64.16.2\n{uid}\nblue\n"));
    assert_eq!(output.status.code(), Some(7));
    ExitCode::SUCCESS
}

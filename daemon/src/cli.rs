//! The command line: reads arguments, asks files or a running stack, prints.
//!
//! Each command is a file of its own. Results go to standard output, everything about getting them to standard error; colours and
//! progress follow the terminal, `NO_COLOR` and pipes. A command ends with an [`Exit`], nowhere else.

mod api;
mod args;
mod chaos;
mod clear;
mod doctor;
mod down;
mod drill;
mod drill_end;
mod drill_file;
mod events;
mod exec;
mod exit;
mod forsaken;
mod handoff;
mod images;
mod keep;
mod memory;
mod occupied;
mod output;
mod programs;
mod progress;
mod status;
mod tables;
mod target;
mod text_file;
mod topology;
mod topology_file;
mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Arguments, Command};
pub use exit::Exit;
use exit::Failure;

/// The first argument that makes our binary a daemon; `up -d` starts it so.
pub const DAEMON: &str = "__daemon";

/// Runs the command line. `arguments` begin with the program's name.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    if arguments.get(1).is_some_and(|first| first == DAEMON) {
        return handoff::daemon().code();
    }
    let parsed = match Arguments::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error).code(),
    };
    match dispatch(parsed) {
        Ok(exit) => exit.code(),
        Err(failure) => failure.show().code(),
    }
}

/// Help that was asked for is a result, anything else a mistake.
fn usage(error: &clap::Error) -> Exit {
    let exit = if error.use_stderr() {
        Exit::Wrong
    } else {
        Exit::Done
    };
    // A pipe that closed has read enough.
    let _ = error.print();
    exit
}

fn dispatch(arguments: Arguments) -> Result<Exit, Failure> {
    let stack = match arguments.command.which() {
        Some(which) => {
            let asked = which.stack.clone().or(arguments.stack);
            target::chosen(arguments.command.name(), asked)?
        }
        None if arguments.stack.is_some() => {
            return Err(Failure::wrong("`--stack` has no meaning for this command")
                .hint("it acts on no running stack; leave `--stack` out"));
        }
        None => None,
    };
    match arguments.command {
        Command::Up(up) => up::run(up, stack),
        Command::Down(down) => down::run(down, stack),
        Command::Status(status) => status::status(&status, stack),
        Command::Export(_) => topology::export(stack),
        Command::Reset(_) => topology::reset(stack),
        Command::Endpoints(endpoints) => status::endpoints(&endpoints, stack),
        Command::Events(events) => events::events(&events, stack),
        Command::Logs(logs) => events::logs(&logs, stack),
        Command::Exec(exec) => exec::run(&exec, stack),
        Command::Check(check) => topology::check(&check),
        Command::Plan(plan) => topology::plan(&plan),
        Command::Explain(explain) => topology::explain(&explain),
        Command::Schema => topology::schema(),
        Command::Chaos(chaos) => chaos::run(chaos, stack),
        Command::Drill(drill) => drill::run(drill, stack),
        Command::Rehearse(rehearse) => drill::rehearse(&rehearse),
        Command::Doctor(doctor) => doctor::run(&doctor),
        Command::Api(api) => api::run(&api),
        Command::Images(images) => images::run(&images),
        Command::Completions(completions) => {
            let mut script = Vec::new();
            let mut command = Arguments::command();
            clap_complete::generate(completions.shell, &mut command, "localaws", &mut script);
            output::print(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Done)
        }
    }
}

/// A runtime for commands that ask a stack and print: one thread, so that none but ours exists.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::machine(format!("failed to start: {error}")))?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_help_lists_every_command() {
        let grammar = Arguments::command();
        let help = grammar.get_before_help().unwrap().to_string();
        for command in grammar.get_subcommands().filter(|it| !it.is_hide_set()) {
            let line = format!("\n  {:<12} ", command.get_name());
            assert!(help.contains(&line), "no line `{}`", line.trim());
        }
    }

    #[test]
    fn a_stack_is_named_before_or_behind_any_command_that_acts_on_one() {
        for line in [
            "--stack x status",
            "status --stack x",
            "chaos --stack x list",
            "chaos list --stack x",
            "--stack x chaos kill web-1",
            "drill run a.yaml --stack x",
            "status x",
            "endpoints --env x",
            "events -f x",
            "export x",
            "reset x",
            "down x --purge",
        ] {
            let words = std::iter::once("localaws").chain(line.split(' '));
            let parsed = Arguments::try_parse_from(words).unwrap();
            let own = parsed.command.which().unwrap().stack.clone();
            let asked = own.or(parsed.stack);
            let named = target::chosen(parsed.command.name(), asked).unwrap();
            assert_eq!(named.unwrap().as_str(), "x", "{line}");
        }
        for line in [
            "schema --stack x",
            "check a.yaml --stack x",
            "doctor --stack x",
        ] {
            let words = std::iter::once("localaws").chain(line.split(' '));
            assert!(Arguments::try_parse_from(words).is_err(), "{line}");
        }
    }
}

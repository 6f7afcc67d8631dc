//! How a command ends: a code for scripts, a message and a way out for people.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::output;
use crate::api::client::ClientError;
use crate::api::error::Code;
use crate::state::StateError;
use crate::up::UpError;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; every expectation held.
    Done,
    /// An expectation was broken, or what was asked for did not come about.
    Broken,
    /// The file or the command is wrong: an unknown zone, no such stack.
    Wrong,
    /// This machine lacks something: a program, a port, a right.
    Machine,
    /// The verdict is unknown: too little was seen to judge.
    Unknown,
    /// A bug of ours.
    Bug,
    /// The exit code of a program run by `exec`, or of an interruption (128 and the signal's number).
    Other(u8),
}

impl Exit {
    /// The number.
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Broken => 1,
            Self::Wrong => 2,
            Self::Machine => 3,
            Self::Unknown => 4,
            Self::Bug => 70,
            Self::Other(code) => code,
        }
    }

    /// The code of a number, as it came from another process of ours.
    pub(super) fn from_number(number: u8) -> Self {
        let all = [
            Self::Done,
            Self::Broken,
            Self::Wrong,
            Self::Machine,
            Self::Unknown,
            Self::Bug,
        ];
        all.into_iter()
            .find(|exit| exit.number() == number)
            .unwrap_or(Self::Other(number))
    }

    pub(super) fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }
}

/// Why a command ends without its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// A lower-case sentence without a full stop; empty if there is nothing to say.
    pub(super) message: String,
    /// The way out.
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self::new(Exit::Wrong, message)
    }

    pub(super) fn machine(message: impl Into<String>) -> Self {
        Self::new(Exit::Machine, message)
    }

    /// Ends with `exit`; everything was said already.
    pub(super) fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    #[must_use]
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Tells the user.
    pub(super) fn show(&self) -> Exit {
        if !self.message.is_empty() {
            let red = AnsiColor::Red.on_default().bold();
            let bold = Style::new().bold();
            let mut text = format!("{red}error{red:#}{bold}: {}{bold:#}\n", self.message);
            if let Some(hint) = &self.hint {
                text.push_str(&format!("  {bold}hint{bold:#}: {hint}\n"));
            }
            output::eprint(&text);
        }
        self.exit
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let message = error.to_string();
        match error {
            StateError::NoHome => Self::machine(message).hint("set LOCALAWS_HOME to a directory"),
            StateError::Name(_) => Self::wrong(message),
            StateError::File { .. } => Self::machine(message)
                .hint("`localaws doctor` checks the directories; LOCALAWS_HOME names another one"),
            StateError::Record { path, .. } => {
                let directory = path.parent().unwrap_or(&path).display().to_string();
                Self::machine(message).hint(format!(
                    "if nothing of the stack runs any more, remove the directory `{directory}`"
                ))
            }
            StateError::Running(name) => Self::wrong(message).hint(format!(
                "`localaws status --stack {name}` shows it, `localaws down {name}` ends it, `--name` makes another"
            )),
            StateError::OtherRuntime { name, runtime } => Self::wrong(message).hint(format!(
                "`--runtime {}` takes it over, `localaws down {name} --purge` removes it with its data, `--name` makes another",
                runtime.as_str()
            )),
            StateError::OtherPlan { name, .. } => Self::wrong(message).hint(format!(
                "the file as it was takes it over, `localaws down {name} --purge` removes it with its data, `--name` makes another"
            )),
            StateError::NoSlot => Self::machine(message)
                .hint("`localaws status` of each stack, then `localaws down NAME` for those not needed"),
            StateError::Loopback { .. } => Self::machine(message)
                .hint("localaws needs all of 127.0.0.0/8 on the loopback interface, as Linux has it"),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Refused(error) => Self {
                exit: match error.code {
                    Code::InvalidRequest
                    | Code::InvalidFault
                    | Code::Forbidden
                    | Code::NotFound
                    | Code::MethodNotAllowed
                    | Code::UnsupportedMediaType
                    | Code::Refused
                    | Code::TooLarge => Exit::Wrong,
                    Code::Unauthorized | Code::Failed | Code::Unavailable => Exit::Broken,
                },
                message: error.message,
                hint: error.hint,
            },
            ClientError::Gone { .. } => Self::new(Exit::Broken, message),
            ClientError::TimedOut(_) => Self::new(Exit::Broken, message)
                .hint("the daemon may be overloaded or stopped; `daemon.log` is in its directory"),
            ClientError::Hung(Some(pid)) => Self::new(Exit::Broken, message).hint(format!(
                "`kill -CONT {pid}` lets a stopped one go on, also with what it was just asked for; after `kill -9 {pid}`, `localaws up` resumes the stack and `localaws down --purge` removes it"
            )),
            ClientError::Hung(None) => Self::new(Exit::Broken, message),
            ClientError::Broken(source) => Self::new(Exit::Broken, format!("{message}: {source}")),
            ClientError::Malformed(_) => {
                Self::new(Exit::Bug, message).hint("is the daemon of another version?")
            }
        }
    }
}

impl From<UpError> for Failure {
    fn from(error: UpError) -> Self {
        let (exit, message, hint) = match error {
            UpError::Topology { message, hint } => (Exit::Wrong, message, hint),
            UpError::Machine { message, hint } => (Exit::Machine, message, hint),
            UpError::Failed { message, hint } => (Exit::Broken, message, hint),
        };
        Self {
            exit,
            message,
            hint,
        }
    }
}

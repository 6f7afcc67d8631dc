//! The grammar of the command line.

mod values;

use std::path::PathBuf;
use std::time::Duration;

use chaos::fault::ApiCalls;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use serde::{Deserialize, Serialize};
use topologies::id::StackId;

use crate::up::RuntimeWish;
use values::{RuntimeParser, delay, rate, stack, target};

const GROUPS: &str = "\
\x1b[1;4mStacks:\x1b[0m
  up           Bring a stack up from a topology file
  down         Take a stack down
  status       Show what a stack is doing
  endpoints    Show what to connect to
  events       Show what happened to a stack
  logs         Show an instance's log
  exec         Run a program that resolves the stack's names
  reset        Take a stack back to what its topology file says
  export       Print a topology file that means what the stack has become

\x1b[1;4mTopology files:\x1b[0m
  check        Find every mistake in a topology file
  plan         Show what would run, where, at which address
  explain      Show the topology with every default filled in
  schema       Print the JSON schema of topology files, for editors

\x1b[1;4mBreaking things:\x1b[0m
  chaos        Inject, list and heal faults
  drill        Break a stack, watch its clients, judge the outcome
  rehearse     Run many random drills in the simulator

\x1b[1;4mThis machine:\x1b[0m
  doctor       Check what this machine has and lacks
  images       Build and list container images
  api          Show how much of the AWS API there is
  completions  Print a completion script for a shell
  help         Explain a command";

const CODES: &str = "\
\x1b[1;4mExit codes:\x1b[0m
  0   done, or every expectation held
  1   an expectation was broken, or what was asked for did not come about
  2   the file or the command is wrong
  3   this machine lacks something; `localaws doctor` says what
  4   the verdict of a drill is unknown
  70  a bug in localaws
  130 interrupted before the stack was up

\x1b[1;4mEnvironment:\x1b[0m
  LOCALAWS_HOME   where stacks are kept       LOCALAWS_CACHE  where engines are kept
  LOCALAWS_STACK  the stack, as with --stack  LOCALAWS_LOG    what is logged, e.g. `debug`
  NO_COLOR        no colours";

/// Runs AWS-shaped web stacks on this machine and breaks them on purpose.
#[derive(Debug, Parser)]
#[command(
    name = "localaws",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    help_template = "{about}\n\n{usage-heading} {usage}\n\n{before-help}\x1b[1;4mOptions:\x1b[0m\n{options}{after-help}",
    before_help = GROUPS,
    after_help = CODES
)]
pub(super) struct Arguments {
    /// The running stack to act on; may be left out when one runs
    #[arg(long, value_name = "NAME", value_parser = stack)]
    pub(super) stack: Option<StackId>,

    #[command(subcommand)]
    pub(super) command: Command,
}

/// Which stack a command acts on.
#[derive(Clone, Debug, Args)]
pub(super) struct Which {
    /// The running stack to act on; may be left out when one runs
    #[arg(long, global = true, value_name = "NAME", value_parser = stack, env = "LOCALAWS_STACK", hide_env = true)]
    pub(super) stack: Option<StackId>,
}

/// Which stack a command acts on that has no other word of its own.
#[derive(Clone, Debug, Args)]
pub(super) struct Named {
    #[command(flatten)]
    pub(super) which: Which,
    /// The stack, as with --stack
    #[arg(value_parser = stack)]
    pub(super) name: Option<StackId>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Up(Up),
    Down(Down),
    Status(Status),
    Export(Export),
    Reset(Reset),
    Endpoints(Endpoints),
    Events(Events),
    Logs(Logs),
    Exec(Exec),
    Check(Check),
    Plan(Plan),
    Explain(Explain),
    /// Print the JSON schema of topology files, for editors
    Schema,
    Chaos(Chaos),
    Drill(Drill),
    Rehearse(Rehearse),
    Doctor(Doctor),
    Api(Api),
    Images(Images),
    Completions(Completions),
}

impl Command {
    /// Which stack it acts on; none for a command that acts on none.
    pub(super) fn which(&self) -> Option<&Which> {
        match self {
            Self::Down(Down { named, .. })
            | Self::Status(Status { named, .. })
            | Self::Export(Export { named })
            | Self::Reset(Reset { named })
            | Self::Endpoints(Endpoints { named, .. })
            | Self::Events(Events { named, .. }) => Some(&named.which),
            Self::Up(Up { which, .. })
            | Self::Logs(Logs { which, .. })
            | Self::Exec(Exec { which, .. })
            | Self::Chaos(Chaos { which, .. })
            | Self::Drill(Drill {
                command: DrillCommand::Run(DrillRun { which, .. }),
            }) => Some(which),
            Self::Drill(Drill {
                command: DrillCommand::Check(_),
            })
            | Self::Check(_)
            | Self::Plan(_)
            | Self::Explain(_)
            | Self::Schema
            | Self::Rehearse(_)
            | Self::Doctor(_)
            | Self::Api(_)
            | Self::Images(_)
            | Self::Completions(_) => None,
        }
    }

    /// The stack that is named by a word of its own.
    pub(super) fn name(&self) -> Option<&StackId> {
        match self {
            Self::Down(Down { named, .. })
            | Self::Status(Status { named, .. })
            | Self::Export(Export { named })
            | Self::Reset(Reset { named })
            | Self::Endpoints(Endpoints { named, .. })
            | Self::Events(Events { named, .. }) => named.name.as_ref(),
            Self::Up(_)
            | Self::Logs(_)
            | Self::Exec(_)
            | Self::Check(_)
            | Self::Plan(_)
            | Self::Explain(_)
            | Self::Schema
            | Self::Chaos(_)
            | Self::Drill(_)
            | Self::Rehearse(_)
            | Self::Doctor(_)
            | Self::Api(_)
            | Self::Images(_)
            | Self::Completions(_) => None,
        }
    }
}

/// Bring a stack up from a topology file
///
/// Shows progress, then the endpoints, and keeps the stack until Ctrl-C, which takes it down and removes it with its data unless it was there before. With -d a daemon keeps
/// it until `localaws down`. A stack whose daemon died, or that was taken down without --purge, is taken over with its data.
#[derive(Debug, Args)]
pub(super) struct Up {
    #[command(flatten)]
    pub(super) which: Which,
    /// The topology file; without one the account is empty, to be filled through the AWS API, in the region of AWS_REGION
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,
    /// The stack's name, instead of the one in the file
    #[arg(long, value_parser = stack)]
    pub(super) name: Option<StackId>,
    /// Where instances run
    #[arg(long, value_parser = RuntimeParser, default_value = "auto")]
    pub(super) runtime: RuntimeWish,
    /// How long things take, instead of what the file says
    #[arg(long, value_enum)]
    pub(super) timing: Option<TimingProfile>,
    /// The seed of everything that is drawn
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Leave the stack to a daemon in the background and return when it is up
    #[arg(short, long)]
    pub(super) detach: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(super) enum TimingProfile {
    /// As quick as this machine allows
    Fast,
    /// As AWS documents it
    Aws,
}

impl TimingProfile {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Aws => "aws",
        }
    }
}

/// Take a stack down: end its instances, free its addresses
///
/// What its databases and caches hold stays for the next `up` of the same name unless --purge is given. Works too when the daemon is gone.
#[derive(Debug, Args)]
pub(super) struct Down {
    #[command(flatten)]
    pub(super) named: Named,
    /// Remove its data too
    #[arg(long)]
    pub(super) purge: bool,
}

/// Show what a stack is doing: zones, instances, faults
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    pub(super) named: Named,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Print a topology file that means what the stack has become
///
/// What was created, changed or deleted through the AWS API since the stack came up is in it.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    pub(super) named: Named,
}

/// Take a stack back to what its topology file says
///
/// Heals every fault; what was made through the AWS API is deleted, what it changed or ended is as it was. Data of what stays stays.
#[derive(Debug, Args)]
pub(super) struct Reset {
    #[command(flatten)]
    pub(super) named: Named,
}

/// Show what to connect to
#[derive(Debug, Args)]
pub(super) struct Endpoints {
    #[command(flatten)]
    pub(super) named: Named,
    /// Print JSON, with passwords
    #[arg(long, conflicts_with = "env")]
    pub(super) json: bool,
    /// Print KEY=value lines, with passwords, for programs and AWS's clients
    #[arg(long)]
    pub(super) env: bool,
}

/// Show what happened to a stack
#[derive(Debug, Args)]
pub(super) struct Events {
    #[command(flatten)]
    pub(super) named: Named,
    /// Go on with what happens
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    /// Only events after this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub(super) since: u64,
}

/// Show an instance's log
#[derive(Debug, Args)]
pub(super) struct Logs {
    #[command(flatten)]
    pub(super) which: Which,
    /// The instance, as `status` names it
    #[arg(value_parser = target)]
    pub(super) instance: String,
    /// Go on with what is written
    #[arg(short, long)]
    pub(super) follow: bool,
}

/// Run a program that resolves the stack's names
///
/// The program's environment has the URL of every endpoint, e.g. ORDERS_URL, and what AWS's clients need to call the stack's AWS API;
/// see `localaws endpoints --env`.
#[derive(Debug, Args)]
pub(super) struct Exec {
    #[command(flatten)]
    pub(super) which: Which,
    /// Stand in this zone, instead of outside of the stack
    #[arg(long)]
    pub(super) zone: Option<String>,
    /// The program and its arguments
    #[arg(last = true, required = true, num_args = 1.., value_hint = ValueHint::CommandWithArguments)]
    pub(super) command: Vec<String>,
}

/// Find every mistake in a topology file
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The topology file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Print JSON: whether it is sound, and every note with its place
    #[arg(long)]
    pub(super) json: bool,
}

/// Show what would run, where, at which address
#[derive(Debug, Args)]
pub(super) struct Plan {
    /// The topology file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Show the topology with every default filled in
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The topology file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
}

/// Inject, list and heal faults
#[derive(Debug, Args)]
pub(super) struct Chaos {
    #[command(flatten)]
    pub(super) which: Which,
    #[command(subcommand)]
    pub(super) command: ChaosCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ChaosCommand {
    /// Lose an Availability Zone
    KillAz {
        /// The zone: in full, by its letter, or `primary-of DB`
        #[arg(value_parser = target)]
        zone: String,
        /// How it is lost
        #[arg(long, value_enum, default_value_t)]
        mode: LossMode,
    },
    /// Kill an instance's process; it may be started again at once
    Kill {
        /// The instance
        #[arg(value_parser = target)]
        instance: String,
    },
    /// Stop an instance and keep it from starting until healed
    Stop {
        /// The instance
        #[arg(value_parser = target)]
        instance: String,
    },
    /// Make an instance hang until healed
    Freeze {
        /// The instance
        #[arg(value_parser = target)]
        instance: String,
    },
    /// Slow the link between two zones down
    Slow {
        /// A zone, or `outside`
        #[arg(value_parser = target)]
        from: String,
        /// A zone, or `outside`
        #[arg(value_parser = target)]
        to: String,
        /// Added to every delivery, e.g. 50ms
        #[arg(long, value_parser = delay, allow_hyphen_values = true)]
        latency: Duration,
        /// A random share of this is added too
        #[arg(long, value_parser = delay, default_value = "0ms", allow_hyphen_values = true)]
        jitter: Duration,
        /// Only from FROM to TO
        #[arg(long)]
        one_way: bool,
    },
    /// Cut the link between two zones
    Partition {
        /// A zone, or `outside`
        #[arg(value_parser = target)]
        from: String,
        /// A zone, or `outside`
        #[arg(value_parser = target)]
        to: String,
        /// Only from FROM to TO
        #[arg(long)]
        one_way: bool,
    },
    /// Throttle calls of the AWS API; what runs is not touched
    ThrottleApi {
        /// A service, or one operation of it, as `rds` or `rds:DescribeDBInstances`; all calls if left out
        #[arg(value_name = "SERVICE[:OPERATION]")]
        calls: Option<ApiCalls>,
        /// Calls that get through, e.g. 5/s; 0/s refuses all
        #[arg(long, value_parser = rate)]
        rate: u32,
    },
    /// Answer calls of the AWS API late; what runs is not touched
    SlowApi {
        /// A service, or one operation of it, as `rds` or `rds:DescribeDBInstances`; all calls if left out
        #[arg(value_name = "SERVICE[:OPERATION]")]
        calls: Option<ApiCalls>,
        /// How late, e.g. 2s
        #[arg(long, value_parser = delay, allow_hyphen_values = true)]
        latency: Duration,
    },
    /// Fail calls of the AWS API, as while a service is unavailable; what runs is not touched
    FailApi {
        /// A service, or one operation of it, as `rds` or `rds:DescribeDBInstances`; all calls if left out
        #[arg(value_name = "SERVICE[:OPERATION]")]
        calls: Option<ApiCalls>,
    },
    /// Show faults in force
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Heal a fault
    Heal {
        /// The fault, as `chaos list` names it; may be left out when one is in force
        #[arg(conflicts_with = "all")]
        id: Option<String>,
        /// Heal every fault
        #[arg(long)]
        all: bool,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LossMode {
    /// Its processes are gone and its addresses do not answer
    #[default]
    Power,
    /// It is cut off; its processes run on
    Network,
}

/// Break a stack, watch its clients, judge the outcome
#[derive(Debug, Args)]
pub(super) struct Drill {
    #[command(subcommand)]
    pub(super) command: DrillCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum DrillCommand {
    Run(DrillRun),
    Check(DrillCheck),
}

/// Check a drill file, and that it fits a topology; nothing is started
#[derive(Debug, Args)]
pub(super) struct DrillCheck {
    /// The drill file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// The topology file that it has to fit, instead of the one that the drill names
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) against: Option<PathBuf>,
}

/// Run a drill against a running stack
#[derive(Debug, Args)]
pub(super) struct DrillRun {
    #[command(flatten)]
    pub(super) which: Which,
    /// The drill file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Write report.txt, report.json and junit.xml into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) report: Option<PathBuf>,
    /// Write a JUnit report to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) junit: Option<PathBuf>,
}

/// Run many random drills in the simulator
#[derive(Debug, Args)]
pub(super) struct Rehearse {
    /// The topology file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// How many seeds to try
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// How long things take, instead of what the file says
    #[arg(long, value_enum)]
    pub(super) timing: Option<TimingProfile>,
}

/// Check what this machine has and lacks
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Show how much of the AWS API there is
#[derive(Debug, Args)]
pub(super) struct Api {
    #[command(subcommand)]
    pub(super) command: ApiCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ApiCommand {
    /// Count, for each service, the operations that are built
    Coverage {
        /// Print the whole page with every operation, as in docs/api-coverage.md
        #[arg(long)]
        markdown: bool,
    },
}

/// Build and list container images
#[derive(Debug, Args)]
pub(super) struct Images {
    #[command(subcommand)]
    pub(super) command: ImagesCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ImagesCommand {
    /// Build the images that stacks run on
    Build,
    /// List the images that were built
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(super) shell: clap_complete::Shell,
}

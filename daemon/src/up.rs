//! What is asked of a bring-up, what it tells while it goes on, and how it fails: the words that the command line and the driver
//! share.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use topologies::address::Slot;
use topologies::runtime::RuntimeKind;
use topologies::topology::Topology;

/// A stack to be brought up.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// What it is.
    pub topology: Topology,
    /// Its share of the loopback network.
    pub plan_slot: Slot,
    /// Its directory, which exists.
    pub directory: PathBuf,
    /// What is costly to make and can be made again.
    pub cache: PathBuf,
    /// The runtime wished for; exactly that of before where a stack is taken over.
    pub runtime: RuntimeWish,
    /// The runtime that the command asks for.
    pub asked: RuntimeWish,
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// The topology file, absolute: relative programs are looked up beside it.
    pub topology_path: PathBuf,
    /// Whether data and instances of an earlier daemon are to be taken over.
    pub resume: bool,
    /// Whether nothing of what is taken over runs: it was taken down, by a daemon or without one.
    pub stopped: bool,
}

/// The runtime asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeWish {
    /// Docker if its engine answers, local processes otherwise.
    #[default]
    Auto,
    /// Containers with host networking.
    Docker,
    /// Local processes.
    Process,
}

impl RuntimeWish {
    /// The runtimes that may be chosen for it.
    pub fn candidates(self) -> &'static [RuntimeKind] {
        match self {
            Self::Auto => &[RuntimeKind::Docker, RuntimeKind::Process],
            Self::Docker => &[RuntimeKind::Docker],
            Self::Process => &[RuntimeKind::Process],
        }
    }

    /// The wish for exactly this one.
    pub fn exactly(runtime: RuntimeKind) -> Self {
        match runtime {
            RuntimeKind::Docker => Self::Docker,
            RuntimeKind::Process => Self::Process,
            // A simulated stack leaves nothing that could be resumed.
            RuntimeKind::Simulated => Self::Auto,
        }
    }
}

/// What to tell the user.
pub type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Something to tell while a stack comes up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// What is being done at present; the next one replaces it.
    Step(String),
    /// Something worth keeping on the screen: which runtime was chosen, and why.
    Line(String),
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(text) | Self::Line(text) => f.pad(text),
        }
    }
}

/// Why a stack did not come up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum UpError {
    /// The topology can not be run: a program that does not exist, a version that nobody has.
    #[error("{message}")]
    Topology {
        /// What is wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// This machine lacks something.
    #[error("{message}")]
    Machine {
        /// What is missing.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// It began and did not become available.
    #[error("{message}")]
    Failed {
        /// What happened.
        message: String,
        /// Where to look.
        hint: Option<String>,
    },
}

//! What it takes to listen on a low port. Containers share the host's network, where such a port wants a capability, and an engine
//! gives capabilities to root alone.

use topologies::runtime::InstancePlan;

use super::{Surroundings, User};

/// What it takes to listen on a plan's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Privilege {
    /// None: the usual case.
    None,
    /// Starts as root and becomes the user, keeping the one capability: our image has `setpriv`.
    Handed,
    /// Runs as root with that capability and one to use the user's files: an image that is not ours.
    Root,
}

impl Privilege {
    pub(super) fn of(plan: &InstancePlan, around: &Surroundings<'_>) -> Self {
        if plan.listen.port() >= around.unprivileged_from {
            Self::None
        } else if around.image.recipe.is_some() {
            Self::Handed
        } else {
            Self::Root
        }
    }

    pub(super) fn user(self, user: User) -> String {
        match self {
            Self::None => format!("{}:{}", user.uid, user.gid),
            Self::Handed | Self::Root => "0:0".to_owned(),
        }
    }

    pub(super) fn capabilities(self) -> Vec<String> {
        let names: &[&str] = match self {
            Self::None => &[],
            // KILL: the init process stays root and has to pass signals on to the user's process.
            Self::Handed => &["NET_BIND_SERVICE", "SETUID", "SETGID", "SETPCAP", "KILL"],
            Self::Root => &["NET_BIND_SERVICE", "DAC_OVERRIDE"],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    pub(super) fn wrap(self, command: Vec<String>, user: User) -> Vec<String> {
        match self {
            Self::None | Self::Root => command,
            Self::Handed => [
                "setpriv".to_owned(),
                format!("--reuid={}", user.uid),
                format!("--regid={}", user.gid),
                "--clear-groups".to_owned(),
                "--inh-caps=-all,+net_bind_service".to_owned(),
                "--ambient-caps=-all,+net_bind_service".to_owned(),
                "--bounding-set=-all,+net_bind_service".to_owned(),
                "--".to_owned(),
            ]
            .into_iter()
            .chain(command)
            .collect(),
        }
    }
}

//! Becoming an unprivileged user, and what right is kept: binding the ports below 1024, if the instance listens on one.
//!
//! Does nothing for a daemon that is no root: its instances run as its user.

use std::io;

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set,
    set_capabilities, set_keep_capabilities,
};
use serde::{Deserialize, Serialize};

/// A user and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    /// The user id.
    pub(crate) uid: u32,
    /// The group id.
    pub(crate) gid: u32,
}

/// Becomes `user`; with `low_port`, the right to bind any port survives the change and the `exec` after it.
pub(super) fn drop_to(user: Option<User>, low_port: bool) -> io::Result<()> {
    let keep = low_port
        && capabilities(None)?
            .permitted
            .contains(CapabilitySet::NET_BIND_SERVICE);
    if let Some(user) = user {
        if keep {
            set_keep_capabilities(true)?;
        }
        setgroups(&[])?;
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
    }
    if keep {
        // The kernel clears the ambient set on leaving root, so it is filled after that.
        set_capabilities(
            None,
            CapabilitySets {
                effective: CapabilitySet::NET_BIND_SERVICE,
                permitted: CapabilitySet::NET_BIND_SERVICE,
                inheritable: CapabilitySet::NET_BIND_SERVICE,
            },
        )?;
        configure_capability_in_ambient_set(CapabilitySet::NET_BIND_SERVICE, true)?;
    }
    Ok(())
}

//! Whether this machine lets programs resolve names in a way of their own: found out by trying it, as instances and `exec` do.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::timeout;
use topologies::runtime::Resolution;

use super::launch::{Launcher, own_binary};
use crate::shim::Launch;

/// Our own binary tells its version at once.
const TRIAL_WAIT_MAX: Duration = Duration::from_secs(20);

/// What refuses user namespaces where they are known to the kernel: a file, the number in it, and the command that allows them.
const REFUSALS: [(&str, u64, &str); 3] = [
    (
        "/proc/sys/user/max_user_namespaces",
        0,
        "sudo sysctl user.max_user_namespaces=10000",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        0,
        "sudo sysctl kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        1,
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
];

/// Starts a program with a resolver of its own, and forgets it. The error says what the machine refused.
pub(crate) async fn attempt() -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let own = std::env::current_exe().map_err(text)?;
    let binary = own_binary();
    let start = move || Launcher::spawn(&binary, "", "trial", Stdio::null(), Stdio::null());
    let (launcher, _handle) = tokio::task::spawn_blocking(start)
        .await
        .map_err(|error| error.to_string())?
        .map_err(text)?;
    let launch = Launch {
        command: vec![own.display().to_string(), "--version".to_owned()],
        environment: BTreeMap::new(),
        directory: PathBuf::from("/"),
        resolution: Resolution::Nameserver(Ipv4Addr::LOCALHOST),
        user: None,
        low_port: false,
    };
    let mut program = launcher
        .become_program(&launch)
        .await
        .map_err(text)?
        .map_err(|refusal| refusal.to_string())?;
    let ended = tokio::task::spawn_blocking(move || program.wait());
    // It runs, which is what was asked; how it ends is of no interest.
    let _ended = timeout(TRIAL_WAIT_MAX, ended).await;
    Ok(())
}

/// How to have this machine allow it.
pub(crate) fn way_out() -> String {
    let number = |path: &str| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    let known = REFUSALS
        .iter()
        .find(|(path, refusing, _)| number(path) == Some(*refusing));
    match known {
        Some((_, _, fix)) => format!("allow user namespaces with `{fix}`, or run localaws as root"),
        None => "run localaws as root, or where user namespaces are allowed: a container's or a security module's \
                 profile may refuse them"
            .to_owned(),
    }
}

//! The single checks.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::state::Home;

/// Descriptors that a daemon with a stack of 30 instances may have open: two listeners a view and instance, and connections.
const OPEN_FILES_WANTED: u64 = 4096;
/// Room that a stack of the tiers takes at first, in MiB: four data directories of PostgreSQL with their logs.
const FREE_MIB_NEEDED: u64 = 1024;

/// The container engine.
pub(super) async fn engine() -> Vec<Finding> {
    vec![match ::docker::engine::Engine::connect().await {
        Ok(engine) => Finding::ok("docker", format!("engine {} answers", engine.version())),
        Err(error) => Finding::warning(
            "docker",
            error.to_string(),
            "stacks run as local processes without it",
        ),
    }]
}

/// Everything else.
pub(super) fn machine() -> Vec<Finding> {
    let mut findings = vec![
        program("postgresql", "postgres", &postgres_directories()),
        redis(),
        loopback(),
        low_ports(),
        namespaces(),
        open_files(),
    ];
    findings.extend(directories());
    findings
}

fn program(check: &'static str, name: &str, also: &[PathBuf]) -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(also.iter().cloned());
    let found = places.find_map(|place| {
        let program = place.join(name);
        Some((version(&program)?, program))
    });
    match found {
        Some((version, program)) => {
            Finding::ok(check, format!("{version} ({})", program.display()))
        }
        None => Finding::warning(
            check,
            "not installed",
            "fetched once by `up`, where a Python package index answers; or install it",
        ),
    }
}

fn redis() -> Finding {
    let server = program("redis", "redis-server", &[]);
    if server.state == super::State::Ok {
        return server;
    }
    program("redis", "valkey-server", &[])
}

/// Where Debian and Ubuntu keep the servers of PostgreSQL, the newest first.
fn postgres_directories() -> Vec<PathBuf> {
    let versions = (13..=18).rev();
    versions
        .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
        .collect()
}

/// The first line that a program says of its version.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next().filter(|_| output.status.success())?;
    Some(line.to_owned())
}

fn loopback() -> Finding {
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 127, 250, 250), 0);
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok("loopback", "all of 127.0.0.0/8 can be used"),
        Err(error) => Finding::missing(
            "loopback",
            format!("{} can not be bound: {error}", address.ip()),
            "localaws needs a loopback interface with 127.0.0.0/8, as Linux has it",
        ),
    }
}

fn low_ports() -> Finding {
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 64, 0, 2), 53);
    match UdpSocket::bind(address) {
        Ok(_) => Finding::ok(
            "low ports",
            "ports below 1024 can be bound: DNS on 53, HTTP on 80",
        ),
        // A stack has it.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::ok(
            "low ports",
            format!("{address} is in use, by a stack as a rule"),
        ),
        Err(error) => Finding::warning(
            "low ports",
            format!("{address} can not be bound: {error}; ports below 1024 are moved"),
            "allow it with `sudo sysctl net.ipv4.ip_unprivileged_port_start=53`",
        ),
    }
}

fn namespaces() -> Finding {
    const CHECK: &str = "namespaces";
    if rustix::process::geteuid().is_root() {
        return Finding::ok(CHECK, "root: programs can be given the stack's resolver");
    }
    let number = |path: &str| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    let refused = [
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
    let refusal = refused
        .iter()
        .find(|(path, value, _)| number(path) == Some(*value));
    match refusal {
        None => Finding::ok(
            CHECK,
            "user namespaces are allowed: programs can be given the stack's resolver",
        ),
        Some((path, _, fix)) => Finding::warning(
            CHECK,
            format!(
                "{path} refuses user namespaces: `exec` and instances can not resolve the stack's names"
            ),
            format!("allow them with `{fix}`"),
        ),
    }
}

fn open_files() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    match limit.maximum.unwrap_or(u64::MAX) {
        few @ ..OPEN_FILES_WANTED => Finding::warning(
            "open files",
            format!("at most {few} a process"),
            format!("allow {OPEN_FILES_WANTED} with `ulimit -Hn`, or in /etc/security/limits.conf"),
        ),
        u64::MAX => Finding::ok("open files", "no limit"),
        enough => Finding::ok("open files", format!("up to {enough} a process")),
    }
}

fn directories() -> Vec<Finding> {
    let home = match Home::current().and_then(|home| home.create().map(|()| home)) {
        Ok(home) => home,
        Err(error) => {
            return vec![Finding::missing(
                "directories",
                error.to_string(),
                "set LOCALAWS_HOME and LOCALAWS_CACHE to directories that this user may write",
            )];
        }
    };
    let mut findings: Vec<Finding> = [("state", home.state()), ("cache", home.cache())]
        .into_iter()
        .map(|(check, path)| writable(check, path))
        .collect();
    findings.extend(barrier(home.state()));
    findings
}

fn writable(check: &'static str, path: &Path) -> Finding {
    let probe = path.join(format!(".doctor-{}", std::process::id()));
    let written = fs::write(&probe, "").and_then(|()| fs::remove_file(&probe));
    if let Err(error) = written {
        return Finding::missing(
            check,
            format!("`{}` can not be written: {error}", path.display()),
            "set LOCALAWS_HOME and LOCALAWS_CACHE to directories that this user may write",
        );
    }
    let free = rustix::fs::statvfs(path)
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) >> 20)
        .unwrap_or(u64::MAX);
    if free < FREE_MIB_NEEDED {
        return Finding::warning(
            check,
            format!("`{}` has {free} MiB free", path.display()),
            format!("a stack takes about {FREE_MIB_NEEDED} MiB"),
        );
    }
    Finding::ok(check, format!("`{}`, {free} MiB free", path.display()))
}

/// A directory through which instances, run as `nobody` by root, can not pass.
fn barrier(path: &Path) -> Option<Finding> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let closed = path.ancestors().find(|ancestor| {
        fs::metadata(ancestor).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 == 0)
    })?;
    Some(Finding::missing(
        "passage",
        format!(
            "instances run as `nobody`, who can not pass through `{}`",
            closed.display()
        ),
        format!("`chmod o+x {}`, or set LOCALAWS_HOME", closed.display()),
    ))
}

//! The single checks.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use topologies::address::{self, Slot, ZoneNumber};

use super::Finding;
use crate::launch::PORT_OFFSET;
use crate::ports;
use crate::runtime::namespaces;
use crate::state::{API_PORT, Home};

/// An address that no stack has.
const SPARE: Ipv4Addr = Ipv4Addr::new(127, 127, 250, 250);
/// How low ports are allowed.
const ALLOW_LOW_PORTS: &str =
    "allow low ports with `sudo sysctl net.ipv4.ip_unprivileged_port_start=53`";
/// Descriptors that a daemon with a stack of 30 instances may have open: two listeners a view and instance, and connections.
const OPEN_FILES_WANTED: u64 = 4096;
/// Room that a stack of the tiers takes at first, in MiB: four data directories of PostgreSQL with their logs.
const FREE_MIB_NEEDED: u64 = 1024;

/// Everything but the runtimes.
pub(super) async fn machine(home: &Home) -> Vec<Finding> {
    let mut findings = vec![
        loopback(),
        slots(home),
        port_53(),
        low_ports(),
        namespaces().await,
        open_files(),
        writable("state", home.state()),
        writable("cache", home.cache()),
    ];
    findings.extend(barrier(home.state()));
    findings
}

fn loopback() -> Finding {
    let address = SocketAddrV4::new(SPARE, 0);
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok("loopback", "all of 127.0.0.0/8 can be used"),
        Err(error) => Finding::missing(
            "loopback",
            format!("{} can not be bound: {error}", address.ip()),
            "localaws needs a loopback interface with 127.0.0.0/8, as Linux has it",
        ),
    }
}

/// Address ranges; every running stack has one.
fn slots(home: &Home) -> Finding {
    let all = Slot::MAX - Slot::MIN + 1;
    let free = (Slot::MIN..=Slot::MAX)
        .filter_map(Slot::new)
        .filter(|slot| {
            let address = address::api(*slot, ZoneNumber::OUTSIDE);
            TcpListener::bind((address, API_PORT)).is_ok()
        });
    let free = free.count();
    let running = home
        .stacks()
        .map(|stacks| stacks.iter().filter(|stack| stack.running).count());
    let ours = running.map_or_else(
        |error| error.to_string(),
        |running| format!("{running} of this user's stacks run"),
    );
    let detail = format!("{free} of {all} address ranges are free; {ours}");
    if free == 0 {
        return Finding::missing("slots", detail, "end a stack with `localaws down NAME`");
    }
    Finding::ok("slots", detail)
}

fn port_53() -> Finding {
    const CHECK: &str = "port 53";
    let moved = 53 + PORT_OFFSET;
    match ports::dns(SPARE) {
        Ok(()) => Finding::ok(CHECK, "resolvers answer on it: programs can ask them"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::warning(
            CHECK,
            format!(
                "another program has it on every address: resolvers answer on {moved}, and programs get a hosts file"
            ),
            "let that program listen on its own addresses only, such as 127.0.0.1",
        ),
        Err(error) => Finding::warning(
            CHECK,
            format!("{error}: resolvers answer on {moved}, and programs get a hosts file"),
            ALLOW_LOW_PORTS,
        ),
    }
}

fn low_ports() -> Finding {
    const CHECK: &str = "low ports";
    match ports::http(SPARE) {
        Ok(()) => Finding::ok(CHECK, "ports below 1024 can be bound: HTTP on 80"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::warning(
            CHECK,
            format!(
                "another program has port 80 on every address: ports below 1024 move up by {PORT_OFFSET}"
            ),
            "let that program listen on its own addresses only, such as 127.0.0.1",
        ),
        Err(error) => Finding::warning(
            CHECK,
            format!(
                "{error}: ports below 1024 move up by {PORT_OFFSET}, 80 is {}",
                80 + PORT_OFFSET
            ),
            ALLOW_LOW_PORTS,
        ),
    }
}

async fn namespaces() -> Finding {
    const CHECK: &str = "namespaces";
    match namespaces::attempt().await {
        Ok(()) => Finding::ok(CHECK, "programs can be given the stack's names"),
        Err(cause) => Finding::warning(
            CHECK,
            format!("failed to {cause}: `exec` and instances can not resolve the stack's names"),
            namespaces::way_out(),
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

/// The directories, made if they are not there.
pub(super) fn home() -> Result<Home, Finding> {
    Home::current()
        .and_then(|home| home.create().map(|()| home))
        .map_err(|error| {
            Finding::missing(
                "directories",
                error.to_string(),
                "set LOCALAWS_HOME and LOCALAWS_CACHE to directories that this user may write",
            )
        })
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
    room(check, path)
}

/// What is free where `path` is.
pub(super) fn room(check: &'static str, path: &Path) -> Finding {
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

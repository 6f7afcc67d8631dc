//! The host's processes as `/proc` tells of them: who is who, and who belongs to whom.
//!
//! A process is its pid and its start time: pids are used again. A process *group* is not enough to find what an instance
//! started, since PostgreSQL gives every backend a session of its own, so the process tree is read. What has lost its parent
//! is found by the environment that it inherited, or, as PostgreSQL overwrites that, by its program and directory.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The environment variable that names the stack's directory in everything the stack starts.
pub(super) const STACK_VARIABLE: &str = "LOCALAWS_STACK_DIR";
/// The environment variable that names the instance (or tool).
pub(super) const MEMBER_VARIABLE: &str = "LOCALAWS_INSTANCE";

/// A process that no other can be mistaken for, until the machine boots again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The process id.
    pub(super) pid: i32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub(super) started: u64,
}

impl Identity {
    /// Who `pid` is at present; none if it is not there, or dead and not yet reaped.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Stat::of(pid)
            .filter(|stat| stat.alive)
            .map(|stat| stat.identity)
    }

    /// Whether it runs.
    pub(super) fn runs(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Whether it runs and makes progress: it has been told to stop, but has not yet.
    pub(super) fn moves(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.identity == self && stat.alive && !stat.stopped)
    }

    /// A handle that stays this process's even when its pid is used again; none if it has ended.
    pub(super) fn open(self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(None);
        };
        let handle = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(handle) => handle,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at after the handle was opened: whoever has the pid now is who the handle is of.
        Ok(self.runs().then_some(handle))
    }

    /// Sends a signal; to one that has ended, nothing.
    pub(super) fn signal(self, signal: Signal) -> io::Result<()> {
        let Some(handle) = self.open()? else {
            return Ok(());
        };
        match pidfd_send_signal(handle, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Lets a task wait until the process of `handle` ends: then it is readable.
#[expect(
    deprecated,
    reason = "the present form is `unsafe` for types that may close their descriptor; this one owns it"
)]
pub(super) fn watched(handle: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(handle, Interest::READABLE)
}

/// Which boot of which machine, and in it which space of pids: a pid means nothing elsewhere.
pub(super) fn boot_id() -> io::Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let space = fs::metadata("/proc/self/ns/pid")?.ino();
    Ok(format!("{}/{space}", boot.trim()))
}

/// What is known of an instance or a tool, to find its processes.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// The process that we started.
    pub(super) leader: Identity,
    /// The value of [`MEMBER_VARIABLE`].
    pub(super) member: String,
    /// The value of [`STACK_VARIABLE`].
    pub(super) stack: String,
    /// The directory that is its own; none for a tool, which has none.
    pub(super) directory: Option<PathBuf>,
    /// The program that it was started with.
    pub(super) program: PathBuf,
}

/// All processes at one moment.
pub(super) struct Snapshot {
    processes: BTreeMap<i32, Process>,
}

struct Process {
    stat: Stat,
    /// Read once and only if asked for.
    environment: OnceCell<Vec<u8>>,
}

impl Process {
    fn environment(&self) -> &[u8] {
        let pid = self.stat.identity.pid;
        self.environment.get_or_init(|| said(pid, "environ"))
    }

    fn carries(&self, name: &str, value: Option<&str>) -> bool {
        has_variable(self.environment(), name, value)
    }
}

impl Snapshot {
    /// Reads `/proc`.
    pub(super) fn take() -> io::Result<Self> {
        let mut processes = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Some(stat) = Stat::of(pid).filter(|stat| stat.alive) {
                let environment = OnceCell::new();
                processes.insert(pid, Process { stat, environment });
            }
        }
        Ok(Self { processes })
    }

    /// The running processes of `body`: its leader, all that descends from it or shares its session, and orphans of it.
    pub(super) fn members(&self, body: &Body) -> BTreeSet<Identity> {
        let mut members: BTreeSet<i32> = self
            .processes
            .iter()
            .filter(|(_, process)| {
                self.stands_with_leader(&process.stat, body) || self.is_orphan_of(process, body)
            })
            .map(|(pid, _)| *pid)
            .collect();
        // Children's pids may be lower than their parents', so until nothing is added.
        loop {
            let before = members.len();
            for (pid, process) in &self.processes {
                if members.contains(&process.stat.parent) {
                    members.insert(*pid);
                }
            }
            if members.len() == before {
                break;
            }
        }
        // We may have been started from within an instance of an outer stack, but are never part of what we started.
        members.remove(&std::process::id().cast_signed());
        members
            .iter()
            .filter_map(|pid| self.processes.get(pid))
            .map(|process| process.stat.identity)
            .collect()
    }

    /// Whether somebody is just becoming another program: for that moment a process has no environment and no command line, and
    /// nobody can tell whose it is. What started before `since` is not asked.
    pub(super) fn undecided(&self, since: Option<u64>) -> bool {
        self.processes.values().any(|process| {
            let stat = &process.stat;
            since.is_none_or(|since| stat.identity.started >= since)
                && !stat.is_kernel()
                && process.environment().is_empty()
                && said(stat.identity.pid, "cmdline").is_empty()
                && stat.identity.runs()
        })
    }

    /// Everything that carries the mark of the stack in `stack`, whoever it belongs to.
    pub(super) fn marked(&self, stack: &str) -> BTreeSet<Identity> {
        let own = std::process::id().cast_signed();
        self.processes
            .iter()
            .filter(|(pid, process)| {
                **pid != own
                    && process.carries(STACK_VARIABLE, Some(stack))
                    && process.carries(MEMBER_VARIABLE, None)
            })
            .map(|(_, process)| process.stat.identity)
            .collect()
    }

    fn stands_with_leader(&self, stat: &Stat, body: &Body) -> bool {
        let leader = body.leader;
        if stat.identity == leader {
            return true;
        }
        // The kernel does not give a pid away while it names a session or a group: if another process has it, both are gone.
        let taken = self
            .processes
            .get(&leader.pid)
            .is_some_and(|holder| holder.stat.identity != leader);
        !taken && (stat.session == leader.pid || stat.group == leader.pid)
    }

    /// Whether the process came from `body`, though the tree does not show it any more.
    fn is_orphan_of(&self, process: &Process, body: &Body) -> bool {
        if process.stat.identity.started < body.leader.started {
            return false;
        }
        if process.carries(STACK_VARIABLE, Some(&body.stack))
            && process.carries(MEMBER_VARIABLE, Some(&body.member))
        {
            return true;
        }
        // Its program is the instance's, it works in the instance's directory, and it lost its parent.
        let Some(directory) = &body.directory else {
            return false;
        };
        let pid = process.stat.identity.pid;
        self.adopts_orphans(process.stat.parent)
            // One that is just ending has no program any more, but may still hold a port.
            && link(pid, "exe").is_none_or(|program| program == body.program)
            && link(pid, "cwd").is_some_and(|work| work.starts_with(directory))
    }

    /// Orphans go to process 1, in a user's session under systemd to that user's `systemd`.
    fn adopts_orphans(&self, pid: i32) -> bool {
        pid <= 1
            || self.processes.contains_key(&pid)
                && fs::read_to_string(format!("/proc/{pid}/comm"))
                    .is_ok_and(|name| name.trim_end() == "systemd")
    }
}

/// A file that a process has in `/proc`. Empty if it may not be read: then the process is another user's and not of ours.
fn said(pid: i32, file: &str) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

fn has_variable(environment: &[u8], name: &str, value: Option<&str>) -> bool {
    environment.split(|byte| *byte == 0).any(|entry| {
        entry
            .strip_prefix(name.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
            .is_some_and(|text| value.is_none_or(|value| text == value.as_bytes()))
    })
}

fn link(pid: i32, name: &str) -> Option<PathBuf> {
    fs::read_link(Path::new("/proc").join(pid.to_string()).join(name)).ok()
}

/// What of `/proc/PID/stat` matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    identity: Identity,
    alive: bool,
    stopped: bool,
    parent: i32,
    group: i32,
    session: i32,
}

impl Stat {
    /// The kernel's own threads descend from `kthreadd`, which has the pid 2 in the first space of pids and is seen in no other.
    fn is_kernel(&self) -> bool {
        const KTHREADD: i32 = 2;
        self.session == 0 && (self.identity.pid == KTHREADD || self.parent == KTHREADD)
    }

    fn of(pid: i32) -> Option<Self> {
        // Not `read_to_string`: a process may give itself a name that is no UTF-8.
        let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&bytes))
    }

    /// The name, the second field, may hold spaces and brackets: the fields are counted from the last bracket.
    fn parse(pid: i32, text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        let started = fields.nth(15)?.parse().ok()?;
        Some(Self {
            identity: Identity { pid, started },
            alive: !matches!(state, "Z" | "X" | "x"),
            stopped: matches!(state, "T" | "t"),
            parent,
            group,
            session,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_shift_the_fields() {
        let text = "42 (a) R 1 (b) S 7 40 39 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        let stat = Stat::parse(42, text).expect("it parses");
        assert_eq!(
            stat,
            Stat {
                identity: Identity {
                    pid: 42,
                    started: 98765
                },
                alive: true,
                stopped: false,
                parent: 7,
                group: 40,
                session: 39,
            }
        );
    }

    #[test]
    fn we_are_who_we_are_and_nobody_with_another_start_time() {
        let own = Identity::of(std::process::id().cast_signed()).expect("we run");
        assert!(own.runs());
        let other = Identity {
            started: own.started + 1,
            ..own
        };
        assert!(!other.runs());
        assert!(other.open().expect("no error").is_none());
    }

    #[test]
    fn variables_match_whole() {
        let environment = b"A=1\0LOCALAWS_STACK_DIR=/s/one\0B=2\0";
        assert!(has_variable(environment, STACK_VARIABLE, Some("/s/one")));
        assert!(!has_variable(environment, STACK_VARIABLE, Some("/s/on")));
        assert!(!has_variable(environment, "STACK_DIR", None));
    }
}

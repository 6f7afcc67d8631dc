//! What is left of a stack that should be gone: processes, containers, mounts, sockets, files. Looked for where the operating
//! system and the container engine keep them, not where we believe to have put them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Container labels name the stack's directory.
const LABEL: &str = "localaws.stack";

/// What has to be known of a stack while it is there, to look for it when it is not.
#[derive(Clone, Debug)]
pub struct Traces {
    directory: PathBuf,
    socket: PathBuf,
    /// `127.64.` of the stack on slot 64, and `127.128.` of what it replicates.
    networks: [String; 2],
    /// Shared memory of its database servers, by the kernel's number and the process that created it.
    segments: BTreeSet<(String, String)>,
}

impl Traces {
    /// Those of the stack in `directory`; none without a readable record.
    pub fn of(directory: &Path) -> Option<Self> {
        let record = fs::read(directory.join("stack.json")).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&record).ok()?;
        Some(Self {
            segments: segments_of(directory),
            directory: directory.canonicalize().ok()?,
            socket: PathBuf::from(record["socket"].as_str()?),
            networks: networks(record["slot"].as_u64()?),
        })
    }

    /// What still runs or listens, one line each: all that may be left after `down` are files.
    pub fn running(&self) -> Vec<String> {
        let mut left = self.processes();
        left.extend(self.containers());
        left.extend(self.mounts());
        left.extend(self.sockets());
        left.extend(self.memory());
        left
    }

    /// All that is left, one line each: nothing may be after `down --purge`.
    pub fn anything(&self) -> Vec<String> {
        let mut left = self.running();
        if self.directory.exists() {
            left.push(format!("directory {}", self.directory.display()));
        }
        left
    }

    /// Processes whose environment or command line names the stack's directory, whoever they run as.
    fn processes(&self) -> Vec<String> {
        let named = pids().into_iter().filter(|pid| self.names_us(pid));
        named
            .map(|pid| format!("process {pid}: {}", said(&pid, "cmdline")))
            .collect()
    }

    fn names_us(&self, pid: &str) -> bool {
        let directory = self.directory.display().to_string();
        let command = said(pid, "cmdline");
        // A process that is dead and not yet waited for has no command line.
        !command.is_empty()
            && (command.contains(&directory) || said(pid, "environ").contains(&directory))
    }

    fn containers(&self) -> Vec<String> {
        let format = format!("{{{{.Label \"{LABEL}\"}}}} {{{{.Names}}}} {{{{.Status}}}}");
        let listed = Command::new("docker")
            .args(["ps", "--all", "--format", &format])
            .output();
        // Without an engine there are no containers.
        let listed = listed.map(|output| output.stdout).unwrap_or_default();
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let directory = format!("{} ", self.directory.display());
        let ours = listed.lines().filter(|line| line.starts_with(&directory));
        ours.map(|line| format!("container {line}")).collect()
    }

    fn mounts(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let directory = self.directory.display().to_string();
        let ours = mounts.lines().filter(|line| line.contains(&directory));
        ours.map(|line| format!("mount {line}")).collect()
    }

    /// System V segments that are still there.
    fn memory(&self) -> Vec<String> {
        let there = segments();
        let ours = there.intersection(&self.segments);
        ours.map(|(id, creator)| format!("shared memory {id} of process {creator}"))
            .collect()
    }

    /// The control socket, and ports of the stack's addresses that nobody holds but us: another stack may have taken them since.
    fn sockets(&self) -> Vec<String> {
        let mut left = Vec::new();
        if self.socket.exists() {
            left.push(format!("socket {}", self.socket.display()));
        }
        let held: Vec<(String, String)> = ["tcp", "udp"]
            .iter()
            .flat_map(|protocol| self.ports(protocol))
            .collect();
        if held.is_empty() {
            return left;
        }
        let others: BTreeSet<String> = pids()
            .into_iter()
            .filter(|pid| !self.names_us(pid))
            .flat_map(|pid| inodes_of(&pid))
            .collect();
        let ours = held
            .into_iter()
            .filter(|(inode, _)| !others.contains(inode));
        left.extend(ours.map(|(_, port)| port));
        left
    }

    /// Sockets that listen on the stack's addresses: inode, and what to say of it.
    fn ports(&self, protocol: &str) -> Vec<(String, String)> {
        // Of TCP's states, 0A is LISTEN; of UDP's, 07 is bound.
        let state = if protocol == "tcp" { "0A" } else { "07" };
        let table = fs::read_to_string(format!("/proc/net/{protocol}")).unwrap_or_default();
        let rows = table.lines().skip(1).filter_map(|row| {
            let fields: Vec<&str> = row.split_whitespace().collect();
            let address = address(fields.get(1)?)?;
            let own = self.networks.iter().any(|it| address.starts_with(it));
            let ours = own && *fields.get(3)? == state;
            let inode = (*fields.get(9)?).to_owned();
            ours.then(|| (inode, format!("{protocol} port {address}")))
        });
        rows.collect()
    }
}

fn networks(slot: u64) -> [String; 2] {
    [slot, slot + 64].map(|it| format!("127.{it}."))
}

/// `0201007F:11D6` of `/proc/net` as `127.0.1.2:4566`.
fn address(field: &str) -> Option<String> {
    let (ip, port) = field.split_once(':')?;
    let ip = u32::from_str_radix(ip, 16).ok()?.to_le_bytes();
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(format!("{}:{port}", std::net::Ipv4Addr::from(ip)))
}

/// Those that this machine's PostgreSQL servers of a stack made: what `postmaster.pid` says on its seventh line, and its first. Of a server
/// in a container both numbers are the container's own, and name nothing here.
fn segments_of(directory: &Path) -> BTreeSet<(String, String)> {
    let instances = fs::read_dir(directory.join("instances"))
        .into_iter()
        .flatten();
    let locks = instances.flatten().filter_map(|instance| {
        let lock = fs::read_to_string(instance.path().join("data/postmaster.pid")).ok()?;
        let id = lock.lines().nth(6)?.split_whitespace().nth(1)?;
        Some((id.to_owned(), lock.lines().next()?.trim().to_owned()))
    });
    let said: BTreeSet<_> = locks.collect();
    said.intersection(&segments()).cloned().collect()
}

/// All of this machine.
fn segments() -> BTreeSet<(String, String)> {
    let list = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let fields = list.lines().skip(1).map(|line| {
        let mut fields = line.split_whitespace().map(str::to_owned);
        (fields.nth(1), fields.nth(2))
    });
    fields
        .filter_map(|(id, creator)| Some((id?, creator?)))
        .collect()
}
fn pids() -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

fn said(pid: &str, file: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

fn inodes_of(pid: &str) -> Vec<String> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let links = open
        .flatten()
        .filter_map(|fd| fs::read_link(fd.path()).ok());
    links
        .filter_map(|link| {
            let text = link.to_str()?.to_owned();
            Some(text.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_seen() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path();
        let socket = directory.join("control.sock");
        let record = serde_json::json!({ "slot": 126, "socket": socket });
        fs::write(directory.join("stack.json"), record.to_string()).expect("it is ours");
        let traces = Traces::of(directory).expect("a record is there");
        assert_eq!(traces.running(), Vec::<String>::new());
        let _control = std::os::unix::net::UnixListener::bind(&socket).expect("a short path");
        let mut process = Command::new("sleep")
            .arg("600")
            .env("LOCALAWS_STACK_DIR", &traces.directory)
            .spawn()
            .expect("there is sleep");
        // For a moment a new program has neither environment nor command line.
        while said(&process.id().to_string(), "cmdline").is_empty() {
            assert_eq!(process.try_wait().expect("it is our child"), None);
            std::thread::yield_now();
        }
        let left = traces.anything();
        process.kill().expect("it is our child");
        process.wait().expect("it is our child");
        for kind in ["process", "socket", "directory"] {
            let seen = left.iter().any(|line| line.starts_with(kind));
            assert!(seen, "no {kind} in {left:?}");
        }
        assert_eq!(address("0201007F:11D6").as_deref(), Some("127.0.1.2:4566"));
    }
}

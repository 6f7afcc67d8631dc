//! System V shared memory that ended processes leave: the kernel keeps a segment until somebody removes it, and there is room for 4,096.
//!
//! A PostgreSQL that is killed leaves one. Each names the process that created it, which is how ours are found; one that somebody is still
//! attached to is left alone.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use super::processes::Identity;

/// The kernel's list, a line each after one of titles.
const LIST: &str = "/proc/sysvipc/shm";
/// The clock ticks of a second that the kernel tells in `/proc`: 100 on every Linux that Rust runs on.
const TICKS: u64 = 100;
/// The list's times are whole seconds, and the time of boot is rounded.
const SLACK_SECONDS: u64 = 2;

/// Removes what the `ended` have left. Blocking. Segments that can not be removed stay: they keep nobody from anything.
pub(super) fn remove_left_by<'a>(ended: impl IntoIterator<Item = &'a Identity>) {
    let started: BTreeMap<i32, u64> = ended.into_iter().map(|it| (it.pid, it.started)).collect();
    let list = fs::read_to_string(LIST).unwrap_or_default();
    let boot = boot_time().unwrap_or_default();
    let left: Vec<u64> = segments(&list)
        .filter(|it| it.attached == 0)
        .filter(|it| {
            let creator = started.get(&it.creator);
            // A process of the same number may have been another's, long ago.
            creator.is_some_and(|ticks| it.created + SLACK_SECONDS >= boot + ticks / TICKS)
        })
        .map(|it| it.id)
        .collect();
    if left.is_empty() {
        return;
    }
    // Its system call has no safe form.
    let removed = Command::new("ipcrm")
        .args(left.iter().flat_map(|id| ["-m".to_owned(), id.to_string()]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !removed
        .as_ref()
        .is_ok_and(std::process::ExitStatus::success)
    {
        tracing::warn!(?left, ?removed, "shared memory of ended processes remains");
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Segment {
    id: u64,
    creator: i32,
    attached: u64,
    /// In seconds since the epoch.
    created: u64,
}

/// Reads the kernel's list.
fn segments(list: &str) -> impl Iterator<Item = Segment> {
    let titles: Vec<&str> = list
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    list.lines().skip(1).filter_map(move |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let field = |title| {
            let place = titles.iter().position(|it| *it == title)?;
            fields.get(place).copied()
        };
        Some(Segment {
            id: field("shmid")?.parse().ok()?,
            creator: field("cpid")?.parse().ok()?,
            attached: field("nattch")?.parse().ok()?,
            created: field("ctime")?.parse().ok()?,
        })
    })
}

/// When this machine booted, in seconds since the epoch.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read_by_its_titles() {
        let list = "\
       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime        rss       swap
  10054108     163840   600                    56 18330 18335      1 65534 65534 65534 65534 1795653812 1795653812 1795653797       4096          0
 no numbers
";
        let found: Vec<Segment> = segments(list).collect();
        let expected = Segment {
            id: 163_840,
            creator: 18_330,
            attached: 1,
            created: 1_795_653_797,
        };
        assert_eq!(found, [expected]);
        assert_eq!(segments("").count(), 0);
    }
}

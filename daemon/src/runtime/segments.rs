//! System V shared memory that ended processes leave: the kernel keeps a segment until somebody removes it, and there is room for 4,096.
//!
//! A PostgreSQL that is killed leaves one. Each names the process that created it, which is how ours are found; one that somebody is still
//! attached to is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::processes::Identity;

/// The kernel's list, a line each after one of titles.
const LIST: &str = "/proc/sysvipc/shm";
/// The clock ticks of a second that the kernel tells in `/proc`: 100 on every Linux that Rust runs on.
const TICKS: u64 = 100;
/// By how much a segment may seem older than the process that created it. The list tells the time of day and `/proc` that since boot, so
/// that every step by which the clock was set in between shows up here.
const CLOCK_STEP_SECONDS_MAX: u64 = 3600;
/// How long a dead process may seem attached: whoever reads its environment at that moment holds its memory.
const ATTACHED_WAIT_MAX: Duration = Duration::from_millis(200);
/// How long the removal may take, which does not wait for anything.
const REMOVAL_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// Removes what the `ended` have left. Blocking. Segments that can not be removed stay: they keep nobody from anything.
pub(super) fn remove_left_by<'a>(ended: impl IntoIterator<Item = &'a Identity>) {
    let started: BTreeMap<i32, u64> = ended.into_iter().map(|it| (it.pid, it.started)).collect();
    let boot = boot_time().unwrap_or_default();
    let begun = Instant::now();
    let left = loop {
        let list = fs::read_to_string(LIST).unwrap_or_default();
        let ours: Vec<Segment> = segments(&list)
            .filter(|it| it.is_of(&started, boot))
            .collect();
        let attached = ours.iter().any(|it| it.attached > 0);
        if !attached || begun.elapsed() > ATTACHED_WAIT_MAX {
            break ours.into_iter().filter(|it| it.attached == 0);
        }
        thread::sleep(LOOK);
    };
    remove_all(left.map(|it| it.id).collect());
}

/// Removes what servers have left that ran on data in these directories, or in directories in them, for a moment in the course of a tool:
/// nobody knows what process they were. PostgreSQL makes a key of the number of its data's inode. Blocking.
pub(super) fn remove_left_in(directories: &[PathBuf]) {
    let list = fs::read_to_string(LIST).unwrap_or_default();
    let mut left = segments(&list).filter(|it| it.attached == 0).peekable();
    if left.peek().is_none() {
        return;
    }
    let inside = |directory: &PathBuf| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let all = directories.iter().flat_map(inside);
    let all = all.chain(directories.iter().cloned());
    let inodes = all.filter_map(|path| Some(fs::metadata(path).ok()?.ino()));
    // The key is as wide as an `int`; so much of the number is in it.
    let low = |inode: u64| u32::try_from(inode & u64::from(u32::MAX)).ok();
    let keys: BTreeSet<u32> = inodes.filter_map(low).collect();
    remove_all(
        left.filter(|it| keys.contains(&it.key))
            .map(|it| it.id)
            .collect(),
    );
}

/// Removes them, and tells of those that are there all the same: the kernel removes one by itself when its last process is gone.
fn remove_all(left: Vec<u64>) {
    if left.is_empty() {
        return;
    }
    let Err(error) = remove(&left) else {
        return;
    };
    let list = fs::read_to_string(LIST).unwrap_or_default();
    let left: Vec<u64> = segments(&list)
        .map(|it| it.id)
        .filter(|id| left.contains(id))
        .collect();
    if !left.is_empty() {
        tracing::warn!(?left, %error, "shared memory of ended processes remains");
    }
}

/// Removes them by `ipcrm`: the system call has no safe form.
fn remove(segments: &[u64]) -> io::Result<()> {
    let begun = Instant::now();
    let mut removing = Command::new("ipcrm")
        .args(
            segments
                .iter()
                .flat_map(|id| ["-m".to_owned(), id.to_string()]),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    loop {
        match removing.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("ipcrm: {status}"))),
            None if begun.elapsed() < REMOVAL_WITHIN => thread::sleep(LOOK),
            None => break,
        }
    }
    removing.kill()?;
    removing.wait()?;
    Err(io::Error::other("ipcrm does not end"))
}

#[derive(Debug, PartialEq, Eq)]
struct Segment {
    id: u64,
    key: u32,
    creator: i32,
    attached: u64,
    /// In seconds since the epoch.
    created: u64,
}

impl Segment {
    /// Whether one of those made it that `started` so many ticks after `boot`. Another process may have had the same number, long ago.
    fn is_of(&self, started: &BTreeMap<i32, u64>, boot: u64) -> bool {
        let creator = started.get(&self.creator);
        creator.is_some_and(|ticks| self.created + CLOCK_STEP_SECONDS_MAX >= boot + ticks / TICKS)
    }
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
            // A signed number in the list.
            key: field("key")?.parse::<i32>().ok()?.cast_unsigned(),
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
            key: 10_054_108,
            creator: 18_330,
            attached: 1,
            created: 1_795_653_797,
        };
        assert_eq!(found, [expected]);
        assert_eq!(segments("").count(), 0);
    }

    #[test]
    fn a_segment_is_its_creators_even_if_the_clock_was_set_meanwhile() {
        let segment = Segment {
            id: 1,
            key: 1,
            creator: 7,
            attached: 0,
            created: 10_000,
        };
        let started = |ticks| BTreeMap::from([(7, ticks)]);
        assert!(segment.is_of(&started(1000), 9990));
        // The clock went forward by a minute after it was made.
        assert!(segment.is_of(&started(1000), 9990 + 60));
        // An earlier process had the number.
        assert!(!segment.is_of(&started(1000 + 2 * 3600 * TICKS), 9990));
        assert!(!segment.is_of(&BTreeMap::from([(8, 1000)]), 9990));
    }
}

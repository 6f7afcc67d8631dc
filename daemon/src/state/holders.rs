//! Which processes have a stack, told by the kernel: also when its files are gone, or its daemon does not answer.

use std::fs;
use std::path::{Path, PathBuf};

use super::StackDirectory;

impl StackDirectory {
    /// The processes that hold its lock, also one that was removed under them. At most one, unless somebody removed the lock and another
    /// daemon made it anew.
    pub fn holders(&self) -> Vec<i32> {
        let lock = self.canonical().join("lock");
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let own = std::process::id().cast_signed();
        let holds = |pid: &i32| *pid != own && holds(*pid, &lock);
        pids.filter(holds).collect()
    }

    /// Its path without links in it, whether or not it is there.
    pub fn canonical(&self) -> PathBuf {
        let parent = self.path.parent().and_then(|it| it.canonicalize().ok());
        let named = parent.zip(self.path.file_name());
        named.map_or_else(|| self.path.clone(), |(parent, name)| parent.join(name))
    }
}

/// Whether a process has this file open and locked for itself: one that only looks whether it is locked shares the lock.
fn holds(pid: i32, lock: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    // Those of other users are not ours to see.
    let open = fs::read_dir(process.join("fd")).into_iter().flatten();
    let mut open = open.flatten();
    open.any(|descriptor| {
        let named = fs::read_link(descriptor.path()).is_ok_and(|link| is(&link, lock));
        let info = process.join("fdinfo").join(descriptor.file_name());
        named && fs::read_to_string(info).is_ok_and(|info| locked(&info))
    })
}

/// Whether the kernel's name of an open file is this one's.
fn is(link: &Path, file: &Path) -> bool {
    let removed = || {
        let link = link.to_str()?;
        Some(link.strip_suffix(" (deleted)")? == file.to_str()?)
    };
    link == file || removed().unwrap_or(false)
}

/// `lock: 1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF`, in `/proc/PID/fdinfo`.
fn locked(info: &str) -> bool {
    let mut locks = info.lines().filter(|line| line.starts_with("lock:"));
    locks.any(|line| line.contains("FLOCK") && line.contains("WRITE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_known_when_its_file_is_gone() {
        let lock = Path::new("/home/stacks/shop/lock");
        assert!(is(lock, lock));
        assert!(is(Path::new("/home/stacks/shop/lock (deleted)"), lock));
        assert!(!is(Path::new("/home/stacks/shop-2/lock (deleted)"), lock));
        let info =
            "pos:\t0\nflags:\t02100001\nlock:\t1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF\n";
        assert!(locked(info));
        assert!(!locked("pos:\t0\nflags:\t0100001\n"));
        assert!(!locked(&info.replace("WRITE", "READ ")));
    }
}

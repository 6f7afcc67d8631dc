//! An instance's log: the file that its standard output and error are, its last lines, and those to come.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::shim::User;

/// A log longer than this is set aside when its instance starts, in bytes; the one set aside before is dropped. While the instance
/// runs, as much of its end is kept.
const LOG_BYTES_MAX: u64 = 8 << 20;
/// How often logs are looked at for their size.
pub(super) const SHORTEN_INTERVAL: Duration = Duration::from_secs(5);
/// How much of a log's end is shown, in bytes.
const TAIL_BYTES: u64 = 64 << 10;
/// How often a followed log is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// Where the log of the instance in `directory` is.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// Opens the log for appending, and gives it to `user`, so that a program can open it again as `/dev/stderr`.
pub(super) fn open(directory: &Path, user: Option<User>) -> io::Result<File> {
    let path = path(directory);
    if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        fs::rename(&path, directory.join("log.1"))?;
    }
    // The directory is the instance's, which could have laid a link or a pipe here.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(flags.bits().cast_signed())
        .open(&path)?;
    if !log.metadata()?.is_file() {
        return Err(io::Error::other(format!("`{}` is no file", path.display())));
    }
    rustix::fs::fcntl_setfl(&log, OFlags::APPEND)?;
    if let Some(user) = user {
        fchown(&log, Some(user.uid), Some(user.gid))?;
    }
    Ok(log)
}

/// Gives the disk back what lies before the end of a log that has grown long. The program goes on writing where it is, and no line
/// falls between: the file keeps its length, with a hole for a beginning. Where the file system knows no holes it stays long.
pub(super) fn shorten(directory: &Path) -> io::Result<()> {
    let log = match OpenOptions::new()
        .write(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(path(directory))
    {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let metadata = log.metadata()?;
    let on_disk = metadata.blocks() * 512;
    if !metadata.is_file() || on_disk <= 2 * LOG_BYTES_MAX {
        return Ok(());
    }
    let before = metadata.len().saturating_sub(LOG_BYTES_MAX);
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match rustix::fs::fallocate(&log, hole, 0, before) {
        Err(Errno::OPNOTSUPP) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Writes a line of ours among the instance's.
pub(super) fn note(mut log: &File, text: &str) -> io::Result<()> {
    writeln!(log, "localaws: {text}")
}

/// The last lines of the log at `path`, and with `follow` those to come, until `closing` is cancelled.
pub(super) fn lines(
    path: PathBuf,
    follow: bool,
    closing: CancellationToken,
) -> BoxStream<'static, String> {
    let reader = Reader {
        path,
        inode: None,
        offset: 0,
        partial: Vec::new(),
        ready: VecDeque::new(),
    };
    stream::unfold((reader, closing, false), move |state| async move {
        let (mut reader, closing, mut begun) = state;
        loop {
            if let Some(line) = reader.ready.pop_front() {
                return Some((line, (reader, closing, begun)));
            }
            if begun {
                if !follow {
                    return None;
                }
                closing.run_until_cancelled(sleep(FOLLOW_INTERVAL)).await?;
            }
            begun = true;
            reader = tokio::task::spawn_blocking(move || reader.read(follow))
                .await
                .ok()?;
        }
    })
    .boxed()
}

struct Reader {
    path: PathBuf,
    /// The file that `offset` is of; another one has been laid in its place if this differs.
    inode: Option<u64>,
    offset: u64,
    partial: Vec<u8>,
    ready: VecDeque<String>,
}

impl Reader {
    fn read(mut self, follow: bool) -> Self {
        // A log that is not there or cannot be read has no lines.
        if self.read_lines().is_ok() && !follow && !self.partial.is_empty() {
            let rest = std::mem::take(&mut self.partial);
            self.ready.push_back(text(&rest));
        }
        self
    }

    fn read_lines(&mut self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(&self.path)?;
        let metadata = file.metadata()?;
        let first = self.inode.is_none();
        if self.inode != Some(metadata.ino()) || metadata.len() < self.offset {
            self.inode = Some(metadata.ino());
            self.partial.clear();
            self.offset = if first {
                metadata.len().saturating_sub(TAIL_BYTES)
            } else {
                0
            };
        }
        let cut = first && self.offset > 0;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut fresh = Vec::new();
        self.offset += file.take(LOG_BYTES_MAX).read_to_end(&mut fresh)? as u64;
        self.partial.append(&mut fresh);
        let mut lines: Vec<&[u8]> = self.partial.split(|byte| *byte == b'\n').collect();
        let rest = lines.pop().unwrap_or_default().to_vec();
        // The first line of a tail lacks its beginning.
        self.ready
            .extend(lines.into_iter().skip(usize::from(cut)).map(text));
        self.partial = rest;
        Ok(())
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_that_grows_long_the_end_stays() {
        let place = tempfile::tempdir().unwrap();
        shorten(place.path()).unwrap();
        let log = open(place.path(), None).unwrap();
        let line = [b'x'; 1023];
        let grow = |upto: u64| {
            while log.metadata().unwrap().len() < upto {
                (&log).write_all(&line).unwrap();
                (&log).write_all(b"\n").unwrap();
            }
        };
        grow(2 * LOG_BYTES_MAX - 4096);
        shorten(place.path()).unwrap();
        let whole = |file: &File| file.metadata().unwrap().blocks() * 512;
        assert!(whole(&log) > LOG_BYTES_MAX, "short enough");
        grow(3 * LOG_BYTES_MAX);
        note(&log, "last").unwrap();
        let length = log.metadata().unwrap().len();
        shorten(place.path()).unwrap();
        assert!(whole(&log) <= LOG_BYTES_MAX + 4096, "{}", whole(&log));
        assert_eq!(log.metadata().unwrap().len(), length);
        let text = fs::read(path(place.path())).unwrap();
        let kept = &text[text.len() - usize::try_from(LOG_BYTES_MAX).unwrap()..];
        assert!(!kept.contains(&0) && kept.ends_with(b"localaws: last\n"));
    }
}

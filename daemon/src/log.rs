//! The timeline file: one event per line, appended as it happens, read back when a stack is resumed or replayed.
//!
//! Writing never breaks the stack. While a disk is full, lines wait in memory; what was written of one is cut off, so that the
//! file holds whole lines only and in order. If more come than memory is given to, the newest are lost, and the file goes on with
//! what comes once there is room: its gap shows. Whoever resumes from it gets all of it or an error, never a part in silence.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use topologies::event::Event;

/// Lines that wait for a disk that takes none; those that come meanwhile are lost. About 4 MiB.
const WAITING_MAX: usize = 16_384;

/// Appends events to a file.
pub struct TimelineWriter {
    sink: Sink<File>,
    /// The lines of what is written whole or not at all, while such a thing is under way.
    together: Option<Vec<u8>>,
}

impl TimelineWriter {
    /// Opens the file for appending. A last line that a crash left unfinished is cut off.
    ///
    /// # Errors
    /// When the file can not be opened or cut.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)?;
        let whole = whole_lines(&mut file)?;
        file.set_len(whole)?;
        Ok(Self::to(file, whole))
    }

    /// Opens an empty file, whatever was there: a timeline of a stack that never came up is none to go on with.
    ///
    /// # Errors
    /// When the file can not be opened or emptied.
    pub fn anew(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(0)?;
        Ok(Self::to(file, 0))
    }

    fn to(file: File, whole: u64) -> Self {
        Self {
            sink: Sink::new(file, whole),
            together: None,
        }
    }

    /// Appends an event, after those that wait.
    pub fn write(&mut self, event: &Event) {
        let mut line = serde_json::to_vec(event).expect("events have no maps with odd keys");
        line.push(b'\n');
        match &mut self.together {
            Some(lines) => lines.extend(line),
            None => self.sink.push(line),
        }
    }

    /// What is written from now on until [`release`](Self::release) is appended by one write: who is killed before it leaves nothing of
    /// it, and who is killed after it all. A disk that is full takes none.
    pub fn hold(&mut self) {
        self.together.get_or_insert_default();
    }

    /// Appends what was held.
    pub fn release(&mut self) {
        if let Some(lines) = self.together.take().filter(|lines| !lines.is_empty()) {
            self.sink.push(lines);
        }
    }
}

/// What lines go to: appended at the end, cut back to a length.
trait Medium: Write {
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Keeps a medium at whole lines.
struct Sink<M> {
    medium: M,
    /// The length of the whole lines in it.
    whole: u64,
    /// Whether more than those may be in it.
    torn: bool,
    waiting: VecDeque<Vec<u8>>,
    /// Lines that found no room among those.
    lost: u64,
    /// Whether the present trouble was logged.
    told: bool,
}

impl<M: Medium> Sink<M> {
    fn new(medium: M, whole: u64) -> Self {
        Self {
            medium,
            whole,
            torn: false,
            waiting: VecDeque::new(),
            lost: 0,
            told: false,
        }
    }

    fn push(&mut self, line: Vec<u8>) {
        // Who waits goes first; the disk may have room again.
        let mut flushed = self.flush();
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(line);
            if flushed.is_ok() {
                flushed = self.flush();
            }
        } else {
            self.lost += 1;
        }
        match flushed {
            Ok(()) => {
                self.told = false;
                let lost = std::mem::take(&mut self.lost);
                if lost > 0 {
                    tracing::error!(
                        lost,
                        "the timeline goes on with a gap, it can not be resumed from"
                    );
                }
            }
            Err(cause) if !std::mem::replace(&mut self.told, true) => {
                tracing::error!(%cause, "timeline not written, lines wait in memory");
            }
            Err(_) => {}
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(line) = self.waiting.front() {
            if self.torn {
                self.medium.cut(self.whole)?;
                self.torn = false;
            }
            self.torn = true;
            if let Err(cause) = self.medium.write_all(line) {
                // At once, for the daemon may be killed before there is room.
                self.torn = self.medium.cut(self.whole).is_err();
                return Err(cause);
            }
            self.torn = false;
            self.whole += line.len() as u64;
            self.waiting.pop_front();
        }
        Ok(())
    }
}

/// The length of the file's whole lines.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let (mut whole, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok(whole);
        }
        whole += read as u64;
    }
}

/// Why a timeline can not be resumed from.
#[derive(Debug, thiserror::Error)]
pub enum TimelineError {
    /// The file system refused.
    #[error("timeline `{}` can not be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// A line is no event of this version's.
    #[error("timeline `{}`, line {line}: no event that this version knows: {cause}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// Why.
        cause: String,
    },
    /// Events are missing, or there twice.
    #[error("timeline `{}`, line {line}: event {found} where event {expected} belongs", path.display())]
    Gap {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The number that the event has to have.
        expected: u64,
        /// The number that it has.
        found: u64,
    },
}

/// Reads a whole timeline, to resume from it. A last line without its end was cut by a crash and is left out; no file is no past.
///
/// # Errors
/// When anything else is not as it was written: the world that follows from a part is not the stack's.
pub fn past(path: &Path) -> Result<Vec<Event>, TimelineError> {
    let unreadable = |source| TimelineError::File {
        path: path.to_owned(),
        source,
    };
    let mut reader = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(unreadable(cause)),
    };
    let (mut events, mut line) = (Vec::<Event>::new(), Vec::new());
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(unreadable)?;
        if line.last() != Some(&b'\n') {
            return Ok(events);
        }
        let number = events.len() + 1;
        let event: Event = serde_json::from_slice(&line).map_err(|cause| TimelineError::Line {
            path: path.to_owned(),
            line: number,
            cause: cause.to_string(),
        })?;
        let expected = events.last().map_or(1, |last| last.seq + 1);
        if event.seq != expected {
            return Err(TimelineError::Gap {
                path: path.to_owned(),
                line: number,
                expected,
                found: event.seq,
            });
        }
        events.push(event);
    }
}

#[cfg(test)]
#[path = "log/tests.rs"]
mod tests;

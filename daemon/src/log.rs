//! The timeline file: one event per line, appended as it happens, read back when a stack is resumed or replayed.
//!
//! Writing never breaks the stack: a full disk costs lines, and the first lost line is logged.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::Path;

use topologies::event::Event;

/// Appends events to a file.
pub struct TimelineWriter {
    file: File,
    failed: bool,
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
        let length = whole_lines(&mut file)?;
        file.set_len(length)?;
        Ok(Self {
            file,
            failed: false,
        })
    }

    /// Appends an event.
    pub fn write(&mut self, event: &Event) {
        let Ok(mut line) = serde_json::to_vec(event) else {
            return;
        };
        line.push(b'\n');
        if let Err(cause) = self.file.write_all(&line)
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::error!(%cause, seq = event.seq, "timeline line lost");
        }
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

/// Reads the events of a timeline after `seq`; a line that is not an event ends the reading.
///
/// # Errors
/// When the file can not be read.
pub fn read(path: &Path, after: u64) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    for line in BufReader::new(File::open(path)?).lines() {
        let Ok(event) = serde_json::from_str::<Event>(&line?) else {
            break;
        };
        if event.seq > after {
            events.push(event);
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use topologies::event::EventKind;
    use topologies::time::Time;

    use super::*;

    fn event(seq: u64) -> Event {
        Event {
            seq,
            at: Time::from_millis(seq),
            event: EventKind::ControlResumed,
        }
    }

    #[test]
    fn a_line_cut_by_a_crash_is_cut_off_and_the_rest_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("timeline.jsonl");
        TimelineWriter::open(&path).unwrap().write(&event(1));
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"seq\":2,\"at")
            .unwrap();
        TimelineWriter::open(&path).unwrap().write(&event(2));
        assert_eq!(read(&path, 0).unwrap(), vec![event(1), event(2)]);
        assert_eq!(read(&path, 1).unwrap(), vec![event(2)]);
    }
}

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

fn line(seq: u64) -> Vec<u8> {
    let mut line = serde_json::to_vec(&event(seq)).unwrap();
    line.push(b'\n');
    line
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
    assert_eq!(past(&path).unwrap(), vec![event(1)]);
    TimelineWriter::open(&path).unwrap().write(&event(2));
    assert_eq!(past(&path).unwrap(), vec![event(1), event(2)]);
}

#[test]
fn a_stack_that_begins_anew_has_an_empty_timeline() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("timeline.jsonl");
    assert!(past(&path).unwrap().is_empty());
    TimelineWriter::open(&path).unwrap().write(&event(1));
    TimelineWriter::anew(&path).unwrap().write(&event(1));
    assert_eq!(past(&path).unwrap(), vec![event(1)]);
}

#[test]
fn what_is_not_as_it_was_written_is_not_resumed_from() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("timeline.jsonl");
    let said = |content: &[&[u8]]| {
        std::fs::write(&path, content.concat()).unwrap();
        past(&path).unwrap_err().to_string()
    };
    let broken = said(&[&line(1), b"{\"seq\":2,\"at\n", &line(3)]);
    assert!(broken.contains("line 2: no event"), "{broken}");
    let gap = said(&[&line(1), &line(3)]);
    assert!(
        gap.contains("line 2: event 3 where event 2 belongs"),
        "{gap}"
    );
    let twice = said(&[&line(1), &line(1)]);
    assert!(twice.contains("event 1 where event 2 belongs"), "{twice}");
    let headless = said(&[&line(2)]);
    assert!(
        headless.contains("event 2 where event 1 belongs"),
        "{headless}"
    );
}

/// A disk with `room` bytes left.
#[derive(Default)]
struct Disk {
    content: Vec<u8>,
    room: usize,
    uncuttable: bool,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fits = bytes.len().min(self.room);
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.content.extend(&bytes[..fits]);
        self.room -= fits;
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for Disk {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        if self.uncuttable {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.content.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

#[test]
fn a_full_disk_costs_no_line_and_leaves_no_half_one() {
    let half = line(2).len() / 2;
    let disk = Disk {
        room: line(1).len() + half,
        uncuttable: true,
        ..Disk::default()
    };
    let mut sink = Sink::new(disk, 0);
    sink.push(line(1));
    sink.push(line(2));
    assert_eq!(sink.medium.content.len(), line(1).len() + half);
    sink.medium.room = 1_000;
    sink.push(line(3));
    assert_eq!(
        sink.medium.content.len(),
        line(1).len() + half,
        "nothing is written behind half a line"
    );
    sink.medium.uncuttable = false;
    sink.push(line(4));
    let whole: Vec<u8> = (1..=4).flat_map(line).collect();
    assert_eq!(sink.medium.content, whole);
}

#[test]
fn a_disk_that_has_room_again_is_written_to_however_long_it_was_full() {
    let mut sink = Sink::new(Disk::default(), 0);
    let kept = WAITING_MAX as u64;
    (1..=kept + 5).for_each(|seq| sink.push(line(seq)));
    assert!(sink.medium.content.is_empty());
    sink.medium.room = usize::MAX;
    sink.push(line(kept + 6));
    sink.push(line(kept + 7));
    let written: Vec<u8> = (1..=kept)
        .chain([kept + 6, kept + 7])
        .flat_map(line)
        .collect();
    assert!(
        sink.medium.content == written,
        "lines are missing or out of order"
    );
    assert!(sink.waiting.is_empty());

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("timeline.jsonl");
    std::fs::write(&path, &sink.medium.content).unwrap();
    let gap = past(&path).unwrap_err().to_string();
    let found = format!("event {} where event {} belongs", kept + 6, kept + 1);
    assert!(gap.contains(&found), "the gap is no part in silence: {gap}");
}

#[test]
fn what_is_held_is_written_at_once_and_after_what_waits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("timeline.jsonl");
    let mut writer = TimelineWriter::open(&path).unwrap();
    writer.write(&event(1));
    writer.hold();
    writer.write(&event(2));
    writer.write(&event(3));
    // Who is killed here leaves nothing of it.
    assert_eq!(past(&path).unwrap(), vec![event(1)]);
    writer.release();
    writer.write(&event(4));
    assert_eq!(past(&path).unwrap(), (1..=4).map(event).collect::<Vec<_>>());
}

#[test]
fn a_disk_that_fills_up_leaves_nothing_of_what_is_written_together() {
    let room = line(1).len() + line(2).len() + 1;
    let disk = Disk {
        room,
        ..Disk::default()
    };
    let mut sink = Sink::new(disk, 0);
    sink.push(line(1));
    sink.push([line(2), line(3)].concat());
    // Who is killed here resumes without half of it.
    assert_eq!(sink.medium.content, line(1));
    sink.medium.room = 2 * room;
    sink.push(line(4));
    let all: Vec<u8> = (1..=4).flat_map(line).collect();
    assert_eq!(sink.medium.content, all);
}

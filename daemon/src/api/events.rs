//! The timeline as a stream without a gap: the file first, then what happens, then the file again for a reader that lagged.

use std::convert::Infallible;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncSeekExt, BufReader};
use tokio::sync::broadcast::{self, error::RecvError};
use topologies::event::Event;

use crate::stack::Stack;

/// How long the file may be behind what was broadcast, in rounds of [`BEHIND_PAUSE`], before the reader is told what there is.
const BEHIND_ROUNDS: u32 = 20;
/// Between two looks at a file that is behind.
const BEHIND_PAUSE: Duration = Duration::from_millis(25);

/// A reader of a stack's events.
pub(super) struct Feed {
    path: PathBuf,
    file: Option<BufReader<File>>,
    offset: u64,
    live: Option<broadcast::Receiver<Arc<Event>>>,
    last: u64,
    source: Source,
}

/// Where the next event comes from.
enum Source {
    /// The file, to its end. If the file ends before `held`, an event that was broadcast already, it is looked at again.
    File {
        held: Option<Arc<Event>>,
        rounds: u32,
    },
    /// What happens.
    Live,
    /// Nothing comes any more.
    Ended,
}

/// All that is read of a line; the rest is handed on as it stands.
#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

impl Feed {
    /// A reader of the events after number `since`: those so far, and with `follow` those to come.
    pub(super) fn open(stack: &Stack, since: u64, follow: bool) -> Self {
        Self {
            path: stack.timeline(),
            file: None,
            offset: 0,
            // Subscribed before the file is read, so that nothing falls between the two.
            live: follow.then(|| stack.events.subscribe()),
            last: since,
            source: Source::File {
                held: None,
                rounds: 0,
            },
        }
    }

    /// One line of JSON an event.
    pub(super) fn lines(self) -> impl Stream<Item = Result<String, Infallible>> + Send {
        futures_util::stream::unfold(self, |mut feed| async move {
            let line = feed.next().await?;
            Some((Ok(line), feed))
        })
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            match std::mem::replace(&mut self.source, Source::Ended) {
                Source::Ended => return None,
                Source::Live => {
                    if let Some(line) = self.next_live().await {
                        return Some(line);
                    }
                }
                Source::File { held, rounds } => {
                    if let Some(line) = self.next_in_file().await {
                        self.source = Source::File { held, rounds };
                        return Some(line);
                    }
                    if let Some(line) = self.after_file(held, rounds).await {
                        return Some(line);
                    }
                }
            }
        }
    }

    /// What comes when the file has no more complete line.
    async fn after_file(&mut self, held: Option<Arc<Event>>, rounds: u32) -> Option<String> {
        self.live.as_ref()?;
        match held.filter(|event| event.seq > self.last) {
            None => self.source = Source::Live,
            Some(event) if event.seq == self.last + 1 || rounds >= BEHIND_ROUNDS => {
                self.source = Source::Live;
                return self.emit(&event);
            }
            held @ Some(_) => {
                tokio::time::sleep(BEHIND_PAUSE).await;
                let rounds = rounds + 1;
                self.source = Source::File { held, rounds };
            }
        }
        None
    }

    async fn next_live(&mut self) -> Option<String> {
        let live = self.live.as_mut()?;
        match live.recv().await {
            Ok(event) if event.seq <= self.last => self.source = Source::Live,
            Ok(event) if event.seq == self.last + 1 => {
                self.source = Source::Live;
                return self.emit(&event);
            }
            Ok(event) => {
                self.source = Source::File {
                    held: Some(event),
                    rounds: 0,
                };
            }
            Err(RecvError::Lagged(_)) => {
                self.source = Source::File {
                    held: None,
                    rounds: 0,
                };
            }
            Err(RecvError::Closed) => {
                self.live = None;
                self.source = Source::File {
                    held: None,
                    rounds: 0,
                };
            }
        }
        None
    }

    fn emit(&mut self, event: &Event) -> Option<String> {
        self.last = event.seq;
        let mut line = serde_json::to_string(event).ok()?;
        line.push('\n');
        Some(line)
    }

    /// The next complete line of an event beyond the last. A line that can not be read is no reason to keep the others back.
    async fn next_in_file(&mut self) -> Option<String> {
        loop {
            let line = self.read_line().await?;
            if let Ok(Numbered { seq }) = serde_json::from_str(&line)
                && seq > self.last
            {
                self.last = seq;
                return Some(line);
            }
        }
    }

    /// The next complete line. One that is being written is left for the next time.
    async fn read_line(&mut self) -> Option<String> {
        if self.file.is_none() {
            let mut file = File::open(&self.path).await.ok()?;
            file.seek(SeekFrom::Start(self.offset)).await.ok()?;
            self.file = Some(BufReader::new(file));
        }
        let mut line = String::new();
        let read = self.file.as_mut()?.read_line(&mut line).await;
        match read {
            Ok(bytes) if line.ends_with('\n') => {
                self.offset += bytes as u64;
                Some(line)
            }
            Ok(_) | Err(_) => {
                self.file = None;
                None
            }
        }
    }
}

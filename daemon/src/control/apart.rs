//! Whether a follower that does not stream is merely cut off from its source, or has parted from it for good.
//!
//! ```text
//!           streams ◄────────────────────────────────┐
//!              │ no stream, data in line ──► cut off ─┴─ for 30, 60, 120 … 300 s ──► made anew: its source may lack log
//!              └ log beyond the fork ──────► parted ──── for 3 s ──────────────────► made anew
//! ```
//! One that is cut off streams again by itself once the link carries; to make it anew meanwhile would end a healthy server. One has
//! parted when it has log that its source never had: it is on an older timeline, beyond the position where a newer one left it. Where
//! that position is not known, deeds tell: it reaches its source, and receives again and again only up to where they part.

use std::time::Duration;

use topologies::time::Time;
use topologies::world::Database;

use super::bugs::Bug;
use super::desk::{Desk, growing};
use super::probe::{Lsn, PgStatus};

/// A follower that has parted from its source for this long is made anew.
const PARTED: Duration = Duration::from_secs(3);
/// One that is cut off is made anew after this time at first, and after twice the time with each further try: its source may lack
/// log that it needs.
const CUT_OFF: Duration = Duration::from_secs(30);
/// The longest that one that is cut off is left.
const CUT_OFF_LONGEST: Duration = Duration::from_secs(300);

/// How a follower stands to its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// It receives what its source writes.
    Streams,
    /// It receives nothing; what it has is its source's.
    CutOff,
    /// It has what its source never had.
    Parted,
}

/// What is remembered of a follower to judge by.
#[derive(Clone, Debug, Default)]
pub(super) struct Apart {
    /// Since when it has been cut off, or when it was last made anew for that.
    since: Option<Time>,
    /// When it was first seen to have parted.
    parted: Option<Time>,
    /// How often it was made anew since it streamed last.
    tries: u32,
    /// The furthest that it was seen: timeline and position.
    reached: (u32, Lsn),
}

impl Apart {
    /// How a follower stands by its own account; `receives` says whether it has a stream from its source.
    pub(super) fn judge(&mut self, status: &PgStatus, receives: bool, source: &Database) -> Line {
        let position = (status.timeline, status.lsn);
        let advances = position > self.reached;
        self.reached = self.reached.max(position);
        let older = source
            .timeline
            .is_some_and(|newest| status.timeline < newest);
        let mut left = source.forks.range(status.timeline + 1..);
        let beyond = left.any(|(_, fork)| status.lsn.0 > *fork);
        match (receives, older) {
            _ if !status.in_recovery || beyond => Line::Parted,
            (true, false) => Line::Streams,
            (true, true) if advances => Line::Streams,
            (true, true) => Line::Parted,
            (false, _) => Line::CutOff,
        }
    }

    /// Whether it is to be made anew, standing as it does now.
    pub(super) fn due(&mut self, line: Line, desk: &Desk<'_>) -> bool {
        let now = desk.now;
        let patience = if desk.planted(Bug::SuspectTheCutOff) {
            PARTED
        } else {
            growing(CUT_OFF, self.tries, CUT_OFF_LONGEST)
        };
        match line {
            Line::Streams => {
                (self.since, self.parted, self.tries) = (None, None, 0);
                false
            }
            Line::CutOff => now - *self.since.get_or_insert(now) > patience,
            Line::Parted => now - *self.parted.get_or_insert(now) > PARTED,
        }
    }

    /// It was ordered to be made anew.
    pub(super) fn tried(&mut self) {
        self.tries += 1;
        self.begin();
    }

    /// Its source can not be judged, or is another from here on, or its data are: time counts anew.
    pub(super) fn begin(&mut self) {
        (self.since, self.parted) = (None, None);
        self.reached = (0, Lsn(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(timeline: Option<u32>, forks: &[(u32, u64)]) -> Database {
        Database {
            timeline,
            forks: forks.iter().copied().collect(),
            ..Database::new("orders-2".into(), None)
        }
    }

    fn follower(timeline: u32, lsn: u64) -> PgStatus {
        PgStatus {
            in_recovery: true,
            timeline,
            lsn: Lsn(lsn),
            ..PgStatus::default()
        }
    }

    #[test]
    fn cut_off_and_parted_are_told_apart() {
        let never = source(None, &[]);
        let once = source(Some(2), &[(2, 100)]);
        let twice = source(Some(3), &[(2, 100), (3, 150)]);
        let unknown = source(Some(2), &[]);
        let table = [
            (&never, 1, 90, false, Line::CutOff),
            (&never, 1, 90, true, Line::Streams),
            (&once, 2, 300, false, Line::CutOff),
            (&once, 1, 100, false, Line::CutOff),
            (&once, 1, 101, false, Line::Parted),
            (&once, 1, 101, true, Line::Parted),
            (&twice, 1, 100, false, Line::CutOff),
            (&twice, 1, 120, false, Line::Parted),
            (&twice, 2, 120, false, Line::CutOff),
            (&twice, 2, 151, false, Line::Parted),
            (&unknown, 1, 500, false, Line::CutOff),
        ];
        for (source, timeline, lsn, receives, line) in table {
            let judged = Apart::default().judge(&follower(timeline, lsn), receives, source);
            assert_eq!(judged, line, "timeline {timeline} at {lsn}, {receives}");
        }
    }

    #[test]
    fn one_that_receives_again_and_again_what_it_has_has_parted() {
        let (mut apart, unknown) = (Apart::default(), source(Some(2), &[]));
        let mut judge = |lsn| apart.judge(&follower(1, lsn), true, &unknown);
        assert_eq!(judge(90), Line::Streams);
        assert_eq!(judge(95), Line::Streams, "it catches up");
        assert_eq!(judge(95), Line::Parted);
        let writer = PgStatus {
            in_recovery: false,
            ..follower(2, 100)
        };
        assert_eq!(apart.judge(&writer, false, &unknown), Line::Parted);
    }
}

//! Whether a follower hangs: its host takes connections for it, and its server says nothing.
//!
//! A server may be busy for a while and is then left alone. One that hangs for long is made anew where it stands, as AWS replaces it;
//! that does not help where a slow link is what is amiss, so each further time is waited for longer.

use std::time::Duration;

use topologies::time::Time;

use super::desk::growing;

/// A follower that hangs for this long is made anew, and after twice the time with each further try. AWS gives no figure; a primary is
/// given up much sooner, for clients wait for it.
const HANGS: Duration = Duration::from_secs(10);
/// The longest that one is left.
const HANGS_LONGEST: Duration = Duration::from_secs(300);

/// What is remembered of a follower to judge by.
#[derive(Clone, Debug, Default)]
pub(super) struct Hung {
    /// The first of an unbroken run of probes that got a connection and no answer.
    since: Option<Time>,
    /// How often it was made anew since it last said something.
    tries: u32,
}

impl Hung {
    /// A probe of this moment got a connection and no answer.
    pub(super) fn mute(&mut self, sent: Time) {
        self.since.get_or_insert(sent);
    }

    /// A probe got no connection: that may be the network.
    pub(super) fn unreached(&mut self) {
        self.since = None;
    }

    /// It said something.
    pub(super) fn spoke(&mut self) {
        *self = Self::default();
    }

    /// Whether the last probe got a connection and no answer.
    pub(super) fn suspected(&self) -> bool {
        self.since.is_some()
    }

    /// Whether it is to be made anew.
    pub(super) fn due(&self, now: Time) -> bool {
        let patience = growing(HANGS, self.tries, HANGS_LONGEST);
        self.since.is_some_and(|since| now - since > patience)
    }

    /// It was made anew: what was seen of it before does not count.
    pub(super) fn tried(&mut self) {
        self.since = None;
        self.tries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    #[test]
    fn only_an_unbroken_silence_behind_connections_counts() {
        let mut hung = Hung::default();
        hung.mute(at(0));
        hung.mute(at(9));
        assert!(!hung.due(at(10)));
        assert!(hung.due(at(11)));
        hung.unreached();
        assert!(!hung.due(at(100)));
        hung.mute(at(100));
        hung.spoke();
        hung.mute(at(109));
        assert!(!hung.due(at(112)));
    }

    #[test]
    fn each_further_time_is_waited_for_longer_until_it_speaks() {
        let mut hung = Hung::default();
        hung.mute(at(0));
        hung.tried();
        assert!(!hung.due(at(1_000)));
        hung.mute(at(1_000));
        assert!(!hung.due(at(1_020)));
        assert!(hung.due(at(1_021)));
        for _ in 0..20 {
            hung.tried();
        }
        hung.mute(at(2_000));
        assert!(!hung.due(at(2_300)));
        assert!(hung.due(at(2_301)));
        hung.spoke();
        hung.mute(at(3_000));
        assert!(hung.due(at(3_011)));
    }
}

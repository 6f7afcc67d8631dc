//! Whether a host lives, judged from probes and from what its runtime reports.
//!
//! ```text
//!             answered                 silent or mute x threshold, refused x 2, exited
//!  Unknown ───────────────► Alive ────────────────────────────────────────────► Lost(why)
//!     ▲                        ▲                        answered                    │
//!     └── forget               └─────────────────────────────────────────────────────┘
//! ```
//! One silent probe proves nothing; a process exit reported by the host proves all.

use topologies::time::Time;

/// Consecutive refusals until a host's server is taken for dead: one may be the moment between two sockets.
const REFUSALS: u32 = 2;

/// A sign of life or its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It answered a probe.
    Answered,
    /// It took no connection in time, or nobody asked how far it got.
    Silent,
    /// It took the connection, and did not answer in time, or with an error.
    Mute,
    /// Its host refused the connection.
    Refused,
    /// Its runtime reported that the process ended.
    Exited,
}

/// Why a host is taken for lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It gave no sign.
    Silent,
    /// It takes connections and does not answer: its server hangs.
    Mute,
    /// Its host refuses connections.
    Refused,
    /// Its process ended.
    Exited,
}

impl Loss {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "no answer to probes",
            Self::Mute => "it takes connections and does not answer",
            Self::Refused => "connection refused",
            Self::Exited => "process ended",
        }
    }
}

/// The judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Never answered since it was last forgotten.
    Unknown,
    /// Answers.
    Alive,
    /// Lost.
    Lost(Loss),
}

/// Judges one host.
#[derive(Clone, Debug)]
pub struct Liveness {
    life: Life,
    silent: u32,
    /// How many of the silent ones took the connection.
    mute: u32,
    refused: u32,
    threshold: u32,
    /// The sign by which it was last taken for lost was asked for then.
    lost_at: Time,
    /// Answers to probes sent before this say nothing about the host as it is.
    valid_from: Time,
}

impl Liveness {
    /// Nothing known yet; `threshold` consecutive silent probes mean that it is lost.
    pub fn new(threshold: u32) -> Self {
        Self {
            life: Life::Unknown,
            silent: 0,
            mute: 0,
            refused: 0,
            threshold: threshold.max(1),
            lost_at: Time::ZERO,
            valid_from: Time::ZERO,
        }
    }

    /// Whether it answers and no sign speaks against it.
    pub fn alive(&self) -> bool {
        self.life == Life::Alive
    }

    /// Whether it answered the last probe.
    pub fn well(&self) -> bool {
        self.life == Life::Alive && self.silent == 0 && self.refused == 0
    }

    /// Why it is lost, if it is.
    pub fn lost(&self) -> Option<Loss> {
        match self.life {
            Life::Lost(loss) => Some(loss),
            Life::Unknown | Life::Alive => None,
        }
    }

    /// Since when it is lost, if it is: what others said before may be older than that.
    pub fn lost_at(&self) -> Option<Time> {
        self.lost().map(|_| self.lost_at)
    }

    /// Takes in a sign that was asked for at `sent` (for an exit: seen at); returns the new judgement if it changed.
    pub fn take(&mut self, sign: Sign, sent: Time) -> Option<Life> {
        let before = self.life;
        if sent < self.valid_from {
            return None;
        }
        match sign {
            Sign::Answered => {
                self.silent = 0;
                self.mute = 0;
                self.refused = 0;
                self.life = Life::Alive;
            }
            Sign::Silent | Sign::Mute => {
                self.silent += 1;
                self.mute += u32::from(sign == Sign::Mute);
                self.refused = 0;
            }
            Sign::Refused => {
                self.refused += 1;
                self.silent += 1;
            }
            Sign::Exited => {
                self.life = Life::Lost(Loss::Exited);
                self.valid_from = sent;
            }
        }
        let judgement = if self.refused >= REFUSALS {
            Some(Loss::Refused)
        } else if self.silent >= self.threshold {
            let hangs = self.mute == self.silent;
            Some(if hangs { Loss::Mute } else { Loss::Silent })
        } else {
            None
        };
        if let Some(loss) = judgement
            && self.lost().is_none()
        {
            self.life = Life::Lost(loss);
        }
        if self.lost().is_some() && !matches!(before, Life::Lost(_)) {
            self.lost_at = sent;
        }
        (before != self.life).then_some(self.life)
    }

    /// Starts over: the host was ordered to start, what was seen before says nothing about it.
    pub fn forget(&mut self, now: Time) {
        *self = Self {
            valid_from: now,
            ..Self::new(self.threshold)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(signs: &[Sign]) -> Life {
        let mut liveness = Liveness::new(3);
        for sign in signs {
            liveness.take(*sign, Time::ZERO);
        }
        liveness.life
    }

    #[test]
    fn transition_table() {
        use Sign::{Answered, Exited, Mute, Refused, Silent};
        let table: &[(&[Sign], Life)] = &[
            (&[], Life::Unknown),
            (&[Silent, Silent], Life::Unknown),
            (&[Silent, Silent, Silent], Life::Lost(Loss::Silent)),
            (&[Answered], Life::Alive),
            (&[Answered, Silent, Silent], Life::Alive),
            (&[Answered, Silent, Silent, Answered, Silent], Life::Alive),
            (
                &[Answered, Silent, Silent, Silent],
                Life::Lost(Loss::Silent),
            ),
            (&[Answered, Mute, Mute], Life::Alive),
            (&[Answered, Mute, Mute, Mute], Life::Lost(Loss::Mute)),
            (&[Answered, Mute, Silent, Mute], Life::Lost(Loss::Silent)),
            (&[Answered, Refused, Mute, Mute], Life::Lost(Loss::Silent)),
            (&[Answered, Refused], Life::Alive),
            (&[Answered, Refused, Refused], Life::Lost(Loss::Refused)),
            (&[Answered, Refused, Answered, Refused], Life::Alive),
            (
                &[Answered, Refused, Silent, Silent],
                Life::Lost(Loss::Silent),
            ),
            (&[Answered, Exited], Life::Lost(Loss::Exited)),
            (
                &[Answered, Exited, Silent, Silent, Silent],
                Life::Lost(Loss::Exited),
            ),
            (&[Answered, Exited, Answered], Life::Alive),
        ];
        for (signs, life) in table {
            assert_eq!(judge(signs), *life, "after {signs:?}");
        }
    }

    #[test]
    fn an_answer_asked_for_before_the_exit_proves_nothing() {
        let mut liveness = Liveness::new(3);
        liveness.take(Sign::Exited, Time::from_millis(100));
        liveness.take(Sign::Answered, Time::from_millis(90));
        assert_eq!(liveness.life, Life::Lost(Loss::Exited));
    }
}

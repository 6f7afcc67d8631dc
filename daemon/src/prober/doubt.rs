//! Whether to believe a time-out that nobody else's answer bears out.
//!
//! While nobody at all answers, it is most likely this machine that does not run, and a time-out proves nothing. But where everything
//! is dark nobody answers either: what is doubted for long enough is believed.

use super::Witnessed;

/// The doubts of one loop of probes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    /// Doubted rounds in a row.
    rounds: u32,
    /// As many are dropped.
    threshold: u32,
}

impl Doubt {
    /// Drops up to `threshold` doubted time-outs in a row.
    pub(super) fn new(threshold: u32) -> Self {
        Self {
            rounds: 0,
            threshold,
        }
    }

    /// Takes in how a round ended, and says whether that is to be believed.
    pub(super) fn believes(&mut self, round: Witnessed) -> bool {
        match round {
            // It tells nothing, neither of the host nor of the others.
            Witnessed::HeldUp => return false,
            Witnessed::Answered | Witnessed::TimedOut => self.rounds = 0,
            Witnessed::TimedOutAlone => self.rounds = self.rounds.saturating_add(1),
        }
        self.rounds == 0 || self.rounds > self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::Witnessed::{Answered, HeldUp, TimedOut, TimedOutAlone};
    use super::*;

    #[test]
    fn what_is_doubted_for_long_is_believed() {
        let table: [(&[Witnessed], &[bool]); 5] = [
            (&[Answered, TimedOut, TimedOut], &[true; 3]),
            (&[TimedOutAlone; 5], &[false, false, false, true, true]),
            (
                &[TimedOutAlone, TimedOutAlone, TimedOut, TimedOutAlone],
                &[false, false, true, false],
            ),
            (
                &[
                    TimedOutAlone,
                    TimedOutAlone,
                    TimedOutAlone,
                    Answered,
                    TimedOutAlone,
                ],
                &[false, false, false, true, false],
            ),
            (
                &[
                    TimedOutAlone,
                    HeldUp,
                    HeldUp,
                    TimedOutAlone,
                    TimedOutAlone,
                    TimedOutAlone,
                ],
                &[false, false, false, false, false, true],
            ),
        ];
        for (rounds, believed) in table {
            let mut doubt = Doubt::new(3);
            let believes: Vec<bool> = rounds.iter().map(|it| doubt.believes(*it)).collect();
            assert_eq!(believes, believed, "{rounds:?}");
        }
    }
}

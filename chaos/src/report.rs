//! The outcome of a drill for readers: [`text`] for the terminal, [`json`] for programs, [`junit`] for continuous integration.

pub mod json;
pub mod junit;
pub mod text;

use std::time::Duration;

use crate::drill::Drill;
use crate::history::History;
use crate::verdict::Judgement;

/// Everything that a report tells.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// The drill.
    pub drill: &'a Drill,
    /// What happened.
    pub history: &'a History,
    /// What was made of it.
    pub judgement: &'a Judgement,
}

impl Report<'_> {
    fn length(&self) -> Duration {
        self.history.ended - self.history.began
    }

    /// A moment, counted from the drill's beginning.
    fn moment(&self, at: topologies::time::Time) -> Duration {
        at.since(self.history.began)
    }
}

#[cfg(test)]
mod tests;

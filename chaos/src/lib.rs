//! What can go wrong, and what was promised for that case: faults and their heals, what they hit, drills, and the
//! judgement of a drill from what its clients saw.
//!
//! Pure: nothing here opens a file or a socket, reads a clock or draws a random number, and nothing here acts. Whoever runs a
//! drill hands in what happened. In reading order:
//! - [`fault`]: a fault as a value; [`presence`]: which instance has which role now
//! - [`active`]: the faults in force, and the physical conditions that follow from them
//! - [`blast_radius`]: what a fault hits, told before it is injected
//! - [`drill`]: a drill file, checked, and bound to a plan
//! - [`budget`]: how much trouble a stack is built to bear, and when service is owed
//! - [`ledger`], [`history`]: what the drill's clients saw, and what else happened
//! - [`verify`]: what was lost, and how long service was gone; [`verdict`]: whether the promises held
//! - [`report`]: the outcome as text, JSON and JUnit

pub mod active;
pub mod blast_radius;
pub mod budget;
pub mod drill;
pub mod fault;
pub mod history;
pub mod ledger;
pub mod presence;
pub mod report;
pub mod verdict;
pub mod verify;

#[cfg(test)]
mod sample;

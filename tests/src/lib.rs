//! What is promised, tested from outside: see `tests/`. Here is what those tests share.

pub mod left;
pub mod python;
pub mod rig;

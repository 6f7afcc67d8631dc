//! The process runtime against real processes of this machine, as root and as any other user.

#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

mod adoption;
mod bench;
mod engines;
mod faults;
mod instances;
mod namespaces;
mod tools;

//! Names: a resolver for every view, as a VPC has one, and a client for those who look up as applications do.

pub mod client;

pub(crate) mod answer;
pub(crate) mod asker;
pub(crate) mod select;
pub(crate) mod serve;
mod table;
pub(crate) mod zone;

pub use answer::{NAME_SERVERS, soa_text};
pub use table::addresses;

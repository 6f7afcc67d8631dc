//! The data plane on real loopback sockets, one slot for each test.

mod dns;
mod eni;
mod stack;

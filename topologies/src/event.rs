//! The vocabulary of events.

//! The fold of events.

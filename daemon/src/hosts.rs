//! Hosts files for programs that can not ask a stack's resolver: one for each view, kept true.
//!
//! They stand in where port 53 can not be bound. A hosts file has no TTL: a program sees a change when it looks again.

use std::path::{Path, PathBuf};

use topologies::address::ZoneNumber;

/// The hosts file of a view.
pub fn path(stack: &Path, view: ZoneNumber) -> PathBuf {
    stack.join("hosts").join(view.get().to_string())
}

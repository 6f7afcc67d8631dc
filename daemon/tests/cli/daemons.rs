//! Stacks in the background and in the foreground: what is left of them, and when.

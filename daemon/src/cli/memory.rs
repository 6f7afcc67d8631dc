//! How a process that keeps a stack is frugal with memory: by what its allocator reads from the environment as it starts.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Settings of the allocator.
pub(super) const FRUGAL: [(&str, &str); 2] = [
    // It gives memory back at once: a daemon rests most of its life, and what bringing a stack up took would stay resident: nearly
    // half of the whole.
    ("MIMALLOC_PURGE_DELAY", "0"),
    // It takes memory piece by piece. Taken at once, it would lie in the kernel's huge pages, of which one byte in use keeps two
    // megabytes: three times what is in use at rest.
    ("MIMALLOC_ARENA_EAGER_COMMIT", "0"),
];

/// Begins this process anew with them, unless it has them, or others. Where that can not be done it goes on as it is.
pub(super) fn frugal() {
    if FRUGAL
        .iter()
        .any(|(name, _)| std::env::var_os(name).is_some())
    {
        return;
    }
    let mut arguments = std::env::args_os();
    // By its path, by which it is found in lists of processes. One that is gone is not tried: what a failed exec changes stays so.
    let program = std::env::current_exe().ok().filter(|it| it.exists());
    if let (Some(name), Some(program)) = (arguments.next(), program) {
        let _unchanged = Command::new(program)
            .arg0(name)
            .args(arguments)
            .envs(FRUGAL)
            .exec();
    }
}

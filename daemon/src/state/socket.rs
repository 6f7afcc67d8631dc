//! Where a stack's control socket is: in its directory, unless that path is too long for a socket's address.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The longest path of a Unix socket, in bytes: `sun_path` has 108 with its final zero.
const PATH_MAX: usize = 107;

/// The path of the control socket of the stack in `directory`. `runtime` is a short directory of the user's own, for long paths.
pub fn socket_path(directory: &Path, runtime: &Path) -> PathBuf {
    let path = directory.join("control.sock");
    if path.as_os_str().len() <= PATH_MAX {
        return path;
    }
    let digest = hex::encode(Sha256::digest(directory.as_os_str().as_encoded_bytes()));
    runtime.join(format!("localaws-{}.sock", &digest[..16]))
}

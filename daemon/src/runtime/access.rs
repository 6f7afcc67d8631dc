//! Rights on the disk when the daemon is root and its instances are not: whose directories are, which programs an
//! unprivileged user can start. For a daemon that is no root there is nothing to do: all is one user's.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, openat, statat};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::shim::User;

/// The user and group id of `nobody` where the machine does not say.
const NOBODY: u32 = 65534;
/// A program can nest directories without end; ours are not deeper.
const DEPTH_MAX: usize = 64;

/// The user that instances run as: `nobody` if we are root, else ourselves (none).
pub(super) fn unprivileged_user() -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let nobody = nix::unistd::User::from_name("nobody").ok().flatten();
    Some(nobody.map_or(
        User {
            uid: NOBODY,
            gid: NOBODY,
        },
        |user| User {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        },
    ))
}

/// Whether `user` can get to `path`: the first directory above it that does not let it pass, if any.
pub(super) fn barrier(path: &Path, user: User) -> Option<PathBuf> {
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    above
        .into_iter()
        .rev()
        .find(|directory| {
            fs::metadata(directory).is_ok_and(|metadata| !permits(&metadata, user, 0o1))
        })
        .map(Path::to_path_buf)
}

/// Lets every user pass through `directory`, though not list it.
pub(super) fn let_pass(directory: &Path) -> io::Result<()> {
    let mode = fs::metadata(directory)?.permissions().mode();
    if mode & 0o111 == 0o111 {
        return Ok(());
    }
    fs::set_permissions(directory, Permissions::from_mode(mode | 0o111))
}

/// Gives `directory` and all in it to `user`. Follows no link, and gives away no file that has a name elsewhere: an instance
/// could have laid either there to get what is not its own.
pub(super) fn give(directory: &Path, user: User) -> io::Result<()> {
    give_entry(CWD, directory, user, 0).map_err(io::Error::from)
}

/// The path by which `user` can start `program`: its own, or that of a copy in directory `copies`.
pub(super) fn startable(program: &Path, user: User, copies: &Path) -> io::Result<PathBuf> {
    let metadata = fs::metadata(program)?;
    if barrier(program, user).is_none() && permits(&metadata, user, 0o5) {
        return Ok(program.to_path_buf());
    }
    fs::create_dir_all(copies)?;
    let_pass(copies)?;
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let changed = metadata
        .modified()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    // A directory for each version, so that the program keeps its name.
    let version = copies.join(format!("{:x}-{changed:x}", metadata.ino()));
    let copy = version.join(&*name);
    if !copy.exists() {
        fs::create_dir_all(&version)?;
        let_pass(&version)?;
        let partial = version.join(format!(".{name}.{}", std::process::id()));
        fs::copy(program, &partial)?;
        fs::set_permissions(&partial, Permissions::from_mode(0o755))?;
        fs::rename(&partial, &copy)?;
    }
    Ok(copy)
}

/// Whether the right `bits` (of `0o7`) are granted to `user`.
fn permits(metadata: &Metadata, user: User, bits: u32) -> bool {
    let shift = if metadata.uid() == user.uid {
        6
    } else if metadata.gid() == user.gid {
        3
    } else {
        0
    };
    metadata.mode() >> shift & bits == bits
}

fn give_entry<P: Arg + Copy>(
    parent: impl AsFd,
    name: P,
    user: User,
    depth: usize,
) -> Result<(), Errno> {
    let stat = match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        found => found?,
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    if stat.st_uid != user.uid {
        if kind == FileType::RegularFile && stat.st_nlink > 1 {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        chownat(
            &parent,
            name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
    }
    if kind != FileType::Directory || depth == DEPTH_MAX {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match openat(&parent, name, flags, Mode::empty()) {
        // Removed or replaced meanwhile: then there is nothing of ours to give.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        opened => opened?,
    };
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            give_entry(&directory, name, user, depth + 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const STRANGER: User = User {
        uid: 54321,
        gid: 54321,
    };

    #[test]
    fn a_closed_directory_is_a_barrier_and_its_programs_are_copied() {
        let place = tempfile::tempdir().unwrap();
        let closed = place.path().join("closed");
        fs::create_dir(&closed).unwrap();
        let_pass(place.path()).unwrap();
        fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
        let program = closed.join("program");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();

        assert_eq!(barrier(&program, STRANGER), Some(closed));
        let copies = place.path().join("bin");
        let copy = startable(&program, STRANGER, &copies).unwrap();
        assert!(copy.starts_with(&copies));
        assert_eq!(copy.file_name(), program.file_name());
        assert_eq!(barrier(&copy, STRANGER), None);
        assert_eq!(startable(&program, STRANGER, &copies).unwrap(), copy);
        assert_eq!(startable(&copy, STRANGER, &copies).unwrap(), copy);
    }

    #[test]
    fn giving_follows_no_link_and_takes_no_foreign_file() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join("own");
        fs::create_dir_all(own.join("data")).unwrap();
        fs::write(own.join("data/file"), "").unwrap();
        let secret = place.path().join("secret");
        fs::write(&secret, "").unwrap();
        symlink(&secret, own.join("link")).unwrap();
        fs::hard_link(&secret, own.join("second-name")).unwrap();

        give(&own, STRANGER).unwrap();
        let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
        assert_eq!(owner(&own), STRANGER.uid);
        assert_eq!(owner(&own.join("data/file")), STRANGER.uid);
        assert_eq!(owner(&own.join("link")), STRANGER.uid);
        assert_eq!(owner(&secret), 0);
    }
}

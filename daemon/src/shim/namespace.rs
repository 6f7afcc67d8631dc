//! A private view of the files that libc resolves names by.
//!
//! A mount namespace of the process's own, in which `/etc/resolv.conf` (and the `hosts:` line of `/etc/nsswitch.conf`, which
//! might send questions past it) or `/etc/hosts` is another file. Nothing is written to the host's disk: the files live on a
//! tmpfs that only this namespace sees, and vanish with its last process.

use std::fmt::Display;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities};
use topologies::runtime::Resolution;

/// Where the tmpfs lies for the moment in which the files are written.
const SCRATCH: &str = "/tmp";

/// Enters a mount namespace in which names are resolved by `resolution`; the error says what this machine refused.
///
/// After an error the process may be in a half-made namespace: it must not go on to run a program.
pub(super) fn enter(resolution: &Resolution) -> Result<(), String> {
    match resolution {
        Resolution::Host => Ok(()),
        Resolution::Nameserver(server) => {
            isolate()?;
            mount_resolver(*server)
        }
        Resolution::HostsFile(path) => {
            isolate()?;
            bind(path, Path::new("/etc/hosts"))
        }
    }
}

/// A mount namespace of our own; first a user namespace if we lack the right to it.
fn isolate() -> Result<(), String> {
    let privileged =
        capabilities(None).is_ok_and(|c| c.effective.contains(CapabilitySet::SYS_ADMIN));
    if privileged {
        unshare(CloneFlags::CLONE_NEWNS).map_err(refused("create a mount namespace"))?;
    } else {
        enter_user_namespace()?;
    }
    // The host's later mounts come in, ours do not go out.
    mount::<str, str, str, str>(None, "/", None, MsFlags::MS_SLAVE | MsFlags::MS_REC, None)
        .map_err(refused("detach the mounts"))
}

/// Users and groups keep their numbers, so that files look as before.
fn enter_user_namespace() -> Result<(), String> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(refused("create a user namespace"))?;
    let write =
        |file: &str, text: String| fs::write(file, text).map_err(refused(&format!("write {file}")));
    // The kernel demands this before an unprivileged process may map its group.
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

fn mount_resolver(server: Ipv4Addr) -> Result<(), String> {
    mount::<str, str, str, str>(
        Some("localaws"),
        SCRATCH,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        Some("mode=755,size=64k"),
    )
    .map_err(refused("mount a tmpfs"))?;
    replace("/etc/resolv.conf", &format!("nameserver {server}\n"))?;
    if let Ok(text) = fs::read_to_string("/etc/nsswitch.conf") {
        replace("/etc/nsswitch.conf", &ask_dns_only(&text))?;
    }
    umount2(SCRATCH, MntFlags::MNT_DETACH).map_err(refused("unmount the tmpfs"))
}

/// Lays a file with `text` over `target`.
fn replace(target: &str, text: &str) -> Result<(), String> {
    let target = Path::new(target);
    let name = target.file_name().expect("the targets are files");
    let source = Path::new(SCRATCH).join(name);
    write_readable(&source, text).map_err(refused("write on the tmpfs"))?;
    bind(&source, target)
}

/// Readable by every user, whatever our umask is.
fn write_readable(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

fn bind(source: &Path, target: &Path) -> Result<(), String> {
    mount::<Path, Path, str, str>(Some(source), target, None, MsFlags::MS_BIND, None).map_err(
        refused(&format!(
            "bind `{}` to `{}`",
            source.display(),
            target.display()
        )),
    )
}

/// The name service switch with hosts looked up in `/etc/hosts` and by DNS, and nowhere else: systemd's `resolve` module does
/// not read `/etc/resolv.conf`.
fn ask_dns_only(switch: &str) -> String {
    let mut text = String::with_capacity(switch.len());
    for line in switch.lines() {
        if !line.trim_start().starts_with("hosts:") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.push_str("hosts: files dns\n");
    text
}

fn refused<E: Display>(what: &str) -> impl FnOnce(E) -> String {
    let what = what.to_owned();
    move |cause| format!("{what}: {cause}")
}

#[cfg(test)]
mod tests {
    use super::ask_dns_only;

    #[test]
    fn hosts_are_asked_of_files_and_dns_only() {
        let switch =
            "passwd: files systemd\nhosts: files myhostname resolve [!UNAVAIL=return] dns\n";
        assert_eq!(
            ask_dns_only(switch),
            "passwd: files systemd\nhosts: files dns\n"
        );
    }
}

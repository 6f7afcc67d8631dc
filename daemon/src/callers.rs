//! Which instance opened a connection: the kernel tells the client's socket, and `/proc` whose that is.
//!
//! Programs share the loopback network, so nothing else tells one of a zone's instances from another. What the stack starts carries
//! its instance's name in its environment, and what it starts itself inherits that. Of processes that may not be looked at, and of those
//! that nobody started as an instance, nothing is known.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use topologies::id::InstanceId;

/// Where an instance's processes have its name: as processes, and in containers.
const NAMES: [&str; 2] = ["LOCALAWS_INSTANCE", "INSTANCE_ID"];

/// The instance that has the socket at `client`, connected to `door`. Blocking: it reads all of `/proc`.
pub(crate) fn who_dials(client: SocketAddrV4, door: SocketAddrV4) -> Option<InstanceId> {
    // Sockets that speak both, as those of the JVM and of .NET do, stand in the second.
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| {
            let table = fs::read_to_string(table).ok()?;
            inode(&table, client, door)
        });
    let socket = format!("socket:[{}]", inode?);
    let processes = fs::read_dir("/proc").ok()?.flatten().map(|it| it.path());
    let mut named = processes.filter_map(|process| {
        // Others' can not be read.
        let environment = fs::read(process.join("environ")).ok()?;
        let named = InstanceId::from(name(&environment)?);
        Some((named, process))
    });
    let (name, _) = named.find(|(_, process)| has(process, &socket))?;
    Some(name)
}

/// The number of the socket that is connected so, after the kernel's table of TCP sockets.
fn inode(table: &str, client: SocketAddrV4, door: SocketAddrV4) -> Option<u64> {
    let ends = [client, door].map(Some);
    let mut rows = table.lines().skip(1).map(|row| {
        let mut words = row.split_ascii_whitespace().skip(1);
        let ends = [words.next(), words.next()].map(|it| address(it?));
        (ends, words.nth(6).and_then(|it| it.parse().ok()))
    });
    let found = rows.find(|(own, _)| *own == ends)?;
    found.1.filter(|inode| *inode != 0)
}

/// `0100007F:1538`, or `0000000000000000FFFF00000100007F:1538`: an address as it lies in memory, and a port.
fn address(written: &str) -> Option<SocketAddrV4> {
    let (address, port) = written.split_once(':')?;
    let mapped = format!("{}{:08X}", "0".repeat(16), u32::from_be(0xffff));
    let address = address.strip_prefix(mapped.as_str()).unwrap_or(address);
    let address = u32::from_str_radix(address, 16).ok()?.to_ne_bytes();
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(SocketAddrV4::new(Ipv4Addr::from(address), port))
}

/// What an environment calls its instance.
fn name(environment: &[u8]) -> Option<&str> {
    NAMES.iter().find_map(|name| {
        let mut variables = environment.split(|byte| *byte == 0);
        let value = variables.find_map(|it| it.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
        std::str::from_utf8(value?).ok()
    })
}

/// Whether one of a process's descriptors is this socket.
fn has(process: &Path, socket: &str) -> bool {
    let descriptors = fs::read_dir(process.join("fd"));
    let mut descriptors = descriptors.into_iter().flatten().flatten();
    descriptors.any(|it| fs::read_link(it.path()).is_ok_and(|it| it.as_os_str() == socket))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::process::{Command, Stdio};

    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:9C40 0A124040:1538 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 20 4 30 10 -1
   1: 0A124040:1538 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:9C41 0A124040:1538 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000000000000000
   3: broken
";
    /// A client that speaks both, and one of IPv6 only.
    const BOTH: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:9C42 0000000000000000FFFF00000A124040:1538 01 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0000000000000000 20 4 30 10 -1
   1: 00000000000000000000000001000000:9C43 00000000000000000000000001000000:1538 01 00000000:00000000 00:00000000 00000000  1000        0 4714 1 0000000000000000 20 4 30 10 -1
";

    fn at(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernel_s_table_tells_the_socket_of_either_end() {
        let (client, door) = (at("127.0.0.1:40000"), at("64.64.18.10:5432"));
        for (one, other, expected) in [
            (client, door, Some(4711)),
            (door, client, Some(4712)),
            // It has no socket any more.
            (at("127.0.0.1:40001"), door, None),
            (at("127.0.0.1:40002"), door, None),
        ] {
            assert_eq!(inode(TABLE, one, other), expected, "{one} {other}");
        }
        assert_eq!(inode(BOTH, at("127.0.0.1:40002"), door), Some(4713));
        assert_eq!(inode(BOTH, at("127.0.0.1:40003"), door), None);
    }

    #[test]
    fn an_environment_names_the_instance() {
        for (environment, expected) in [
            (&b"PATH=/bin\0INSTANCE_ID=web-1\0"[..], Some("web-1")),
            (
                b"INSTANCE_ID=mine\0LOCALAWS_INSTANCE=web-1\0",
                Some("web-1"),
            ),
            (b"MY_INSTANCE_ID=web-1\0", None),
            (b"INSTANCE_ID=\xff\0", None),
            (b"", None),
        ] {
            assert_eq!(name(environment), expected);
        }
    }

    #[test]
    fn a_program_is_found_by_its_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let Ok(SocketAddr::V4(door)) = listener.local_addr() else {
            panic!("it is one of IPv4")
        };
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{} && read -r line <&3",
            door.port()
        );
        let mut program = Command::new("bash")
            .args(["-c", &script])
            .env(NAMES[0], "web-7")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (mut stream, peer) = listener.accept().unwrap();
        let SocketAddr::V4(client) = peer else {
            panic!("it is one of IPv4")
        };
        assert_eq!(who_dials(client, door), Some(InstanceId::from("web-7")));
        assert_eq!(
            who_dials(door, client),
            None,
            "nobody calls this end an instance"
        );
        stream.write_all(b"enough\n").unwrap();
        assert!(program.wait().unwrap().success());
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(who_dials(client, door), None);
    }
}

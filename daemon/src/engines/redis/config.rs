//! Redis's configuration file. Pure. Only directives that Redis 6 to 8 and Valkey 8 all have.

use std::fmt::Write as _;
use std::path::Path;

use topologies::address::ZoneNumber;

use super::{CacheRole, CacheSettings};
use crate::engines::EngineHost;

/// The configuration's file name in the node's directory.
pub(super) const FILE: &str = "redis.conf";
/// The file name of a snapshot that is received or saved. Redis loads it when it starts.
pub(super) const DUMP: &str = "dump.rdb";
/// The file name of what a primary had when its stack was taken down, until it has started with that.
pub(super) const KEPT: &str = "kept.rdb";
/// The file name of what was kept for a primary that came up as a replica: nothing uses it.
pub(super) const UNUSED: &str = "unused.rdb";

/// What every node is set to.
const SETTINGS: &[(&str, &str)] = &[
    // Whoever reaches an address of the stack is meant to.
    ("protected-mode", "no"),
    ("tcp-backlog", "511"),
    ("daemonize", "no"),
    ("logfile", "\"\""),
    // Nothing is kept on disk while it runs: a node that restarts is empty.
    ("save", "\"\""),
    ("appendonly", "no"),
    ("rdb-del-sync-files", "yes"),
    // ElastiCache, ParameterGroups.Engine: defaults.
    ("maxmemory-policy", "volatile-lru"),
    ("maxclients", "65000"),
    ("timeout", "0"),
    // Replicas notice a lost primary soon; a short loss of the link costs no full synchronization. That goes over a file, as after a
    // diskless one the primary holds the stream back until the replica's next acknowledgement: for a second the link would be
    // up and nothing replicated.
    ("repl-diskless-sync", "no"),
    ("repl-diskless-load", "on-empty-db"),
    ("repl-ping-replica-period", "1"),
    ("repl-timeout", "5"),
    ("repl-backlog-size", "16mb"),
    ("replica-read-only", "yes"),
    ("replica-serve-stale-data", "yes"),
];

/// The configuration of a node in a role.
pub(super) fn configuration(
    host: &EngineHost,
    role: &CacheRole,
    directory: &Path,
    settings: &CacheSettings,
) -> String {
    let mut text = String::from("# Written by localaws at every start.\n");
    let mut line = |name: &str, value: &str| {
        writeln!(text, "{name} {value}").expect("writing to a string");
    };
    let listen = host.listen();
    line("bind", &listen.ip().to_string());
    line("port", &listen.port().to_string());
    line("dir", &quote(&directory.display().to_string()));
    line("dbfilename", DUMP);
    for (name, value) in SETTINGS {
        line(name, value);
    }
    // The name by which its primary's list of replicas is read.
    let known_as = host.address.seen_from(ZoneNumber::OUTSIDE);
    line("replica-announce-ip", &known_as.to_string());
    if let Some(token) = &settings.auth_token {
        line("requirepass", &quote(token.expose()));
        line("masterauth", &quote(token.expose()));
    }
    if let CacheRole::Replica { of } = role {
        line(
            "replicaof",
            &format!("{} {}", of.address.ip(), of.address.port()),
        );
    }
    text
}

/// Quotes an argument as Redis's `sdssplitargs` reads it.
fn quote(value: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => write!(quoted, "\\x{byte:02x}").expect("writing to a string"),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use topologies::address::{HostAddress, Slot};

    use super::*;
    use crate::engines::secrets::Secret;

    #[test]
    fn a_replica_knows_its_source_and_its_own_name() {
        let address = |zone| HostAddress {
            slot: Slot::new(90).unwrap(),
            zone: ZoneNumber::zone(zone).unwrap(),
            host: 20,
        };
        let host = |zone: usize| EngineHost {
            instance: format!("sessions-00{zone}").into(),
            zone: "a".into(),
            address: address(zone),
            port: 6379,
            dial: (address(zone).engine(), 6379).into(),
        };
        let settings = CacheSettings {
            version: None,
            auth_token: Some(Secret::new("to\"ken\n")),
        };
        let of = host(1).upstream_for(address(2).zone);
        let text = configuration(
            &host(2),
            &CacheRole::Replica { of },
            Path::new("/s x"),
            &settings,
        );
        for line in [
            "bind 127.90.242.20",
            "dir \"/s x\"",
            "replica-announce-ip 127.90.2.20",
            "replicaof 127.154.33.20 6379",
            "requirepass \"to\\\"ken\\x0a\"",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        let text = configuration(&host(1), &CacheRole::Primary, Path::new("/s"), &settings);
        assert!(!text.contains("replicaof"), "{text}");
    }
}

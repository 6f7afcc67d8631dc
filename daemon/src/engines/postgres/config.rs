//! What is written into PostgreSQL's configuration files. Pure.
//!
//! Three files, so that what changes while the server runs is apart from what does not:
//! - `postgresql.conf`: the same for every role of a host; the topology's parameters come last
//! - `postgresql.auto.conf`: whom it follows and who must confirm its commits; also the file of `ALTER SYSTEM`
//! - `pg_hba.conf`: who may connect

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use topologies::id::InstanceId;

use super::{ADMIN, DbRole, REPLICATION};
use crate::engines::{EngineError, EngineHost, Upstream};

/// The longest name that PostgreSQL keeps whole (`NAMEDATALEN` - 1).
const NAME_BYTES_MAX: usize = 63;

/// Settings that the emulator gives every server. Those that are not [owned](OWNED) are defaults for the topology's parameters.
const SETTINGS: &[(&str, &str)] = &[
    ("unix_socket_directories", ""),
    ("password_encryption", "scram-sha-256"),
    ("ssl", "off"),
    // Replication. Log hints and full pages are what pg_rewind needs.
    ("wal_level", "replica"),
    ("hot_standby", "on"),
    ("wal_log_hints", "on"),
    ("full_page_writes", "on"),
    ("max_wal_senders", "20"),
    ("max_replication_slots", "10"),
    // There are no slots: a host that is away for longer than this comes back as a fresh copy, and can not fill the disk.
    ("wal_keep_size", "512MB"),
    // A stream that broke is noticed and resumed at once.
    ("wal_retrieve_retry_interval", "100ms"),
    ("wal_receiver_timeout", "3s"),
    ("wal_sender_timeout", "3s"),
    ("wal_receiver_status_interval", "1s"),
    // Emulated power loss kills processes, whose written pages the kernel still has. So no commit has to wait for a disk, and
    // many servers share one without pain. A crash of the machine itself is out of scope; `fsync: on` in the topology brings it in.
    ("fsync", "off"),
    ("synchronous_commit", "on"),
    // In the data directory: in /dev/shm a killed server would leave it behind.
    ("dynamic_shared_memory_type", "mmap"),
    // Five servers fit on a laptop.
    ("max_connections", "100"),
    ("superuser_reserved_connections", "5"),
    ("shared_buffers", "16MB"),
    ("min_wal_size", "32MB"),
    ("max_wal_size", "512MB"),
    ("jit", "off"),
    ("huge_pages", "off"),
    // As RDS: times in UTC, messages in English.
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    // The runtime collects standard error.
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_line_prefix", "%m [%p] %q%u@%d "),
    ("log_checkpoints", "off"),
];

/// Parameters that the topology can not set: the emulator's correctness, or its knowledge of the server, rests on them.
const OWNED: &[&str] = &[
    "archive_cleanup_command",
    "archive_command",
    "archive_library",
    "archive_mode",
    "cluster_name",
    "config_file",
    "data_directory",
    "dynamic_shared_memory_type",
    "external_pid_file",
    "full_page_writes",
    "hba_file",
    "hot_standby",
    "ident_file",
    "include",
    "include_dir",
    "include_if_exists",
    "listen_addresses",
    "log_destination",
    "logging_collector",
    "max_replication_slots",
    "max_wal_senders",
    "password_encryption",
    "port",
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
    "recovery_end_command",
    "recovery_min_apply_delay",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "recovery_target_xid",
    "restore_command",
    "ssl",
    "synchronous_standby_names",
    "trace_recovery_messages",
    "unix_socket_directories",
    "unix_socket_group",
    "unix_socket_permissions",
    "wal_level",
    "wal_log_hints",
];

/// The name under which an instance is known to the server that it follows: its identifier, shortened if PostgreSQL
/// would cut it, in lower case because names of synchronous standbys are compared without regard to case.
pub fn application_name(instance: &InstanceId) -> String {
    let name = instance.as_str().to_ascii_lowercase();
    if name.len() <= NAME_BYTES_MAX {
        return name;
    }
    let digest = hex::encode(&Sha256::digest(&name)[..4]);
    let kept = name.floor_char_boundary(NAME_BYTES_MAX - 1 - digest.len());
    format!("{}-{digest}", &name[..kept])
}

/// The value of `synchronous_standby_names` that makes every commit wait for this standby.
pub fn synchronous_standby_names(standby: Option<&InstanceId>) -> String {
    standby.map_or_else(String::new, |standby| {
        let name = application_name(standby).replace('"', "\"\"");
        format!("FIRST 1 (\"{name}\")")
    })
}

/// Refuses parameters that are ours, and what is no parameter at all. All of them are named.
pub(super) fn check_parameters(parameters: &BTreeMap<String, String>) -> Result<(), EngineError> {
    let refuse = |why, wrong: &dyn Fn(&str, &str) -> bool| {
        let names: Vec<_> = parameters
            .iter()
            .filter(|(name, value)| wrong(name, value))
            .map(|(name, _)| name.clone())
            .collect();
        if names.is_empty() {
            Ok(())
        } else {
            Err(EngineError::Parameters { names, why })
        }
    };
    refuse("it is no name of a parameter", &|name, _| {
        !is_parameter_name(name)
    })?;
    refuse("its value has a line break", &|_, value| {
        value.contains(['\n', '\r', '\0'])
    })?;
    refuse("the emulator sets it itself", &|name, _| {
        OWNED.contains(&name.to_ascii_lowercase().as_str())
    })
}

fn is_parameter_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}

/// `postgresql.conf`. `parameters` have passed [`check_parameters`].
pub(super) fn settings(
    host: &EngineHost,
    major: u16,
    parameters: &BTreeMap<String, String>,
) -> String {
    let mut text = String::from("# Written by localaws at every start.\n");
    let listen = host.listen();
    let mut line = |name: &str, value: &str| {
        writeln!(text, "{name} = {}", setting_value(value)).expect("writing to a string");
    };
    line("listen_addresses", &listen.ip().to_string());
    line("port", &listen.port().to_string());
    line("cluster_name", &application_name(&host.instance));
    for (name, value) in SETTINGS {
        line(name, value);
    }
    if major >= 18 {
        // Saves three idle processes per server.
        line("io_method", "sync");
    }
    for (name, value) in parameters {
        line(name, value);
    }
    text
}

/// `postgresql.auto.conf`. Every role states both settings, so that nothing of an earlier role, or of a copied
/// server's file, stays in force.
pub(super) fn role_settings(host: &EngineHost, role: &DbRole, password_file: &Path) -> String {
    let (names, conninfo) = match role {
        DbRole::Primary {
            synchronous_standby,
        } => (
            synchronous_standby_names(synchronous_standby.as_ref()),
            String::new(),
        ),
        DbRole::Standby { of } | DbRole::Replica { of } => {
            (String::new(), primary_conninfo(host, of, password_file))
        }
    };
    format!(
        "synchronous_standby_names = {}\nprimary_conninfo = {}\n",
        setting_value(&names),
        setting_value(&conninfo)
    )
}

/// The connection string with which `host` follows `upstream`. It names the file with the password, not the password.
pub(super) fn primary_conninfo(
    host: &EngineHost,
    upstream: &Upstream,
    password_file: &Path,
) -> String {
    format!(
        "{} application_name={}",
        conninfo(upstream, password_file),
        conninfo_value(&application_name(&host.instance))
    )
}

/// A connection string for [`REPLICATION`] to a server. The timeout (seconds, at least 2 for libpq) bounds how long
/// a dark address is waited for.
pub(super) fn conninfo(upstream: &Upstream, password_file: &Path) -> String {
    format!(
        "host={} port={} user={REPLICATION} passfile={} connect_timeout=2 sslmode=disable gssencmode=disable",
        upstream.address.ip(),
        upstream.address.port(),
        conninfo_value(&password_file.display().to_string()),
    )
}

/// Whom `pg_hba.conf` lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everyone with a password.
    Clients,
    /// The control plane and followers only: the standby of a Multi-AZ DB instance serves nobody
    /// (RDS, Concepts.MultiAZSingleStandby: it "can't serve read traffic").
    OurselvesOnly,
}

impl Access {
    pub(super) fn of(role: &DbRole) -> Self {
        match role {
            DbRole::Primary { .. } | DbRole::Replica { .. } => Self::Clients,
            DbRole::Standby { .. } => Self::OurselvesOnly,
        }
    }

    /// `pg_hba.conf`. Every address of a stack is a loopback address.
    pub(super) fn rules(self) -> String {
        let users = match self {
            Self::Clients => "all".to_owned(),
            Self::OurselvesOnly => format!("{ADMIN},{REPLICATION}"),
        };
        format!(
            "# Written by localaws at every start.\n\
             host all {users} 127.0.0.0/8 scram-sha-256\n\
             host replication {REPLICATION} 127.0.0.0/8 scram-sha-256\n"
        )
    }
}

/// The file from which followers and tools take the replication password (libpq's `passfile`).
pub(super) fn password_file(password: &str) -> String {
    let escaped = password.replace('\\', "\\\\").replace(':', "\\:");
    format!("*:*:*:{REPLICATION}:{escaped}\n")
}

/// Quotes a value for a configuration file.
fn setting_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// Quotes a value for a connection string.
fn conninfo_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use topologies::address::{HostAddress, Slot, ZoneNumber};

    use super::*;

    fn host() -> EngineHost {
        let address = HostAddress {
            slot: Slot::new(90).unwrap(),
            zone: ZoneNumber::zone(1).unwrap(),
            host: 10,
        };
        EngineHost {
            instance: "orders-1".into(),
            zone: "a".into(),
            address,
            port: 5432,
            dial: (address.engine(), 5432).into(),
        }
    }

    fn upstream() -> Upstream {
        Upstream {
            instance: "orders-2".into(),
            address: SocketAddrV4::new(Ipv4Addr::new(127, 90, 18, 10), 5432),
        }
    }

    #[test]
    fn owned_parameters_are_refused_in_any_case_and_all_at_once() {
        let parameters = [
            ("Port", "1"),
            ("work_mem", "4MB"),
            ("fsync", "on"),
            ("wal_level", "minimal"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let Err(EngineError::Parameters { names, .. }) = check_parameters(&parameters.into())
        else {
            panic!("accepted");
        };
        assert_eq!(names, ["Port", "wal_level"]);
    }

    #[test]
    fn a_parameter_can_not_smuggle_a_line_or_a_directive() {
        for (name, value) in [
            ("work_mem", "1MB'\nport = '1"),
            ("work_mem = 1\nport", "1"),
            ("", "1"),
            ("include_if_exists", "/etc/passwd"),
        ] {
            let parameters = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            assert!(check_parameters(&parameters).is_err(), "{name:?}");
        }
        let parameters =
            BTreeMap::from([("pg_stat_statements.track".to_owned(), "it's \\".to_owned())]);
        check_parameters(&parameters).unwrap();
        let text = settings(&host(), 15, &parameters);
        assert!(
            text.ends_with("pg_stat_statements.track = 'it''s \\\\'\n"),
            "{text}"
        );
    }

    #[test]
    fn every_role_states_what_it_is_not() {
        let file = Path::new("/stacks/it's/pgpass");
        let primary = DbRole::Primary {
            synchronous_standby: Some("Orders-2".into()),
        };
        assert_eq!(
            role_settings(&host(), &primary, file),
            "synchronous_standby_names = 'FIRST 1 (\"orders-2\")'\nprimary_conninfo = ''\n"
        );
        let standby = role_settings(&host(), &DbRole::Standby { of: upstream() }, file);
        assert!(
            standby.starts_with("synchronous_standby_names = ''\n"),
            "{standby}"
        );
        assert!(
            standby.contains("host=127.90.18.10 port=5432 user=rdsrepladmin"),
            "{standby}"
        );
        assert!(
            standby.contains(r"passfile=''/stacks/it\\''s/pgpass''"),
            "{standby}"
        );
    }

    #[test]
    fn only_the_standby_turns_clients_away() {
        assert!(
            Access::of(&DbRole::Replica { of: upstream() })
                .rules()
                .contains("host all all ")
        );
        let standby = Access::of(&DbRole::Standby { of: upstream() }).rules();
        assert!(!standby.contains("host all all "), "{standby}");
        for rules in [Access::Clients.rules(), standby] {
            assert!(!rules.contains("trust"));
        }
    }

    #[test]
    fn a_long_name_keeps_its_identity() {
        let long = |end: &str| InstanceId::from(format!("{}{end}", "x".repeat(63)));
        let (one, two) = (application_name(&long("-1")), application_name(&long("-2")));
        assert_eq!((one.len(), two.len()), (63, 63));
        assert_ne!(one, two);
        assert_eq!(application_name(&"Orders-1".into()), "orders-1");
    }

    #[test]
    fn versions_differ_where_they_must() {
        assert!(settings(&host(), 18, &BTreeMap::new()).contains("io_method"));
        assert!(!settings(&host(), 17, &BTreeMap::new()).contains("io_method"));
    }
}

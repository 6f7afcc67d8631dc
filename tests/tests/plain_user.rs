//! What a user without rights gets: no port below 1024. Resolvers answer on another port, ports are moved, and `exec` lays a hosts
//! file that the daemon keeps true.
//!
//! In a network of its own, where nothing but loopback is and low ports are not for everyone, whatever this machine allows.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that one command, or one change of the stack, may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// Who owns nothing, on every Linux.
const NOBODY: u32 = 65534;
const STACK: &str = "tests/tests/stack/patient.yaml";

/// A network namespace, kept by a process that sleeps in it.
struct Network(Child);

impl Network {
    /// The error says why there can be none.
    fn new() -> Result<Self, String> {
        let script = "ip link set lo up && echo ready && exec sleep 900";
        let mut command = Command::new("unshare");
        if root_is_us() {
            command.arg("--net");
        } else {
            command.args(["--user", "--map-current-user", "--keep-caps", "--net"]);
        }
        let mut keeper = command
            .args(["sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let said = keeper.stdout.take().map(BufReader::new);
        let read = said.map(|mut said| said.read_line(&mut line));
        if line.trim() == "ready" {
            return Ok(Self(keeper));
        }
        let output = keeper
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        Err(format!(
            "{}{read:?}",
            String::from_utf8_lossy(&output.stderr)
        ))
    }

    /// A program that runs in it as a user without rights.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.0.id().to_string(), "--net"]);
        if root_is_us() {
            command.args(["setpriv", "--clear-groups"]);
            command.arg(format!("--reuid={NOBODY}"));
            command.arg(format!("--regid={NOBODY}"));
        } else {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg(program);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A home of a plain user with the binaries in it.
struct Rig {
    home: tempfile::TempDir,
    network: Network,
}

impl Rig {
    fn new(network: Network) -> Self {
        let home = tempfile::Builder::new()
            .prefix("localaws-")
            .tempdir()
            .expect("a directory");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(home.path(), open).expect("it is ours");
        for name in ["localaws", "storefront"] {
            // Where we were built, a plain user may not come.
            std::fs::copy(binary(name), home.path().join(name)).expect("there is room");
        }
        std::fs::copy(root().join(STACK), home.path().join("patient.yaml")).expect("it is there");
        for name in ["state", "cache"] {
            let path = home.path().join(name);
            std::fs::create_dir(&path).expect("it is ours");
            if root_is_us() {
                std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).expect("we are root");
            }
        }
        Self { home, network }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = self.home.path().join("localaws");
        let mut command = self.network.command(&program);
        self.fitted(&mut command);
        command.args(arguments);
        command
    }

    fn fitted(&self, command: &mut Command) {
        command
            .env("HOME", self.home.path().join("state"))
            .env("LOCALAWS_HOME", self.home.path().join("state"))
            .env("LOCALAWS_CACHE", self.home.path().join("cache"))
            .current_dir(self.home.path())
            .stdin(Stdio::null());
    }

    fn run(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut command = Command::new("timeout");
        let inner = self.command(arguments);
        command.arg(PATIENCE.as_secs().to_string());
        command.arg(inner.get_program()).args(inner.get_args());
        self.fitted(&mut command);
        let output = command.output().expect("there is a `timeout`");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn done(&self, arguments: &[&str]) -> String {
        let (good, out, err) = self.run(arguments);
        assert!(good, "`localaws {}`:\n{out}{err}", arguments.join(" "));
        out
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let (_, out, err) = self.run(arguments);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
    }

    /// Fetches engines that are not installed, outside: the network inside leads nowhere.
    fn fetch_engines(&self) {
        let program = self.home.path().join("localaws");
        let arguments = ["up", "patient.yaml", "--runtime", "process", "-d"];
        for arguments in [&arguments[..], &["down", "--purge"]] {
            let mut command = if root_is_us() {
                let mut command = Command::new("setpriv");
                command.args(["--clear-groups", "--reuid=65534", "--regid=65534"]);
                command.arg(&program);
                command
            } else {
                Command::new(&program)
            };
            self.fitted(&mut command);
            let output = command.args(arguments).output().expect("it starts");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{arguments:?}: {said}");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // There may be none.
        let _gone = self.run(&["down", "patient", "--purge"]);
    }
}

fn root_is_us() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("there is /proc");
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uid.and_then(|line| line.split_whitespace().nth(1)) == Some("0")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
        .to_owned()
}

/// A binary beside the tests' own: `cargo build --workspace` puts it there.
fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("we run");
    let target = own
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in deps/");
    let path = target.join(name);
    assert!(
        path.exists(),
        "{} is not built: `cargo build --workspace` first",
        path.display()
    );
    path
}

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
#[test]
fn a_user_without_rights_has_moved_ports_and_a_hosts_file_that_follows_a_failover() {
    let network = match Network::new() {
        Ok(network) => network,
        Err(cause) => {
            println!("skipped: no network of our own can be had here: {cause}");
            return;
        }
    };
    let rig = Rig::new(network);
    let doctor = rig.json(&["doctor", "--json"]);
    let checks = doctor["checks"].as_array().expect("a list of checks");
    let of = |name: &str| {
        let check = checks.iter().find(|check| check["check"] == name);
        check.unwrap_or_else(|| panic!("no {name} in {doctor}"))
    };
    for (check, told) in [("port 53", "10053"), ("low ports", "10080")] {
        assert_eq!(of(check)["state"], "warning", "{doctor}");
        let detail = of(check)["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(told), "{doctor}");
    }
    if doctor.to_string().contains("will be fetched") {
        rig.fetch_engines();
    }
    rig.done(&["up", "patient.yaml", "--runtime", "process", "-d"]);
    every_url_has_its_real_port(&rig);
    names_follow_a_failover(&rig);
    rig.done(&["down", "--purge"]);
}

fn every_url_has_its_real_port(rig: &Rig) {
    let told = rig.json(&["endpoints", "--json"]);
    assert_eq!(
        told["resolver"].as_str().map(|it| it.ends_with(":10053")),
        Some(true)
    );
    let endpoints = told["endpoints"].as_array().expect("a list");
    let url = |kind: &str| {
        let one = endpoints.iter().find(|endpoint| endpoint["kind"] == kind);
        one.and_then(|endpoint| endpoint["url"].as_str())
            .expect(kind)
    };
    assert!(url("alb").ends_with(":10080"), "{told}");
    assert!(url("rds-writer").contains(":5432/"), "{told}");
    // A shell of bash can ask without any other program, by the name and the port as printed.
    let ask = "url=${SITE_URL#http://}; exec 3<>/dev/tcp/${url%:*}/${url#*:}; \
               printf 'GET /whoami HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n' >&3; cat <&3";
    let answer = rig.done(&["exec", "--", "bash", "-c", ask]);
    assert!(answer.contains("\"zone\""), "{answer}");
    let from_b = rig.done(&[
        "exec",
        "--zone",
        "b",
        "--",
        "getent",
        "hosts",
        "db.shop.internal",
    ]);
    let from_outside = rig.done(&["exec", "--", "getent", "hosts", "db.shop.internal"]);
    assert_ne!(from_b, from_outside, "both views have the same address");
}

fn names_follow_a_failover(rig: &Rig) {
    let before = rig.done(&["exec", "--", "getent", "hosts", "db.shop.internal"]);
    rig.done(&["chaos", "kill-az", "ap-northeast-2a"]);
    // The zone stays dark: its own view must not keep the others waiting. The program that waits has been started before.
    let wait = format!(
        "i=0; while [ $i -lt {} ]; do now=$(getent hosts db.shop.internal); \
         [ -n \"$now\" ] || {{ echo gone; exit 1; }}; [ \"$now\" = '{}' ] || {{ echo \"$now\"; exit 0; }}; \
         i=$((i+1)); sleep 0.1; done; exit 2",
        PATIENCE.as_secs() * 8,
        before.trim_end()
    );
    let after = rig.done(&["exec", "--", "sh", "-c", &wait]);
    assert_ne!(before, after);
    rig.done(&["chaos", "heal", "--all"]);
    let begun = Instant::now();
    loop {
        let status = rig.json(&["status", "--json"]);
        let instances = status["instances"].as_array().expect("there are instances");
        let back = instances.iter().any(|one| {
            one["id"] == "orders-1" && one["role"] == "standby" && one["state"] == "available"
        });
        if back {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "orders-1 is not back: {status}");
    }
}

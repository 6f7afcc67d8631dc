//! A home of its own for a test, the binaries as built, and whatever was started with them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::left::Traces;

/// The longest that one command, or one thing that is waited for, may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// The longest that a server may take to answer once.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// One stack in a home of its own. When it is dropped nothing of it is left, whatever became of the test.
#[derive(Debug)]
pub struct Rig {
    home: tempfile::TempDir,
    name: String,
    runtime: &'static str,
}

/// How a command ended.
#[derive(Debug)]
pub struct Answer {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Rig {
    /// For a stack on `runtime`, named so that no other test's containers are in the way.
    ///
    /// # Panics
    /// When there is no directory to be had.
    pub fn new(runtime: &'static str) -> Self {
        let home = tempfile::Builder::new()
            .prefix("localaws-")
            .tempdir()
            .expect("a directory");
        // Instances run as nobody, who has to get there.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(home.path(), open).expect("it is ours");
        let suffix = home.path().to_string_lossy().to_lowercase();
        let letters = suffix.chars().rev().filter(char::is_ascii_alphanumeric);
        let name = format!("t{}", letters.take(6).collect::<String>());
        Self {
            home,
            name,
            runtime,
        }
    }

    /// The stack's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A file of the rig's own.
    ///
    /// # Panics
    /// When it can not be written.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.home.path().join(name);
        fs::write(&path, content).expect("it is ours");
        path.display().to_string()
    }

    /// The rig's home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts `localaws`.
    ///
    /// # Panics
    /// When it is not built.
    pub fn start(&self, arguments: &[&str]) -> Child {
        Command::new(binary("localaws"))
            .args(arguments)
            .env("LOCALAWS_HOME", self.home.path())
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }

    /// Runs `localaws` to its end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        let mut child = self.start(arguments);
        let begun = Instant::now();
        while child.try_wait().expect("it is our child").is_none() {
            if begun.elapsed() > PATIENCE {
                // The assertion tells; the child is to be gone by then.
                let _killed = child.kill();
                let command = arguments.join(" ");
                panic!("`localaws {command}` did not end within {PATIENCE:?}");
            }
            std::thread::park_timeout(LOOK);
        }
        Answer::of(&child.wait_with_output().expect("it has ended"))
    }

    /// What a command prints that has to succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> String {
        let answer = self.run(arguments);
        let command = arguments.join(" ");
        assert_eq!(answer.code, Some(0), "`localaws {command}`: {answer:#?}");
        answer.out
    }

    /// Brings the stack up in the background.
    pub fn up(&self, file: &str) -> Answer {
        let (name, runtime) = (self.name.as_str(), self.runtime);
        self.run(&["up", file, "--name", name, "--runtime", runtime, "-d"])
    }

    /// The answer of a command with `--json`.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(arguments)).expect("it is JSON")
    }

    /// One field of an instance's status.
    ///
    /// # Panics
    /// When there is no such instance.
    #[track_caller]
    pub fn instance(&self, id: &str, field: &str) -> String {
        let status = self.json(&["status", "--json"]);
        let instances = status["instances"].as_array().expect("there are instances");
        let one = instances.iter().find(|one| one["id"] == id);
        let one = one.unwrap_or_else(|| panic!("no `{id}` in {status}"));
        one[field].as_str().unwrap_or_default().to_owned()
    }

    /// What to look for when the stack is gone.
    ///
    /// # Panics
    /// When it is gone already.
    pub fn traces(&self) -> Traces {
        Traces::of(&self.directory()).expect("the stack has a record")
    }

    /// The stack's directory.
    pub fn directory(&self) -> PathBuf {
        self.home.path().join("stacks").join(&self.name)
    }

    /// Kills the daemon as the kernel would, and returns at once: it may still be dying.
    ///
    /// # Panics
    /// When there is none.
    pub fn kill_daemon(&self) {
        self.signal_daemon("KILL");
    }

    /// Sends a signal to the daemon.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn signal_daemon(&self, signal: &str) {
        let daemon = self.daemon().expect("a daemon runs");
        let sent = Command::new("kill").args(["-s", signal, &daemon]).status();
        assert!(sent.expect("there is kill").success());
    }

    /// The number of the daemon's process.
    fn daemon(&self) -> Option<String> {
        let home = self.home.path().display().to_string();
        let entries = fs::read_dir("/proc").ok()?.flatten();
        let daemon = entries.map(|entry| entry.path()).find(|process| {
            let read = |file: &str| fs::read(process.join(file)).unwrap_or_default();
            let said = |file: &str| String::from_utf8_lossy(&read(file)).into_owned();
            said("cmdline").contains("__daemon") && said("environ").contains(&home)
        })?;
        Some(daemon.file_name()?.to_string_lossy().into_owned())
    }

    /// Asks the load balancer `site` until it answers with one of `codes`; the body.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &str, codes: &[u16]) -> String {
        let mut last = String::new();
        let answered = until(|| {
            last = self
                .ask_once(method, path, body)
                .unwrap_or_else(|error| error.to_string());
            let code = last.split(' ').nth(1).and_then(|code| code.parse().ok());
            code.is_some_and(|code: u16| codes.contains(&code))
        });
        assert!(answered, "{method} {path}: {last}");
        last
    }

    fn ask_once(&self, method: &str, path: &str, body: &str) -> std::io::Result<String> {
        let endpoints = self.json(&["endpoints", "--json"]);
        let endpoints = endpoints["endpoints"].as_array().expect("a list");
        let site = endpoints.iter().find(|one| one["id"] == "site");
        let site = site.expect("the stack has a site");
        let (ip, port) = (site["addresses"][0].as_str(), &site["port"]);
        let address: SocketAddr = format!("{}:{port}", ip.unwrap_or("none"))
            .parse()
            .map_err(std::io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A test that stopped it may have failed before it went on.
        if let Some(daemon) = self.daemon() {
            let _goes_on = Command::new("kill").args(["-s", "CONT", &daemon]).status();
        }
        // There may be none.
        let _gone = Command::new(binary("localaws"))
            .args(["down", &self.name, "--purge"])
            .env("LOCALAWS_HOME", self.home.path())
            .output();
    }
}

impl Answer {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code, and what is said on standard error.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn ends(self, code: i32, says: &str) -> Self {
        assert!(
            self.code == Some(code) && self.err.contains(says),
            "not {code} with `{says}`: {self:#?}"
        );
        self
    }
}

/// Whether it becomes so while anybody has patience.
pub fn until(mut so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if so() {
            return true;
        }
        std::thread::park_timeout(LOOK);
    }
    false
}

pub(crate) fn root() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    workspace
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

/// Whether a container engine answers. Where one is asked for, none is a failure.
///
/// # Panics
/// If none answers and `LOCALAWS_LIVE=docker`.
pub fn container_engine() -> bool {
    let engine = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .output();
    let answers = engine.is_ok_and(|answer| answer.status.success());
    let wanted = std::env::var("LOCALAWS_LIVE").as_deref() == Ok("docker");
    assert!(answers || !wanted, "no container engine answers");
    answers
}

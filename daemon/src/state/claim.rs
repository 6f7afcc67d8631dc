//! Taking a stack for this process: its lock, its slot, its record, in one step that nobody else can come between.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use topologies::address::{self, Slot, ZoneNumber};
use topologies::id::StackId;
use topologies::runtime::RuntimeKind;

use super::{
    FORMAT, Home, Phase, Record, StackDirectory, StateError, create_directory, open_lock, resume,
};
use crate::up::RuntimeWish;

/// The port of the control and AWS API.
pub(crate) const API_PORT: u16 = 4566;

/// What `up` asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The stack's name.
    pub name: StackId,
    /// The topology file, absolute.
    pub topology_path: PathBuf,
    /// Its text.
    pub topology: String,
    /// The runtime asked for.
    pub wish: RuntimeWish,
    /// The timing profile asked for.
    pub timing: Option<String>,
    /// The seed, if given.
    pub seed: Option<u64>,
    /// A seed to use if none is given and none is recorded.
    pub fresh_seed: u64,
    /// Now, RFC 3339.
    pub now: String,
}

/// A stack that belongs to this process until the claim is dropped.
#[derive(Debug)]
pub struct Claim {
    /// Its directory.
    pub directory: StackDirectory,
    /// Its record, already written.
    pub record: Record,
    /// The runtime that the command asks for; the record has the one that it gets.
    pub asked: RuntimeWish,
    /// Whether it has data worth keeping, and perhaps instances, from before.
    pub resume: bool,
    /// Whether nothing of it is taken over that runs: it was taken down before, or what runs has to go.
    pub stopped: bool,
    /// Whether what an earlier daemon left has to go first: its bring-up was cut short, or its slot is somebody else's by now.
    pub leftovers: bool,
    /// The API's listener on the stack's own address. Bound all along, it also keeps stacks of other users, whose records we
    /// can not read, off the slot.
    pub lease: TcpListener,
    home: Home,
    lock: File,
}

impl Home {
    /// Takes the stack, new or left behind. One that was up is taken over as it was: by the same plan, on the same runtime.
    pub fn claim(&self, wanted: Wanted) -> Result<Claim, StateError> {
        self.create()?;
        let directory = self.stack(&wanted.name);
        let _turn = self.lock()?;
        let new = !directory.lock_path().exists();
        create_directory(directory.path())?;
        let lock = take_lock(&directory, &wanted.name)?;
        // The daemon of a stack whose directory was removed notices it and ends what it has, by the directory's name.
        if new && !directory.holders().is_empty() {
            directory.remove()?;
            return Err(StateError::Running(wanted.name));
        }
        let old = directory.record()?;
        let before = |found: fn(Phase) -> bool| old.as_ref().is_some_and(|old| found(old.phase));
        let resume = before(|phase| phase != Phase::Creating);
        let leftovers = before(|phase| phase == Phase::Creating);
        let stopped = before(|phase| phase == Phase::Stopped);
        if let Some(old) = old.as_ref().filter(|_| resume) {
            resume::check(old, &wanted)?;
        }
        let runtime = old.as_ref().and_then(|old| old.runtime);
        let wish = match runtime.filter(|_| resume) {
            Some(runtime) => RuntimeWish::exactly(runtime),
            None => wanted.wish,
        };
        let claimed = self.choose_slot(&wanted.name, old.as_ref().map(|old| old.slot));
        let (slot, lease) = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                if old.is_none() {
                    // Only the directory made above is in it; the error at hand says more than one about removing it.
                    let _ = directory.remove();
                }
                return Err(error);
            }
        };
        // What runs has its addresses from the slot that somebody took while no daemon had it.
        let moved = resume && !stopped && old.as_ref().is_some_and(|old| old.slot != slot);
        let (leftovers, stopped) = (leftovers || moved, stopped || moved);
        let record = Record {
            format: FORMAT,
            slot,
            socket: super::socket_path(directory.path(), &runtime_directory()),
            topology_path: wanted.topology_path,
            topology: wanted.topology,
            wish,
            runtime,
            runtimes: runtimes(old.as_ref(), wish),
            timing: wanted.timing,
            seed: wanted
                .seed
                .or(old.as_ref().map(|old| old.seed))
                .unwrap_or(wanted.fresh_seed),
            created: old.as_ref().map_or(wanted.now, |old| old.created.clone()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            phase: old.as_ref().map_or(Phase::Creating, |old| old.phase),
            name: wanted.name,
        };
        directory.write_record(&record)?;
        Ok(Claim {
            directory,
            record,
            asked: wanted.wish,
            resume,
            stopped,
            leftovers,
            lease,
            home: self.clone(),
            lock,
        })
    }

    /// Takes a stack that no daemon has, to remove it: its directory and record.
    pub fn seize(&self, name: &StackId) -> Result<Option<Seizure>, StateError> {
        let directory = self.stack(name);
        if !directory.path().exists() {
            return Ok(None);
        }
        let _turn = self.lock()?;
        let lock = take_lock(&directory, name)?;
        let record = directory.record()?;
        Ok(Some(Seizure {
            directory,
            record,
            home: self.clone(),
            _lock: lock,
        }))
    }

    /// The stack's old slot if that is still free, else the lowest that no record names and that can be bound, else the lowest
    /// of a stack that is down.
    fn choose_slot(
        &self,
        name: &StackId,
        old: Option<Slot>,
    ) -> Result<(Slot, TcpListener), StateError> {
        let mut named = Vec::new();
        let stacks = self.state.join("stacks");
        let entries = fs::read_dir(&stacks).map_err(StateError::file("read directory", &stacks))?;
        for entry in entries.flatten() {
            // A record that can not be read keeps no slot: its stack can not run either.
            if let Ok(Some(record)) = (StackDirectory { path: entry.path() }).record()
                && record.name != *name
            {
                named.push((record.slot, record.phase));
            }
        }
        let slots = (Slot::MIN..=Slot::MAX).filter_map(Slot::new);
        let unnamed = slots.filter(|slot| named.iter().all(|(taken, _)| taken != slot));
        let down = named
            .iter()
            .filter(|(_, phase)| *phase == Phase::Stopped)
            .map(|(slot, _)| *slot);
        let mut refusal = StateError::NoSlot;
        for slot in old.into_iter().chain(unnamed).chain(down) {
            let address = SocketAddrV4::new(address::api(slot, ZoneNumber::OUTSIDE), API_PORT);
            match TcpListener::bind(address) {
                Ok(lease) => return Ok((slot, lease)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(source) => refusal = StateError::Loopback { address, source },
            }
        }
        Err(refusal)
    }
}

/// Those that the last bring-up may have used and those that this one may: what the last left is not cleared yet.
fn runtimes(old: Option<&Record>, wish: RuntimeWish) -> Vec<RuntimeKind> {
    let mut all = old.map(|old| old.runtimes.clone()).unwrap_or_default();
    for runtime in wish.candidates() {
        if !all.contains(runtime) {
            all.push(*runtime);
        }
    }
    all
}

/// A stack without a daemon, held so that none can start meanwhile.
#[derive(Debug)]
pub struct Seizure {
    /// Its directory.
    pub directory: StackDirectory,
    /// Its record; none if a daemon died before writing it.
    pub record: Option<Record>,
    home: Home,
    _lock: File,
}

impl Seizure {
    /// Removes everything of the stack.
    pub fn purge(self) -> Result<(), StateError> {
        purge(&self.home, &self.directory, self.record.as_ref())
    }
}

impl Claim {
    /// Records how far the stack is.
    pub fn set_phase(&mut self, phase: Phase) -> Result<(), StateError> {
        self.record.phase = phase;
        self.directory.write_record(&self.record)
    }

    /// Whether its directory was removed, or another one is in its place: nobody can find the stack any more.
    pub fn is_removed(&self) -> bool {
        let there = fs::metadata(self.directory.lock_path());
        match (self.lock.metadata(), there) {
            (Ok(held), Ok(there)) => (held.dev(), held.ino()) != (there.dev(), there.ino()),
            (_, Err(error)) => error.kind() == io::ErrorKind::NotFound,
            (Err(_), Ok(_)) => false,
        }
    }

    /// Removes what was made anew of a directory that was removed, unless somebody else has it by now.
    pub fn forsake(self) -> Result<(), StateError> {
        let _turn = self.home.lock()?;
        if self.directory.lock_path().exists() {
            return Ok(());
        }
        self.directory.remove()
    }

    /// Gives the stack up and removes everything of it.
    pub fn purge(self) -> Result<(), StateError> {
        purge(&self.home, &self.directory, Some(&self.record))
    }
}

/// Removes a stack's files. In turn with everybody else, so that nobody takes the stack between two of them.
fn purge(
    home: &Home,
    directory: &StackDirectory,
    record: Option<&Record>,
) -> Result<(), StateError> {
    let _turn = home.lock()?;
    if let Some(record) = record {
        remove_socket(record);
    }
    directory.remove()
}

/// Removes the control socket, wherever it is. That it is gone already is fine.
pub(crate) fn remove_socket(record: &Record) {
    let _ = fs::remove_file(&record.socket);
}

fn take_lock(directory: &StackDirectory, name: &StackId) -> Result<File, StateError> {
    let path = directory.lock_path();
    let file = open_lock(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::Running(name.clone())),
        Err(TryLockError::Error(error)) => Err(StateError::file("lock", &path)(error)),
    }
}

/// A short directory of this user's own. Where there is none, `/tmp`: the socket's mode keeps others out.
fn runtime_directory() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute() && path.is_dir())
        .unwrap_or_else(|| PathBuf::from("/tmp"))
}

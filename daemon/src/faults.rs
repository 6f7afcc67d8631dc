//! The faults in force, kept in a file: a daemon that is killed leaves them in force, and the next one must be able to heal them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chaos::active::{ActiveFault, Change, Conditions, Faults, HealError, InjectError};
use chaos::fault::Fault;
use topologies::id::{FaultId, InstanceId};
use topologies::plan::Plan;
use topologies::time::Time;

/// Where they are kept, in the stack's directory.
const FILE: &str = "faults.json";

/// The faults in force, and their file.
pub struct FaultFile {
    path: PathBuf,
    faults: Faults,
}

impl FaultFile {
    /// Those that an earlier daemon left in force, if the stack is resumed; none otherwise.
    ///
    /// # Errors
    /// When the file can not be read.
    pub fn open(directory: &Path, resumed: bool) -> io::Result<Self> {
        let path = directory.join(FILE);
        let faults = match fs::read(&path) {
            Ok(bytes) if resumed => serde_json::from_slice(&bytes)?,
            Ok(_) => Faults::default(),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Faults::default(),
            Err(cause) => return Err(cause),
        };
        Ok(Self { path, faults })
    }

    /// The physical conditions that they cause.
    pub fn conditions(&self, plan: &Plan) -> Conditions {
        self.faults.conditions(plan)
    }

    /// Takes up a fault: see [`Faults::inject`].
    ///
    /// # Errors
    /// When it is in force already, or its target is down.
    pub fn inject(
        &mut self,
        fault: Fault,
        now: Time,
        plan: &Plan,
        down: &BTreeSet<InstanceId>,
    ) -> Result<(FaultId, Change), InjectError> {
        let injected = self.faults.inject(fault, now, plan, down)?;
        self.save();
        Ok(injected)
    }

    /// Ends a fault: see [`Faults::heal`].
    ///
    /// # Errors
    /// When it is not in force.
    pub fn heal(&mut self, id: &FaultId, plan: &Plan) -> Result<(ActiveFault, Change), HealError> {
        let healed = self.faults.heal(id, plan)?;
        self.save();
        Ok(healed)
    }

    /// Ends every fault.
    pub fn heal_all(&mut self, plan: &Plan) -> (Vec<ActiveFault>, Change) {
        let healed = self.faults.heal_all(plan);
        self.save();
        healed
    }

    /// A file that can not be written costs the next daemon its memory of faults, not this one its work.
    fn save(&self) {
        let unfinished = self.path.with_extension("new");
        let bytes = serde_json::to_vec(&self.faults).expect("faults have no maps with odd keys");
        let written =
            fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &self.path));
        if let Err(cause) = written {
            tracing::error!(%cause, path = %self.path.display(), "faults in force not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_begins_anew_has_no_faults() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "not read").unwrap();
        let plan = |file: &FaultFile| file.faults.active().len();
        assert_eq!(plan(&FaultFile::open(directory.path(), false).unwrap()), 0);
        assert!(FaultFile::open(directory.path(), true).is_err());
    }
}

//! The faults in force, kept in a file: a daemon that is killed leaves them in force, and the next one must be able to heal them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chaos::active::{ActiveFault, Change, Conditions, Faults, HealError, InjectError};
use chaos::fault::Fault;
use topologies::experiment::ActionOf;
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

    /// Whether a fault could be taken up: see [`Faults::check`].
    ///
    /// # Errors
    /// When it is in force already, or its target is down.
    pub fn check(
        &self,
        fault: &Fault,
        plan: &Plan,
        down: &BTreeSet<InstanceId>,
    ) -> Result<(), InjectError> {
        self.faults.check(fault, plan, down)
    }

    /// Takes up a fault: see [`Faults::inject_for`].
    ///
    /// # Errors
    /// When it is in force already, or its target is down.
    pub fn inject(
        &mut self,
        by: Option<ActionOf>,
        fault: Fault,
        now: Time,
        plan: &Plan,
        down: &BTreeSet<InstanceId>,
    ) -> Result<(FaultId, Change), InjectError> {
        let injected = self.faults.inject_for(by, fault, now, plan, down)?;
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

    /// Those in force, oldest first.
    pub fn active(&self) -> &[ActiveFault] {
        self.faults.active()
    }

    /// The one that ends with this instance's process: see [`Faults::ending_with`].
    pub fn ending_with(&self, instance: &InstanceId) -> Option<&FaultId> {
        self.faults.ending_with(instance)
    }

    /// Those that are about calls of the AWS API.
    pub fn of_calls(&self) -> Vec<ActiveFault> {
        self.faults.of_calls()
    }

    /// Takes back a heal: see [`Faults::reenter`].
    pub fn reenter(&mut self, fault: ActiveFault, plan: &Plan) -> Conditions {
        let conditions = self.faults.reenter(fault, plan);
        self.save();
        conditions
    }

    /// Ends every fault of a stack whose hosts are about to go.
    pub fn end_all(&mut self) -> Vec<ActiveFault> {
        let ended = self.faults.end_all();
        self.save();
        ended
    }

    /// Ends every fault of a stack that has no hosts and no daemon: the next daemon records it. A file that can not be read goes.
    ///
    /// # Errors
    /// When it can not be removed.
    pub fn end_all_in(directory: &Path) -> io::Result<()> {
        if let Ok(mut file) = Self::open(directory, true) {
            if !file.active().is_empty() {
                file.end_all();
            }
            return Ok(());
        }
        match fs::remove_file(directory.join(FILE)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            Ok(()) | Err(_) => Ok(()),
        }
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
    fn faults_of_a_stack_that_is_taken_down_end_and_their_names_are_not_given_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        FaultFile::end_all_in(path).unwrap();
        assert_eq!(fs::read_dir(path).unwrap().count(), 0, "nothing to end");
        let dark =
            r#"{"active":[{"id":"f3","fault":{"kill-az":{"zone":"a"}},"since":7}],"issued":3}"#;
        fs::write(path.join(FILE), dark).unwrap();
        assert_eq!(FaultFile::open(path, true).unwrap().active().len(), 1);
        FaultFile::end_all_in(path).unwrap();
        assert!(FaultFile::open(path, true).unwrap().active().is_empty());
        let left = fs::read_to_string(path.join(FILE)).unwrap();
        assert!(left.contains(r#""issued":3"#), "{left}");
        fs::write(path.join(FILE), "not read").unwrap();
        FaultFile::end_all_in(path).unwrap();
        assert!(FaultFile::open(path, true).is_ok());
    }

    #[test]
    fn a_stack_that_begins_anew_has_no_faults() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "not read").unwrap();
        let plan = |file: &FaultFile| file.faults.active().len();
        assert_eq!(plan(&FaultFile::open(directory.path(), false).unwrap()), 0);
        assert!(FaultFile::open(directory.path(), true).is_err());
    }
}

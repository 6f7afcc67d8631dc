//! What an operation may change. The driver, who owns the world, carries it out.

use serde_json::Value;
use topologies::event::EventKind;
use topologies::id::DbInstanceId;
use topologies::time::Time;
use topologies::world::World;
use wire::Fault;

/// One thing to be changed.
pub enum Change {
    /// Something has happened by being decided; the timeline records it.
    Note(EventKind),
    /// The master password of a DB instance, from now on. It is kept where passwords are, not in the timeline.
    Password {
        /// The DB instance.
        db_instance: DbInstanceId,
        /// Its password.
        password: String,
    },
    /// A DB instance that is about to be one of its own keeps the passwords that it has as a read replica.
    SamePasswords {
        /// The DB instance.
        db_instance: DbInstanceId,
        /// What it is a read replica of.
        source: DbInstanceId,
    },
}

/// How a call ended: its output, or an error.
pub type Decided = Result<Value, Fault>;

/// A call that the driver decides against the world as it is then. On an error nothing is changed.
pub type Decide = Box<dyn FnOnce(&World, Time) -> Result<(Value, Vec<Change>), Fault> + Send>;

//! What a history proves: [`reconcile`] compares what was acknowledged with what survived, [`outages`] finds when nothing
//! was accepted, [`recovery`] how long after a disturbance service was back.

pub mod outages;
pub mod reconcile;
pub mod recovery;

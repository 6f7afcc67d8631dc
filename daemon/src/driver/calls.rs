//! Calls of the AWS API that change something: decided against the world as it is, carried out whole or not at all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;
use topologies::edit::{Unsound, unsound};
use topologies::event::EventKind;
use topologies::world::World;
use wire::Fault;

use super::{Driver, State};
use crate::aws::{Change, Decide, Decided};
use crate::causes::chain;
use crate::control::Stimulus;

/// AWS's text for what is nobody's fault but the service's ("Common errors").
const OUR_BUG: &str =
    "The request processing has failed because of an unknown error, exception or failure.";

impl Driver {
    pub(super) fn call(
        &mut self,
        state: &mut State,
        decide: Decide,
        answer: oneshot::Sender<Decided>,
    ) {
        if answer.is_closed() {
            // Its client was told that the service is not available, and may have tried again.
            return;
        }
        let (world, now) = (self.control.world(), self.clock.now());
        let decided = catch_unwind(AssertUnwindSafe(|| decide(world, now)));
        let decided = decided.unwrap_or_else(|_| Err(Fault::receiver("InternalFailure", OUR_BUG)));
        let sound = decided.and_then(|decided| match unsound_after(world, &decided.1) {
            None => Ok(decided),
            Some(why) => Err(refusal(&why)),
        });
        let kept = sound.and_then(|decided| {
            self.keep_passwords(&decided.1)?;
            Ok(decided)
        });
        let output = kept.map(|(output, changes)| {
            self.log.hold();
            for change in changes {
                if let Change::Note(kind) = change {
                    // Answers tell of this moment, and what is described later is of the same.
                    self.handle_at(state, Stimulus::Note(kind), now);
                }
            }
            self.log.release();
            output
        });
        let _gone = answer.send(output);
    }

    /// They are kept before anything is made that would have another.
    fn keep_passwords(&self, changes: &[Change]) -> Result<(), Fault> {
        for change in changes {
            let (db_instance, kept) = match change {
                Change::Password {
                    db_instance,
                    password,
                } => (
                    db_instance,
                    self.estates.keep_password(db_instance, password),
                ),
                Change::SamePasswords {
                    db_instance,
                    source,
                } => (
                    db_instance,
                    self.estates.inherit_passwords(db_instance, source),
                ),
                Change::Note(_) => continue,
            };
            if let Err(cause) = kept {
                tracing::error!(%cause, %db_instance, "failed to keep a password");
                return Err(Fault::receiver("InternalFailure", OUR_BUG));
            }
        }
        let plan = self.plan();
        let mut databases = plan.topology.db_instances.iter();
        let others = databases.any(|db| {
            let of = |change: &Change| matches!(change, Change::Password { db_instance, .. } if *db_instance == db.id);
            changes.iter().any(of)
        });
        if others && let Err(cause) = self.estates.follow(&plan) {
            tracing::error!(
                cause = chain(&cause),
                "failed to go on with another password"
            );
            self.put_back_passwords(changes);
            return Err(Fault::receiver("InternalFailure", OUR_BUG));
        }
        Ok(())
    }

    /// Nobody may be told passwords that are not in force.
    fn put_back_passwords(&self, changes: &[Change]) {
        let present = Arc::clone(&self.estates.watch().borrow());
        for change in changes {
            let Change::Password { db_instance, .. } = change else {
                continue;
            };
            let former = present.secrets.databases.get(db_instance);
            let kept = former.map(|it| self.estates.keep_password(db_instance, it.master.expose()));
            if let Some(Err(cause)) = kept {
                tracing::error!(%cause, %db_instance, "failed to put a password back");
            }
        }
    }
}

/// What would not hold together after these changes: handlers look at what they change, this at the whole.
fn unsound_after(world: &World, changes: &[Change]) -> Option<Unsound> {
    let mut edited = None;
    for change in changes {
        if let Change::Note(EventKind::TopologyEdited { edits, .. }) = change {
            let before = edited.as_ref().unwrap_or(&world.plan.topology);
            edited = Some(before.edited(edits));
        }
    }
    edited.as_ref().and_then(unsound)
}

/// Codes after EC2's and the database services' common errors.
fn refusal(why: &Unsound) -> Fault {
    let code = match why {
        Unsound::Full(_) => "InsufficientFreeAddressesInSubnet",
        Unsound::Twice(_) => "InvalidParameterCombination",
        Unsound::NoZone(_)
        | Unsound::NoTarget(_)
        | Unsound::NoTargetGroup(_)
        | Unsound::NoHealthCheck(_)
        | Unsound::NoCidrCollection(_) => "InvalidParameterValue",
    };
    Fault::sender(code, why.to_string())
}

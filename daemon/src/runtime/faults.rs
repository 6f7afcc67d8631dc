//! Doing harm and ending it, below the control plane, and removing a stack.
//!
//! Loss of power, isolation and a held stop last: they are on the disk before they act, and hold on when the daemon is killed.
//! A freeze lasts as long as the processes that it hit: an instance that is killed and started again is not frozen, as a hung
//! machine that is rebooted is not.

use std::sync::Arc;
use std::time::Duration;

use topologies::id::InstanceId;
use topologies::runtime::{Affliction, RuntimeError, StopMode};

use super::processes::Body;
use super::state::Life;
use super::{Host, failed, signals};

/// How long an instance that a fault stops has to end by itself. Shorter than a host's shutdown: a drill waits for it.
const STOP: StopMode = StopMode::Graceful(Duration::from_secs(10));

impl Host {
    pub(super) async fn afflict(
        self: &Arc<Self>,
        affliction: &Affliction,
    ) -> Result<(), RuntimeError> {
        match affliction {
            Affliction::PowerLoss(zone) => {
                self.change_faults(affliction, true).await?;
                // What is not found here has not been entered yet, and will be refused when it is.
                let lives = self.state().lives_in(Some(zone));
                self.kill(&lives, &format!("cut the power of zone {zone}"))
                    .await
            }
            Affliction::Isolation(_) => self.change_faults(affliction, true).await,
            Affliction::Kill(instance) => {
                let lives: Vec<Life> = self.present_life(instance).into_iter().collect();
                self.kill(&lives, &format!("kill instance {instance}"))
                    .await
            }
            Affliction::Stop(instance) => {
                self.change_faults(affliction, true).await?;
                let orders = self.orders_of(instance);
                let _turn = orders.lock().await;
                self.end_if_running(instance, STOP).await
            }
            Affliction::Freeze(instance) => {
                self.change_faults(affliction, true).await?;
                self.signal(instance, "freeze", signals::freeze).await
            }
        }
    }

    pub(super) async fn relieve(
        self: &Arc<Self>,
        affliction: &Affliction,
    ) -> Result<(), RuntimeError> {
        match affliction {
            Affliction::PowerLoss(_) | Affliction::Isolation(_) | Affliction::Stop(_) => {
                self.change_faults(affliction, false).await
            }
            Affliction::Kill(_) => Ok(()),
            Affliction::Freeze(instance) => {
                self.signal(instance, "thaw", signals::thaw).await?;
                self.change_faults(affliction, false).await
            }
        }
    }

    pub(super) async fn clear(self: &Arc<Self>) -> Result<(), RuntimeError> {
        self.state().begin_clearing();
        let outcome = self.end_everything().await;
        if outcome.is_ok() {
            self.state().cleared();
        } else {
            self.state().stop_clearing();
        }
        outcome
    }

    async fn end_everything(self: &Arc<Self>) -> Result<(), RuntimeError> {
        const ACTION: &str = "remove the stack";
        let lives = self.state().lives_in(None);
        self.kill(&lives, ACTION).await?;
        // Orders that were under way end; none of them can start anything any more.
        for orders in self.all_orders() {
            drop(orders.lock().await);
        }
        let lives = self.state().lives_in(None);
        self.kill(&lives, ACTION).await?;
        let _faults = self.faults.lock().await;
        self.blocking(ACTION, |host| {
            signals::kill_marked(&host.stack).map_err(failed(ACTION))?;
            host.records.clear().map_err(failed(ACTION))?;
            match std::fs::remove_dir_all(host.directory.join("bin")) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(failed(ACTION)(error))
                }
                Ok(()) | Err(_) => Ok(()),
            }
        })
        .await
    }

    /// Adds or takes away a fault that lasts. It holds from before it is on the disk, so that nothing starts meanwhile, but one
    /// that cannot be kept does not hold.
    pub(super) async fn change_faults(
        self: &Arc<Self>,
        affliction: &Affliction,
        holds: bool,
    ) -> Result<(), RuntimeError> {
        let _change = self.faults.lock().await;
        let before = self.state().afflictions().clone();
        let mut after = before.clone();
        if holds {
            after.afflict(affliction);
            self.state().set_afflictions(after.clone());
        } else {
            after.relieve(affliction);
        }
        let kept = after.clone();
        let written = self
            .blocking("keep a fault", move |host| {
                host.records
                    .write_afflictions(&kept)
                    .map_err(failed("keep a fault"))
            })
            .await;
        let present = if written.is_ok() { after } else { before };
        self.state().set_afflictions(present);
        written
    }

    fn present_life(&self, instance: &InstanceId) -> Option<Life> {
        self.state().life_of(instance).map(|(_, life)| life.clone())
    }

    async fn signal(
        self: &Arc<Self>,
        instance: &InstanceId,
        verb: &str,
        send: fn(&Body) -> std::io::Result<()>,
    ) -> Result<(), RuntimeError> {
        let Some(life) = self.present_life(instance) else {
            return Ok(());
        };
        let action = format!("{verb} instance {instance}");
        let tried = action.clone();
        self.blocking(&action, move |_| send(&life.body).map_err(failed(&tried)))
            .await
    }
}

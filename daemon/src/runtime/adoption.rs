//! What a daemon finds of the one before it.
//!
//! Instances that run are adopted, unless a fault that lasts forbids them to; tools are ended, since whoever waited for them
//! is gone and may start them again in the same directory.

use std::sync::Arc;

use topologies::runtime::{InstancePlan, InstanceStatus, RuntimeError};

use super::lifecycle::running;
use super::processes::{self, Body};
use super::record::{Kind, Record};
use super::{Host, failed, signals};

impl Host {
    /// Takes over what an earlier daemon left.
    pub(super) async fn adopt(self: &Arc<Self>) -> Result<(), RuntimeError> {
        let records = self
            .blocking("read the records", |host| {
                host.records.read().map_err(failed("read the records"))
            })
            .await?;
        for record in records {
            self.adopt_one(record).await?;
        }
        Ok(())
    }

    async fn adopt_one(self: &Arc<Self>, record: Record) -> Result<(), RuntimeError> {
        let action = format!("adopt {}", record.name);
        let body = self.body_of(&record);
        let same_boot = record.boot == self.boot;
        let Kind::Instance(plan) = record.kind.clone() else {
            return self
                .blocking(&action.clone(), move |host| {
                    if same_boot {
                        signals::kill(&[body]).map_err(failed(&action))?;
                    }
                    host.records.remove(&record.name).map_err(failed(&action))
                })
                .await;
        };
        if let Some(how) = record.ended {
            let status = InstanceStatus::Exited { how };
            self.state().adopt(*plan, status, None);
            return Ok(());
        }
        let allowed = self.state().check_adoption(&plan.id, &plan.zone);
        let handle = if same_boot {
            body.leader.open().map_err(failed(&action))?
        } else {
            None
        };
        match handle {
            Some(handle) => {
                let handle = processes::watched(handle).map_err(failed(&action))?;
                let life = self.life_of(&record);
                let instance = plan.id.clone();
                let status = running(body.leader);
                self.state().adopt(*plan, status, Some(life.clone()));
                self.supervise(record, instance, life.clone(), handle, None);
                if allowed {
                    Ok(())
                } else {
                    self.kill(&[life], &action).await
                }
            }
            None => self.bury(record, *plan, body, same_boot).await,
        }
    }

    /// An instance whose process ended while no daemon was there: what it left behind goes too.
    async fn bury(
        self: &Arc<Self>,
        mut record: Record,
        plan: InstancePlan,
        body: Body,
        same_boot: bool,
    ) -> Result<(), RuntimeError> {
        let how = if same_boot {
            "ended while no daemon ran"
        } else {
            "ended with the machine"
        };
        record.ended = Some(how.to_owned());
        self.blocking("end what an instance left", move |host| {
            if same_boot {
                signals::kill(&[body]).map_err(failed("end what an instance left"))?;
            }
            if let Err(error) = host.records.write(&record) {
                // The next daemon sees for itself that the process is not there; on a full disk a stack can still be ended.
                tracing::warn!(instance = record.name, %error, "an instance's end is not on the disk");
            }
            Ok(())
        })
        .await?;
        let status = InstanceStatus::Exited {
            how: how.to_owned(),
        };
        self.state().adopt(plan, status, None);
        Ok(())
    }
}

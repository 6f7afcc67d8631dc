//! PromoteReadReplica: the replica is promoted where it is, and then planned as a DB instance of its own.
//!
//! Until that is planned it is a replica in the middle of a request: whoever takes over a stack goes on with it. Its data say
//! whether it was promoted, so that nothing that was written to it since is given up.

use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::topology::{DbInstance, Member};
use topologies::world::Replica;

use super::ReplicaMachine;
use crate::control::action::{Action, DbRole, Outcome};
use crate::control::desk::Desk;
use crate::control::rds_event;

impl ReplicaMachine {
    /// Has it promoted, whatever state it is in. One whose data serve no more is made anew first; without a source to copy there is nothing
    /// to promote, and the request ends.
    pub(super) fn promote(&mut self, desk: &mut Desk<'_>, replica: &Replica) {
        let instance = self.instance.clone();
        if self.spoilt {
            let source = desk.world().databases.get(&replica.of);
            let source = source.map(|source| source.primary.clone());
            return match source.filter(|source| self.source_answers(desk, source)) {
                Some(source) => self.make(desk, source, true),
                None => self.request_ended(desk),
            };
        }
        let lost = self.host.liveness.lost().is_some();
        if lost || (!self.host.started && !self.host.liveness.alive()) {
            let source = desk.world().databases.get(&replica.of);
            let Some(of) = source.map(|source| source.primary.clone()) else {
                return;
            };
            let role = DbRole::Successor { of };
            self.host
                .issue(desk, Action::StartDatabase { instance, role });
        } else if self.host.liveness.alive() {
            self.promotion.issue(desk, Action::Promote { instance });
        }
    }

    /// Takes in the outcome of its promotion.
    pub(super) fn promoted(&self, desk: &mut Desk<'_>, outcome: &Outcome) {
        let Outcome::Promoted { .. } = outcome else {
            return;
        };
        let Some(edits) = self.alone(desk) else {
            return;
        };
        desk.emit(rds_event::of(&self.id, rds_event::STREAMING_TERMINATED));
        desk.emit(EventKind::TopologyEdited {
            by: "rds:PromoteReadReplica".to_owned(),
            edits,
        });
    }

    /// What its source is without it, and what it is by itself.
    fn alone(&self, desk: &Desk<'_>) -> Option<Vec<Edit>> {
        let topology = &desk.plan.topology;
        let source = topology.db_instances.iter().find(|db| db.id == self.of)?;
        let mut replicas = source.read_replicas.iter();
        let zone = &replicas.find(|it| it.id == self.id)?.availability_zone;
        let own = DbInstance {
            id: self.id.clone(),
            region: topology.region_of(zone)?.id.clone(),
            hosts: vec![Member {
                id: self.instance.clone(),
                zone: zone.clone(),
            }],
            // Its passwords are its source's, and kept already.
            master_user_password: None,
            read_replicas: Vec::new(),
            ..source.clone()
        };
        let mut without = source.clone();
        without.read_replicas.retain(|it| it.id != self.id);
        let both = [without, own];
        Some(both.map(Box::new).map(Edit::PutDbInstance).into())
    }
}

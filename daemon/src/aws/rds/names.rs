//! DB instances by their identifiers and ARNs. To RDS a read replica is a DB instance like any other.

use topologies::event::DbInstanceStatus;
use topologies::id::{DbInstanceId, RegionId};
use topologies::topology::{DbInstance, ReadReplica};
use wire::Fault;

use crate::aws::View;

/// Under which DB instances are recorded.
pub(super) const RECORD: &str = "rds:db";

/// A DB instance.
#[derive(Clone, Copy)]
pub(super) enum Named<'a> {
    /// One with a primary of its own.
    Own(&'a DbInstance),
    /// A read replica of one.
    Replica(&'a DbInstance, &'a ReadReplica),
}

impl<'a> Named<'a> {
    pub(super) fn id(self) -> &'a DbInstanceId {
        match self {
            Self::Own(db) => &db.id,
            Self::Replica(_, replica) => &replica.id,
        }
    }

    /// Its status; a replica or DB instance that the world has not met is being created.
    pub(super) fn status(self, view: &View<'_>) -> DbInstanceStatus {
        let world = view.world;
        let status = match self {
            Self::Own(db) => world.databases.get(&db.id).map(|it| it.status),
            Self::Replica(_, replica) => world.replicas.get(&replica.id).map(|it| it.status),
        };
        status.unwrap_or(DbInstanceStatus::Creating)
    }
}

/// Every DB instance of the region that was called, by its identifier.
pub(super) fn all<'a>(view: &View<'a>) -> Vec<Named<'a>> {
    let region = RegionId::from(view.region);
    let topology = view.topology();
    let mut all: Vec<Named<'a>> = Vec::new();
    for db in &topology.db_instances {
        if db.region == region {
            all.push(Named::Own(db));
        }
        let replicas = db.read_replicas.iter().filter(|replica| {
            let home = topology.region_of(&replica.availability_zone);
            home.is_some_and(|home| home.id == region)
        });
        all.extend(replicas.map(|replica| Named::Replica(db, replica)));
    }
    all.sort_by(|one, other| one.id().cmp(other.id()));
    all
}

/// The one with this identifier, in whatever case, or with this ARN.
pub(super) fn find<'a>(view: &View<'a>, written: &str) -> Result<Named<'a>, Fault> {
    let id = identifier(written);
    let found = all(view).into_iter().find(|it| it.id().as_str() == id);
    found.ok_or_else(|| {
        let text = format!("DBInstance {id} not found.");
        view.fault("DBInstanceNotFoundFault", text)
    })
}

/// "The user-supplied instance identifier or the Amazon Resource Name (ARN) of the DB instance", which are kept in lower case.
pub(super) fn identifier(written: &str) -> String {
    let id = match written.strip_prefix("arn:") {
        Some(_) => written.rsplit(':').next().unwrap_or_default(),
        None => written,
    };
    id.to_ascii_lowercase()
}

pub(super) fn arn(view: &View<'_>, id: &str) -> String {
    view.arn("rds", &format!("db:{id}"))
}

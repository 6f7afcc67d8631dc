//! What a plan's instances are run with: engines and passwords, made anew whenever the plan changes. Everything that acts on
//! instances reads the estate of the moment; the driver alone changes it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use topologies::id::{DbInstanceId, ReplicationGroupId};
use topologies::plan::{InstanceKind, Plan};
use topologies::runtime::{Runtime, Software};
use topologies::topology::Topology;

use crate::engines::postgres::{DbSettings, Postgres};
use crate::engines::redis::{CacheSettings, Redis};
use crate::engines::{Directories, EngineError};
use crate::secrets::Secrets;

/// What a plan's instances are run with.
#[derive(Clone)]
pub struct Estate {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Passwords.
    pub secrets: Arc<Secrets>,
    /// By DB instance; read replicas have that of the DB instance they belong to.
    pub postgres: BTreeMap<DbInstanceId, Arc<Postgres>>,
    /// By replication group.
    pub redis: BTreeMap<ReplicationGroupId, Arc<Redis>>,
}

/// Why an estate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EstateError {
    /// Passwords could not be kept.
    #[error("keep the stack's passwords")]
    Secrets(#[source] io::Error),
    /// A DB instance can not be run as it is planned.
    #[error("set up DB instance `{db}`")]
    Engine {
        /// Which.
        db: DbInstanceId,
        /// Why.
        #[source]
        cause: EngineError,
    },
}

/// Makes estates, and hands them out.
pub struct Estates {
    runtime: Arc<dyn Runtime>,
    directories: Directories,
    /// Where passwords are kept.
    secrets: PathBuf,
    current: watch::Sender<Arc<Estate>>,
}

impl Estates {
    /// The estate of a plan.
    ///
    /// # Errors
    /// When a DB instance can not be run as it is planned, or passwords can not be kept.
    pub fn open(
        plan: &Arc<Plan>,
        runtime: Arc<dyn Runtime>,
        directories: Directories,
    ) -> Result<Self, EstateError> {
        let secrets = directories.stack.clone();
        let empty = Estate {
            plan: Arc::clone(plan),
            secrets: Arc::default(),
            postgres: BTreeMap::new(),
            redis: BTreeMap::new(),
        };
        let estates = Self {
            runtime,
            directories,
            secrets,
            current: watch::Sender::new(Arc::new(empty)),
        };
        estates.follow(plan)?;
        Ok(estates)
    }

    /// The estate of the moment, and those to come.
    pub fn watch(&self) -> watch::Receiver<Arc<Estate>> {
        self.current.subscribe()
    }

    /// What goes on in the directories.
    pub fn directories(&self) -> &Directories {
        &self.directories
    }

    /// Keeps for a DB instance that is about to be one of its own the passwords of the one that it is a read replica of.
    ///
    /// # Errors
    /// When they can not be written.
    pub fn inherit_passwords(&self, db: &DbInstanceId, from: &DbInstanceId) -> io::Result<()> {
        Secrets::inherit(&self.secrets, db, from)
    }

    /// Keeps the master password of a DB instance, which is about to be planned or [followed](Self::follow) anew.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn keep_password(&self, db: &DbInstanceId, password: &str) -> io::Result<()> {
        Secrets::keep(&self.secrets, db, password)
    }

    /// Makes the estate of a plan the present one. Engines of what stays as it was stay, with their sessions.
    ///
    /// # Errors
    /// When a DB instance can not be run as it is planned, or passwords can not be kept: then the former estate stays.
    pub fn follow(&self, plan: &Arc<Plan>) -> Result<(), EstateError> {
        let former = Arc::clone(&self.current.borrow());
        let topology = &plan.topology;
        let secrets = Secrets::open(&self.secrets, topology).map_err(EstateError::Secrets)?;
        let estate = Estate {
            plan: Arc::clone(plan),
            postgres: self.postgres(&former, topology, &secrets)?,
            redis: self.redis(&former, topology),
            secrets: Arc::new(secrets),
        };
        self.current.send_replace(Arc::new(estate));
        Ok(())
    }

    fn postgres(
        &self,
        former: &Estate,
        topology: &Topology,
        secrets: &Secrets,
    ) -> Result<BTreeMap<DbInstanceId, Arc<Postgres>>, EstateError> {
        let mut engines = BTreeMap::new();
        for db in &topology.db_instances {
            let Some(passwords) = secrets.databases.get(&db.id) else {
                continue;
            };
            let settings = DbSettings::of(db);
            let known = former.postgres.get(&db.id);
            let same = known.filter(|engine| engine.is_of(&settings, passwords));
            let engine = match same {
                Some(engine) => Arc::clone(engine),
                None => {
                    let (runtime, directories) =
                        (Arc::clone(&self.runtime), self.directories.clone());
                    let made = Postgres::new(runtime, directories, settings, passwords.clone());
                    Arc::new(made.map_err(|cause| EstateError::Engine {
                        db: db.id.clone(),
                        cause,
                    })?)
                }
            };
            let replicas = db.read_replicas.iter().map(|replica| &replica.id);
            let members = replicas.chain([&db.id]);
            engines.extend(members.map(|id| (id.clone(), Arc::clone(&engine))));
        }
        Ok(engines)
    }

    fn redis(
        &self,
        former: &Estate,
        topology: &Topology,
    ) -> BTreeMap<ReplicationGroupId, Arc<Redis>> {
        let engines = topology.replication_groups.iter().map(|group| {
            let settings = CacheSettings::of(group);
            let known = former.redis.get(&group.id);
            let engine = match known.filter(|engine| engine.is_of(&settings)) {
                Some(engine) => Arc::clone(engine),
                None => {
                    let runtime = Arc::clone(&self.runtime);
                    Arc::new(Redis::new(runtime, self.directories.clone(), settings))
                }
            };
            (group.id.clone(), engine)
        });
        engines.collect()
    }
}

/// Every software that the plan's instances need, once.
pub fn software(plan: &Plan) -> Vec<Software> {
    let kinds = plan.instances.iter().map(|instance| &instance.kind);
    let mut wanted: Vec<Software> = kinds.filter_map(|kind| software_of(plan, kind)).collect();
    wanted.sort();
    wanted.dedup();
    wanted
}

/// What an instance of this kind is run by.
pub fn software_of(plan: &Plan, kind: &InstanceKind) -> Option<Software> {
    let topology = &plan.topology;
    match kind {
        InstanceKind::DbHost(id) => {
            let mut databases = topology.db_instances.iter();
            let db = databases.find(|db| {
                db.id == *id || db.read_replicas.iter().any(|replica| replica.id == *id)
            })?;
            let version = db.engine_version;
            Some(Software::Postgres { version })
        }
        InstanceKind::CacheNode(id) => {
            let mut groups = topology.replication_groups.iter();
            let version = groups.find(|group| group.id == *id)?.engine_version;
            Some(Software::Redis { version })
        }
        InstanceKind::App(_) => Some(Software::Program),
    }
}

//! A DB instance of three hosts: what it is like when all is well, and what is refused.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::engines::files::FileWork;
use daemon::engines::postgres::{DataState, DbProbe, DbRole, DbSettings, PgStatus, Postgres};
use daemon::engines::secrets::{DbSecrets, Secret};
use daemon::engines::{Directories, EngineError, EngineHost, Upstream};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};
use topologies::address::{HostAddress, Slot, ZoneNumber};
use topologies::id::InstanceId;
use topologies::runtime::StopMode;

use crate::processes::{Processes, eventually, workplace};

/// Generous: the machine may be busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(30);
pub(crate) const PROBE: Duration = Duration::from_secs(2);

/// A primary, a standby and a replica, without network interfaces: engines are dialled where they listen.
pub(crate) struct Database {
    pub(crate) engine: Arc<Postgres>,
    pub(crate) processes: Arc<Processes>,
    pub(crate) directories: Directories,
    pub(crate) hosts: [EngineHost; 3],
    place: TempDir,
}

impl Database {
    /// None if PostgreSQL is not installed. Each test has its own slot.
    pub(crate) fn on_slot(slot: u8) -> Option<Self> {
        Self::with_parameter(slot, "work_mem", "2MB")
    }

    fn with_parameter(slot: u8, name: &str, value: &str) -> Option<Self> {
        let processes = Processes::with("postgres")?;
        let place = workplace();
        let directories = Directories {
            stack: place.path().join("stack"),
            cache: place.path().join("cache"),
            work: FileWork::default(),
        };
        let settings = DbSettings {
            version: None,
            db_name: "shop".to_owned(),
            master_username: "shopkeeper".to_owned(),
            parameters: [(name.to_owned(), value.to_owned())].into(),
        };
        let secrets = DbSecrets {
            admin: Secret::new("admin:\\'s"),
            replication: Secret::new("repl:\\'s"),
            master: Secret::new("master's"),
        };
        let runtime = Arc::clone(&processes) as _;
        let engine = Postgres::new(runtime, directories.clone(), settings, secrets).unwrap();
        Some(Self {
            engine: Arc::new(engine),
            processes,
            directories,
            hosts: [1, 2, 3].map(|zone| host(slot, zone)),
            place,
        })
    }

    pub(crate) async fn start_all(&self) {
        let [primary, standby, replica] = &self.hosts;
        let begin = Instant::now();
        for host in &self.hosts {
            self.engine.seed(host).await.unwrap();
        }
        eprintln!("three seeds: {:?}", begin.elapsed());
        let begin = Instant::now();
        let role = DbRole::Primary {
            synchronous_standby: None,
        };
        self.engine.start(primary, &role).await.unwrap();
        let of = || direct(primary);
        self.engine
            .start(standby, &DbRole::Standby { of: of() })
            .await
            .unwrap();
        self.engine
            .start(replica, &DbRole::Replica { of: of() })
            .await
            .unwrap();
        self.serving(primary).await;
        eprintln!("primary answers: {:?}", begin.elapsed());
        self.engine.configure_primary(primary).await.unwrap();
        eprintln!("configured: {:?}", begin.elapsed());
        self.streaming(primary, standby).await;
        self.streaming(primary, replica).await;
        eprintln!("three hosts streaming: {:?}", begin.elapsed());
    }

    /// Waits until a host takes sessions, as one does that has not got the stack's password yet.
    pub(crate) async fn serving(&self, host: &EngineHost) {
        eventually("the host takes sessions", SOON, async || {
            match self.engine.probe(host, PROBE).await {
                DbProbe::Answered(_) => Some(()),
                DbProbe::Failed(why) => why.contains("password").then_some(()),
                DbProbe::Starting | DbProbe::Refused | DbProbe::TimedOut | DbProbe::NoAnswer => {
                    None
                }
            }
        })
        .await;
    }

    pub(crate) async fn status(&self, host: &EngineHost) -> PgStatus {
        eventually("the host answers", SOON, async || self.answer(host).await).await
    }

    pub(crate) async fn answer(&self, host: &EngineHost) -> Option<PgStatus> {
        match self.engine.probe(host, PROBE).await {
            DbProbe::Answered(status) => Some(*status),
            DbProbe::Starting
            | DbProbe::Refused
            | DbProbe::TimedOut
            | DbProbe::NoAnswer
            | DbProbe::Failed(_) => None,
        }
    }

    pub(crate) async fn streaming(&self, source: &EngineHost, follower: &EngineHost) {
        eventually("the follower streams", SOON, async || {
            let status = self.answer(source).await?;
            let peer = status.peer(&follower.instance)?;
            (peer.state == "streaming").then_some(())
        })
        .await;
        self.status(follower).await;
    }

    pub(crate) async fn synchronous(&self, primary: &EngineHost, standby: &EngineHost) {
        self.engine
            .set_synchronous_standby(primary, Some(&standby.instance))
            .await
            .unwrap();
        eventually("the standby is in sync", SOON, async || {
            in_sync(&self.answer(primary).await?, &standby.instance).then_some(())
        })
        .await;
    }

    /// A client's session as the master user. The task that drives it ends with it.
    pub(crate) async fn client(&self, host: &EngineHost) -> Result<Client, tokio_postgres::Error> {
        self.client_of(host, "shop").await
    }

    async fn client_of(
        &self,
        host: &EngineHost,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::Config::new()
            .host(host.listen().ip().to_string())
            .port(host.port)
            .user("shopkeeper")
            .password("master's")
            .dbname(database)
            .connect(NoTls)
            .await?;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(connection);
        tasks.detach_all();
        Ok(client)
    }

    pub(crate) fn log(&self, host: &EngineHost) -> String {
        std::fs::read_to_string(self.directories.instance(&host.instance).join("log")).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for host in &self.hosts {
                let log = self.directories.instance(&host.instance).join("log");
                let text = std::fs::read_to_string(log).unwrap_or_default();
                eprintln!(
                    "--- {} in {}\n{text}",
                    host.instance,
                    self.place.path().display()
                );
            }
        }
    }
}

/// Whether commits wait for this follower and it has caught up: then it holds every acknowledged commit.
fn in_sync(status: &PgStatus, follower: &InstanceId) -> bool {
    status
        .peer(follower)
        .is_some_and(|peer| peer.state == "streaming" && peer.sync_state == "sync")
}

pub(crate) fn host(slot: u8, zone: u8) -> EngineHost {
    let address = HostAddress {
        slot: Slot::new(slot).unwrap(),
        zone: ZoneNumber::zone(usize::from(zone)).unwrap(),
        host: 10,
    };
    EngineHost {
        instance: format!("orders-{zone}").into(),
        zone: format!("zone-{zone}").into(),
        address,
        port: 5432,
        dial: SocketAddr::from((address.engine(), 5432)),
    }
}

/// The source at its engine's own address, for want of a network interface.
pub(crate) fn direct(source: &EngineHost) -> Upstream {
    Upstream {
        instance: source.instance.clone(),
        address: source.listen(),
    }
}

#[tokio::test]
async fn three_hosts_stream_and_serve_by_role() {
    let Some(db) = Database::on_slot(90) else {
        return;
    };
    let [primary, standby, replica] = &db.hosts;
    db.start_all().await;
    db.engine.configure_primary(primary).await.unwrap();
    db.synchronous(primary, standby).await;

    let client = db.client(primary).await.unwrap();
    client
        .batch_execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)")
        .await
        .unwrap();
    let superuser = client.query_one(
        "SELECT rolsuper FROM pg_roles WHERE rolname = current_user",
        &[],
    );
    assert!(!superuser.await.unwrap().get::<_, bool>(0));
    let setting = client.query_one("SHOW work_mem", &[]).await.unwrap();
    assert_eq!(setting.get::<_, String>(0), "2MB");

    // As on RDS, the master user has the database that is always there, too.
    let other = db.client_of(primary, "postgres").await.unwrap();
    let made = other.batch_execute("CREATE TABLE notes (id int)").await;
    made.unwrap();

    let reader = db.client(replica).await.unwrap();
    eventually("the replica has the row", SOON, async || {
        reader.query_one("SELECT id FROM orders", &[]).await.ok()
    })
    .await;
    let refused = reader
        .execute("INSERT INTO orders VALUES (2)", &[])
        .await
        .unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "25006");
    let turned_away = db
        .client(standby)
        .await
        .map(drop)
        .expect_err("the standby serves nobody");
    assert_eq!(turned_away.code().unwrap().code(), "28000");

    let (one, two) = (db.status(primary).await, db.status(standby).await);
    assert!(!one.in_recovery && two.in_recovery);
    assert_eq!((one.timeline, two.timeline), (1, 1));
    assert_eq!(one.system_identifier, two.system_identifier);
    assert!(!in_sync(&one, &replica.instance));
    let receiver = two.receiver.unwrap();
    assert_eq!(receiver.status, "streaming");
    assert_eq!(
        receiver.sender_host,
        Some(primary.listen().ip().to_string())
    );

    db.engine
        .set_synchronous_standby(primary, None)
        .await
        .unwrap();
    // The server tells its sessions one after the other, and the status is asked in another than the order was given in.
    eventually("commits wait for nobody", SOON, async || {
        let names = db.status(primary).await.synchronous_standby_names;
        names.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_unknown_parameter_is_named_before_anything_starts() {
    for (name, value) in [("work_mem", "a lot"), ("wark_mem", "2MB")] {
        let Some(db) = Database::with_parameter(100, name, value) else {
            return;
        };
        let primary = &db.hosts[0];
        let role = DbRole::Primary {
            synchronous_standby: None,
        };
        db.engine.seed(primary).await.unwrap();
        let error = db
            .engine
            .start(primary, &role)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(name), "{error}");
        assert_eq!(db.engine.data_state(primary), DataState::Fresh);
        assert_eq!(db.engine.probe(primary, PROBE).await, DbProbe::Refused);
    }
}

#[tokio::test]
async fn a_demoted_writer_never_writes_again() {
    let Some(db) = Database::on_slot(91) else {
        return;
    };
    let [primary, standby, _] = &db.hosts;
    let writer = DbRole::Primary {
        synchronous_standby: None,
    };
    let follower = DbRole::Standby {
        of: direct(primary),
    };
    let refused = |result: Result<(), EngineError>, expected| match result {
        Err(EngineError::Refused { state, .. }) => assert_eq!(state, expected),
        other => panic!("{other:?}"),
    };
    refused(db.engine.start(primary, &writer).await, DataState::Empty);
    db.engine.seed(primary).await.unwrap();
    db.engine.start(primary, &writer).await.unwrap();
    db.serving(primary).await;
    db.engine.configure_primary(primary).await.unwrap();
    db.engine.start(primary, &writer).await.unwrap();
    refused(db.engine.start(primary, &follower).await, DataState::Writer);

    db.engine.demote(primary).await.unwrap();
    refused(db.engine.start(primary, &writer).await, DataState::Demoted);
    let rejoined = db.engine.rejoin(primary, standby, &follower).await;
    assert!(matches!(rejoined, Err(EngineError::Running { .. })));
    db.engine
        .stop(&primary.instance, StopMode::Immediate)
        .await
        .unwrap();
    refused(db.engine.start(primary, &writer).await, DataState::Demoted);
    refused(
        db.engine.start(primary, &follower).await,
        DataState::Demoted,
    );
    db.engine.seed(primary).await.unwrap();
    refused(db.engine.start(primary, &writer).await, DataState::Demoted);

    // A follower becomes a writer by promotion alone, even if no primary is left.
    db.engine.seed(standby).await.unwrap();
    db.engine.start(standby, &follower).await.unwrap();
    db.engine
        .stop(&standby.instance, StopMode::Immediate)
        .await
        .unwrap();
    refused(db.engine.start(standby, &writer).await, DataState::Follower);
    db.engine.demote(standby).await.unwrap();
    assert_eq!(db.engine.data_state(standby), DataState::Follower);
}

#[tokio::test]
async fn probes_keep_their_deadline() {
    let Some(db) = Database::on_slot(92) else {
        return;
    };
    let primary = &db.hosts[0];
    assert_eq!(db.engine.probe(primary, PROBE).await, DbProbe::Refused);
    db.engine.seed(primary).await.unwrap();
    let role = DbRole::Primary {
        synchronous_standby: None,
    };
    db.engine.start(primary, &role).await.unwrap();
    db.serving(primary).await;
    db.engine.configure_primary(primary).await.unwrap();
    db.status(primary).await;

    let begin = Instant::now();
    for _ in 0..200 {
        assert!(matches!(
            db.engine.probe(primary, PROBE).await,
            DbProbe::Answered(_)
        ));
    }
    eprintln!("one probe: {:?}", begin.elapsed() / 200);

    db.processes.signal("orders-1", Signal::STOP);
    let deadline = Duration::from_millis(50);
    for _ in 0..5 {
        let begin = Instant::now();
        assert_eq!(db.engine.probe(primary, deadline).await, DbProbe::NoAnswer);
        assert!(
            begin.elapsed() < deadline * 40,
            "took {:?}",
            begin.elapsed()
        );
    }
    db.processes.signal("orders-1", Signal::CONT);
    db.status(primary).await;

    // Killed: refused at once, not after the deadline.
    db.processes.kill("orders-1");
    assert_eq!(db.engine.probe(primary, PROBE).await, DbProbe::Refused);
}

//! A replication group of three nodes: replication, promotion of the one that lost least, return of the old primary.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::engines::files::FileWork;
use daemon::engines::redis::{CacheProbe, CacheRole, CacheSettings, NodeRole, Redis, RedisStatus};
use daemon::engines::secrets::Secret;
use daemon::engines::{Directories, EngineHost};
use redis::aio::MultiplexedConnection;
use rustix::process::Signal;
use topologies::address::{HostAddress, Slot, ZoneNumber};

use crate::database::{PROBE, SOON, direct};
use crate::processes::{Processes, eventually, workplace};

struct Group {
    engine: Redis,
    processes: Arc<Processes>,
    nodes: [EngineHost; 3],
    _place: tempfile::TempDir,
}

impl Group {
    fn on_slot(slot: u8, token: Option<&str>) -> Option<Self> {
        let processes = Processes::with("redis-server")?;
        let place = workplace();
        let directories = Directories {
            stack: place.path().join("stack"),
            cache: place.path().join("cache"),
            work: FileWork::default(),
        };
        let settings = CacheSettings {
            version: None,
            auth_token: token.map(Secret::new),
        };
        Some(Self {
            engine: Redis::new(Arc::clone(&processes) as _, directories, settings),
            processes,
            nodes: [1, 2, 3].map(|zone| node(slot, zone)),
            _place: place,
        })
    }

    async fn start_all(&self) {
        let begin = Instant::now();
        let [primary, replicas @ ..] = &self.nodes;
        self.engine
            .start(primary, &CacheRole::Primary)
            .await
            .unwrap();
        // A replica that finds nobody tries again after a second.
        eventually("the primary answers", SOON, async || {
            self.answer(primary).await
        })
        .await;
        let role = CacheRole::Replica {
            of: direct(primary),
        };
        for replica in replicas {
            self.engine.start(replica, &role).await.unwrap();
        }
        for replica in replicas {
            self.linked(replica).await;
        }
        eprintln!("three nodes replicating: {:?}", begin.elapsed());
    }

    async fn answer(&self, node: &EngineHost) -> Option<RedisStatus> {
        match self.engine.probe(node, PROBE).await {
            CacheProbe::Answered(status) => Some(status),
            CacheProbe::Loading
            | CacheProbe::Refused
            | CacheProbe::TimedOut
            | CacheProbe::NoAnswer
            | CacheProbe::Failed(_) => None,
        }
    }

    async fn linked(&self, node: &EngineHost) {
        eventually("the replica's link is up", SOON, async || {
            match self.answer(node).await?.role {
                NodeRole::Replica { link_up: true, .. } => Some(()),
                NodeRole::Primary | NodeRole::Replica { .. } => None,
            }
        })
        .await;
    }

    async fn client(&self, node: &EngineHost, token: &str) -> MultiplexedConnection {
        let login = redis::RedisConnectionInfo::default().set_password(token);
        let login = if token.is_empty() {
            redis::RedisConnectionInfo::default()
        } else {
            login
        };
        let address = redis::ConnectionAddr::Tcp(node.listen().ip().to_string(), node.port);
        let info = redis::IntoConnectionInfo::into_connection_info(address).unwrap();
        let client = redis::Client::open(info.set_redis_settings(login)).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

fn node(slot: u8, zone: u8) -> EngineHost {
    let address = HostAddress {
        slot: Slot::new(slot).unwrap(),
        zone: ZoneNumber::zone(usize::from(zone)).unwrap(),
        host: 20,
    };
    EngineHost {
        instance: format!("sessions-00{zone}").into(),
        zone: format!("zone-{zone}").into(),
        address,
        port: 6379,
        dial: SocketAddr::from((address.engine(), 6379)),
    }
}

async fn set(client: &mut MultiplexedConnection, key: &str, value: u32) -> redis::RedisResult<()> {
    redis::cmd("SET")
        .arg(key)
        .arg(value)
        .query_async(client)
        .await
}

async fn get(client: &mut MultiplexedConnection, key: &str) -> Option<u32> {
    redis::cmd("GET")
        .arg(key)
        .query_async(client)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_replica_that_lost_least_takes_over() {
    let token = "tok:en-0123456789";
    let Some(group) = Group::on_slot(97, Some(token)) else {
        return;
    };
    let [old, behind, ahead] = &group.nodes;
    group.start_all().await;
    let mut client = group.client(old, token).await;
    set(&mut client, "a", 1).await.unwrap();

    // Whoever says that its link is up is sent the writes, and known by the address that it has from outside.
    let seen = group.answer(old).await.unwrap();
    for replica in &seen.replicas {
        assert_eq!(replica.state, "online", "{replica:?}");
    }
    let mut known: Vec<_> = seen
        .replicas
        .iter()
        .map(|replica| replica.address)
        .collect();
    known.sort_unstable();
    assert_eq!(
        known,
        [behind, ahead].map(|node| node.address.seen_from(ZoneNumber::OUTSIDE))
    );

    let mut reader = group.client(ahead, token).await;
    eventually("the replica has it", SOON, async || {
        get(&mut reader, "a").await
    })
    .await;
    let refused = set(&mut reader, "a", 2).await.unwrap_err();
    assert_eq!(refused.code(), Some("READONLY"));

    // One replica has lost its way to the primary and misses the last writes, then the primary is lost.
    let mut nowhere = direct(old);
    nowhere.address.set_port(1);
    group.engine.follow(behind, &nowhere).await.unwrap();
    for value in 0..500 {
        set(&mut client, "b", value).await.unwrap();
    }
    eventually("the other replica has them", SOON, async || {
        (get(&mut reader, "b").await == Some(499)).then_some(())
    })
    .await;
    group.processes.kill("sessions-001");
    let killed = Instant::now();
    assert_eq!(group.engine.probe(old, PROBE).await, CacheProbe::Refused);
    let offset = async |node| group.answer(node).await.unwrap().offset;
    let (less, more) = (offset(behind).await, offset(ahead).await);
    assert!(less < more, "{less} {more}");
    let (new, other) = (ahead, behind);
    group.engine.promote(new).await.unwrap();
    let mut writer = group.client(new, token).await;
    set(&mut writer, "c", 3).await.unwrap();
    eprintln!("killed to first accepted write: {:?}", killed.elapsed());
    assert_eq!(get(&mut writer, "b").await, Some(499));
    assert_eq!(group.answer(new).await.unwrap().role, NodeRole::Primary);

    // Everyone follows, the old primary too, which begins as a replica and is never a writer in between.
    group.engine.follow(other, &direct(new)).await.unwrap();
    let role = CacheRole::Replica { of: direct(new) };
    group.engine.start(old, &role).await.unwrap();
    for node in [other, old] {
        group.linked(node).await;
        let mut reader = group.client(node, token).await;
        eventually("it has the new write", SOON, async || {
            get(&mut reader, "c").await
        })
        .await;
        assert!(set(&mut reader, "c", 4).await.is_err());
    }
    eprintln!("both follow the new primary: {:?}", killed.elapsed());
}

#[tokio::test]
async fn a_frozen_node_is_noticed_and_a_restarted_one_is_empty() {
    let Some(group) = Group::on_slot(98, None) else {
        return;
    };
    let primary = &group.nodes[0];
    assert_eq!(
        group.engine.probe(primary, PROBE).await,
        CacheProbe::Refused
    );
    group
        .engine
        .start(primary, &CacheRole::Primary)
        .await
        .unwrap();
    eventually("the node answers", SOON, async || {
        group.answer(primary).await
    })
    .await;
    let begin = Instant::now();
    for _ in 0..200 {
        group.answer(primary).await.unwrap();
    }
    eprintln!("one probe: {:?}", begin.elapsed() / 200);

    let mut client = group.client(primary, "").await;
    set(&mut client, "a", 1).await.unwrap();
    group.processes.signal("sessions-001", Signal::STOP);
    let deadline = Duration::from_millis(50);
    for _ in 0..3 {
        let begin = Instant::now();
        assert_eq!(
            group.engine.probe(primary, deadline).await,
            CacheProbe::NoAnswer
        );
        assert!(
            begin.elapsed() < deadline * 40,
            "took {:?}",
            begin.elapsed()
        );
    }
    group.processes.signal("sessions-001", Signal::CONT);
    assert_eq!(get(&mut client, "a").await, Some(1));

    group.processes.kill("sessions-001");
    group
        .engine
        .start(primary, &CacheRole::Primary)
        .await
        .unwrap();
    eventually("the node answers", SOON, async || {
        group.answer(primary).await
    })
    .await;
    assert_eq!(get(&mut group.client(primary, "").await, "a").await, None);
}

#[tokio::test]
async fn what_a_primary_kept_is_there_at_its_next_start_and_at_no_other() {
    let token = "tok:en-0123456789";
    let Some(group) = Group::on_slot(99, Some(token)) else {
        return;
    };
    let [primary, replica, _] = &group.nodes;
    let restart = async |node, role: &CacheRole| {
        group.engine.start(node, role).await.unwrap();
        eventually("the node answers", SOON, async || group.answer(node).await).await;
        get(&mut group.client(node, token).await, "a").await
    };
    assert_eq!(restart(primary, &CacheRole::Primary).await, None);
    set(&mut group.client(primary, token).await, "a", 1)
        .await
        .unwrap();
    group.engine.keep(primary, &primary.instance).await.unwrap();
    assert_eq!(
        group.engine.probe(primary, PROBE).await,
        CacheProbe::Refused
    );
    assert_eq!(restart(primary, &CacheRole::Primary).await, Some(1));
    group.processes.kill("sessions-001");
    assert_eq!(restart(primary, &CacheRole::Primary).await, None);

    // Whoever comes up as a replica has nothing of its own.
    assert_eq!(restart(replica, &CacheRole::Primary).await, None);
    set(&mut group.client(replica, token).await, "a", 2)
        .await
        .unwrap();
    group.engine.keep(replica, &replica.instance).await.unwrap();
    let role = CacheRole::Replica {
        of: direct(primary),
    };
    restart(replica, &role).await;
    group.processes.kill("sessions-002");
    assert_eq!(restart(replica, &CacheRole::Primary).await, None);

    // For a primary that can not be asked a replica keeps it.
    set(&mut group.client(replica, token).await, "a", 3)
        .await
        .unwrap();
    group.processes.kill("sessions-001");
    group.engine.keep(replica, &primary.instance).await.unwrap();
    assert_eq!(restart(primary, &CacheRole::Primary).await, Some(3));

    let silent = group.engine.keep(&group.nodes[2], &primary.instance).await;
    assert!(silent.is_err(), "nobody is there to keep anything");
}

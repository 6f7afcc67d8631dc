//! Who takes part in a run: hosts, probes, writers in every zone, visitors; and the first orders.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use topologies::address::ZoneNumber;
use topologies::event::EventKind;
use topologies::plan::Plan;
use topologies::runtime::RuntimeKind;
use topologies::time::Time;
use topologies::world::World;

use super::watch::{Bounds, Gauge, WATCH_EVERY};
use super::{Settings, Simulation};
use crate::control::Stimulus;
use crate::simulator::chronicle::Chronicle;
use crate::simulator::clients::{Client, Manners};
use crate::simulator::faults::draw_schedule;
use crate::simulator::ground::{Due, Ground};
use crate::simulator::invariants::{Record, Service};
use crate::simulator::probes;
use crate::simulator::visitors::{Visitor, doors};

impl Simulation {
    pub(super) fn new(plan: Arc<Plan>, settings: Settings) -> Self {
        let mut ground = Ground::new(&plan, settings.seed);
        let mut drawer = ChaCha8Rng::seed_from_u64(settings.seed ^ 0x6661_756c_7473);
        let faults = settings
            .faults
            .clone()
            .unwrap_or_else(|| draw_schedule(&plan, &mut drawer));
        let records = services(&plan, &ground);
        ground.endpoints = records
            .iter()
            .filter_map(|record| record.hosts.first().copied())
            .collect();
        let probes = probes::of_plan(&plan);
        let world = World::new(&plan);
        let bounds = Bounds::of(&plan);
        let mut simulation = Self {
            ground,
            control: None,
            world,
            timeline: Vec::new(),
            probes,
            records,
            visitors: Vec::new(),
            gauges: Vec::new(),
            faults,
            active: Vec::new(),
            healed: 0,
            wake_at: None,
            dies_at: None,
            ordered: BTreeMap::new(),
            chronicle: Chronicle::default(),
            available_at: None,
            disturbed_at: Time::ZERO,
            disturbances: 0,
            owed: true,
            whole_since: None,
            violation: None,
            finished: false,
            bounds,
            plan,
            settings,
        };
        simulation.place_clients();
        simulation
    }

    /// Writers in every zone and outside, one that never resolves again; visitors outside and in every zone.
    pub(super) fn place_clients(&mut self) {
        let timing = &self.plan.topology.timing;
        let mut places: Vec<ZoneNumber> =
            self.plan.topology.zones().map(|zone| zone.number).collect();
        places.push(ZoneNumber::OUTSIDE);
        for (service, record) in self.records.iter().enumerate() {
            let (endpoint, ttl) = match &record.service {
                Service::Database(id) => (id.to_string(), timing.rds_ttl),
                Service::Cache(id) => (id.to_string(), timing.elasticache_ttl),
            };
            self.gauges
                .push(Gauge::new(endpoint, record.hosts.len() > 1));
            let own = self.ground.hosts[record.hosts[0]].zone;
            let clients = &mut self.ground.clients;
            clients.extend(
                places
                    .iter()
                    .map(|zone| Client::new(*zone, service, Manners::Resolves, ttl)),
            );
            clients.push(Client::new(own, service, Manners::Holds, ttl));
        }
        for (endpoint, door, redundant) in doors(&self.plan, &self.ground) {
            let gauge = self.gauges.len();
            self.gauges.push(Gauge::new(endpoint, redundant));
            self.visitors.extend(places.iter().map(|from| Visitor {
                from: *from,
                gauge,
                door: door.clone(),
            }));
        }
    }

    pub(super) fn begin(&mut self) {
        for probe in 0..self.probes.len() {
            let interval = self.probes[probe].interval.as_micros();
            let first = self
                .ground
                .draw(0..u64::try_from(interval).unwrap_or(u64::MAX).max(1));
            self.ground.later(first, Due::Probe(probe));
        }
        self.ground.later(WATCH_EVERY, Due::Watch);
        self.control = Some(self.new_control(self.settings.seed));
        for host in 0..self.ground.hosts.len() {
            self.ground.report(host);
        }
        self.take(Stimulus::Note(EventKind::TimelineStarted {
            format: topologies::event::FORMAT,
            stack: self.plan.topology.name.clone(),
            runtime: RuntimeKind::Simulated,
            seed: self.settings.seed,
            started_at: "1970-01-01T00:00:00Z".to_owned(),
            plan: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }));
    }
}

fn services(plan: &Plan, ground: &Ground) -> Vec<Record> {
    let databases = plan.topology.db_instances.iter().map(|db| {
        let hosts: Vec<usize> = plan
            .db_hosts(&db.id)
            .map(|host| ground.host(&host.id))
            .collect();
        let replicas = db
            .read_replicas
            .iter()
            .filter_map(|r| plan.db_hosts(&r.id).next());
        let copies = hosts
            .iter()
            .copied()
            .chain(replicas.map(|host| ground.host(&host.id)))
            .collect();
        Record::new(Service::Database(db.id.clone()), hosts, copies)
    });
    let caches = plan.topology.replication_groups.iter().map(|group| {
        let nodes: Vec<usize> = plan
            .cache_nodes(&group.id)
            .map(|node| ground.host(&node.id))
            .collect();
        Record::new(Service::Cache(group.id.clone()), nodes.clone(), nodes)
    });
    databases.chain(caches).collect()
}

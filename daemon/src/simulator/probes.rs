//! Probes on the plan's schedule: each is sent, arrives, meets what is there at that moment, and comes back or does not.

use std::time::Duration;

use topologies::address::ZoneNumber;
use topologies::defaults::paced;
use topologies::id::{HealthCheckId, InstanceId, LoadBalancerId, TargetGroupId, ZoneId};
use topologies::network::Path;
use topologies::plan::{InstanceKind, Plan};
use topologies::time::Time;
use topologies::topology::Listener;
use topologies::world::World;

use super::ground::{Due, Epoch, Ground};
use super::server::Engine;
use crate::control::probe::{
    CacheProbe, Check, DbProbe, Lsn, Peer, PgStatus, Probe, RedisRole, RedisStatus, WalReceiver,
};
use crate::prober::rest::{settled, tells};

/// A probe that is sent again and again.
#[derive(Debug)]
pub(super) struct ProbePlan {
    pub(super) interval: Duration,
    timeout: Duration,
    from: ZoneNumber,
    aim: Aim,
}

#[derive(Debug)]
enum Aim {
    Host(usize, InstanceId),
    Target {
        target_group: TargetGroupId,
        host: usize,
        instance: InstanceId,
        node: ZoneId,
    },
    Node {
        load_balancer: LoadBalancerId,
        zone: ZoneId,
        number: ZoneNumber,
    },
    HealthCheck(HealthCheckId),
}

/// Every probe that the plan asks for.
pub(super) fn of_plan(plan: &Plan) -> Vec<ProbePlan> {
    let timing = &plan.topology.timing;
    let scale = timing.health_check_scale;
    let hosts = plan.instances.iter().enumerate();
    let hosts = hosts.filter(|(_, instance)| !matches!(instance.kind, InstanceKind::App(_)));
    let mut probes: Vec<ProbePlan> = hosts
        .map(|(host, instance)| ProbePlan {
            interval: timing.probe_interval,
            timeout: timing.probe_timeout,
            from: ZoneNumber::OUTSIDE,
            aim: Aim::Host(host, instance.id.clone()),
        })
        .collect();
    for load_balancer in &plan.topology.load_balancers {
        for zone in &load_balancer.zones {
            probes.push(ProbePlan {
                interval: timing.probe_interval * 2,
                timeout: timing.probe_timeout,
                from: ZoneNumber::OUTSIDE,
                aim: Aim::Node {
                    load_balancer: load_balancer.id.clone(),
                    zone: zone.clone(),
                    number: plan.zone_number(zone),
                },
            });
        }
    }
    for group in &plan.topology.target_groups {
        let checks = group.health_check.paced(scale);
        for (host, instance) in plan.instances.iter().enumerate() {
            if !group.targets.contains(&instance.id) {
                continue;
            }
            for node in nodes_of(plan, &group.id, group.cross_zone, &instance.zone) {
                probes.push(ProbePlan {
                    interval: checks.interval,
                    timeout: checks.timeout,
                    from: plan.zone_number(&node),
                    aim: Aim::Target {
                        target_group: group.id.clone(),
                        host,
                        instance: instance.id.clone(),
                        node,
                    },
                });
            }
        }
    }
    probes.extend(plan.topology.health_checks.iter().filter_map(|check| {
        let interval = paced(check.asks()?.request_interval, scale);
        Some(ProbePlan {
            interval,
            timeout: interval,
            from: ZoneNumber::OUTSIDE,
            aim: Aim::HealthCheck(check.id.clone()),
        })
    }));
    probes
}

/// The zones whose nodes send a target of this group traffic.
fn nodes_of(
    plan: &Plan,
    group: &TargetGroupId,
    cross_zone: Option<bool>,
    zone: &ZoneId,
) -> Vec<ZoneId> {
    let mut nodes: Vec<ZoneId> = Vec::new();
    for load_balancer in &plan.topology.load_balancers {
        let listeners = load_balancer.listeners.iter();
        let mut used = listeners.flat_map(Listener::target_groups);
        if used.any(|id| id == group) {
            let across = cross_zone.unwrap_or(load_balancer.cross_zone);
            nodes.extend(
                load_balancer
                    .zones
                    .iter()
                    .filter(|node| across || *node == zone)
                    .cloned(),
            );
        }
    }
    nodes.sort();
    nodes.dedup();
    nodes
}

impl Ground {
    /// A probe is sent, unless its host rests.
    pub(super) fn probe(
        &mut self,
        (plan, world): (&Plan, &World),
        probes: &[ProbePlan],
        probe: usize,
    ) {
        let ProbePlan {
            interval,
            timeout,
            from,
            aim,
        } = &probes[probe];
        self.later(*interval, Due::Probe(probe));
        let Some(epoch) = self.daemon else { return };
        if let Aim::Host(host, _) = aim
            && self.rests(*host, *from, settled(&plan.instances[*host].kind, world))
        {
            return;
        }
        let to = match aim {
            Aim::Host(host, _) | Aim::Target { host, .. } => self.hosts[*host].zone,
            Aim::Node { number, .. } => *number,
            Aim::HealthCheck(_) => ZoneNumber::OUTSIDE,
        };
        let sent = self.now;
        match self.packet(*from, to) {
            Some(takes) if takes < *timeout => {
                self.later(takes, Due::ProbeArrives { probe, sent, epoch })
            }
            Some(_) | None => {
                let result = self.unanswered(plan, aim);
                self.later(
                    *timeout,
                    Due::ProbeReturns {
                        sent,
                        result,
                        epoch,
                    },
                );
            }
        }
    }

    fn rests(&mut self, host: usize, from: ZoneNumber, settled: bool) -> bool {
        let there = &mut self.hosts[host];
        let (gone, back) = (
            self.network.path(from, there.zone),
            self.network.path(there.zone, from),
        );
        there.rest.skips(settled) && gone == Path::SOUND && back == Path::SOUND
    }

    /// The prober hears how a host is, or that it does not tell.
    pub(super) fn heard(&mut self, probe: &Probe) {
        let (Probe::Database(instance, _) | Probe::Cache(instance, _)) = probe else {
            return;
        };
        let host = self.host(instance);
        self.hosts[host].rest.take(probe);
        if !tells(probe) {
            self.hosts.iter_mut().for_each(|host| host.rest.rouse());
        }
    }

    /// A probe reaches what it is aimed at.
    pub(super) fn probe_arrives(
        &mut self,
        plan: &Plan,
        probes: &[ProbePlan],
        probe: usize,
        sent: Time,
        epoch: Epoch,
    ) {
        let ProbePlan {
            timeout, from, aim, ..
        } = &probes[probe];
        let gone = self.now - sent;
        let to = match aim {
            Aim::Host(host, _) | Aim::Target { host, .. } => self.hosts[*host].zone,
            Aim::Node { number, .. } => *number,
            Aim::HealthCheck(_) => ZoneNumber::OUTSIDE,
        };
        let back = self
            .packet(to, *from)
            .filter(|back| gone + *back < *timeout);
        let result = back.and_then(|back| self.met(plan, aim).map(|result| (back, result)));
        let (after, result) = result.unwrap_or_else(|| {
            let unanswered = match (back, aim) {
                // The kernel of a host whose process hangs takes connections for it.
                (Some(_), Aim::Host(host, instance)) => match self.hosts[*host].server.engine {
                    Engine::Redis => Probe::Cache(instance.clone(), CacheProbe::NoAnswer),
                    Engine::Postgres | Engine::App => {
                        Probe::Database(instance.clone(), DbProbe::NoAnswer)
                    }
                },
                _ => self.unanswered(plan, aim),
            };
            (timeout.saturating_sub(gone), unanswered)
        });
        self.later(
            after,
            Due::ProbeReturns {
                sent,
                result,
                epoch,
            },
        );
    }

    fn unanswered(&self, _plan: &Plan, aim: &Aim) -> Probe {
        match aim {
            Aim::Host(host, instance) => match self.hosts[*host].server.engine {
                Engine::Redis => Probe::Cache(instance.clone(), CacheProbe::TimedOut),
                Engine::Postgres | Engine::App => {
                    Probe::Database(instance.clone(), DbProbe::TimedOut)
                }
            },
            Aim::Target { .. } | Aim::Node { .. } | Aim::HealthCheck(_) => {
                checked(aim, failed(topologies::event::TARGET_TIMEOUT))
            }
        }
    }

    /// What a probe meets; none if nothing answers it.
    fn met(&self, plan: &Plan, aim: &Aim) -> Option<Probe> {
        match aim {
            Aim::Host(host, instance) => {
                let there = &self.hosts[*host];
                if there.frozen {
                    return None;
                }
                // They come over the management network: a fence is none to them.
                let refused = !there.running;
                Some(match there.server.engine {
                    Engine::Redis => {
                        Probe::Cache(instance.clone(), self.redis_says(*host, refused))
                    }
                    Engine::Postgres | Engine::App => {
                        Probe::Database(instance.clone(), self.postgres_says(*host, refused))
                    }
                })
            }
            Aim::Target { host, .. } => {
                let there = &self.hosts[*host];
                let check = if there.serves() {
                    passed()
                } else {
                    failed("Target.FailedHealthChecks")
                };
                (!there.frozen).then(|| checked(aim, check))
            }
            Aim::Node { .. } => Some(checked(aim, passed())),
            Aim::HealthCheck(_) => {
                let reached = plan.topology.zones().any(|zone| {
                    let there =
                        |host: &super::ground::Host| host.zone == zone.number && host.serves();
                    self.network.connects(ZoneNumber::OUTSIDE, zone.number)
                        && self
                            .hosts
                            .iter()
                            .any(|host| host.server.engine == Engine::App && there(host))
                });
                reached.then(|| checked(aim, passed()))
            }
        }
    }

    fn postgres_says(&self, host: usize, refused: bool) -> DbProbe {
        let there = &self.hosts[host];
        if refused {
            return DbProbe::Refused;
        }
        if !there.ready {
            return DbProbe::Starting;
        }
        let server = &there.server;
        let standby = server
            .sync_shown
            .map(|standby| self.hosts[standby].id.clone());
        let peers = self.streams_to(host).map(|(follower, stream)| Peer {
            application_name: self.hosts[follower].id.to_string(),
            streaming: stream.established && stream.caught_up,
            synchronous: server.sync == Some(follower),
            flush_lsn: Lsn(stream.flushed as u64),
        });
        let seen = |source: usize| self.hosts[source].address.replication(there.zone);
        let stream = self.streams[host].as_ref();
        let stream = stream.map(|stream| (stream.established, stream.source));
        let vain = server.source.filter(|_| there.parted);
        let receiver = stream.or(vain.map(|source| (true, source)));
        let receiver = receiver.filter(|_| server.follows());
        let receiver = receiver.map(|(streaming, source)| WalReceiver {
            streaming,
            sender_host: seen(source).to_string(),
        });
        DbProbe::Answered(PgStatus {
            in_recovery: server.follows(),
            timeline: server.timeline,
            lsn: Lsn(server.log.len() as u64),
            synchronous_standby: standby,
            peers: peers.collect(),
            receiver,
        })
    }

    fn redis_says(&self, host: usize, refused: bool) -> CacheProbe {
        let there = &self.hosts[host];
        if refused {
            return CacheProbe::Refused;
        }
        if !there.ready {
            return CacheProbe::Loading;
        }
        let role = match there.server.source {
            None => RedisRole::Primary,
            Some(source) => RedisRole::Replica {
                source: self.hosts[source]
                    .address
                    .replication(there.zone)
                    .to_string(),
                link_up: self.streams[host]
                    .as_ref()
                    .is_some_and(|stream| stream.established),
            },
        };
        let replicas = self.streams_to(host).map(|(follower, _)| {
            let replica = &self.hosts[follower];
            replica.address.seen_from(there.zone)
        });
        CacheProbe::Answered(RedisStatus {
            role,
            offset: there.server.log.len() as u64,
            replication_id: there.server.history.clone(),
            replicas: replicas.collect(),
        })
    }
}

fn passed() -> Check {
    Check::Passed("200".to_owned())
}

fn failed(reason: &'static str) -> Check {
    Check::Failed {
        reason,
        detail: "no answer".to_owned(),
    }
}

fn checked(aim: &Aim, check: Check) -> Probe {
    match aim {
        Aim::Target {
            target_group,
            instance,
            node,
            ..
        } => Probe::Target {
            target_group: target_group.clone(),
            instance: instance.clone(),
            node: node.clone(),
            check,
        },
        Aim::Node {
            load_balancer,
            zone,
            ..
        } => Probe::Node {
            load_balancer: load_balancer.clone(),
            zone: zone.clone(),
            check,
        },
        Aim::HealthCheck(id) => Probe::HealthCheck(id.clone(), check),
        Aim::Host(_, instance) => Probe::Database(instance.clone(), DbProbe::TimedOut),
    }
}

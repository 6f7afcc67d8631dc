//! Where a request goes: what its rule says, and which target of its target group is chosen.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use topologies::id::TargetGroupId;
use topologies::topology::{Algorithm, RuleAction, Share, Stickiness, StickinessType};

use crate::alb::headers::host;
use crate::alb::pool::Outstanding;
use crate::alb::rules::Asked;
use crate::alb::{cookies, errors, redirect, rules};
use crate::core::{Snapshot, Visit};
use crate::entrance::NodePort;
use crate::node::Way;
use crate::routes::{LoadBalancer, Target};
use crate::targets::Usable;
use crate::traffic::{Count, Counters};

/// Where a request goes.
pub(crate) enum Destination {
    Target(Chosen),
    Answer(Response<Bytes>),
}

/// The target that was chosen.
pub(crate) struct Chosen {
    pub(crate) way: Way,
    /// Where its group's numbers are; none for a moment in which the group is not known to be forwarded to.
    counters: Option<Arc<Counters>>,
    /// The target group that the client is to stay with, and for how long.
    stays: Option<(u64, Duration)>,
    /// How the client is to stay with this target.
    sticks: Option<Sticks>,
    /// Counted as long as the request is outstanding, where that decides.
    pub(crate) outstanding: Option<Outstanding>,
}

/// A target to stay with.
struct Sticks {
    target: u64,
    snapshot: Rc<Snapshot>,
    group: TargetGroupId,
}

impl Chosen {
    pub(crate) fn count(&self, visit: &Visit, count: Count) {
        if let Some(counters) = &self.counters {
            counters.add(visit.core.number, count);
        }
    }

    pub(crate) fn took(&self, visit: &Visit, time: Duration) {
        if let Some(counters) = &self.counters {
            counters.took(visit.core.number, time);
        }
    }

    pub(crate) fn answered(&self, visit: &Visit, status: StatusCode) {
        let count = match status.as_u16() {
            200..=299 => Count::Target2xx,
            300..=399 => Count::Target3xx,
            400..=499 => Count::Target4xx,
            500..=599 => Count::Target5xx,
            _ => return,
        };
        visit.count(count);
        self.count(visit, count);
    }

    /// Tells the client where it is to stay.
    pub(crate) fn set_cookies(&self, headers: &mut HeaderMap) {
        if let Some((group, lasts)) = self.stays {
            cookies::set(headers, cookies::TARGET_GROUP, group, seconds(), lasts);
        }
        let Some(sticks) = &self.sticks else { return };
        let group = sticks.snapshot.routes.target_groups.get(&sticks.group);
        let Some(Stickiness {
            kind,
            lb_duration,
            app_cookie,
            app_duration,
            ..
        }) = group.map(|it| &it.routing.stickiness)
        else {
            return;
        };
        let (names, lasts) = match kind {
            StickinessType::LbCookie => (cookies::TARGET, *lb_duration),
            // It begins, and is prolonged, when the application sets its own.
            StickinessType::AppCookie if cookies::is_set(headers, app_cookie) => {
                (cookies::APPLICATION, *app_duration)
            }
            StickinessType::AppCookie => return,
        };
        cookies::set(headers, names, sticks.target, seconds(), lasts);
    }
}

/// Seconds since 1970.
pub(crate) fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| it.as_secs())
}

/// The rule's action, and for a forward the target whose turn it is.
pub(crate) fn destination(
    visit: &Visit,
    node: &NodePort,
    request: &Request<Incoming>,
) -> Destination {
    let snapshot = visit.core.snapshot();
    let balancers = &snapshot.routes.load_balancers;
    let Some(load_balancer) = balancers.get(&node.load_balancer) else {
        return unavailable();
    };
    let mut listeners = load_balancer.listeners.iter();
    let Some(listener) = listeners.find(|it| it.port == node.port) else {
        return unavailable();
    };
    let asked = Asked {
        host: host(request.uri(), request.headers()),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        method: request.method(),
        headers: request.headers(),
        client: *visit.peer.ip(),
    };
    match rules::action(listener, asked) {
        RuleAction::Forward(id) => {
            target(visit, node, (&snapshot, load_balancer), id, asked.headers)
        }
        RuleAction::Split(split) => {
            let named = split
                .stickiness
                .and_then(|_| cookies::named(request.headers(), cookies::TARGET_GROUP, seconds()));
            let stays = |share: &Share| named == Some(cookies::number(share.target_group.as_str()));
            let Some(share) = rules::share(split, stays, visit.core.draw()) else {
                return unavailable();
            };
            let id = &share.target_group;
            let mut destination =
                target(visit, node, (&snapshot, load_balancer), id, asked.headers);
            if let Destination::Target(chosen) = &mut destination {
                let stays = |lasts| (cookies::number(id.as_str()), lasts);
                chosen.stays = split.stickiness.map(stays);
            }
            destination
        }
        RuleAction::FixedResponse {
            status_code,
            content_type,
            message_body,
        } => {
            visit.count(Count::FixedResponses);
            let response = errors::fixed_response(*status_code, content_type, message_body);
            Destination::Answer(response)
        }
        RuleAction::Redirect(to) => match redirect::location(to, asked, node.port) {
            Some(location) => {
                visit.count(Count::Redirects);
                Destination::Answer(errors::redirect(to.status_code, &location))
            }
            None => {
                visit.count(Count::RedirectsTooLong);
                Destination::Answer(errors::error(507))
            }
        },
    }
}

fn unavailable() -> Destination {
    Destination::Answer(errors::error(503))
}

/// The target of a group: the one with which the client is to stay, else the one whose turn it is.
fn target(
    visit: &Visit,
    node: &NodePort,
    (snapshot, load_balancer): (&Rc<Snapshot>, &LoadBalancer),
    id: &TargetGroupId,
    headers: &HeaderMap,
) -> Destination {
    let Some(group) = snapshot.routes.target_groups.get(id) else {
        return unavailable();
    };
    let usable = Usable::at(load_balancer, group, &node.zone);
    let stickiness = &group.routing.stickiness;
    let names = match stickiness.kind {
        StickinessType::LbCookie => cookies::TARGET,
        StickinessType::AppCookie => cookies::APPLICATION,
    };
    let named = stickiness
        .enabled
        .then(|| cookies::named(headers, names, seconds()))
        .flatten();
    // A target that may not be used any more is replaced, and so is the cookie.
    let before = named.and_then(|named| usable.iter().find(|it| number(it) == named));
    let ports = visit.core.ports;
    let dialled = |target: &Target| Way::address(node, target, ports);
    let turn = || visit.core.turns.borrow_mut().next(id, &node.zone);
    let algorithm = group.routing.algorithm;
    let chosen = before.or_else(|| match algorithm {
        Algorithm::RoundRobin => usable.nth(turn()),
        // Without anomaly mitigation all weights are equal.
        Algorithm::WeightedRandom => usable.nth(visit.core.draw()),
        Algorithm::LeastOutstandingRequests => usable.least(turn(), |target| {
            visit.core.pool.outstanding(dialled(target))
        }),
    });
    let Some(target) = chosen else {
        return unavailable();
    };
    let way = Way::new(node, target, ports);
    let counts = algorithm == Algorithm::LeastOutstandingRequests;
    let zones = snapshot.meters.get(&node.load_balancer);
    let groups = zones.and_then(|zones| zones.get(&node.zone));
    Destination::Target(Chosen {
        outstanding: counts.then(|| visit.core.pool.begin(way.address)),
        way,
        counters: groups.and_then(|groups| groups.get(id)).cloned(),
        stays: None,
        sticks: stickiness.enabled.then(|| Sticks {
            target: number(target),
            snapshot: Rc::clone(snapshot),
            group: id.clone(),
        }),
    })
}

/// A target's number in cookies: the same for the same instance and port.
fn number(target: &Target) -> u64 {
    cookies::number(target.instance.as_str()) ^ u64::from(target.port)
}

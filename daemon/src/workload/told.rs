//! What a stack's timeline tells of a drill: when redundancy was lost and regained, when faults began and ended, and when the emulator
//! itself was gone.

use std::collections::BTreeMap;

use chaos::budget::Window;
use chaos::history::{FaultSpan, Redundancy};
use topologies::event::{Event, EventKind};
use topologies::plan::Plan;
use topologies::time::Time;
use topologies::world::World;

use super::fold;

/// Which resources had their redundancy when the clients began, and when they lost and regained it.
pub(super) fn redundancy(plan: &Plan, events: &[Event], began: Time) -> Vec<Redundancy> {
    let (before, after) = events.split_at(events.partition_point(|event| event.at < began));
    let mut world = fold(plan, before);
    let mut known = BTreeMap::new();
    let mut changes = Vec::new();
    let mut look = |world: &World, at, seq| {
        for (resource, full) in redundant(world) {
            if known.insert(resource.clone(), full) != Some(full) {
                changes.push(Redundancy {
                    at,
                    resource,
                    full,
                    seq,
                });
            }
        }
    };
    look(&world, began, None);
    for event in after {
        world.apply(event);
        look(&world, event.at, Some(event.seq));
    }
    changes
}

/// What is planned with more than one host, and whether it is redundant.
fn redundant(world: &World) -> impl Iterator<Item = (String, bool)> {
    let databases = world.databases.iter();
    let databases = databases.filter(|(_, db)| db.standby.is_some());
    let caches = world.caches.iter();
    let caches = caches.filter(|(_, cache)| !cache.replicas.is_empty());
    let databases = databases.map(|(id, db)| (id.to_string(), db.redundant()));
    databases.chain(caches.map(|(id, cache)| (id.to_string(), cache.redundant())))
}

/// Gives faults the timeline's numbers, and those that ended of themselves their end.
pub(super) fn number(faults: &mut [FaultSpan], events: &[Event]) {
    for event in events {
        let (EventKind::FaultInjected { fault, .. } | EventKind::FaultHealed { fault }) =
            &event.event
        else {
            continue;
        };
        for span in faults.iter_mut().filter(|span| span.id == *fault) {
            if matches!(event.event, EventKind::FaultInjected { .. }) {
                span.injected_seq = Some(event.seq);
            } else {
                span.healed_seq = Some(event.seq);
                span.to = span.to.or(Some(event.at));
            }
        }
    }
}

/// The stretches since a moment in which the emulator itself was gone: from the last that was told to its control plane's next word.
pub(super) fn restarts(events: &[Event], since: Time) -> Vec<Window> {
    let resumed = |event: &&Event| matches!(event.event, EventKind::ControlResumed);
    let resumptions = events.iter().filter(resumed);
    let resumptions = resumptions.filter(|event| event.at >= since);
    let windows = resumptions.map(|event| {
        // What was told with its first word was told after the fact.
        let before = events.partition_point(|other| other.at < event.at);
        let last = before.checked_sub(1).and_then(|last| events.get(last));
        Window {
            from: last.map_or(since, |last| last.at),
            to: event.at,
        }
    });
    windows.collect()
}

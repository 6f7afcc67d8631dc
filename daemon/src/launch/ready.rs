//! Waits until a stack that comes up serves, tells what fails meanwhile, and sees when there is no use in waiting.
//!
//! A start that failed [`REPEATED`] times in a row fails for a reason that stays: a parameter that the server does not know, an
//! interpreter that the image lacks. The same holds for a program that ended as often although databases and caches were there.
//! While a fault is in force, nothing of that proves anything.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use topologies::event::EventKind;
use topologies::id::InstanceId;
use topologies::plan::Plan;
use topologies::world::{StackPhase, World};

use super::ended::Ended;
use super::missing::{self, Struck};
use crate::control::desk::REPEATED;
use crate::log;
use crate::stack::Stack;
use crate::up::{Progress, Tell, UpError};

/// How long a stack may take to serve every endpoint.
const LIMIT: Duration = Duration::from_secs(120);
/// How long it is waited for while faults are in force, or network ACLs or security groups filter.
const LIMIT_WITH_FAULTS: Duration = Duration::from_secs(20);
/// Lines of a program's log that are shown when it is given up.
const LOG_LINES: usize = 10;
/// Of how many instances, when several are not healthy.
const LOGS_MAX: usize = 3;
/// How long these lines may take to be read.
const LOG_LIMIT: Duration = Duration::from_secs(1);

/// Waits until every endpoint has answered this daemon, whose first event comes after `since`, and every application instance runs.
/// While faults are in force, only what they did not hit is waited for.
///
/// # Errors
/// When that takes too long, or when no waiting helps: something fails again and again. The message says what, and the last reason that
/// was seen.
pub(super) async fn wait(stack: &Stack, since: u64, tell: Tell<'_>) -> Result<(), UpError> {
    let mut watch = Watch::default();
    let limit = limit(stack, since).await;
    let waited = tokio::time::timeout(limit, until(stack, since, &mut watch, tell)).await;
    match waited {
        Ok(End::Available) => Ok(()),
        Ok(End::Struck(struck)) => {
            let line = format!("no answer from {}: {}", struck.in_words(), in_force(stack));
            tell(Progress::Line(line));
            Ok(())
        }
        Ok(End::Hopeless(Hopeless { why, ended })) => {
            let hint = match ended {
                Some(ended) => {
                    let lines = tell_logs(stack, std::slice::from_ref(&ended.instance), tell).await;
                    ended.hint(lines, ended.log(&stack.directory, since).as_deref())
                }
                None => "`localaws check FILE` looks for what can be seen beforehand".to_owned(),
            };
            Err(UpError::Topology {
                message: why,
                hint: Some(hint),
            })
        }
        Err(_) => {
            let world = stack.world.borrow().clone();
            if !sound(&world) {
                let missing = missing::in_words(&world.plan, &world);
                let line = format!("no answer from {missing}: {}", in_force(stack));
                tell(Progress::Line(line));
                return Ok(());
            }
            let unhealthy = missing::unhealthy(&world.plan, &world);
            let logs: Vec<InstanceId> = unhealthy.into_iter().map(|one| one.instance).collect();
            tell_logs(stack, &logs[..logs.len().min(LOGS_MAX)], tell).await;
            Err(late(limit, &world, watch.last))
        }
    }
}

/// Which faults are in force, or what else is in the way, and the way out.
fn in_force(stack: &Stack) -> String {
    let world = stack.world.borrow();
    if world.faults.is_empty() {
        return "network ACLs or security groups may keep it from answering; `localaws reset` takes them away"
            .to_owned();
    }
    let faults = world.faults.iter();
    let faults: Vec<String> = faults
        .map(|(id, fault)| format!("{id} ({} {})", fault.kind, fault.target))
        .collect();
    let faults = faults.join(", ");
    format!("in force is {faults}; `localaws chaos heal` ends it")
}

/// What to say when the time is up. A program that answers its health check wrongly, all the while that everything else is there,
/// is the user's; what does not answer at all may be this machine's.
fn late(limit: Duration, world: &World, last: Option<String>) -> UpError {
    let plan = &*world.plan;
    let missing = missing::in_words(plan, world);
    let unhealthy = missing::unhealthy(plan, world);
    if unhealthy.iter().any(missing::Unhealthy::refuses) {
        return UpError::Topology {
            message: format!("after {limit:?}, {missing}"),
            hint: Some(
                "the program answers its `health-check` otherwise than the target group expects, or not on its port; its last lines stand above"
                    .to_owned(),
            ),
        };
    }
    let last = last.map(|last| format!("; {last}"));
    UpError::Machine {
        message: format!(
            "after {limit:?} no answer yet from {missing}{}",
            last.unwrap_or_default()
        ),
        hint: Some("`localaws doctor` tells what this machine lacks".to_owned()),
    }
}

/// Whether everything can be reached that runs.
fn sound(world: &World) -> bool {
    world.faults.is_empty() && !world.account.filters()
}

/// How long to wait: less while faults are in force, for what they hit will not answer.
async fn limit(stack: &Stack, since: u64) -> Duration {
    let mut world = stack.world.clone();
    // It fails only if the driver has ended, which whoever waits notices elsewhere.
    match world.wait_for(|world| world.seq > since).await {
        Ok(world) if !sound(&world) => LIMIT_WITH_FAULTS,
        Ok(_) | Err(_) => LIMIT,
    }
}

/// How the wait ended.
enum End {
    /// Every endpoint has answered, or nobody is there any more who could tell.
    Available,
    /// Everything has answered that could.
    Struck(Struck),
    /// Nothing helps.
    Hopeless(Hopeless),
}

/// Tells what is missing and what fails, until nothing is missing that could come, or nothing helps.
async fn until(stack: &Stack, since: u64, watch: &mut Watch, tell: Tell<'_>) -> End {
    let mut world = stack.world.clone();
    // Subscribed before the file is read, so that nothing falls between the two.
    let mut events = stack.events.subscribe();
    let mut seen = 0;
    let mut told = String::new();
    let past = log::past(&stack.timeline()).unwrap_or_default();
    let ours = past.into_iter().filter(|event| event.seq > since);
    let mut waiting = ours.map(std::sync::Arc::new);
    loop {
        let now = world.borrow_and_update().clone();
        // The last daemon's word for it is none.
        if now.seq > since && now.phase == StackPhase::Available {
            return End::Available;
        }
        if now.seq > since && !now.faults.is_empty() {
            let struck = Struck::by(&now.plan, &stack.runtime.afflictions());
            if !struck.is_empty() && struck.spared_answer(&now.plan, &now) {
                return End::Struck(struck);
            }
        }
        let missing = missing::in_words(&now.plan, &now);
        if missing != told && !missing.is_empty() {
            tell(Progress::Step(format!("waiting for {missing}")));
            told = missing;
        }
        let event = match waiting.next() {
            Some(event) => Some(event),
            // Both are cancel-safe: a change or an event that was not taken stays.
            None => tokio::select! {
                event = events.recv() => event.ok(),
                changed = world.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return End::Available,
                },
            },
        };
        let Some(event) = event.filter(|event| event.seq > seen) else {
            continue;
        };
        seen = event.seq;
        if let Some(line) = watch.take(&event.event, &now.plan, &now) {
            tell(Progress::Line(line));
        }
        if let Some(hopeless) = watch.hopeless.take() {
            return End::Hopeless(hopeless);
        }
    }
}

/// What failed so far.
#[derive(Debug, Default)]
struct Watch {
    /// Ends of programs in a row, since what they may need was there.
    exits: BTreeMap<InstanceId, u32>,
    /// The last failure, in words.
    last: Option<String>,
    hopeless: Option<Hopeless>,
}

/// Why waiting does not help.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hopeless {
    why: String,
    /// The program that ends, whose log may say more.
    ended: Option<Ended>,
}

impl Watch {
    /// Takes an event in; a failure comes back as a line to tell.
    fn take(&mut self, event: &EventKind, plan: &Plan, world: &World) -> Option<String> {
        if let EventKind::ActionFailed { times, .. } = event {
            let line = event.to_string();
            self.last = Some(line.clone());
            if *times >= REPEATED && world.faults.is_empty() {
                self.give_up(line, None);
                return None;
            }
            return Some(line);
        }
        let EventKind::InstanceExited { instance, how } = event else {
            return None;
        };
        if !plan.instance(instance).is_some_and(missing::is_app) {
            return None;
        }
        let first = !self.exits.contains_key(instance);
        let exits = self.exits.entry(instance.clone()).or_default();
        if missing::engines(world).is_empty() && world.faults.is_empty() {
            *exits += 1;
        }
        let exits = *exits;
        let line = format!("{instance} ended: {how}");
        self.last = Some(line.clone());
        if exits >= REPEATED {
            let why = format!("{instance} ended {exits} times in a row, the last time: {how}");
            let (instance, how) = (instance.clone(), how.clone());
            self.give_up(why, Some(Ended { instance, how }));
        }
        first.then_some(line)
    }

    fn give_up(&mut self, why: String, ended: Option<Ended>) {
        self.hopeless = Some(Hopeless { why, ended });
    }
}

/// Tells the end of instances' logs, and counts its lines. They go with a stack that is new, so it is told here.
async fn tell_logs(stack: &Stack, instances: &[InstanceId], tell: Tell<'_>) -> usize {
    let mut told = 0;
    for instance in instances {
        for line in last_lines(stack, instance).await {
            tell(Progress::Line(line));
            told += 1;
        }
    }
    told
}

async fn last_lines(stack: &Stack, instance: &InstanceId) -> Vec<String> {
    let lines = stack.runtime.logs(instance, false).collect::<Vec<String>>();
    let lines = tokio::time::timeout(LOG_LIMIT, lines).await;
    let lines = lines.unwrap_or_default();
    let last = lines.iter().skip(lines.len().saturating_sub(LOG_LINES));
    last.map(|line| format!("{instance}: {}", line.trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use topologies::address::Slot;
    use topologies::check::check;
    use topologies::event::{DbInstanceStatus, Event};
    use topologies::id::FaultId;
    use topologies::time::Time;

    use super::*;

    fn plan() -> Plan {
        let file = "region: us-east-1\navailability-zones: [a]\ninstances: { web: { program: app, port: 80 } }\ndb-instances: { orders: {} }\n";
        let topology = check(file, "t.yaml").0.unwrap();
        topologies::plan::plan(&topology, Slot::new(Slot::MIN).unwrap())
    }

    fn failed(times: u32) -> EventKind {
        EventKind::ActionFailed {
            action: "start orders-1 as primary".to_owned(),
            why: "no such parameter".to_owned(),
            times,
        }
    }

    fn exited() -> EventKind {
        EventKind::InstanceExited {
            instance: "web-1".into(),
            how: "exit code 1".to_owned(),
        }
    }

    fn with(world: &World, kind: EventKind) -> World {
        let mut world = world.clone();
        let (seq, at) = (world.seq + 1, Time::ZERO);
        world.apply(&Event {
            seq,
            at,
            event: kind,
        });
        world
    }

    fn serving(plan: &Plan) -> World {
        let available = EventKind::DbInstanceStatusChanged {
            db_instance: "orders".into(),
            status: DbInstanceStatus::Available,
        };
        with(&World::new(plan), available)
    }

    fn struck(world: &World) -> World {
        let fault = EventKind::FaultInjected {
            fault: FaultId::from("f1"),
            fault_kind: "kill-az".to_owned(),
            target: "a".to_owned(),
            consequences: Vec::new(),
            by: None,
        };
        with(world, fault)
    }

    #[test]
    fn a_start_that_fails_again_and_again_is_given_up() {
        let plan = plan();
        let world = World::new(&plan);
        let mut watch = Watch::default();
        let line = watch.take(&failed(1), &plan, &world).unwrap();
        assert!(line.contains("no such parameter"), "{line}");
        assert_eq!(watch.hopeless, None);
        watch.take(&failed(REPEATED), &plan, &struck(&world));
        assert_eq!(watch.hopeless, None, "a fault is in force");
        watch.take(&failed(REPEATED), &plan, &world);
        assert!(watch.hopeless.unwrap().why.contains("no such parameter"));
    }

    #[test]
    fn a_program_that_ends_is_given_up_once_what_it_may_need_is_there() {
        let plan = plan();
        let mut watch = Watch::default();
        for _ in 0..REPEATED {
            watch.take(&exited(), &plan, &World::new(&plan));
            watch.take(&exited(), &plan, &struck(&serving(&plan)));
        }
        assert_eq!(watch.hopeless, None, "its database was not there");
        for _ in 0..REPEATED {
            watch.take(&exited(), &plan, &serving(&plan));
        }
        let hopeless = watch.hopeless.unwrap();
        assert!(hopeless.why.contains("exit code 1"), "{hopeless:?}");
        let ended = hopeless.ended.unwrap();
        assert_eq!(ended.instance, "web-1".into());
    }

    #[test]
    fn a_program_that_answers_wrongly_to_the_end_is_the_users() {
        let file = "region: us-east-1\navailability-zones: [a]\ninstances: { web: { program: app, port: 80 } }\ntarget-groups: { shop: { targets: web } }\n";
        let topology = check(file, "t.yaml").0.unwrap();
        let plan = topologies::plan::plan(&topology, Slot::new(Slot::MIN).unwrap());
        let running = EventKind::InstanceRunning {
            instance: "web-1".into(),
            handle: "1".to_owned(),
        };
        let world = with(&World::new(&plan), running);
        let after = |reason: &str| {
            let checked = EventKind::TargetHealthChanged {
                target_group: "shop".into(),
                instance: "web-1".into(),
                node: "us-east-1a".into(),
                state: topologies::event::TargetHealth::Unhealthy,
                reason: reason.to_owned(),
                description: String::new(),
            };
            late(LIMIT, &with(&world, checked), None)
        };
        let wrong = after("Target.ResponseCodeMismatch");
        assert!(matches!(wrong, UpError::Topology { .. }), "{wrong:?}");
        let said = wrong.to_string();
        assert!(
            said.contains("web-1") && said.contains("shop") && said.contains("Mismatch"),
            "{said}"
        );
        let silent = after(topologies::event::TARGET_TIMEOUT);
        assert!(matches!(silent, UpError::Machine { .. }), "{silent:?}");
        assert!(silent.to_string().contains("web-1"), "{silent}");
    }
}

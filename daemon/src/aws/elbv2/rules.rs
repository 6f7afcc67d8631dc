//! Rules of listeners: created, changed, put in another order, deleted. A rule keeps its ARN whatever its priority.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use topologies::defaults;
use topologies::event::EventKind;
use topologies::id::RegionId;
use topologies::topology::{Listener, LoadBalancer, LoadBalancerType, Rule};
use wire::{Fault, Record};

use super::actions::action;
use super::balancers::{self, put};
use super::conditions::conditioned;
use super::names::{self, RULE_RECORD};
use super::{describe, tagging};
use crate::aws::input::{not_implemented, only, text};
use crate::aws::{Change, Decision, View};

/// Digits at the end of a rule's ARN.
const DIGITS: usize = 16;

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    only(
        "CreateRule",
        input,
        &["ListenerArn", "Conditions", "Priority", "Actions", "Tags"],
    )?;
    let arn = text(input, "ListenerArn").unwrap_or_default();
    let (lb, listener) = names::find_listener(view, arn)?;
    if lb.kind == LoadBalancerType::Network {
        let text = "Rules are not supported by listeners of network load balancers";
        return Err(view.fault("InvalidConfigurationRequestException", text));
    }
    let priority = priority(input);
    if listener.rules.iter().any(|rule| rule.priority == priority) {
        return Err(in_use(view, priority));
    }
    let rules: usize = lb
        .listeners
        .iter()
        .map(|listener| listener.rules.len())
        .sum();
    if rules >= defaults::RULES_MAX {
        let text = "The maximum number of rules on this load balancer has been reached";
        return Err(view.fault("TooManyRulesException", text));
    }
    let blank = Rule::new(priority, action(view, lb, &input["Actions"])?);
    let rule = conditioned(view, blank, &input["Conditions"])?;
    let own = names::listener_digits(view, lb, listener);
    let digits = view.draw("rule", DIGITS);
    let arn = names::rule_arn(view, lb, &own, &digits);
    let shown = describe::rule(view, (lb, listener, Some(&rule))).set("RuleArn", arn.as_str());
    let mut changes = vec![recorded(view, lb, &own, priority, &digits)];
    changes.extend(tagging::first(view, &arn, input)?);
    let mut rules = listener.rules.clone();
    rules.push(rule);
    changes.push(with_rules("elbv2:CreateRule", lb, listener, rules));
    Ok((list([shown]), changes))
}

pub(super) fn modify(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    only("ModifyRule", input, &["RuleArn", "Conditions", "Actions"])?;
    let (lb, listener, old) = found(view, input, "modified")?;
    let mut rule = old.clone();
    if input["Conditions"].is_array() {
        let blank = Rule::new(rule.priority, rule.action);
        rule = conditioned(view, blank, &input["Conditions"])?;
    }
    if input["Actions"].is_array() {
        rule.action = action(view, lb, &input["Actions"])?;
    }
    let shown = describe::rule(view, (lb, listener, Some(&rule)));
    let mut rules = listener.rules.clone();
    rules.retain(|it| it.priority != old.priority);
    rules.push(rule);
    let changes = vec![with_rules("elbv2:ModifyRule", lb, listener, rules)];
    Ok((list([shown]), changes))
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (lb, listener, old) = found(view, input, "deleted")?;
    let mut rules = listener.rules.clone();
    rules.retain(|it| it.priority != old.priority);
    let own = names::listener_digits(view, lb, listener);
    let id = names::rule_record(lb, &own, old.priority);
    let arn = text(input, "RuleArn").unwrap_or_default().to_owned();
    let changes = vec![
        with_rules("elbv2:DeleteRule", lb, listener, rules),
        balancers::forgotten(view, RULE_RECORD, &id, arn),
    ];
    Ok((Record::new(), changes))
}

/// All at once: rules may take each other's places.
pub(super) fn set_priorities(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let pairs = input["RulePriorities"].as_array().into_iter().flatten();
    let mut moved: BTreeMap<u32, u32> = BTreeMap::new();
    let mut of: Option<(&LoadBalancer, &Listener)> = None;
    for pair in pairs {
        let (lb, listener, rule) = found(view, pair, "given a priority")?;
        if of.is_some_and(|(own, it)| (&own.id, it.port) != (&lb.id, listener.port)) {
            return Err(not_implemented(
                "SetRulePriorities for rules of several listeners",
            ));
        }
        of = Some((lb, listener));
        moved.insert(rule.priority, priority(pair));
    }
    let Some((lb, listener)) = of else {
        return Ok((list([]), Vec::new()));
    };
    let own = names::listener_digits(view, lb, listener);
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let mut rules: Vec<Rule> = Vec::new();
    let mut shown = Vec::new();
    for rule in &listener.rules {
        let new = moved.get(&rule.priority).copied().unwrap_or(rule.priority);
        if rules.iter().any(|it| it.priority == new) {
            return Err(in_use(view, new));
        }
        let changed = Rule {
            priority: new,
            ..rule.clone()
        };
        if moved.contains_key(&rule.priority) {
            let digits = names::rule_digits(view, lb, listener, rule.priority);
            let arn = names::rule_arn(view, lb, &own, &digits);
            let record = describe::rule(view, (lb, listener, Some(&changed)));
            shown.push(record.set("RuleArn", arn));
            let id = names::rule_record(lb, &own, rule.priority);
            // The record goes, the tags of the ARN stay.
            gone.push(balancers::forgotten(view, RULE_RECORD, &id, String::new()));
            come.push(recorded(view, lb, &own, new, &digits));
        }
        rules.push(changed);
    }
    let mut changes = gone;
    changes.append(&mut come);
    changes.push(with_rules("elbv2:SetRulePriorities", lb, listener, rules));
    Ok((list(shown), changes))
}

fn list(shown: impl IntoIterator<Item = Record>) -> Record {
    Record::new().list("Rules", shown)
}

/// The rule that is meant; a listener's default one can not be.
fn found<'a>(
    view: &View<'a>,
    input: &Value,
    done: &str,
) -> Result<(&'a LoadBalancer, &'a Listener, &'a Rule), Fault> {
    let arn = text(input, "RuleArn").unwrap_or_default();
    let (lb, listener, rule) = names::find_rule(view, arn)?;
    let rule = rule.ok_or_else(|| {
        let text = format!("Default rule '{arn}' cannot be {done}");
        view.fault("OperationNotPermittedException", text)
    })?;
    Ok((lb, listener, rule))
}

/// The model bounds it.
fn priority(input: &Value) -> u32 {
    let priority = input["Priority"].as_u64();
    priority.and_then(|it| u32::try_from(it).ok()).unwrap_or(1)
}

fn in_use(view: &View<'_>, priority: u32) -> Fault {
    let text = format!("Priority '{priority}' is currently in use");
    view.fault("PriorityInUseException", text)
}

fn with_rules(by: &str, lb: &LoadBalancer, listener: &Listener, mut rules: Vec<Rule>) -> Change {
    rules.sort_by_key(|rule| rule.priority);
    let mut lb = lb.clone();
    if let Some(it) = lb.listeners.iter_mut().find(|it| it.port == listener.port) {
        it.rules = rules;
    }
    put(by, lb)
}

fn recorded(
    view: &View<'_>,
    lb: &LoadBalancer,
    listener: &str,
    priority: u32,
    digits: &str,
) -> Change {
    Change::Note(EventKind::ResourceRecorded {
        resource: RULE_RECORD.to_owned(),
        region: RegionId::from(view.region),
        id: names::rule_record(lb, listener, priority),
        attributes: json!({ names::DIGITS: digits }),
    })
}

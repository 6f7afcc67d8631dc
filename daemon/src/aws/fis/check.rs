//! Whether a template holds together: before it is kept, so that nothing begins that could not go on (aws-behaviour §9.1).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use topologies::experiment::ActionBlueprint;

use super::catalogue::{self, ResourceType};
use super::conditions::ALARM;
use super::meaning::meaning;
use super::targets::{Selection, filters};
use super::words;
use crate::aws::input::{text, texts};

/// Actions of a template at most (aws-behaviour §9.1, quotas).
const ACTIONS_MAX: usize = 20;
/// Of these, so many at once.
const PARALLEL_MAX: usize = 10;
/// Stop conditions of a template at most.
const STOP_CONDITIONS_MAX: usize = 5;

/// What a template's actions are, if it holds together.
///
/// # Errors
/// The first thing that does not, for its author.
pub(super) fn check(
    template: &Value,
    account: &str,
) -> Result<BTreeMap<String, ActionBlueprint>, String> {
    role(text(template, "roleArn").unwrap_or_default(), account)?;
    stop_conditions(&template["stopConditions"])?;
    let targets = template["targets"].as_object().into_iter().flatten();
    for (name, asked) in targets {
        target(name, asked)?;
    }
    let actions = actions(template)?;
    order(&actions)?;
    Ok(actions)
}

/// The name of a role of this account.
pub(super) fn role<'a>(arn: &'a str, account: &str) -> Result<&'a str, String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let name = match parts.as_slice() {
        ["arn", _, "iam", "", of, resource] if *of == account => resource
            .strip_prefix("role/")
            .and_then(|path| path.rsplit('/').next()),
        _ => None,
    };
    let name = name.filter(|it| !it.is_empty());
    name.ok_or_else(|| format!("{arn} is not the ARN of a role of the account {account}."))
}

fn stop_conditions(conditions: &Value) -> Result<(), String> {
    let all = conditions.as_array().map_or(&[][..], Vec::as_slice);
    let sources: Vec<&str> = all.iter().filter_map(|it| text(it, "source")).collect();
    if sources.is_empty() || sources.len() > STOP_CONDITIONS_MAX {
        return Err(format!(
            "A template needs 1 to {STOP_CONDITIONS_MAX} stop conditions; the source none is one."
        ));
    }
    if let Some(other) = sources.iter().find(|it| !["none", ALARM].contains(it)) {
        return Err(format!("Unknown source of a stop condition: {other}."));
    }
    if sources.contains(&"none") && sources.len() > 1 {
        return Err("The stop condition none can not stand beside others.".to_owned());
    }
    let valueless = |it: &&Value| text(it, "source") == Some(ALARM) && text(it, "value").is_none();
    match all.iter().find(valueless) {
        None => Ok(()),
        Some(_) => Err(format!(
            "The stop condition {ALARM} needs the ARN of an alarm as its value."
        )),
    }
}

fn target(name: &str, asked: &Value) -> Result<(), String> {
    let kind = text(asked, "resourceType").unwrap_or_default();
    let kind = catalogue::resource_type(kind).ok_or_else(|| {
        format!("TargetResourceType {kind} of the target {name} is not built here.")
    })?;
    let (arns, tags) = (
        texts(asked, "resourceArns"),
        words(&asked["resourceTags"]).count(),
    );
    if arns.is_empty() && tags == 0 {
        return Err(format!(
            "The target {name} needs at least one resource ARN or one resource tag."
        ));
    }
    if !arns.is_empty() && tags > 0 {
        return Err(format!(
            "You cannot specify both resource ARNs and resource tags for target {name}."
        ));
    }
    if tags > 0 && !kind.has_tags {
        return Err(format!(
            "TargetResourceType {} does not support resourceTags.",
            kind.id
        ));
    }
    let mode = text(asked, "selectionMode").unwrap_or_default();
    if Selection::parse(mode).is_none() {
        return Err(format!(
            "The selection mode {mode} of the target {name} is none of ALL, COUNT(n) and PERCENT(n)."
        ));
    }
    if let Some((path, _)) = filters(asked).find(|(_, values)| values.is_empty()) {
        return Err(format!(
            "The filter {path} of the target {name} needs a value."
        ));
    }
    of_type(name, kind, &asked["parameters"])
}

fn of_type(name: &str, kind: &ResourceType, parameters: &Value) -> Result<(), String> {
    let strange =
        words(parameters).find(|(it, _)| !kind.parameters.iter().any(|known| known.name == *it));
    if let Some((strange, _)) = strange {
        return Err(format!(
            "TargetResourceType {} of the target {name} has no parameter {strange}.",
            kind.id
        ));
    }
    let mut required = kind.parameters.iter().filter(|it| it.required);
    let missing = required.find(|it| parameters[it.name].as_str().is_none());
    missing.map_or(Ok(()), |missing| {
        Err(format!(
            "The target {name} needs the parameter {}.",
            missing.name
        ))
    })
}

fn actions(template: &Value) -> Result<BTreeMap<String, ActionBlueprint>, String> {
    let written = template["actions"].as_object().into_iter().flatten();
    let mut actions = BTreeMap::new();
    for (name, written) in written {
        let mut action = ActionBlueprint {
            action_id: text(written, "actionId").unwrap_or_default().to_owned(),
            description: text(written, "description").map(str::to_owned),
            parameters: owned(&written["parameters"]),
            targets: owned(&written["targets"]),
            start_after: texts(written, "startAfter")
                .into_iter()
                .map(str::to_owned)
                .collect(),
            lasts: Default::default(),
        };
        action.lasts = meaning(&action.action_id, &action.parameters)?.lasts;
        aimed(name, &action, &template["targets"])?;
        actions.insert(name.clone(), action);
    }
    match actions.len() {
        0 => Err("A template needs an action.".to_owned()),
        1..=ACTIONS_MAX => Ok(actions),
        many => Err(format!(
            "A template can have {ACTIONS_MAX} actions, not {many}."
        )),
    }
}

fn owned(map: &Value) -> BTreeMap<String, String> {
    words(map)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// An action has the target that it needs, and no other.
fn aimed(name: &str, action: &ActionBlueprint, targets: &Value) -> Result<(), String> {
    let needed = catalogue::action(&action.action_id).and_then(|it| it.target);
    let strange = action
        .targets
        .keys()
        .find(|part| needed.is_none_or(|(it, _)| it != part.as_str()));
    if let Some(strange) = strange {
        return Err(format!(
            "Unexpected target \"{strange}\" found in action {name}."
        ));
    }
    let Some((part, kind)) = needed else {
        return Ok(());
    };
    let Some(target) = action.targets.get(part) else {
        return Err(format!("The action {name} needs the target {part}."));
    };
    match text(&targets[target.as_str()], "resourceType") {
        Some(it) if it == kind => Ok(()),
        Some(other) => Err(format!(
            "The target {target} of the action {name} is of {other}, not of {kind}."
        )),
        None => Err(format!(
            "The action {name} names the target {target}, which there is not."
        )),
    }
}

/// Whom an action waits for is there, and waits for nobody who waits for it.
fn order(actions: &BTreeMap<String, ActionBlueprint>) -> Result<(), String> {
    for (name, action) in actions {
        let lost = action
            .start_after
            .iter()
            .find(|it| !actions.contains_key(*it));
        if let Some(lost) = lost {
            return Err(format!(
                "The action {name} is to start after {lost}, which there is not."
            ));
        }
    }
    let mut ordered: BTreeSet<&str> = BTreeSet::new();
    while ordered.len() < actions.len() {
        let free = |(name, action): &(&String, &ActionBlueprint)| {
            let mut after = action.start_after.iter();
            !ordered.contains(name.as_str()) && after.all(|it| ordered.contains(it.as_str()))
        };
        let next: Vec<&str> = actions
            .iter()
            .filter(free)
            .map(|(name, _)| name.as_str())
            .collect();
        if next.is_empty() {
            let mut waiting = actions.keys().filter(|it| !ordered.contains(it.as_str()));
            let name = waiting.next().map_or("", String::as_str);
            return Err(format!("The action {name} would start after itself."));
        }
        if next.len() > PARALLEL_MAX {
            return Err(format!(
                "{PARALLEL_MAX} actions can run at a time, not {}.",
                next.len()
            ));
        }
        ordered.extend(next);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A template that holds together.
    fn sound() -> Value {
        json!({
            "roleArn": "arn:aws:iam::123456789012:role/chaos",
            "stopConditions": [{"source": "none"}],
            "targets": {"web": {
                "resourceType": "aws:ec2:instance",
                "resourceTags": {"team": "shop"},
                "selectionMode": "COUNT(1)",
                "filters": [{"path": "State.Name", "values": ["running"]}],
            }},
            "actions": {
                "stop": {
                    "actionId": "aws:ec2:stop-instances",
                    "parameters": {"startInstancesAfterDuration": "PT2M"},
                    "targets": {"Instances": "web"},
                },
                "rest": {"actionId": "aws:fis:wait", "parameters": {"duration": "PT1M"}, "startAfter": ["stop"]},
            },
        })
    }

    /// The template with one thing otherwise.
    fn but(path: &str, value: Value) -> Value {
        let mut template = sound();
        *template.pointer_mut(path).expect(path) = value;
        template
    }

    #[test]
    fn s9_1_a_sound_template_tells_its_actions() {
        let actions = check(&sound(), "123456789012").unwrap();
        let seconds: Vec<u64> = actions.values().map(|it| it.lasts.as_secs()).collect();
        assert_eq!(actions.keys().collect::<Vec<_>>(), ["rest", "stop"]);
        assert_eq!(seconds, [60, 120]);
    }

    fn check_refused(cases: Vec<(Value, &str)>) {
        for (template, said) in cases {
            let why = check(&template, "123456789012").unwrap_err();
            assert!(why.contains(said), "{said}: {why}");
        }
    }

    #[test]
    fn s9_1_role_and_stop_conditions_are_checked() {
        let alarm = json!({"source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:x"});
        let none = json!({"source": "none"});
        let valueless = json!([{"source": "aws:cloudwatch:alarm"}]);
        let all = |count| Value::Array(vec![alarm.clone(); count]);
        assert!(check(&but("/stopConditions", all(5)), "123456789012").is_ok());
        let other = json!("arn:aws:iam::210987654321:role/chaos");
        let user = json!("arn:aws:iam::123456789012:user/chaos");
        check_refused(vec![
            (but("/roleArn", other), "not the ARN of a role"),
            (but("/roleArn", user), "not the ARN of a role"),
            (but("/stopConditions", json!([])), "1 to 5 stop conditions"),
            (but("/stopConditions", all(6)), "1 to 5 stop conditions"),
            (
                but("/stopConditions", valueless),
                "needs the ARN of an alarm",
            ),
            (
                but("/stopConditions", json!([alarm, none])),
                "beside others",
            ),
            (
                but("/stopConditions/0/source", json!("weather")),
                "Unknown source",
            ),
        ]);
    }

    #[test]
    fn s9_1_targets_are_checked() {
        let mut both = sound();
        both["targets"]["web"]["resourceArns"] = json!(["arn:aws:ec2:eu-west-1:1:instance/i-1"]);
        let mut strange = sound();
        strange["targets"]["web"]["parameters"] = json!({"vpc": "vpc-1"});
        let web = |member: &str, value| but(&format!("/targets/web/{member}"), value);
        check_refused(vec![
            (
                web("resourceType", json!("aws:ecs:task")),
                "aws:ecs:task of the target web is not built",
            ),
            (
                web("resourceType", json!("aws:iam:role")),
                "aws:iam:role does not support resourceTags",
            ),
            (
                web("resourceTags", json!({})),
                "at least one resource ARN or one resource tag",
            ),
            (both, "both resource ARNs and resource tags"),
            (strange, "has no parameter vpc"),
            (web("selectionMode", json!("COUNT(0)")), "none of ALL"),
            (web("filters/0/values", json!([])), "needs a value"),
        ]);
    }

    #[test]
    fn s9_1_actions_are_checked() {
        let wait = json!({"actionId": "aws:fis:wait", "parameters": {"duration": "PT1M"}});
        let many = |count: usize| {
            let named = (0..count).map(|number| (format!("a{number}"), wait.clone()));
            but("/actions", Value::Object(named.collect()))
        };
        let mut aimless = sound();
        aimless["actions"]["rest"]["targets"] = json!({"Instances": "web"});
        let action = |member: &str, value| but(&format!("/actions/{member}"), value);
        let clusters = json!({"Clusters": "web"});
        check_refused(vec![
            (but("/actions", json!({})), "needs an action"),
            (many(21), "20 actions, not 21"),
            (many(11), "10 actions can run at a time"),
            (
                action("stop/targets", json!({})),
                "needs the target Instances",
            ),
            (
                action("stop/targets", clusters),
                "Unexpected target \"Clusters\"",
            ),
            (
                aimless,
                "Unexpected target \"Instances\" found in action rest",
            ),
            (
                action("stop/targets", json!({"Instances": "db"})),
                "which there is not",
            ),
            (
                action("stop/actionId", json!("aws:rds:reboot-db-instances")),
                "Unexpected parameter",
            ),
            (
                action("rest/startAfter", json!(["nobody"])),
                "start after nobody",
            ),
            (
                action("rest/startAfter", json!(["rest"])),
                "would start after itself",
            ),
        ]);
    }
}

use serde_json::json;
use topologies::event::{DbInstanceStatus, ReplicationGroupStatus};

use super::*;
use crate::aws::fixture::{REGION, Stack};
use crate::aws::{Handler, Operations, elasticache, elbv2, rds};

/// `tier-10k` with security groups `sg-1` and `sg-2`, its database and its cache available.
fn stack() -> Stack {
    let mut stack = Stack::new();
    for group in ["sg-1", "sg-2"] {
        stack.happens(EventKind::SecurityGroupChanged {
            group: group.into(),
            region: REGION.into(),
            name: format!("name of {group}"),
            description: String::new(),
            rules: Vec::new(),
        });
    }
    stack.happens(EventKind::DbInstanceStatusChanged {
        db_instance: "orders".into(),
        status: DbInstanceStatus::Available,
    });
    stack.happens(EventKind::ReplicationGroupStatusChanged {
        group: "sessions".into(),
        status: ReplicationGroupStatus::Available,
    });
    stack
}

const RDS: (&str, Operations) = ("rds", rds::OPERATIONS);
const ELASTICACHE: (&str, Operations) = ("elasticache", elasticache::OPERATIONS);
const ELBV2: (&str, Operations) = ("elbv2", elbv2::OPERATIONS);

fn call(
    stack: &mut Stack,
    (service, operations): (&'static str, Operations),
    (operation, input): (&str, &Value),
) -> Result<Value, String> {
    stack.service = service;
    let found = operations.iter().find(|(name, _)| *name == operation);
    let Some((_, Handler::Change(handler))) = found else {
        panic!("{operation} changes nothing")
    };
    stack.call(*handler, input)
}

/// An input with more members.
fn with(mut input: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        input[name] = value.clone();
    }
    input
}

/// A service, what of it is called, how, which list names security groups, and who gets them.
type Case = (
    (&'static str, Operations),
    &'static str,
    Value,
    &'static str,
    Guarded,
);

fn cases() -> [Case; 5] {
    let users = json!({
        "DBInstanceIdentifier": "users",
        "Engine": "postgres",
        "DBInstanceClass": "db.t4g.micro",
        "AllocatedStorage": 20,
        "MasterUsername": "master",
        "MasterUserPassword": "long-enough",
    });
    let replica =
        json!({ "DBInstanceIdentifier": "orders-r", "SourceDBInstanceIdentifier": "orders" });
    let carts =
        json!({ "ReplicationGroupId": "carts", "ReplicationGroupDescription": "of a test" });
    let db = |id: &str| Guarded::DbInstance(id.into());
    let cache = |id: &str| Guarded::ReplicationGroup(id.into());
    let (vpc, own) = ("VpcSecurityGroupIds", "SecurityGroupIds");
    [
        (RDS, "CreateDBInstance", users, vpc, db("users")),
        (
            RDS,
            "CreateDBInstanceReadReplica",
            replica,
            vpc,
            db("orders-r"),
        ),
        (
            RDS,
            "ModifyDBInstance",
            json!({ "DBInstanceIdentifier": "orders" }),
            vpc,
            db("orders"),
        ),
        (
            ELASTICACHE,
            "CreateReplicationGroup",
            carts,
            own,
            cache("carts"),
        ),
        (
            ELASTICACHE,
            "ModifyReplicationGroup",
            json!({ "ReplicationGroupId": "sessions" }),
            own,
            cache("sessions"),
        ),
    ]
}

#[test]
fn databases_and_caches_get_those_that_calls_name() {
    let region = RegionId::from(REGION);
    for (service, operation, input, list, member) in cases() {
        let mut stack = stack();
        let wrong = with(input.clone(), &json!({ list: ["sg-1", "sg-3"] }));
        let refused = call(&mut stack, service, (operation, &wrong));
        assert_eq!(
            refused,
            Err("InvalidParameterValue".to_owned()),
            "{operation}"
        );
        let default = SecurityGroupId::from(ids::security_group(REGION));
        assert_eq!(of(&stack.world, &region, &member), [default], "{operation}");
        let named = with(input, &json!({ list: ["sg-2", "sg-1", "sg-2"] }));
        let output = call(&mut stack, service, (operation, &named)).unwrap();
        let given = of(&stack.world, &region, &member);
        assert_eq!(
            given,
            ["sg-2", "sg-1"].map(SecurityGroupId::from),
            "{operation}"
        );
        if list == "VpcSecurityGroupIds" {
            let shown = &output["DBInstance"]["VpcSecurityGroups"];
            assert_eq!(
                *shown,
                memberships("VpcSecurityGroupId", &given),
                "{operation}"
            );
        }
    }
}

#[test]
fn load_balancers_get_those_that_they_are_made_with_and_others_later() {
    let mut stack = stack();
    let subnets = stack.with(|view| {
        let zones = &view.here().unwrap().zones;
        let ids = zones.iter().map(|zone| ids::subnet(&zone.id));
        ids.collect::<Vec<_>>()
    });
    let default = ids::security_group(REGION);
    let made = |stack: &mut Stack, kind: &str, groups: &[&str]| {
        let name = format!("{kind}-{}", groups.len());
        let input =
            json!({ "Name": name, "Type": kind, "Subnets": subnets, "SecurityGroups": groups });
        let output = call(stack, ELBV2, ("CreateLoadBalancer", &input))?;
        Ok::<Value, String>(output["LoadBalancers"][0].clone())
    };
    for (kind, groups, has) in [
        ("application", &[][..], &[default.as_str()][..]),
        ("application", &["sg-1"], &["sg-1"]),
        ("network", &[], &[]),
        ("network", &["sg-1", "sg-2"], &["sg-1", "sg-2"]),
    ] {
        let first = made(&mut stack, kind, groups).unwrap();
        assert_eq!(first["SecurityGroups"], json!(has), "{kind}");
        // The same again makes nothing new; the same name with another one is another.
        assert_eq!(
            made(&mut stack, kind, groups).unwrap()["SecurityGroups"],
            json!(has)
        );
        let arn = &first["LoadBalancerArn"];
        let input = json!({ "LoadBalancerArn": arn, "SecurityGroups": ["sg-2"] });
        let set = call(&mut stack, ELBV2, ("SetSecurityGroups", &input));
        let expected = if has.is_empty() {
            Err("InvalidConfigurationRequest".to_owned())
        } else {
            Ok(json!({ "SecurityGroupIds": ["sg-2"] }))
        };
        assert_eq!(set, expected, "{kind}");
    }
    let another = made(&mut stack, "network", &["sg-1", "sg-3"]).map(|_| ());
    assert_eq!(another, Err("InvalidSecurityGroup".to_owned()));
    let another = made(&mut stack, "application", &["sg-1"]).map(|_| ());
    assert_eq!(
        another,
        Err("DuplicateLoadBalancerName".to_owned()),
        "it has sg-2 by now"
    );
}

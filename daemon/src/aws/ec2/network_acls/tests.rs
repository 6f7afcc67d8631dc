use serde_json::json;

use super::*;
use crate::aws::fixture::{Handler, REGION, Stack};

/// What is asked of the fixture here.
impl Stack {
    fn created(&mut self) -> String {
        let input = json!({ "VpcId": ids::vpc(REGION) });
        let made = self.call(create, &input).unwrap();
        made["NetworkAcl"]["NetworkAclId"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// All that are told of, by their ids.
    fn told(&self) -> Vec<(String, Value)> {
        self.with(|view| {
            let told = all(view).into_iter().map(|(id, acl)| {
                let record = record(view, &id, &acl, &Tags::new());
                (id.to_string(), Value::from(record))
            });
            told.collect()
        })
    }

    fn of(&self, id: &str) -> Value {
        let found = self.told().into_iter().find(|(it, _)| it == id);
        found.unwrap_or_else(|| panic!("{id} is not there")).1
    }
}

fn entry(acl: &str, number: i64, more: Value) -> Value {
    let mut input = json!({
        "NetworkAclId": acl,
        "RuleNumber": number,
        "Protocol": "6",
        "RuleAction": "deny",
        "Egress": false,
        "CidrBlock": "10.0.0.5/8",
        "PortRange": { "From": 80, "To": 81 },
    });
    for (name, value) in more.as_object().unwrap() {
        input[name] = value.clone();
    }
    input
}

/// `100 allow in`, for each entry that is told of.
fn entries(acl: &Value) -> Vec<String> {
    let entries = acl["Entries"].as_array().unwrap().iter();
    let entries = entries.map(|it| {
        let way = if it["Egress"] == true { "out" } else { "in" };
        let action = it["RuleAction"].as_str().unwrap();
        format!("{} {action} {way}", it["RuleNumber"])
    });
    entries.collect()
}

fn subnets(acl: &Value) -> Vec<&str> {
    let associations = acl["Associations"].as_array().unwrap().iter();
    associations
        .map(|it| it["SubnetId"].as_str().unwrap())
        .collect()
}

#[test]
fn the_default_one_lets_everything_pass_and_has_every_subnet() {
    let stack = Stack::new();
    let told = stack.told();
    let [(id, acl)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*id, ids::derived("acl", REGION));
    assert_eq!(acl["IsDefault"], true);
    assert_eq!(
        entries(acl),
        [
            "100 allow out",
            "32767 deny out",
            "100 allow in",
            "32767 deny in"
        ]
    );
    assert_eq!(subnets(acl).len(), 3);
    assert!(stack.routes().acls.is_empty());
}

#[test]
fn a_new_one_denies_everything_to_the_subnets_that_get_it() {
    let mut stack = Stack::new();
    let id = stack.created();
    assert_eq!(entries(&stack.of(&id)), ["32767 deny out", "32767 deny in"]);
    assert_eq!(subnets(&stack.of(&id)), Vec::<&str>::new());
    let default = stack.of(&ids::derived("acl", REGION));
    let association = &default["Associations"][1];
    let input = json!({
        "AssociationId": association["NetworkAclAssociationId"],
        "NetworkAclId": id,
    });
    let replaced = stack.call(replace_association, &input).unwrap();
    let acl = stack.of(&id);
    assert_eq!(
        acl["Associations"][0]["NetworkAclAssociationId"],
        replaced["NewAssociationId"]
    );
    assert_eq!(subnets(&acl), [association["SubnetId"].as_str().unwrap()]);
    let acls = stack.routes().acls;
    let zones: Vec<u8> = acls.keys().map(|zone| zone.get()).collect();
    assert_eq!(zones, [2]);
    assert_eq!(acls.values().next(), Some(&Default::default()));
    // The former association is none any more.
    let again = stack.call(replace_association, &input);
    assert_eq!(again, Err("InvalidAssociationID.NotFound".to_owned()));
    let used = stack.call(delete, &json!({ "NetworkAclId": id }));
    assert_eq!(used, Err("DependencyViolation".to_owned()));
    let back = json!({
        "AssociationId": replaced["NewAssociationId"],
        "NetworkAclId": ids::derived("acl", REGION),
    });
    stack.call(replace_association, &back).unwrap();
    stack.call(delete, &json!({ "NetworkAclId": id })).unwrap();
    assert_eq!(stack.told().len(), 1);
    assert!(stack.routes().acls.is_empty());
}

#[test]
fn entries_are_told_as_they_were_put() {
    let mut stack = Stack::new();
    let id = stack.created();
    for (number, more) in [
        (200, json!({})),
        (100, json!({ "Protocol": "tcp" })),
        (100, json!({ "Egress": true, "Protocol": "-1" })),
        (
            300,
            json!({ "Protocol": "icmp", "IcmpTypeCode": { "Type": 8, "Code": -1 } }),
        ),
    ] {
        let input = entry(&id, number, more);
        stack.call(create_entry, &input).unwrap();
    }
    let acl = stack.of(&id);
    let told: Vec<String> = entries(&acl);
    assert_eq!(
        told,
        [
            "100 deny out",
            "32767 deny out",
            "100 deny in",
            "200 deny in",
            "300 deny in",
            "32767 deny in"
        ]
    );
    let all = &acl["Entries"][0];
    assert_eq!(
        (&all["Protocol"], &all["PortRange"]),
        (&json!("-1"), &Value::Null)
    );
    let tcp = &acl["Entries"][2];
    assert_eq!(tcp["Protocol"], "6");
    assert_eq!(tcp["CidrBlock"], "10.0.0.0/8");
    assert_eq!(tcp["PortRange"], json!({ "From": 80, "To": 81 }));
    let icmp = &acl["Entries"][4]["IcmpTypeCode"];
    assert_eq!(*icmp, json!({ "Type": 8, "Code": -1 }));
    let input = entry(&id, 200, json!({ "RuleAction": "allow" }));
    stack.call(replace_entry, &input).unwrap();
    stack
        .call(delete_entry, &entry(&id, 100, json!({ "Egress": true })))
        .unwrap();
    assert_eq!(
        entries(&stack.of(&id)),
        [
            "32767 deny out",
            "100 deny in",
            "200 allow in",
            "300 deny in",
            "32767 deny in"
        ]
    );
}

#[test]
fn what_is_wrong_is_refused_by_aws_s_codes() {
    let mut stack = Stack::new();
    let id = stack.created();
    let default = ids::derived("acl", REGION);
    let created = stack.call(create_entry, &entry(&id, 100, json!({})));
    created.unwrap();
    let mut refused = |handler: Handler, input: Value, code: &str| {
        assert_eq!(stack.call(handler, &input), Err(code.to_owned()), "{input}");
    };
    refused(create, json!({ "VpcId": "vpc-1" }), "InvalidVpcID.NotFound");
    let other = json!([{ "ResourceType": "instance", "Tags": [] }]);
    refused(
        create,
        json!({ "VpcId": ids::vpc(REGION), "TagSpecifications": other }),
        "InvalidParameterValue",
    );
    refused(
        delete,
        json!({ "NetworkAclId": "acl-1" }),
        "InvalidNetworkAclID.NotFound",
    );
    refused(
        delete,
        json!({ "NetworkAclId": default }),
        "InvalidParameterValue",
    );
    refused(
        create_entry,
        entry(&id, 100, json!({})),
        "NetworkAclEntryAlreadyExists",
    );
    refused(
        replace_entry,
        entry(&id, 100, json!({ "Egress": true })),
        "InvalidNetworkAclEntry.NotFound",
    );
    refused(
        delete_entry,
        entry(&id, 101, json!({})),
        "InvalidNetworkAclEntry.NotFound",
    );
    for (number, more, code) in [
        (0, json!({}), "InvalidParameterValue"),
        (32_767, json!({}), "InvalidParameterValue"),
        (1, json!({ "Protocol": "tls" }), "InvalidParameterValue"),
        (1, json!({ "Protocol": "256" }), "InvalidParameterValue"),
        (1, json!({ "CidrBlock": null }), "MissingParameter"),
        (1, json!({ "CidrBlock": "all" }), "InvalidParameterValue"),
        (1, json!({ "PortRange": null }), "MissingParameter"),
        (
            1,
            json!({ "PortRange": { "From": 2, "To": 1 } }),
            "InvalidParameterValue",
        ),
        (
            1,
            json!({ "PortRange": { "From": 0, "To": 65_536 } }),
            "InvalidParameterValue",
        ),
        (1, json!({ "Protocol": "1" }), "MissingParameter"),
        (1, json!({ "Ipv6CidrBlock": "::/0" }), "NotImplemented"),
    ] {
        refused(create_entry, entry(&id, number, more), code);
    }
}

#[test]
fn a_direction_has_twenty_entries_at_most() {
    let mut stack = Stack::new();
    let id = stack.created();
    for number in 1..=20 {
        let input = entry(&id, number, json!({}));
        stack.call(create_entry, &input).unwrap();
    }
    let more = stack.call(create_entry, &entry(&id, 21, json!({})));
    assert_eq!(more, Err("NetworkAclEntryLimitExceeded".to_owned()));
    let other = entry(&id, 21, json!({ "Egress": true }));
    stack.call(create_entry, &other).unwrap();
}

#[test]
fn who_asks_again_with_the_same_token_gets_the_same_one() {
    let mut stack = Stack::new();
    let input = json!({ "VpcId": ids::vpc(REGION), "ClientToken": "once" });
    let first = stack.call(create, &input).unwrap();
    assert_eq!(first["ClientToken"], "once");
    assert_eq!(stack.call(create, &input), Ok(first));
    assert_eq!(stack.told().len(), 2);
}

#[test]
fn the_default_one_is_changed_as_any_other() {
    let mut stack = Stack::new();
    let default = ids::derived("acl", REGION);
    let input = json!({ "NetworkAclId": default, "RuleNumber": 100, "Egress": true });
    stack.call(delete_entry, &input).unwrap();
    let acl = stack.of(&default);
    assert_eq!(acl["IsDefault"], true);
    assert_eq!(
        entries(&acl),
        ["32767 deny out", "100 allow in", "32767 deny in"]
    );
    let acls = stack.routes().acls;
    assert_eq!(acls.len(), 3);
}

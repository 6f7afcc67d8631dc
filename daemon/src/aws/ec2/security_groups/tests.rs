use serde_json::json;
use topologies::id::DbInstanceId;
use topologies::security_group::Guarded;

use super::*;
use crate::aws::ec2::instances;
use crate::aws::fixture::{Handler, REGION, Stack};
use crate::aws::security_groups::give;

/// What is asked of the fixture here.
impl Stack {
    fn group(&mut self, name: &str) -> String {
        let input = json!({ "GroupName": name, "Description": "a test's" });
        let made = self.call(create, &input).unwrap();
        made["GroupId"].as_str().unwrap().to_owned()
    }

    /// Every group by its name.
    fn shown(&self, name: &str) -> Value {
        self.with(|view| {
            let mut all = all(view).into_iter();
            let (id, group) = all.find(|(_, it)| it.name == name).unwrap();
            record(view, &id, &group).into()
        })
    }

    /// `tcp 80-80 10.0.0.0/8`, for each rule that lets somebody in.
    fn ingress(&self, name: &str) -> Vec<String> {
        let group = self.shown(name);
        let permissions = group["IpPermissions"].as_array().unwrap().iter();
        let rules = permissions.flat_map(|it| {
            let protocol = it["IpProtocol"].as_str().unwrap();
            let ports = match it["FromPort"].as_i64() {
                Some(from) => format!("{from}-{}", it["ToPort"]),
                None => "*".to_owned(),
            };
            let peers = [
                ("IpRanges", "CidrIp"),
                ("Ipv6Ranges", "CidrIpv6"),
                ("UserIdGroupPairs", "GroupId"),
            ];
            let peers = peers.into_iter().flat_map(|(list, name)| {
                let peers = it[list].as_array().unwrap().iter();
                peers.map(move |peer| peer[name].as_str().unwrap())
            });
            let peers = peers.map(|peer| format!("{protocol} {ports} {peer}"));
            peers.collect::<Vec<_>>()
        });
        rules.collect()
    }
}

fn tcp(port: u16, more: Value) -> Value {
    let mut permission = json!({ "IpProtocol": "tcp", "FromPort": port, "ToPort": port });
    for (name, value) in more.as_object().unwrap() {
        permission[name] = value.clone();
    }
    permission
}

fn from(cidr: &str) -> Value {
    json!({ "IpRanges": [{ "CidrIp": cidr }] })
}

#[test]
fn the_default_one_admits_its_own_and_everybody_until_that_is_revoked() {
    let mut stack = Stack::new();
    let id = ids::security_group(REGION);
    let own = format!("-1 * {id}");
    assert_eq!(stack.ingress("default"), ["-1 * 0.0.0.0/0", &own]);
    assert_eq!(stack.routes().groups, Default::default());
    let everybody = json!([{ "IpProtocol": "-1", "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] }]);
    let input = json!({ "GroupName": "default", "IpPermissions": everybody });
    let revoked = stack.call(revoke_ingress, &input).unwrap();
    assert_eq!(revoked["RevokedSecurityGroupRules"][0]["GroupId"], *id);
    assert_eq!(stack.ingress("default"), [own]);
    assert_ne!(stack.routes().groups, Default::default());
    let deleted = stack.call(delete, &json!({ "GroupId": id }));
    assert_eq!(deleted, Err("CannotDelete".to_owned()));
}

#[test]
fn a_new_one_lets_nobody_in_and_everything_out_and_filters_once_somebody_has_it() {
    let mut stack = Stack::new();
    let id = stack.group("db");
    assert_eq!(stack.ingress("db"), Vec::<String>::new());
    let group = stack.shown("db");
    assert_eq!(group["IpPermissionsEgress"][0]["IpProtocol"], "-1");
    assert_eq!(group["VpcId"], ids::vpc(REGION));
    assert_eq!(stack.routes().groups, Default::default());
    let give_it: Handler = |view, input| {
        let id = DbInstanceId::from("orders");
        let groups = vec![input["GroupId"].as_str().unwrap().into()];
        Ok((
            Record::new(),
            vec![give(view, Guarded::DbInstance(id), groups)],
        ))
    };
    let input = json!({ "GroupId": id });
    stack.call(give_it, &input).unwrap();
    assert_ne!(stack.routes().groups, Default::default());
    let used = stack.call(delete, &input);
    assert_eq!(used, Err("DependencyViolation".to_owned()));
    let other = json!({ "GroupId": ids::security_group(REGION) });
    stack.call(give_it, &other).unwrap();
    assert_eq!(stack.routes().groups, Default::default());
    stack.call(delete, &input).unwrap();
    let gone = stack.call(delete, &input);
    assert_eq!(gone, Err("InvalidGroup.NotFound".to_owned()));
}

#[test]
fn rules_are_told_as_they_were_permitted_and_go_as_they_are_named() {
    let mut stack = Stack::new();
    let (web, db) = (stack.group("web"), stack.group("db"));
    let pair = json!({ "UserIdGroupPairs": [{ "GroupId": web, "Description": "the shop" }] });
    let input = json!({ "GroupId": db, "IpPermissions": [
        tcp(5432, pair),
        tcp(5432, from("10.1.2.3/8")),
        { "IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] },
        { "IpProtocol": "50", "FromPort": 7, "Ipv6Ranges": [{ "CidrIpv6": "2001:DB8::1/32" }] },
    ] });
    let permitted = stack.call(authorize_ingress, &input).unwrap();
    let rules = permitted["SecurityGroupRules"].as_array().unwrap();
    let id = |place: usize| rules[place]["SecurityGroupRuleId"].clone();
    assert_eq!(rules[0]["ReferencedGroupInfo"]["GroupId"], *web);
    assert_eq!(rules[3]["FromPort"], -1);
    let by_web = format!("tcp 5432-5432 {web}");
    let told = [
        "tcp 5432-5432 10.0.0.0/8",
        &by_web,
        "icmp 8--1 0.0.0.0/0",
        "50 * 2001:db8::/32",
    ];
    assert_eq!(stack.ingress("db"), told);
    let again = stack.call(authorize_ingress, &input);
    assert_eq!(again, Err("InvalidPermission.Duplicate".to_owned()));
    let referenced = stack.call(delete, &json!({ "GroupId": web }));
    assert_eq!(referenced, Err("DependencyViolation".to_owned()));

    // By what they say; what is not there is told. By id.
    let some = json!([tcp(5432, from("10.0.0.0/8")), tcp(5433, from("10.0.0.0/8"))]);
    let revoked = stack.call(
        revoke_ingress,
        &json!({ "GroupId": db, "IpPermissions": some }),
    );
    let revoked = revoked.unwrap();
    assert_eq!(
        revoked["RevokedSecurityGroupRules"][0]["SecurityGroupRuleId"],
        id(1)
    );
    assert_eq!(revoked["UnknownIpPermissions"][0]["FromPort"], 5433);
    let listed = json!({ "GroupId": db, "SecurityGroupRuleIds": [id(2), id(3)] });
    let elsewhere = stack.call(revoke_egress, &listed);
    assert_eq!(
        elsewhere,
        Err("InvalidSecurityGroupRuleId.NotFound".to_owned())
    );
    stack.call(revoke_ingress, &listed).unwrap();
    assert_eq!(stack.ingress("db"), [by_web.as_str()]);
    stack
        .call(
            authorize_egress,
            &json!({ "GroupId": db, "IpPermissions": [tcp(1, from("10.0.0.0/8"))] }),
        )
        .unwrap();
    assert_eq!(stack.shown("db")["IpPermissionsEgress"][1]["ToPort"], 1);
}

#[test]
fn rules_become_others_and_get_other_descriptions() {
    let mut stack = Stack::new();
    let web = stack.group("web");
    let flat = json!({ "GroupName": "web", "IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "CidrIp": "10.0.0.0/8" });
    let permitted = stack.call(authorize_ingress, &flat).unwrap();
    let id = &permitted["SecurityGroupRules"][0]["SecurityGroupRuleId"];
    let update = |rule: Value| json!({ "GroupId": web, "SecurityGroupRules": [{ "SecurityGroupRuleId": id, "SecurityGroupRule": rule }] });
    let rule = json!({ "IpProtocol": "tcp", "FromPort": 82, "ToPort": 83, "CidrIpv4": "10.0.0.0/9", "Description": "few" });
    stack.call(modify_rules, &update(rule)).unwrap();
    assert_eq!(stack.ingress("web"), ["tcp 82-83 10.0.0.0/9"]);
    let described = |stack: &Stack| {
        let group = stack.shown("web");
        group["IpPermissions"][0]["IpRanges"][0]["Description"].clone()
    };
    assert_eq!(described(&stack), "few");
    let anew = json!({ "GroupId": web, "SecurityGroupRuleDescriptions": [{ "SecurityGroupRuleId": id, "Description": "fewer" }] });
    stack.call(describe_ingress, &anew).unwrap();
    assert_eq!(described(&stack), "fewer");
    let mut permission = tcp(82, from("10.0.0.0/9"));
    permission["ToPort"] = json!(83);
    let anew = json!({ "GroupId": web, "IpPermissions": [permission] });
    stack.call(describe_ingress, &anew).unwrap();
    assert_eq!(described(&stack), Value::Null);
    for (rule, code) in [
        (
            json!({ "IpProtocol": "-1", "ReferencedGroupId": web }),
            "InvalidParameterValue",
        ),
        (json!({ "IpProtocol": "-1" }), "MissingParameter"),
        (
            json!({ "IpProtocol": "-1", "CidrIpv4": "1.2.3.4/5", "CidrIpv6": "::/0" }),
            "InvalidParameterValue",
        ),
        (
            json!({ "IpProtocol": "-1", "PrefixListId": "pl-1" }),
            "NotImplemented",
        ),
    ] {
        let refused = stack.call(modify_rules, &update(rule.clone()));
        assert_eq!(refused, Err(code.to_owned()), "{rule}");
    }
    let missing = json!({ "GroupId": web, "IpPermissions": [tcp(1, from("10.0.0.0/9"))] });
    let refused = stack.call(describe_ingress, &missing);
    assert_eq!(refused, Err("InvalidPermission.NotFound".to_owned()));
}

#[test]
fn instances_have_those_that_they_were_given_or_the_default_one() {
    let mut stack = Stack::new();
    let (web, jobs) = (stack.group("web"), stack.group("jobs"));
    let default = ids::security_group(REGION);
    let image = stack.with(|view| ids::image(&view.topology().services[0]));
    let run = |stack: &mut Stack, more: Value| {
        let mut input = json!({ "ImageId": image, "MinCount": 1, "MaxCount": 1 });
        for (name, value) in more.as_object().unwrap() {
            input[name] = value.clone();
        }
        stack.call(instances::run, &input)
    };
    for (more, groups) in [
        (json!({}), vec![&default]),
        (
            json!({ "SecurityGroupIds": [web], "SecurityGroups": ["jobs"] }),
            vec![&web, &jobs],
        ),
        (
            json!({ "NetworkInterfaces": [{ "DeviceIndex": 0, "Groups": [jobs] }] }),
            vec![&jobs],
        ),
    ] {
        let made = run(&mut stack, more).unwrap();
        let instance = &made["Instances"][0];
        let told = |instance: &Value| -> Vec<String> {
            let groups = instance["SecurityGroups"].as_array().unwrap().iter();
            groups
                .map(|it| it["GroupId"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(told(instance).iter().collect::<Vec<_>>(), groups);
        let id = instance["InstanceId"].as_str().unwrap();
        let described = stack.with(|view| {
            let all = instances::all(view).into_iter();
            let record = all
                .filter(|it| it.id == id)
                .map(|it| Value::from(it.record));
            record.collect::<Vec<_>>()
        });
        assert_eq!(told(&described[0]).iter().collect::<Vec<_>>(), groups);
    }
    for (more, code) in [
        (
            json!({ "SecurityGroupIds": ["sg-1"] }),
            "InvalidGroup.NotFound",
        ),
        (
            json!({ "SecurityGroupIds": ["web"] }),
            "InvalidGroupId.Malformed",
        ),
        (
            json!({ "SecurityGroups": ["users"] }),
            "InvalidGroup.NotFound",
        ),
        (
            json!({ "SecurityGroupIds": [web], "NetworkInterfaces": [{ "Groups": [jobs] }] }),
            "InvalidParameterCombination",
        ),
    ] {
        assert_eq!(run(&mut stack, more).map(|_| ()), Err(code.to_owned()));
    }
    // One of the file, by its id.
    let id = ids::instance(&"web-1".into());
    let input = json!({ "InstanceId": id, "Groups": [web] });
    stack.call(instances::modify_attribute, &input).unwrap();
    let member = Guarded::Instance("web-1".into());
    let given = stack.world.account.security_groups.given(&member);
    assert_eq!(given, Some(&[web.as_str().into()][..]));
    let refused = stack.call(instances::modify_attribute, &json!({ "InstanceId": id }));
    assert_eq!(refused, Err("InvalidParameterCombination".to_owned()));
}

#[test]
fn groups_that_can_not_be_are_refused_by_aws_s_codes() {
    let mut stack = Stack::new();
    let _web = stack.group("web");
    for (input, code) in [
        (json!({ "GroupName": "web" }), "InvalidGroup.Duplicate"),
        (json!({ "GroupName": "default" }), "InvalidGroup.Reserved"),
        (json!({ "GroupName": "sg-web" }), "InvalidParameterValue"),
        (
            json!({ "GroupName": "w".repeat(256) }),
            "InvalidParameterValue",
        ),
        (json!({ "GroupName": "café" }), "InvalidParameterValue"),
        (
            json!({ "GroupName": "db", "Description": "" }),
            "MissingParameter",
        ),
        (
            json!({ "GroupName": "db", "VpcId": "vpc-1" }),
            "InvalidVpcID.NotFound",
        ),
    ] {
        let mut input = input;
        if input["Description"].is_null() {
            input["Description"] = json!("d");
        }
        let refused = stack.call(create, &input);
        assert_eq!(refused, Err(code.to_owned()), "{input}");
    }
}

#[test]
fn rules_that_can_not_be_are_refused_by_aws_s_codes() {
    let mut stack = Stack::new();
    let web = stack.group("web");
    let of = |protocol: &str, ports: [Option<i64>; 2]| {
        let mut permission = from("10.0.0.0/8");
        permission["IpProtocol"] = json!(protocol);
        permission["FromPort"] = json!(ports[0]);
        permission["ToPort"] = json!(ports[1]);
        permission
    };
    let group = |id: &str, user: Option<&str>| json!({ "UserIdGroupPairs": [{ "GroupId": id, "UserId": user }] });
    let list = json!({ "PrefixListIds": [{ "PrefixListId": "pl-1" }] });
    let odd = json!({ "IpRanges": [{ "CidrIp": "10.0.0.0/8", "Description": "ü" }] });
    let wide = json!({ "Ipv6Ranges": [{ "CidrIpv6": "::/129" }] });
    for (permission, code) in [
        (tcp(80, json!({})), "MissingParameter"),
        (tcp(80, from("10.0.0.0/33")), "InvalidParameterValue"),
        (tcp(80, wide), "InvalidParameterValue"),
        (tcp(80, group("sg-1", None)), "InvalidGroup.NotFound"),
        (tcp(80, group(&web, Some("1"))), "NotImplemented"),
        (tcp(80, list), "NotImplemented"),
        (tcp(80, odd), "InvalidParameterValue"),
        (of("tcp", [None, None]), "InvalidParameterValue"),
        (of("tcp", [Some(2), Some(1)]), "InvalidParameterValue"),
        (of("tcp", [Some(0), Some(65_536)]), "InvalidParameterValue"),
        (of("icmp", [Some(256), None]), "InvalidParameterValue"),
        (of("tls", [None, None]), "InvalidParameterValue"),
        (from("10.0.0.0/8"), "MissingParameter"),
    ] {
        let input = json!({ "GroupId": web, "IpPermissions": [permission] });
        let refused = stack.call(authorize_ingress, &input);
        assert_eq!(refused, Err(code.to_owned()), "{permission}");
    }
    for handler in [
        authorize_ingress as Handler,
        revoke_ingress,
        describe_ingress,
    ] {
        for (input, code) in [
            (json!({ "GroupId": web }), "MissingParameter"),
            (json!({}), "MissingParameter"),
            (json!({ "GroupName": "users" }), "InvalidGroup.NotFound"),
        ] {
            assert_eq!(stack.call(handler, &input), Err(code.to_owned()));
        }
    }
}

#[test]
fn a_direction_has_sixty_rules_at_most() {
    let mut stack = Stack::new();
    let web = stack.group("web");
    let ports = |ports: std::ops::Range<u16>| {
        let all = ports.map(|port| tcp(port, from("10.0.0.0/8")));
        json!({ "GroupId": web, "IpPermissions": all.collect::<Vec<_>>() })
    };
    stack.call(authorize_ingress, &ports(0..60)).unwrap();
    let more = stack.call(authorize_ingress, &ports(60..61));
    assert_eq!(more, Err("RulesPerSecurityGroupLimitExceeded".to_owned()));
    stack.call(authorize_egress, &ports(0..59)).unwrap();
    let ids = stack.with(taggables);
    let rules: std::collections::BTreeSet<_> =
        ids.iter().filter(|it| it.1.starts_with("sgr-")).collect();
    assert_eq!(rules.len(), 60 + 60 + 3);
}

//! Inputs that violate their model, in each service's words.

use crate::{form, get, json, post};

#[test]
fn ec2_names_the_missing_parameter_as_its_form_has_it() {
    // As EC2 answers RunInstances without an image: "The request must contain the parameter ImageId".
    let checks = [
        (
            "Action=CreateSubnet&Version=2016-11-15",
            "400 MissingParameter: The request must contain the parameter VpcId",
        ),
        (
            "Action=RunInstances&Version=2016-11-15&MaxCount=1",
            "400 MissingParameter: The request must contain the parameter MinCount",
        ),
        (
            "Action=DescribeInstances&Version=2016-11-15&instanceId.1=i-1",
            "400 UnknownParameter: The parameter instanceId is not recognized",
        ),
        (
            "Action=DescribeInstances&Version=2016-11-15&Filter.1.Nam=x",
            "400 UnknownParameter: The parameter Filter.1.Nam is not recognized",
        ),
        (
            "Action=DescribeInstances&Version=2016-11-15&MaxResults=many",
            "400 InvalidParameterValue: Value (many) for parameter MaxResults is invalid. Expecting a value of type Integer",
        ),
        (
            "Action=RunInstances&Version=2016-11-15&MaxCount=1&MinCount=1&InstanceType=t9.micro",
            "400 InvalidParameterValue: Invalid value 't9.micro' for InstanceType.",
        ),
    ];
    for (body, wanted) in checks {
        assert_eq!(form("ec2", body).refused(), wanted, "{body}");
    }
}

#[test]
fn databases_name_missing_parameters_as_ec2_does() {
    let sent = form(
        "rds",
        "Action=CreateDBInstance&Version=2014-10-31&Engine=postgres&DBInstanceClass=db.t3.micro",
    );
    assert_eq!(
        sent.refused(),
        "400 MissingParameter: The request must contain the parameter DBInstanceIdentifier"
    );
    let nested = form(
        "rds",
        "Action=DescribeDBInstances&Version=2014-10-31&Filters.Filter.1.Name=engine",
    );
    assert_eq!(
        nested.refused(),
        "400 MissingParameter: The request must contain the parameter Filters.Filter.1.Values"
    );
}

#[test]
fn query_services_count_their_validation_errors() {
    let sent = form(
        "sts",
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/a&RoleSessionName=x",
    );
    assert_eq!(
        sent.refused(),
        "400 ValidationError: 1 validation error detected: Value 'x' at 'roleSessionName' failed to satisfy constraint: \
         Member must have length greater than or equal to 2"
    );
    let sent = form(
        "sts",
        "Action=AssumeRole&Version=2011-06-15&DurationSeconds=1",
    );
    assert_eq!(
        sent.refused(),
        "400 ValidationError: 3 validation errors detected: Value null at 'roleArn' failed to satisfy constraint: Member must \
         not be null; Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null; Value '1' at \
         'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"
    );
    let sent = form("autoscaling", "Action=SuspendProcesses&Version=2011-01-01");
    assert_eq!(
        sent.refused(),
        "400 ValidationError: 1 validation error detected: Value null at 'autoScalingGroupName' failed to satisfy \
         constraint: Member must not be null"
    );
    let sent = form(
        "elasticloadbalancing",
        "Action=CreateTargetGroup&Version=2015-12-01&Name=a&Protocol=SMTP",
    );
    assert_eq!(
        sent.refused(),
        "400 ValidationError: 1 validation error detected: Value 'SMTP' at 'protocol' failed to satisfy constraint: Member \
         must satisfy enum value set: [HTTP, HTTPS, TCP, TLS, UDP, TCP_UDP, GENEVE, QUIC, TCP_QUIC]"
    );
}

#[test]
fn json_services_call_it_an_exception() {
    let sent = json("TrentService.ListKeys", r#"{"Limit": 0}"#);
    assert_eq!(
        sent.refused(),
        "400 ValidationException: 1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member \
         must have value greater than or equal to 1"
    );
    let sent = json(
        "TrentService.TagResource",
        r#"{"KeyId": "a", "Tags": [{"TagKey": "", "TagValue": "v"}]}"#,
    );
    assert_eq!(
        sent.refused(),
        "400 ValidationException: 1 validation error detected: Value '' at 'tags.1.member.tagKey' failed to satisfy \
         constraint: Member must have length greater than or equal to 1"
    );
}

#[test]
fn lists_of_scalars_are_judged_as_one() {
    // As Lambda answers: Value '[GET]' at 'cors.allowMethods' ... Member must satisfy constraint: [..., ...].
    let sent = json(
        "ResourceGroupsTaggingAPI_20170126.UntagResources",
        r#"{"ResourceARNList": ["a"], "TagKeys": [""]}"#,
    );
    let refused = sent.refused();
    assert!(
        refused.contains(
            "Value '[]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length \
             less than or equal to 128, Member must have length greater than or equal to 1"
        ),
        "{refused}"
    );
}

#[test]
fn route_53_calls_it_invalid_input() {
    // As Terraform's users quote it: InvalidInput: 1 validation error detected: Value '...' at 'hostedZoneId' ...
    let sent =
        get("/2013-04-01/hostedzone/Z23456789012345678901234567890123456789").scope("route53");
    assert_eq!(
        sent.refused(),
        "400 InvalidInput: 1 validation error detected: Value 'Z23456789012345678901234567890123456789' at 'id' failed to \
         satisfy constraint: Member must have length less than or equal to 32"
    );
}

#[test]
fn secrets_are_not_repeated() {
    let sent = json("TrentService.Encrypt", r#"{"KeyId": "a", "Plaintext": ""}"#);
    assert_eq!(
        sent.refused(),
        "400 ValidationException: 1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member \
         must have length greater than or equal to 1"
    );
}

#[test]
fn an_empty_element_does_not_end_a_list() {
    let body = "Action=CreateLaunchTemplate&Version=2016-11-15&LaunchTemplateName=lt1&LaunchTemplateData.NetworkInterface.2.SubnetId=a&LaunchTemplateData.NetworkInterface.10.SubnetId=b";
    let sent = form("ec2", body);
    let input = sent.call().input().expect("it is valid");
    let interfaces = &input["LaunchTemplateData"]["NetworkInterfaces"];
    assert_eq!(
        interfaces,
        &serde_json::json!([{"SubnetId": "a"}, {"SubnetId": "b"}])
    );
}

#[test]
fn an_index_of_billions_costs_nothing() {
    let sent = form(
        "ec2",
        "Action=DescribeInstances&Version=2016-11-15&Filter.4000000000.Name=a&Filter.4000000000.Value.1=b",
    );
    let input = sent.call().input().expect("it is valid");
    assert_eq!(
        input["Filters"],
        serde_json::json!([{"Name": "a", "Values": ["b"]}])
    );
}

#[test]
fn nulls_are_absent() {
    let sent = json(
        "TrentService.ListKeys",
        r#"{"Limit": null, "Marker": null}"#,
    );
    assert_eq!(
        sent.call().input().expect("it is valid"),
        serde_json::json!({})
    );
}

#[test]
fn a_rest_input_comes_from_path_query_and_body() {
    let sent = post(
        "/tags/arn:aws:fis:eu-west-1:123456789012:experiment%2FEXP1",
        r#"{"tags": {"a": "b"}}"#,
    )
    .scope("fis");
    let input = sent.call().input().expect("it is valid");
    assert_eq!(
        input,
        serde_json::json!({"resourceArn": "arn:aws:fis:eu-west-1:123456789012:experiment/EXP1", "tags": {"a": "b"}})
    );
}

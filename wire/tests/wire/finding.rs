//! Whose request is it?

use crate::{cbor, form, get, json, post};

#[test]
fn each_protocol_finds_its_operation() {
    let checks = [
        (
            form("rds", "Action=DescribeDBInstances&Version=2014-10-31").found(),
            "rds.DescribeDBInstances over Query",
        ),
        (
            form("ec2", "Action=DescribeZones&Version=2016-11-15").refused(),
            "400 InvalidAction: The action DescribeZones is not valid for this web service.",
        ),
        (
            form("ec2", "Action=DescribeAvailabilityZones&Version=2016-11-15").found(),
            "ec2.DescribeAvailabilityZones over Ec2",
        ),
        (
            json("TrentService.ListKeys", "{}").found(),
            "kms.ListKeys over Json",
        ),
        (
            json("GraniteServiceVersion20100801.ListMetrics", "{}").found(),
            "cloudwatch.ListMetrics over Json",
        ),
        (
            cbor(
                "/service/GraniteServiceVersion20100801/operation/ListMetrics",
                b"\xa0",
            )
            .found(),
            "cloudwatch.ListMetrics over Cbor",
        ),
        (
            form("monitoring", "Action=ListMetrics&Version=2010-08-01").found(),
            "cloudwatch.ListMetrics over Query",
        ),
        (
            get("/2013-04-01/hostedzone/Z1/rrset?maxitems=5")
                .scope("route53")
                .found(),
            "route53.ListResourceRecordSets over RestXml",
        ),
        (
            post("/experiments", "{}").scope("fis").found(),
            "fis.StartExperiment over RestJson",
        ),
        (
            get("/tags/arn:aws:fis:eu-west-1:1:experiment%2FEXP1")
                .scope("fis")
                .found(),
            "fis.ListTagsForResource over RestJson",
        ),
    ];
    for (found, wanted) in checks {
        assert_eq!(found, wanted);
    }
}

#[test]
fn scopes_go_by_other_names_than_models() {
    let checks = [
        (
            form(
                "elasticloadbalancing",
                "Action=DescribeLoadBalancers&Version=2015-12-01",
            )
            .found(),
            "elbv2.DescribeLoadBalancers over Query",
        ),
        (
            json("ResourceGroupsTaggingAPI_20170126.GetResources", "{}")
                .scope("tagging")
                .found(),
            "resourcegroupstaggingapi.GetResources over Json",
        ),
        (
            get("/zonalshifts").scope("arc-zonal-shift").found(),
            "arc-zonal-shift.ListZonalShifts over RestJson",
        ),
    ];
    for (found, wanted) in checks {
        assert_eq!(found, wanted);
    }
}

#[test]
fn elbs_two_generations_are_told_apart_by_version() {
    let classic = form(
        "elasticloadbalancing",
        "Action=DescribeLoadBalancers&Version=2012-06-01",
    );
    assert_eq!(
        classic.refused(),
        "400 InvalidAction: Could not find operation DescribeLoadBalancers for version 2012-06-01"
    );
}

#[test]
fn unsigned_calls_are_found_too() {
    let by_version = post("/", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
    assert_eq!(
        by_version.found(),
        "sts.AssumeRoleWithWebIdentity over Query"
    );
    assert!(by_version.call().needs_no_signature());
    let in_the_uri = get("/?Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(in_the_uri.found(), "sts.GetCallerIdentity over Query");
    let by_host = get("/2013-04-01/hostedzone").header("host", "route53.amazonaws.com");
    assert_eq!(by_host.found(), "route53.ListHostedZones over RestXml");
    let with_region =
        post("/", "Action=DescribeDBInstances").header("host", "rds.eu-west-1.amazonaws.com");
    assert_eq!(with_region.found(), "rds.DescribeDBInstances over Query");
    assert_eq!(with_region.call().region(), Some("eu-west-1"));
}

#[test]
fn presigned_queries_name_their_scope() {
    let sent = get(
        "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20260131%2Fus-east-1%2Fsts%2Faws4_request",
    );
    let call = sent.call();
    assert_eq!(call.operation(), "GetCallerIdentity");
    assert_eq!(
        call.scope().map(|scope| scope.access_key.as_str()),
        Some("AKID")
    );
    assert_eq!(call.region(), Some("us-east-1"));
    assert_eq!(
        call.input()
            .expect("nothing of the signature is a parameter"),
        serde_json::json!({})
    );
}

#[test]
fn what_is_not_found_is_refused_in_the_services_words() {
    let checks = [
        (
            form("sts", "Action=Nothing&Version=2011-06-15").refused(),
            "400 InvalidAction: Could not find operation Nothing for version 2011-06-15",
        ),
        (
            form("sts", "Action=GetCallerIdentity&Version=1999-01-01").refused(),
            "400 InvalidAction: Could not find operation GetCallerIdentity for version 1999-01-01",
        ),
        (
            form("ec2", "Action=DescribeInstances&Version=2099-01-01").refused(),
            "400 NoSuchVersion: The requested version (2099-01-01) of service EC2 does not exist",
        ),
        (
            form("rds", "Version=2014-10-31").refused(),
            "400 MissingAction: Missing Action",
        ),
        (
            json("TrentService.Nothing", "{}").refused(),
            "400 UnknownOperationException: ",
        ),
        (
            json("Nobody.Nothing", "{}").refused(),
            "400 UnknownOperationException: ",
        ),
        (
            cbor(
                "/service/GraniteServiceVersion20100801/operation/Nothing",
                b"",
            )
            .refused(),
            "404 UnknownOperationException: ",
        ),
        (
            get("/2013-04-01/nothing").scope("route53").refused(),
            "404 UnknownOperationException: no operation for GET /2013-04-01/nothing",
        ),
        (
            form("sqs", "Action=SendMessage&Version=2012-11-05").refused(),
            "501 NotImplemented: the service sqs is not served here",
        ),
        (
            get("/bucket/key").scope("s3").refused(),
            "501 NotImplemented: the service s3 is not served here",
        ),
    ];
    for (refused, wanted) in checks {
        assert_eq!(refused, wanted);
    }
}

#[test]
fn older_versions_of_ec2_are_served() {
    let sent = form("ec2", "Action=DescribeInstances&Version=2014-10-01");
    assert_eq!(sent.found(), "ec2.DescribeInstances over Ec2");
}

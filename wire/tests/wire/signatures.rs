//! Signatures: the example of AWS's documentation, and everything that can be wrong with one.

use wire::sigv4::{Caller, Secret, verify, verify_over};

use crate::{Sent, form, get, json, post};

/// 2015-08-30T12:36:00Z, the time of the documentation's example.
const THEN: i64 = 1_440_938_160_000;
const MINUTE: i64 = 60_000;

/// The GET of the IAM User Guide's "signing request example", with its published signature.
fn example(signature: &str) -> Sent<'_> {
    get("/?Action=ListUsers&Version=2010-05-08")
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .header("host", "iam.amazonaws.com")
        .header("x-amz-date", "20150830T123600Z")
        .header("authorization", signature)
}

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

fn secret(key: &str) -> Option<Secret> {
    (key == "AKIDEXAMPLE").then(|| Secret {
        key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
    })
}

fn verified(sent: &Sent<'_>, now: i64) -> String {
    match verify(&sent.call(), secret, now) {
        Ok(Caller::Key(key)) => key,
        Ok(Caller::Anonymous) => "anonymous".to_owned(),
        Err(fault) => format!("{} {}: {}", fault.status, fault.code, fault.message),
    }
}

#[test]
fn the_documentations_example_verifies() {
    assert_eq!(verified(&example(SIGNED), THEN), "AKIDEXAMPLE");
}

#[test]
fn another_signature_does_not() {
    let wanted = "403 SignatureDoesNotMatch: The request signature we calculated does not match";
    for other in [
        SIGNED.replace("5d672d", "5d672e"),
        SIGNED.replace("5d672d", "zzz"),
        SIGNED.replace(";host", ";host;x-amz-meta"),
    ] {
        let refused = verified(&example(&other), THEN);
        assert!(refused.starts_with(wanted), "{refused}");
    }
    let mut other = example(SIGNED);
    other.uri = "/?Action=ListUsers&Version=2010-05-08&PathPrefix=/a/";
    assert!(verified(&other, THEN).starts_with(wanted));
    let mut other = example(SIGNED);
    other.body = b"Action=DeleteUser";
    assert!(verified(&other, THEN).starts_with(wanted));
}

#[test]
fn a_body_that_was_decoded_is_verified_as_it_came() {
    let mut decoded = example(SIGNED);
    decoded.body = b"what it decodes to";
    let signer = verify_over(&decoded.call(), b"", secret, THEN);
    assert_eq!(signer, Ok(Caller::Key("AKIDEXAMPLE".to_owned())));
}

#[test]
fn a_key_that_nobody_has_is_refused_by_each_protocol_in_its_way() {
    let unknown = SIGNED.replace("AKIDEXAMPLE", "AKIDNOBODY");
    let wanted = "403 InvalidClientTokenId: The security token included in the request is invalid.";
    assert_eq!(verified(&example(&unknown), THEN), wanted);
    let in_ec2 = unknown.replace("/iam/", "/ec2/");
    let ec2 = post("/", "Action=DescribeInstances&Version=2016-11-15")
        .header("x-amz-date", "20150830T123600Z")
        .header("authorization", &in_ec2);
    assert_eq!(
        verified(&ec2, THEN),
        "401 AuthFailure: AWS was not able to validate the provided access credentials"
    );
    let in_kms = unknown.replace("/iam/", "/kms/");
    let kms = json("TrentService.ListKeys", "{}")
        .header("x-amz-date", "20150830T123600Z")
        .header("authorization", &in_kms);
    assert_eq!(
        verified(&kms, THEN),
        "400 UnrecognizedClientException: The security token included in the request is invalid."
    );
}

#[test]
fn clocks_may_differ_by_five_minutes() {
    assert_eq!(verified(&example(SIGNED), THEN + 5 * MINUTE), "AKIDEXAMPLE");
    assert_eq!(verified(&example(SIGNED), THEN - 5 * MINUTE), "AKIDEXAMPLE");
    assert_eq!(
        verified(&example(SIGNED), THEN + 6 * MINUTE),
        "403 SignatureDoesNotMatch: Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z \
         (20150830T124200Z - 5 min.)"
    );
    assert_eq!(
        verified(&example(SIGNED), THEN - 6 * MINUTE),
        "403 SignatureDoesNotMatch: Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z \
         (20150830T123000Z + 5 min.)"
    );
}

#[test]
fn a_signature_says_for_which_day_and_service_it_is() {
    let day = SIGNED.replace("20150830/", "20150829/");
    assert!(
        verified(&example(&day), THEN)
            .starts_with("403 SignatureDoesNotMatch: Date in Credential scope does not match")
    );
    let in_iam = SIGNED.to_owned();
    let kms = json("TrentService.ListKeys", "{}")
        .header("x-amz-date", "20150830T123600Z")
        .header("authorization", &in_iam);
    assert_eq!(
        verified(&kms, THEN),
        "400 InvalidSignatureException: Credential should be scoped to correct service: 'kms'. "
    );
}

#[test]
fn what_lacks_parts_is_incomplete() {
    let checks = [
        (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request",
            "400 IncompleteSignature: Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. ",
        ),
        (
            "AWS AKIDEXAMPLE:c2ln",
            "400 IncompleteSignature: Unsupported AWS 'algorithm': 'AWS' (only AWS4-HMAC-SHA256 for now). ",
        ),
        (
            "",
            "400 IncompleteSignature: Unsupported AWS 'algorithm': '' (only AWS4-HMAC-SHA256 for now). ",
        ),
    ];
    for (header, wanted) in checks {
        assert_eq!(verified(&example(header), THEN), wanted);
    }
    let undated = post("/", "Action=ListUsers&Version=2010-05-08").header("authorization", SIGNED);
    assert_eq!(
        verified(&undated, THEN),
        "400 IncompleteSignature: Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
    );
}

#[test]
fn unsigned_calls_are_for_operations_that_need_no_signature() {
    let sent = post("/", "Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(
        verified(&sent, THEN),
        "403 MissingAuthenticationToken: Request is missing Authentication Token"
    );
    let sent = post("/", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
    assert_eq!(verified(&sent, THEN), "anonymous");
    let sent = json("TrentService.ListKeys", "{}");
    assert_eq!(
        verified(&sent, THEN),
        "400 MissingAuthenticationTokenException: Missing Authentication Token"
    );
}

#[test]
fn temporary_credentials_need_their_token() {
    let sent = form("iam", "Action=ListUsers&Version=2010-05-08");
    let _ = sent;
    let temporary = |_: &str| {
        secret("AKIDEXAMPLE").map(|secret| Secret {
            session_token: Some("t".to_owned()),
            ..secret
        })
    };
    let fault = verify(&example(SIGNED).call(), temporary, THEN).expect_err("the token is missing");
    assert_eq!(fault.code, "InvalidClientTokenId");
}

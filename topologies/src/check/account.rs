//! The AWS account: its number and its access keys.

use std::collections::BTreeSet;

use super::Checker;
use super::identifiers::printable;
use crate::defaults;
use crate::spec::{At, CredentialSpec};
use crate::topology::Credential;

/// Access keys, more than any client tries.
const CREDENTIALS_MAX: usize = 100;

/// The shortest and the longest id of an access key (IAM API reference, AccessKey).
const KEY_ID_LENGTH: (usize, usize) = (16, 128);

/// The longest secret or token. AWS sets no length; a header has to hold it.
const SECRET_MAX: usize = 4096;

pub(super) fn account_id(checker: &mut Checker<'_>) -> String {
    let Some(written) = &checker.spec.account_id else {
        return defaults::ACCOUNT_ID.to_owned();
    };
    let id = &written.value.0;
    if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        checker.error_with(
            written.span,
            format!("`{id}` is not an account id"),
            "an account id has 12 digits; in quotes it keeps a zero at its beginning",
        );
    }
    id.clone()
}

pub(super) fn credentials(checker: &mut Checker<'_>) -> Vec<Credential> {
    let Some(written) = &checker.spec.credentials else {
        return Vec::new();
    };
    if written.value.is_empty() && !checker.left_out.items {
        checker.error_with(
            written.span,
            "`credentials` names no access key",
            "leave `credentials` out to have any signature taken",
        );
    }
    if written.value.len() > CREDENTIALS_MAX {
        let message = format!("there are more than {CREDENTIALS_MAX} access keys");
        checker.error(written.span, message);
    }
    let mut seen = BTreeSet::new();
    for credential in &written.value {
        let id = &credential.value.access_key_id;
        if !seen.insert(id.value.as_str()) {
            checker.error(
                id.span,
                format!("the access key `{}` is there twice", id.value),
            );
        }
        check(checker, &credential.value);
    }
    let text = |written: &At<String>| written.value.clone();
    let credentials = written.value.iter().map(|credential| Credential {
        access_key_id: text(&credential.value.access_key_id),
        secret_access_key: text(&credential.value.secret_access_key),
        session_token: credential.value.session_token.as_ref().map(text),
    });
    credentials.collect()
}

fn check(checker: &mut Checker<'_>, credential: &CredentialSpec) {
    let id = &credential.access_key_id;
    let fits = (KEY_ID_LENGTH.0..=KEY_ID_LENGTH.1).contains(&id.value.len());
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !fits || !id.value.bytes().all(word) {
        checker.error_with(
            id.span,
            format!("`{}` is not an access key id", id.value),
            "it has 16 to 128 letters, digits and underscores, like `AKIAIOSFODNN7EXAMPLE`",
        );
    }
    let secrets = [
        ("secret access key", Some(&credential.secret_access_key)),
        ("session token", credential.session_token.as_ref()),
    ];
    for (what, secret) in secrets {
        let Some(secret) = secret else {
            continue;
        };
        let short = (1..=SECRET_MAX).contains(&secret.value.len());
        if !short || !printable(&secret.value, "") {
            checker.error(
                secret.span,
                format!("a {what} has 1 to {SECRET_MAX} printable characters and no spaces"),
            );
        }
    }
}

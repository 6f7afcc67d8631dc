//! Which identifiers AWS takes, and ours where AWS has none.

use super::{Checker, stem};
use crate::defaults;
use crate::id::StackId;
use crate::notes::Span;
pub(super) use crate::records::domain;
use crate::reference::RESERVED;
use crate::spec::At;

/// The rules of a kind of identifier.
pub(super) struct Rules {
    /// What has it, with its article.
    pub(super) what: &'static str,
    /// The most characters.
    pub(super) longest: usize,
    /// Whether the first character must be a letter.
    pub(super) letter_first: bool,
    /// Whether two hyphens in a row are refused.
    pub(super) single_hyphens: bool,
}

/// RDS: 1 to 63 letters, digits, hyphens; a letter first; no hyphen last or twice (CreateDBInstance).
pub(super) const DB_INSTANCE: Rules = Rules {
    what: "a DB instance identifier",
    longest: 63,
    letter_first: true,
    single_hyphens: true,
};

/// ElastiCache: 1 to 40, else as RDS (CreateReplicationGroup).
pub(super) const REPLICATION_GROUP: Rules = Rules {
    what: "a replication group identifier",
    longest: 40,
    letter_first: true,
    single_hyphens: true,
};

/// ELB: 1 to 32 letters, digits, hyphens; no hyphen first or last (CreateLoadBalancer).
pub(super) const LOAD_BALANCER: Rules = Rules {
    what: "a load balancer name",
    longest: 32,
    letter_first: false,
    single_hyphens: false,
};

/// ELB: as load balancers (CreateTargetGroup).
pub(super) const TARGET_GROUP: Rules = Rules {
    what: "a target group name",
    longest: 32,
    letter_first: false,
    single_hyphens: false,
};

/// Groups of instances: short enough for `<name>-<number>` to be a host's name.
pub(super) const INSTANCES: Rules = Rules {
    what: "a name of instances",
    longest: 40,
    letter_first: true,
    single_hyphens: true,
};

/// Route 53 health checks have no names of their own.
pub(super) const HEALTH_CHECK: Rules = Rules {
    what: "a health check name",
    longest: 64,
    letter_first: false,
    single_hyphens: false,
};

/// Stacks: part of directory, container and account names.
const STACK: Rules = Rules {
    what: "a stack name",
    longest: 40,
    letter_first: true,
    single_hyphens: true,
};

/// Notes what is wrong with a name.
pub(super) fn name(checker: &mut Checker<'_>, rules: &Rules, name: &At<String>) {
    if let Some(problem) = problem(rules, &name.value) {
        let message = format!("`{}` is not {}", name.value, rules.what);
        checker.error_with(name.span, message, problem);
    }
    if RESERVED.contains(&name.value.as_str()) {
        checker.error_with(
            name.span,
            format!("`{}` is a reserved word", name.value),
            format!(
                "`${{{}...}}` means the instance or stack itself; choose another name",
                name.value
            ),
        );
    }
}

fn problem(rules: &Rules, name: &str) -> Option<String> {
    let first = name.chars().next();
    if name.chars().count() > rules.longest {
        return Some(format!("it may have at most {} characters", rules.longest));
    }
    if !name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    {
        return Some("it is made of lowercase letters, digits and hyphens".to_owned());
    }
    if rules.letter_first && !first.is_some_and(|c| c.is_ascii_lowercase()) {
        return Some("it begins with a letter".to_owned());
    }
    if first.is_none_or(|c| c == '-') || name.ends_with('-') {
        return Some("it does not begin or end with a hyphen".to_owned());
    }
    (rules.single_hyphens && name.contains("--"))
        .then(|| "it has no two hyphens in a row".to_owned())
}

pub(super) fn stack_name(checker: &mut Checker<'_>, file_name: &str) -> StackId {
    match &checker.spec.name {
        Some(written) => {
            name(checker, &STACK, written);
            StackId::from(written.value.as_str())
        }
        None => {
            let stack = stem(file_name);
            if let Some(problem) = problem(&STACK, stack.as_str()) {
                checker.error_with(
                    Span::START,
                    format!("the file's name `{stack}` is not a stack name: {problem}"),
                    "give the stack a name with `name: my-stack`",
                );
            }
            stack
        }
    }
}

pub(super) fn suffix(checker: &mut Checker<'_>) -> String {
    let Some(written) = &checker.spec.suffix else {
        return defaults::SUFFIX.to_owned();
    };
    match domain(&written.value) {
        // Room is left for the endpoint's own labels in the 253 characters of a name.
        Some(suffix) if suffix.len() <= 100 => return suffix,
        Some(_) => checker.error(written.span, "this suffix has more than 100 characters"),
        None => checker.error_with(
            written.span,
            format!("`{}` is not a domain name", written.value),
            "a suffix is like `localaws.internal` or `amazonaws.com`",
        ),
    }
    defaults::SUFFIX.to_owned()
}

/// Whether `text` has only characters that can stand in a URL, a shell and a configuration file.
pub(super) fn printable(text: &str, forbidden: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_graphic() && !forbidden.contains(c))
}

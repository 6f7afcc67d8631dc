//! Which rule a request matches. Pure.

use topologies::topology::{Rule, RuleAction};

use crate::routes::Listener;

/// What the listener does with a request for `host` (without a port) and `path` (without the query).
pub(crate) fn action<'a>(listener: &'a Listener, host: &str, path: &str) -> &'a RuleAction {
    listener
        .rules
        .iter()
        .find(|rule| matches(rule, host, path))
        .map_or(&listener.default_action, |rule| &rule.action)
}

/// Any pattern of a condition is enough; every condition has to be met ("Condition types for listener rules").
fn matches(rule: &Rule, host: &str, path: &str) -> bool {
    let host_matches = rule.host_header.is_empty()
        || rule.host_header.iter().any(|pattern| {
            like(pattern.as_bytes(), host.as_bytes(), |a, b| {
                a.eq_ignore_ascii_case(&b)
            })
        });
    let path_matches = rule.path_pattern.is_empty()
        || rule
            .path_pattern
            .iter()
            .any(|pattern| like(pattern.as_bytes(), path.as_bytes(), |a, b| a == b));
    host_matches && path_matches
}

/// Whether `text` is like `pattern`, in which `*` stands for any number of characters and `?` for one.
///
/// On a mismatch it returns to the last `*` and lets that one take a character more; earlier ones need no second thought.
fn like(pattern: &[u8], text: &[u8], equal: impl Fn(u8, u8) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(c) if equal(*c, text[t]) => (p, t) = (p + 1, t + 1),
            Some(_) | None => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use topologies::topology::Protocol;

    use super::*;

    #[test]
    fn patterns() {
        let table = [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("/img/*", "/img/a/b.png", true),
            ("/img/*", "/img", false),
            ("/img/*", "/IMG/a", false),
            ("/a?c", "/abc", true),
            ("/a?c", "/ac", false),
            ("*/b/*", "/a/b/b/c", true),
            ("*.png", "/a.png.gif", false),
            ("*a*a*a*b", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("/**", "/", true),
        ];
        for (pattern, text, expected) in table {
            let found = like(pattern.as_bytes(), text.as_bytes(), |a, b| a == b);
            assert_eq!(found, expected, "{pattern} {text}");
        }
    }

    fn rule(priority: u32, hosts: &[&str], paths: &[&str]) -> Rule {
        Rule {
            priority,
            host_header: hosts.iter().map(ToString::to_string).collect(),
            path_pattern: paths.iter().map(ToString::to_string).collect(),
            action: RuleAction::Forward(priority.to_string().into()),
        }
    }

    #[test]
    fn the_first_rule_whose_conditions_are_all_met() {
        let listener = Listener {
            port: 80,
            protocol: Protocol::Http,
            rules: vec![
                rule(10, &["*.example.com", "api.example.org"], &["/v1/*"]),
                rule(20, &["*.example.com"], &[]),
                rule(30, &[], &["/static/*"]),
            ],
            default_action: RuleAction::Forward("default".into()),
        };
        let table = [
            ("a.example.com", "/v1/x", "10"),
            ("A.EXAMPLE.Com", "/v1/x", "10"),
            ("api.example.org", "/v1/", "10"),
            ("a.example.com", "/V1/x", "20"),
            ("example.com", "/", "default"),
            ("other", "/static/x", "30"),
            ("other", "/", "default"),
        ];
        for (host, path, expected) in table {
            let expected = RuleAction::Forward(expected.into());
            assert_eq!(*action(&listener, host, path), expected, "{host} {path}");
        }
    }
}

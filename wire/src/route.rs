//! From method and path to a REST operation: URI templates with labels, greedy labels and literal query parameters.

use std::borrow::Cow;

use crate::model::Model;
use crate::text;

#[derive(Debug, PartialEq)]
enum Segment {
    Literal(Box<str>),
    Label(Box<str>),
    Greedy(Box<str>),
}

#[derive(Debug)]
struct Route {
    operation: usize,
    method: Box<str>,
    segments: Vec<Segment>,
    query: Vec<(Box<str>, Option<Box<str>>)>,
}

impl Route {
    fn new(operation: usize, method: &str, uri: &str) -> Self {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let segments = path.split('/').skip(1).map(|segment| {
            let label = segment
                .strip_prefix('{')
                .and_then(|label| label.strip_suffix('}'));
            match label {
                Some(label) => match label.strip_suffix('+') {
                    Some(greedy) => Segment::Greedy(greedy.into()),
                    None => Segment::Label(label.into()),
                },
                None => Segment::Literal(segment.into()),
            }
        });
        let query = query.split('&').filter(|part| !part.is_empty());
        let query = query.map(|part| match part.split_once('=') {
            Some((name, value)) => (name.into(), Some(value.into())),
            None => (part.into(), None),
        });
        Self {
            operation,
            method: method.into(),
            segments: segments.collect(),
            query: query.collect(),
        }
    }

    /// More literals beat fewer, then a label beats a greedy one: the routes are tried in this order.
    fn weight(&self) -> (usize, usize, usize) {
        let literals = self
            .segments
            .iter()
            .filter(|segment| matches!(segment, Segment::Literal(_)));
        let greedy = self
            .segments
            .iter()
            .any(|segment| matches!(segment, Segment::Greedy(_)));
        (self.query.len(), literals.count(), usize::from(!greedy))
    }

    fn matches(&self, path: &[&str], query: &[(Cow<'_, str>, Cow<'_, str>)]) -> Option<Labels> {
        let literal = |(name, value): &(Box<str>, Option<Box<str>>)| {
            query.iter().any(|(given, text)| {
                **given == **name && value.as_ref().is_none_or(|value| **text == **value)
            })
        };
        if !self.query.iter().all(literal) {
            return None;
        }
        let mut labels = Vec::new();
        let mut rest = path;
        for (index, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Literal(literal) => {
                    let (first, others) = rest.split_first()?;
                    (text::decode(first, false)? == **literal).then_some(())?;
                    rest = others;
                }
                Segment::Label(label) => {
                    let (first, others) = rest.split_first()?;
                    (!first.is_empty()).then_some(())?;
                    labels.push((label.to_string(), text::decode(first, false)?.into_owned()));
                    rest = others;
                }
                Segment::Greedy(label) => {
                    let after = self.segments.len() - index - 1;
                    let taken = rest.len().checked_sub(after).filter(|taken| *taken > 0)?;
                    let joined = rest[..taken].join("/");
                    (!joined.is_empty()).then_some(())?;
                    labels.push((
                        label.to_string(),
                        text::decode(&joined, false)?.into_owned(),
                    ));
                    rest = &rest[taken..];
                }
            }
        }
        rest.is_empty().then_some(labels)
    }
}

/// The values of a URI's labels, decoded, by their names.
pub(crate) type Labels = Vec<(String, String)>;

/// The routes of a service, the most specific first.
#[derive(Debug)]
pub(crate) struct Routes(Vec<Route>);

impl Routes {
    pub(crate) fn new(model: &Model) -> Self {
        let mut routes: Vec<Route> = model
            .operations()
            .enumerate()
            .map(|(index, operation)| Route::new(index, operation.method(), operation.uri()))
            .collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.weight()));
        Self(routes)
    }

    /// The operation for a method and an encoded path, and its labels. A slash at the end of the path does not matter.
    pub(crate) fn find(&self, method: &str, path: &str, query: &str) -> Option<(usize, Labels)> {
        let query = text::pairs(query)?;
        let exact: Vec<&str> = path.split('/').skip(1).collect();
        let attempt = |segments: &[&str]| {
            let fitting = self.0.iter().filter(|route| *route.method == *method);
            fitting
                .filter_map(|route| Some((route.operation, route.matches(segments, &query)?)))
                .next()
        };
        attempt(&exact)
            .or_else(|| {
                let shorter = path.strip_suffix('/')?.split('/').skip(1);
                attempt(&shorter.collect::<Vec<_>>())
            })
            .or_else(|| {
                let longer = path.split('/').skip(1).chain([""]);
                attempt(&longer.collect::<Vec<_>>())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, Routes};

    fn find(routes: &[(&str, &str)], method: &str, uri: &str) -> Option<(usize, String)> {
        let rows = routes.iter().enumerate();
        let mut rows: Vec<Route> = rows
            .map(|(index, (method, uri))| Route::new(index, method, uri))
            .collect();
        rows.sort_by_key(|route| std::cmp::Reverse(route.weight()));
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let (index, labels) = Routes(rows).find(method, path, query)?;
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Some((index, labels.join(",")))
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = [
            ("GET", "/zone/{Id}"),
            ("GET", "/zone/count"),
            ("GET", "/zone/{Id}/rrset"),
            ("GET", "/tags/{arn+}"),
            ("GET", "/tags/{arn+}/keys"),
            ("GET", "/zone/{Id}?policy"),
        ];
        let expect = |uri: &str, index: usize, labels: &str| {
            let wanted = Some((index, labels.to_owned()));
            assert_eq!(find(&routes, "GET", uri), wanted, "{uri}");
        };
        expect("/zone/Z1", 0, "Id=Z1");
        expect("/zone/count", 1, "");
        expect("/zone/Z1/rrset", 2, "Id=Z1");
        expect("/zone/Z1/rrset/", 2, "Id=Z1");
        expect("/tags/arn:aws:x/y%2Fz", 3, "arn=arn:aws:x/y/z");
        expect("/tags/a/b/keys", 4, "arn=a/b");
        expect("/zone/Z1?policy", 5, "Id=Z1");
        assert_eq!(find(&routes, "PUT", "/zone/Z1"), None);
        assert_eq!(find(&routes, "GET", "/zone/"), None);
        assert_eq!(find(&routes, "GET", "/zone/%FF"), None);
        assert_eq!(find(&routes, "GET", ""), None);
    }
}

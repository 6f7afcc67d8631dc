//! Inputs of query and ec2 calls: `Filters.member.1.Values.member.2=x`, `Filter.1.Value.2=x`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{DEPTH_MAX, Misread, scalar};
use crate::model::{Field, Kind, Shape};
use crate::path::{Path, Step};

/// Parameters that belong to the call and not to the operation.
const OF_THE_CALL: &[&str] = &[
    "Action",
    "Version",
    "AWSAccessKeyId",
    "Expires",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
];

/// The parameters by the parts of their names. An index takes no more room than the digits it was written with, so that
/// `Filter.4000000000.Name` is one node.
#[derive(Default)]
struct Tree<'p> {
    value: Option<&'p str>,
    children: BTreeMap<&'p str, Tree<'p>>,
}

impl<'p> Tree<'p> {
    fn insert(&mut self, key: &'p str, value: &'p str) -> Result<(), Misread> {
        let mut node = self;
        for (depth, part) in key.split('.').enumerate() {
            if depth >= DEPTH_MAX {
                return Err(Misread::TooDeep);
            }
            node = node.children.entry(part).or_default();
        }
        node.value.get_or_insert(value);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.value.is_none() && self.children.is_empty()
    }

    /// The elements of a list in the order of their indices, gaps or not: a client leaves out elements that are empty.
    fn elements(&self) -> Vec<(usize, &Tree<'p>)> {
        let indexed = self.children.iter().filter_map(|(part, tree)| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let index = part.parse().ok().filter(|_| digits)?;
            Some((index, tree))
        });
        let mut elements: Vec<(usize, &Tree<'p>)> = indexed.collect();
        elements.sort_by_key(|(index, _)| *index);
        elements
    }
}

pub(super) fn read(
    input: Field<'_>,
    form: &[(Cow<'_, str>, Cow<'_, str>)],
    ec2: bool,
) -> Result<Value, Misread> {
    let mut tree = Tree::default();
    for (key, value) in form {
        let of_the_call = OF_THE_CALL.contains(&key.as_ref()) || key.starts_with("X-Amz-");
        // A parameter of the operation may have such a name: SetAlarmState and others have a Timestamp or a Version.
        let of_the_operation = || input.shape().members().any(|member| member.query() == key);
        if !of_the_call || of_the_operation() {
            tree.insert(key, value)?;
        }
    }
    let mut walk = Walk {
        ec2,
        path: Path::default(),
    };
    walk.structure(input.shape(), &tree).map(Value::Object)
}

struct Walk<'m> {
    ec2: bool,
    path: Path<'m>,
}

impl<'m> Walk<'m> {
    fn value(&mut self, field: Field<'m>, tree: &Tree<'_>) -> Result<Option<Value>, Misread> {
        match field.kind() {
            Kind::Structure => {
                let members = self.structure(field.shape(), tree)?;
                Ok((!tree.is_empty()).then_some(Value::Object(members)))
            }
            Kind::List => self.list(field, tree),
            Kind::Map => self.map(field, tree),
            Kind::String
            | Kind::Blob
            | Kind::Boolean
            | Kind::Integer
            | Kind::Long
            | Kind::Float
            | Kind::Double
            | Kind::Timestamp
            | Kind::Document => self.scalar(field, tree),
        }
    }

    fn structure(
        &mut self,
        shape: Shape<'m>,
        tree: &Tree<'_>,
    ) -> Result<Map<String, Value>, Misread> {
        let mut members = Map::new();
        let mut known = 0;
        for member in shape.members() {
            let Some(child) = tree.children.get(member.query()) else {
                continue;
            };
            known += 1;
            self.path.push(Step::Member(member));
            if let Some(value) = self.value(member, child)? {
                members.insert(member.name().to_owned(), value);
            }
            self.path.pop();
        }
        if self.ec2 && known < tree.children.len() {
            let mut parts = tree.children.keys();
            let foreign =
                parts.find(|part| !shape.members().any(|member| member.query() == **part));
            if let Some(foreign) = foreign {
                return Err(self.unknown(foreign));
            }
        }
        Ok(members)
    }

    fn list(&mut self, field: Field<'m>, tree: &Tree<'_>) -> Result<Option<Value>, Misread> {
        let element = field.shape().element();
        let flattened = self.ec2 || field.is_flattened();
        let below = if flattened {
            Some(tree)
        } else {
            tree.children.get(element.wire())
        };
        if self.ec2
            && let Some(part) = tree
                .children
                .keys()
                .find(|part| part.parse::<usize>().is_err())
        {
            return Err(self.unknown(part));
        }
        let elements = below.map(Tree::elements).unwrap_or_default();
        if elements.is_empty() {
            // `Values=` is an empty list.
            return Ok(tree.value.map(|_| Value::Array(Vec::new())));
        }
        let mut values = Vec::with_capacity(elements.len());
        for (index, child) in elements {
            self.path.push(Step::Element(element, index, flattened));
            if let Some(value) = self.value(element, child)? {
                values.push(value);
            }
            self.path.pop();
        }
        Ok(Some(Value::Array(values)))
    }

    fn map(&mut self, field: Field<'m>, tree: &Tree<'_>) -> Result<Option<Value>, Misread> {
        let (key, value) = field.shape().entry();
        let below = if field.is_flattened() {
            Some(tree)
        } else {
            tree.children.get("entry")
        };
        let entries = below.map(Tree::elements).unwrap_or_default();
        let mut values = Map::new();
        for (_, entry) in &entries {
            let Some(name) = entry.children.get(key.wire()).and_then(|key| key.value) else {
                continue;
            };
            self.path.push(Step::Key(name.to_owned()));
            if let Some(child) = entry.children.get(value.wire())
                && let Some(read) = self.value(value, child)?
            {
                values.insert(name.to_owned(), read);
            }
            self.path.pop();
        }
        Ok((!entries.is_empty()).then_some(Value::Object(values)))
    }

    fn scalar(&mut self, field: Field<'m>, tree: &Tree<'_>) -> Result<Option<Value>, Misread> {
        if self.ec2
            && let Some(part) = tree.children.keys().next()
        {
            return Err(self.unknown(part));
        }
        let Some(text) = tree.value else {
            return Ok(None);
        };
        match scalar::from_text(field, text) {
            Some(value) => Ok(Some(value)),
            // `MaxRecords=` is a parameter that was left out.
            None if text.is_empty() => Ok(None),
            None => Err(Misread::Unexpected {
                path: self.path.query(self.ec2),
                found: text.to_owned(),
                expected: field.kind(),
            }),
        }
    }

    fn unknown(&self, part: &str) -> Misread {
        let above = self.path.query(self.ec2);
        let path = if above.is_empty() {
            part.to_owned()
        } else {
            format!("{above}.{part}")
        };
        Misread::Unknown { path }
    }
}

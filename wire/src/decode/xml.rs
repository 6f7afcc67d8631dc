//! The XML bodies of REST calls. Namespaces are not looked at, as AWS's servers do not.

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value};

use super::{DEPTH_MAX, Misread, scalar};
use crate::model::{Field, Kind, Place, Shape};

/// Elements, texts and attributes of one document.
const NODES_MAX: u32 = 200_000;

pub(super) fn read(field: Field<'_>, body: &[u8]) -> Result<Value, Misread> {
    let text =
        std::str::from_utf8(body).map_err(|_| Misread::Syntax("Invalid UTF-8".to_owned()))?;
    // The parser is recursive over elements, so that depth has to be bounded before it.
    if depth(text) > DEPTH_MAX {
        return Err(Misread::TooDeep);
    }
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| Misread::Syntax(format!("The XML is not well-formed: {error}")))?;
    value(field, document.root_element())
}

/// The deepest nesting that a text can have as XML: start tags less end tags, comments and the like counted as nothing.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let bytes = text.as_bytes();
    for (index, _) in text.match_indices('<') {
        match bytes.get(index + 1) {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'!' | b'?') | None => {}
            Some(_) => {
                let end = text[index + 1..].find(['>', '<']);
                let end = end.map(|end| index + 1 + end);
                let closed = end.is_some_and(|end| bytes[end] == b'>' && bytes[end - 1] == b'/');
                if !closed {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
            }
        }
    }
    deepest
}

fn value(field: Field<'_>, node: Node<'_, '_>) -> Result<Value, Misread> {
    match field.kind() {
        Kind::Structure => structure(field.shape(), node),
        Kind::List => list(field.shape().element(), elements(node)),
        Kind::Map => map(field, elements(node)),
        Kind::String
        | Kind::Blob
        | Kind::Boolean
        | Kind::Integer
        | Kind::Long
        | Kind::Float
        | Kind::Double
        | Kind::Timestamp
        | Kind::Document => {
            if elements(node).next().is_some() {
                return Err(Misread::Syntax("Unexpected complex element".to_owned()));
            }
            let text: String = node.children().filter_map(|child| child.text()).collect();
            scalar::from_text(field, &text).ok_or_else(|| Misread::Unexpected {
                path: field.name().to_owned(),
                found: text,
                expected: field.kind(),
            })
        }
    }
}

fn structure(shape: Shape<'_>, node: Node<'_, '_>) -> Result<Value, Misread> {
    let mut members = Map::new();
    for member in shape
        .members()
        .filter(|member| member.place() == Place::Body)
    {
        let wire = local(member.wire());
        if member.is_attribute() {
            let mut attributes = node.attributes();
            if let Some(attribute) = attributes.find(|attribute| attribute.name() == wire) {
                members.insert(member.name().to_owned(), Value::from(attribute.value()));
            }
            continue;
        }
        let element = (member.kind() == Kind::List).then(|| member.shape().element());
        let is_it = |child: &Node<'_, '_>| {
            let name = child.tag_name().name();
            name == wire
                || (member.is_flattened() && element.is_some_and(|element| name == element.wire()))
        };
        let mut found = elements(node).filter(is_it).peekable();
        if found.peek().is_none() {
            continue;
        }
        let flattened = member.is_flattened();
        let read = if flattened && member.kind() == Kind::List {
            list(member.shape().element(), found)?
        } else if flattened && member.kind() == Kind::Map {
            map(member, found)?
        } else if let Some(child) = found.next() {
            value(member, child)?
        } else {
            continue;
        };
        members.insert(member.name().to_owned(), read);
    }
    Ok(Value::Object(members))
}

fn list<'a, 'i: 'a>(
    element: Field<'_>,
    nodes: impl Iterator<Item = Node<'a, 'i>>,
) -> Result<Value, Misread> {
    let values: Result<Vec<Value>, Misread> = nodes.map(|node| value(element, node)).collect();
    values.map(Value::Array)
}

fn map<'a, 'i: 'a>(
    field: Field<'_>,
    nodes: impl Iterator<Item = Node<'a, 'i>>,
) -> Result<Value, Misread> {
    let (key, entry) = field.shape().entry();
    let mut values = Map::new();
    for node in nodes {
        let find = |wire: &str| elements(node).find(|child| child.tag_name().name() == local(wire));
        let name = find(key.wire())
            .and_then(|name| name.text())
            .unwrap_or_default();
        if let Some(child) = find(entry.wire()) {
            values.insert(name.to_owned(), value(entry, child)?);
        }
    }
    Ok(Value::Object(values))
}

fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// `xsi:type` is `type`.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

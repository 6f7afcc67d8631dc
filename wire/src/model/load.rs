//! From a stripped `service-2.json` to the tables of a [`Model`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{
    ATTRIBUTE, Bounds, ErrorRow, FLATTENED, JSON_VALUE, Kind, MemberRow, Model, Name, Names,
    Namespace, OperationRow, Pattern, Place, REQUIRED, SENSITIVE, ShapeRow, TimeFormat,
};

/// The unpacked size that is believed; EC2's model is 1.1 MB.
const UNPACKED_MAX: u64 = 16 * 1024 * 1024;

/// A JSON object in its own order: members are rendered in the model's order.
struct Ordered<'a, T>(Vec<(&'a str, T)>);

impl<T> Default for Ordered<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Ordered<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<'a, T>(PhantomData<(&'a (), T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Entries<'a, T> {
            type Value = Ordered<'a, T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[derive(Deserialize)]
struct RawModel<'a> {
    #[serde(borrow)]
    operations: BTreeMap<&'a str, RawOperation<'a>>,
    #[serde(borrow)]
    shapes: BTreeMap<&'a str, RawShape<'a>>,
}

#[derive(Deserialize)]
struct RawOperation<'a> {
    #[serde(borrow)]
    http: RawHttp<'a>,
    #[serde(borrow)]
    input: Option<RawReference<'a>>,
    #[serde(borrow)]
    output: Option<RawReference<'a>>,
    authtype: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHttp<'a> {
    method: &'a str,
    request_uri: &'a str,
    response_code: Option<u16>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawReference<'a> {
    shape: &'a str,
    location: Option<&'a str>,
    location_name: Option<&'a str>,
    query_name: Option<&'a str>,
    flattened: bool,
    xml_attribute: bool,
    #[serde(borrow)]
    xml_namespace: Option<RawNamespace<'a>>,
    timestamp_format: Option<&'a str>,
    result_wrapper: Option<&'a str>,
    jsonvalue: bool,
}

#[derive(Deserialize, Clone, Copy)]
struct RawNamespace<'a> {
    uri: &'a str,
    prefix: Option<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawShape<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    members: Ordered<'a, RawReference<'a>>,
    #[serde(borrow)]
    member: Option<RawReference<'a>>,
    #[serde(borrow)]
    key: Option<RawReference<'a>>,
    #[serde(borrow)]
    value: Option<RawReference<'a>>,
    #[serde(borrow)]
    required: Vec<&'a str>,
    #[serde(borrow, rename = "enum")]
    words: Vec<Cow<'a, str>>,
    min: Option<f64>,
    max: Option<f64>,
    #[serde(borrow)]
    pattern: Option<Cow<'a, str>>,
    payload: Option<&'a str>,
    flattened: bool,
    location_name: Option<&'a str>,
    #[serde(borrow)]
    xml_namespace: Option<RawNamespace<'a>>,
    timestamp_format: Option<&'a str>,
    xml_attribute: bool,
    jsonvalue: bool,
    #[serde(borrow)]
    error: Option<RawError<'a>>,
    exception: bool,
    fault: bool,
    document: bool,
    sensitive: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawError<'a> {
    code: Option<&'a str>,
    http_status_code: Option<u16>,
    sender_fault: Option<bool>,
}

pub(super) fn load(gzip: &[u8], ec2: bool) -> Result<Model, String> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(gzip)
        .take(UNPACKED_MAX)
        .read_to_string(&mut text)
        .map_err(|error| format!("the model does not unpack: {error}"))?;
    let raw: RawModel<'_> = serde_json::from_str(&text)
        .map_err(|error| format!("the model does not parse: {error}"))?;
    Tables::new(&raw, ec2).fill(&raw)
}

/// The tables while they are being filled.
struct Tables<'a> {
    ec2: bool,
    names: BTreeMap<Cow<'a, str>, u32>,
    order: Vec<Cow<'a, str>>,
    shape_ids: BTreeMap<&'a str, u32>,
    members: Vec<MemberRow>,
    words: Vec<Name>,
    bounds: Vec<Bounds>,
    patterns: Vec<Pattern>,
    pattern_ids: BTreeMap<&'a str, u16>,
    namespaces: Vec<Namespace>,
}

impl<'a> Tables<'a> {
    fn new(raw: &'a RawModel<'a>, ec2: bool) -> Self {
        let shape_ids = raw.shapes.keys().zip(0..).map(|(name, id)| (*name, id));
        Self {
            ec2,
            names: BTreeMap::new(),
            order: Vec::new(),
            shape_ids: shape_ids.collect(),
            members: Vec::new(),
            words: Vec::new(),
            bounds: Vec::new(),
            patterns: Vec::new(),
            pattern_ids: BTreeMap::new(),
            namespaces: Vec::new(),
        }
    }

    fn fill(mut self, raw: &'a RawModel<'a>) -> Result<Model, String> {
        let mut shapes = Vec::with_capacity(raw.shapes.len());
        for (name, shape) in &raw.shapes {
            shapes.push(self.shape(raw, name, shape)?);
        }
        let mut operations = Vec::with_capacity(raw.operations.len());
        for (name, operation) in &raw.operations {
            operations.push(self.operation(raw, name, operation)?);
        }
        let mut errors = Vec::new();
        for (name, shape) in raw.shapes.iter().filter(|(_, shape)| shape.exception) {
            errors.push(self.error(name, shape));
        }
        Ok(Model {
            names: names(&self.order),
            shapes: shapes.into(),
            members: self.members.into(),
            words: self.words.into(),
            bounds: self.bounds.into(),
            patterns: self.patterns.into(),
            namespaces: self.namespaces.into(),
            operations: operations.into(),
            errors: errors.into(),
        })
    }

    fn intern(&mut self, name: impl Into<Cow<'a, str>>) -> Name {
        let name = name.into();
        if let Some(index) = self.names.get(&name) {
            return Name(*index);
        }
        let index = self.order.len() as u32;
        self.order.push(name.clone());
        self.names.insert(name, index);
        Name(index)
    }

    fn shape(
        &mut self,
        raw: &'a RawModel<'a>,
        name: &'a str,
        shape: &'a RawShape<'a>,
    ) -> Result<ShapeRow, String> {
        let kind = kind(shape)
            .ok_or_else(|| format!("shape {name} is of unknown type {}", shape.r#type))?;
        let mut first = self.members.len();
        let count = match kind {
            Kind::Structure => {
                for (member, reference) in &shape.members.0 {
                    let required = shape.required.contains(member);
                    self.member(raw, member, reference, required)?;
                }
                shape.members.0.len()
            }
            Kind::List => {
                let element = shape.member.as_ref().ok_or("a list without member")?;
                self.member(raw, "member", element, false)?;
                1
            }
            Kind::Map => {
                let key = shape.key.as_ref().ok_or("a map without key")?;
                let value = shape.value.as_ref().ok_or("a map without value")?;
                self.member(raw, "key", key, false)?;
                self.member(raw, "value", value, false)?;
                2
            }
            Kind::String => {
                first = self.words.len();
                for word in &shape.words {
                    let word = self.intern(word.as_ref());
                    self.words.push(word);
                }
                shape.words.len()
            }
            Kind::Blob
            | Kind::Boolean
            | Kind::Integer
            | Kind::Long
            | Kind::Float
            | Kind::Double
            | Kind::Timestamp
            | Kind::Document => 0,
        };
        let payload = shape.payload.and_then(|payload| {
            shape
                .members
                .0
                .iter()
                .position(|(member, _)| *member == payload)
        });
        Ok(ShapeRow {
            name: self.intern(name),
            first: first as u32,
            count: count as u32,
            bounds: self.bounds(shape),
            pattern: self.pattern(shape),
            payload: payload.map_or(0, |index| index as u16 + 1),
            kind,
            flags: flag(shape.sensitive, SENSITIVE),
        })
    }

    fn bounds(&mut self, shape: &RawShape<'_>) -> u16 {
        let bounds = Bounds {
            min: shape.min,
            max: shape.max,
        };
        if bounds == Bounds::default() {
            return 0;
        }
        let known = self.bounds.iter().position(|other| *other == bounds);
        let index = known.unwrap_or_else(|| {
            self.bounds.push(bounds);
            self.bounds.len() - 1
        });
        index as u16 + 1
    }

    fn pattern(&mut self, shape: &'a RawShape<'a>) -> u16 {
        let Some(source) = shape.pattern.as_deref() else {
            return 0;
        };
        if let Some(id) = self.pattern_ids.get(source) {
            return *id;
        }
        self.patterns.push(Pattern::new(source));
        let id = self.patterns.len() as u16;
        self.pattern_ids.insert(source, id);
        id
    }

    fn namespace(&mut self, namespace: Option<RawNamespace<'_>>) -> u16 {
        let Some(namespace) = namespace else {
            return 0;
        };
        let namespace = Namespace {
            uri: namespace.uri.into(),
            prefix: namespace.prefix.map(Into::into),
        };
        let known = self.namespaces.iter().position(|other| *other == namespace);
        let index = known.unwrap_or_else(|| {
            self.namespaces.push(namespace);
            self.namespaces.len() - 1
        });
        index as u16 + 1
    }

    /// Adds a row with the traits of the reference and of its shape; the reference's win. Gives the row's index plus one.
    fn member(
        &mut self,
        raw: &'a RawModel<'a>,
        name: &'a str,
        reference: &'a RawReference<'a>,
        required: bool,
    ) -> Result<u32, String> {
        let missing = || format!("shape {} is not in the model", reference.shape);
        let id = *self.shape_ids.get(reference.shape).ok_or_else(missing)?;
        let shape = raw.shapes.get(reference.shape).ok_or_else(missing)?;
        let flattened = reference.flattened || shape.flattened;
        let wire = reference.location_name.or(shape.location_name);
        let query = self.query_name(name, wire, flattened, reference, shape);
        let row = MemberRow {
            name: self.intern(name),
            wire: self.intern(wire.unwrap_or(name)),
            query: self.intern(query),
            shape: id,
            namespace: self.namespace(reference.xml_namespace.or(shape.xml_namespace)),
            place: place(reference.location)?,
            time: time(reference.timestamp_format.or(shape.timestamp_format))?,
            flags: flag(flattened, FLATTENED)
                | flag(required, REQUIRED)
                | flag(reference.xml_attribute || shape.xml_attribute, ATTRIBUTE)
                | flag(reference.jsonvalue || shape.jsonvalue, JSON_VALUE),
        };
        self.members.push(row);
        Ok(self.members.len() as u32)
    }

    /// The key of a member in a form: EC2 has its own rules, and a flattened list goes by the name of its elements.
    fn query_name(
        &self,
        name: &'a str,
        wire: Option<&'a str>,
        flattened: bool,
        reference: &RawReference<'a>,
        shape: &RawShape<'a>,
    ) -> Cow<'a, str> {
        if self.ec2 {
            return match (reference.query_name, wire) {
                (Some(query), _) => query.into(),
                (None, Some(wire)) => capitalised(wire).into(),
                (None, None) => name.into(),
            };
        }
        let element = shape.member.as_ref().filter(|_| flattened);
        element
            .and_then(|element| element.location_name)
            .or(wire)
            .unwrap_or(name)
            .into()
    }

    fn operation(
        &mut self,
        raw: &'a RawModel<'a>,
        name: &'a str,
        operation: &'a RawOperation<'a>,
    ) -> Result<OperationRow, String> {
        let mut row = |reference: &'a Option<RawReference<'a>>| match reference {
            Some(reference) => self.member(raw, reference.shape, reference, false),
            None => Ok(0),
        };
        let (input, output) = (row(&operation.input)?, row(&operation.output)?);
        let wrapper = operation
            .output
            .as_ref()
            .and_then(|output| output.result_wrapper);
        Ok(OperationRow {
            name: self.intern(name),
            method: self.intern(operation.http.method),
            uri: self.intern(operation.http.request_uri),
            status: operation.http.response_code.unwrap_or(200),
            input,
            output,
            wrapper: wrapper.map(|wrapper| self.intern(wrapper)),
            unsigned: operation.authtype == Some("none"),
        })
    }

    fn error(&mut self, name: &'a str, shape: &'a RawShape<'a>) -> ErrorRow {
        let error = shape.error.as_ref();
        let status = error.and_then(|error| error.http_status_code);
        let sender = error.and_then(|error| error.sender_fault);
        let status = status.unwrap_or(if shape.fault { 500 } else { 400 });
        ErrorRow {
            shape: self.shape_ids[name],
            code: self.intern(error.and_then(|error| error.code).unwrap_or(name)),
            status,
            receiver: shape.fault || sender.map_or(status >= 500, |sender| !sender),
        }
    }
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

fn capitalised(name: &str) -> String {
    let mut characters = name.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

fn kind(shape: &RawShape<'_>) -> Option<Kind> {
    if shape.document {
        return Some(Kind::Document);
    }
    Some(match shape.r#type {
        "structure" => Kind::Structure,
        "list" => Kind::List,
        "map" => Kind::Map,
        "string" | "character" => Kind::String,
        "blob" => Kind::Blob,
        "boolean" => Kind::Boolean,
        "integer" => Kind::Integer,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "timestamp" => Kind::Timestamp,
        _ => return None,
    })
}

fn place(location: Option<&str>) -> Result<Place, String> {
    Ok(match location {
        None => Place::Body,
        Some("uri") => Place::Uri,
        Some("querystring") => Place::Query,
        Some("header") => Place::Header,
        Some("headers") => Place::HeaderPrefix,
        Some("statusCode") => Place::Status,
        Some(other) => return Err(format!("a member lies in an unknown place: {other}")),
    })
}

fn time(format: Option<&str>) -> Result<TimeFormat, String> {
    Ok(match format {
        None => TimeFormat::Default,
        Some("iso8601") => TimeFormat::Iso8601,
        Some("rfc822") => TimeFormat::Rfc822,
        Some("unixTimestamp" | "unixtimestamp") => TimeFormat::Unix,
        Some(other) => return Err(format!("a timestamp has an unknown format: {other}")),
    })
}

fn names(order: &[Cow<'_, str>]) -> Names {
    let mut text = String::with_capacity(order.iter().map(|name| name.len()).sum());
    let mut ends = Vec::with_capacity(order.len());
    for name in order {
        text.push_str(name);
        ends.push(text.len() as u32);
    }
    Names {
        text: text.into(),
        ends: ends.into(),
    }
}

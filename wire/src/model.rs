//! A service's model in memory: shapes, members and operations as flat tables of numbers over one text of interned names.
//!
//! The codecs walk it with [`Shape`] and [`Field`], two words each. Nothing here knows a protocol except the names under which a
//! member travels, which are settled once, when the model is loaded.

mod load;
mod pattern;

use crate::model::pattern::Pattern;

/// An interned name: an index into [`Names`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Name(u32);

/// Every name of a model once, in one text.
#[derive(Debug)]
struct Names {
    text: Box<str>,
    ends: Box<[u32]>,
}

impl Names {
    fn get(&self, name: Name) -> &str {
        let index = name.0 as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start as usize..self.ends[index] as usize]
    }
}

/// What a value is. AWS's models know no other kinds for requests and responses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Named members.
    Structure,
    /// Elements of one shape.
    List,
    /// String keys to values of one shape.
    Map,
    /// Text.
    String,
    /// Bytes; in values, base64.
    Blob,
    /// True or false.
    Boolean,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Long,
    /// Single precision.
    Float,
    /// Double precision.
    Double,
    /// Seconds since the epoch with millisecond fractions, a number.
    Timestamp,
    /// Free JSON.
    Document,
}

/// Where a member travels in a REST request or response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Body,
    Uri,
    Query,
    Header,
    HeaderPrefix,
    Status,
}

/// How a timestamp is written, where the model overrides the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TimeFormat {
    Default,
    Iso8601,
    Rfc822,
    Unix,
}

impl TimeFormat {
    /// This one, or another where the model does not say.
    pub(crate) fn or(self, default: Self) -> Self {
        if self == Self::Default { default } else { self }
    }
}

const FLATTENED: u8 = 1;
const REQUIRED: u8 = 2;
const ATTRIBUTE: u8 = 4;
const JSON_VALUE: u8 = 8;

const SENSITIVE: u8 = 1;

/// A row of the table of members: a member of a structure, a list's element, a map's key or value, an operation's input or output.
#[derive(Debug)]
struct MemberRow {
    name: Name,
    /// The name in JSON, CBOR, XML, headers and URIs.
    wire: Name,
    /// The name in query and ec2 requests.
    query: Name,
    shape: u32,
    /// Index into the table of namespaces, plus one.
    namespace: u16,
    place: Place,
    time: TimeFormat,
    flags: u8,
}

#[derive(Debug)]
struct ShapeRow {
    name: Name,
    /// First row: of members, for a string of the words of its enum.
    first: u32,
    count: u32,
    /// Index into the table of bounds, plus one.
    bounds: u16,
    /// Index into the table of patterns, plus one.
    pattern: u16,
    /// Index of the payload among the members, plus one.
    payload: u16,
    kind: Kind,
    flags: u8,
}

/// The least and the greatest that a number, or the length of anything else, may be.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

#[derive(Debug)]
struct OperationRow {
    name: Name,
    method: Name,
    uri: Name,
    status: u16,
    /// Index into the members, plus one.
    input: u32,
    output: u32,
    /// The element around the members of a query response, plus one.
    wrapper: Option<Name>,
    unsigned: bool,
}

#[derive(Debug)]
struct ErrorRow {
    shape: u32,
    code: Name,
    status: u16,
    receiver: bool,
}

/// An XML namespace: its URI and perhaps a prefix.
#[derive(Debug, PartialEq)]
pub(crate) struct Namespace {
    pub(crate) uri: Box<str>,
    pub(crate) prefix: Option<Box<str>>,
}

/// The model of one service.
#[derive(Debug)]
pub(crate) struct Model {
    names: Names,
    shapes: Box<[ShapeRow]>,
    members: Box<[MemberRow]>,
    words: Box<[Name]>,
    bounds: Box<[Bounds]>,
    patterns: Box<[Pattern]>,
    namespaces: Box<[Namespace]>,
    /// Sorted by name.
    operations: Box<[OperationRow]>,
    /// Sorted by the name of the shape.
    errors: Box<[ErrorRow]>,
}

impl Model {
    /// Reads a gzip'd model.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(crate) fn load(gzip: &[u8], ec2: bool) -> Result<Self, String> {
        load::load(gzip, ec2)
    }

    pub(crate) fn operations(&self) -> impl ExactSizeIterator<Item = Operation<'_>> {
        self.operations
            .iter()
            .map(move |row| Operation { model: self, row })
    }

    pub(crate) fn operation_index(&self, name: &str) -> Option<usize> {
        let found = self
            .operations
            .binary_search_by(|row| self.names.get(row.name).cmp(name));
        found.ok()
    }

    pub(crate) fn operation_at(&self, index: usize) -> Operation<'_> {
        Operation {
            model: self,
            row: &self.operations[index],
        }
    }

    /// The error shape with this name, else the one with this code.
    pub(crate) fn error(&self, name_or_code: &str) -> Option<ErrorShape<'_>> {
        let named = self
            .errors
            .binary_search_by(|row| self.shape(row.shape).name().cmp(name_or_code));
        let row = match named {
            Ok(index) => &self.errors[index],
            Err(_) => self
                .errors
                .iter()
                .find(|row| self.names.get(row.code) == name_or_code)?,
        };
        Some(ErrorShape { model: self, row })
    }

    /// How many patterns there are, and how many of them this crate cannot check.
    pub(crate) fn patterns(&self) -> (usize, Vec<&str>) {
        let skipped = self
            .patterns
            .iter()
            .filter(|pattern| !pattern.is_checkable());
        (
            self.patterns.len(),
            skipped.map(|pattern| pattern.source()).collect(),
        )
    }

    fn shape(&self, id: u32) -> Shape<'_> {
        Shape {
            model: self,
            row: &self.shapes[id as usize],
        }
    }

    fn field(&self, index: u32) -> Field<'_> {
        Field {
            model: self,
            row: &self.members[index as usize],
        }
    }
}

/// A shape of a model.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'m> {
    model: &'m Model,
    row: &'m ShapeRow,
}

impl<'m> Shape<'m> {
    pub(crate) fn name(self) -> &'m str {
        self.model.names.get(self.row.name)
    }

    pub(crate) fn kind(self) -> Kind {
        self.row.kind
    }

    /// Members of a structure; the element of a list; key and value of a map.
    pub(crate) fn members(self) -> impl ExactSizeIterator<Item = Field<'m>> {
        let model = self.model;
        let count = if matches!(self.row.kind, Kind::Structure | Kind::List | Kind::Map) {
            self.row.count as usize
        } else {
            0
        };
        let first = self.row.first as usize;
        let rows = &model.members[first..first + count];
        rows.iter().map(move |row| Field { model, row })
    }

    pub(crate) fn member(self, name: &str) -> Option<Field<'m>> {
        self.members().find(|field| field.name() == name)
    }

    /// The member that is called so in JSON, CBOR and XML.
    pub(crate) fn member_on_wire(self, wire: &str) -> Option<Field<'m>> {
        self.members().find(|field| field.wire() == wire)
    }

    /// The element of a list.
    pub(crate) fn element(self) -> Field<'m> {
        self.model.field(self.row.first)
    }

    /// Key and value of a map.
    pub(crate) fn entry(self) -> (Field<'m>, Field<'m>) {
        (
            self.model.field(self.row.first),
            self.model.field(self.row.first + 1),
        )
    }

    /// The member that is the body of a REST message by itself.
    pub(crate) fn payload(self) -> Option<Field<'m>> {
        let index = u32::from(self.row.payload.checked_sub(1)?);
        Some(self.model.field(self.row.first + index))
    }

    /// The values of an enum, in the model's order; none for other strings.
    pub(crate) fn words(self) -> impl Iterator<Item = &'m str> {
        let range = if self.row.kind == Kind::String {
            self.row.first as usize..(self.row.first + self.row.count) as usize
        } else {
            0..0
        };
        let names = &self.model.names;
        self.model.words[range]
            .iter()
            .map(move |word| names.get(*word))
    }

    pub(crate) fn bounds(self) -> Bounds {
        match self.row.bounds.checked_sub(1) {
            Some(index) => self.model.bounds[usize::from(index)],
            None => Bounds::default(),
        }
    }

    pub(crate) fn pattern(self) -> Option<&'m Pattern> {
        let index = self.row.pattern.checked_sub(1)?;
        Some(&self.model.patterns[usize::from(index)])
    }

    pub(crate) fn is_sensitive(self) -> bool {
        self.row.flags & SENSITIVE != 0
    }
}

/// A place in a model where a shape is used, with the traits of both.
#[derive(Clone, Copy)]
pub(crate) struct Field<'m> {
    model: &'m Model,
    row: &'m MemberRow,
}

impl<'m> Field<'m> {
    pub(crate) fn name(self) -> &'m str {
        self.model.names.get(self.row.name)
    }

    pub(crate) fn wire(self) -> &'m str {
        self.model.names.get(self.row.wire)
    }

    pub(crate) fn query(self) -> &'m str {
        self.model.names.get(self.row.query)
    }

    pub(crate) fn shape(self) -> Shape<'m> {
        self.model.shape(self.row.shape)
    }

    pub(crate) fn kind(self) -> Kind {
        self.shape().kind()
    }

    pub(crate) fn place(self) -> Place {
        self.row.place
    }

    pub(crate) fn time(self) -> TimeFormat {
        self.row.time
    }

    pub(crate) fn namespace(self) -> Option<&'m Namespace> {
        let index = self.row.namespace.checked_sub(1)?;
        Some(&self.model.namespaces[usize::from(index)])
    }

    pub(crate) fn is_flattened(self) -> bool {
        self.row.flags & FLATTENED != 0
    }

    pub(crate) fn is_required(self) -> bool {
        self.row.flags & REQUIRED != 0
    }

    pub(crate) fn is_attribute(self) -> bool {
        self.row.flags & ATTRIBUTE != 0
    }

    pub(crate) fn is_json_value(self) -> bool {
        self.row.flags & JSON_VALUE != 0
    }
}

/// An operation of a model.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'m> {
    model: &'m Model,
    row: &'m OperationRow,
}

impl<'m> Operation<'m> {
    pub(crate) fn name(self) -> &'m str {
        self.model.names.get(self.row.name)
    }

    pub(crate) fn method(self) -> &'m str {
        self.model.names.get(self.row.method)
    }

    pub(crate) fn uri(self) -> &'m str {
        self.model.names.get(self.row.uri)
    }

    /// The HTTP status of success.
    pub(crate) fn status(self) -> u16 {
        self.row.status
    }

    pub(crate) fn input(self) -> Option<Field<'m>> {
        self.row
            .input
            .checked_sub(1)
            .map(|index| self.model.field(index))
    }

    pub(crate) fn output(self) -> Option<Field<'m>> {
        self.row
            .output
            .checked_sub(1)
            .map(|index| self.model.field(index))
    }

    pub(crate) fn wrapper(self) -> Option<&'m str> {
        self.row.wrapper.map(|name| self.model.names.get(name))
    }

    /// True for operations that are called without a signature by design.
    pub(crate) fn is_unsigned(self) -> bool {
        self.row.unsigned
    }
}

/// An error that the model declares.
#[derive(Clone, Copy)]
pub(crate) struct ErrorShape<'m> {
    model: &'m Model,
    row: &'m ErrorRow,
}

impl<'m> ErrorShape<'m> {
    pub(crate) fn shape(self) -> Shape<'m> {
        self.model.shape(self.row.shape)
    }

    pub(crate) fn code(self) -> &'m str {
        self.model.names.get(self.row.code)
    }

    pub(crate) fn status(self) -> u16 {
        self.row.status
    }

    /// True where the service is to blame and not the caller.
    pub(crate) fn blames_receiver(self) -> bool {
        self.row.receiver
    }
}

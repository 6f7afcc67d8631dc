//! Inputs of RPC-v2 calls: CBOR (RFC 8949), read straight into the model's shapes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::scalar::any_float;
use super::{DEPTH_MAX, Misread};
use crate::model::{Field, Kind};
use crate::path::{Path, Step};
use crate::time;

pub(super) fn read(input: Field<'_>, body: &[u8]) -> Result<Value, Misread> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let mut walk = Walk {
        bytes: body,
        at: 0,
        path: Path::default(),
    };
    let value = walk.value(input, 0)?;
    match value {
        Some(value) if walk.at == body.len() => Ok(value),
        Some(_) => Err(Misread::Syntax("bytes after the value".to_owned())),
        None => Ok(Value::Object(Map::new())),
    }
}

/// The first byte of an item and its number.
#[derive(Clone, Copy)]
struct Head {
    major: u8,
    minor: u8,
    number: u64,
}

impl Head {
    fn is_indefinite(self) -> bool {
        self.minor == 31
    }
}

/// What ends an item of indefinite length.
const BREAK: u8 = 0xff;

struct Walk<'m, 'b> {
    bytes: &'b [u8],
    at: usize,
    path: Path<'m>,
}

impl<'m, 'b> Walk<'m, 'b> {
    /// `None` for null and undefined.
    fn value(&mut self, field: Field<'m>, depth: usize) -> Result<Option<Value>, Misread> {
        if depth > DEPTH_MAX {
            return Err(Misread::TooDeep);
        }
        let mut head = self.head()?;
        while head.major == 6 {
            // Tag 1 is a timestamp; what else a tag may say, the model says.
            head = self.head()?;
        }
        if head.major == 7 && matches!(head.minor, 22 | 23) {
            return Ok(None);
        }
        let value = match (field.kind(), head.major) {
            (Kind::Structure, 5) => self.structure(field, head, depth)?,
            (Kind::Map, 5) => self.map(field, head, depth)?,
            (Kind::List, 4) => self.list(field, head, depth)?,
            (Kind::String, 3) => Value::from(self.text(head)?),
            (Kind::Blob, 2) => Value::from(BASE64_STANDARD.encode(self.chunks(head)?)),
            (Kind::Boolean, 7) if matches!(head.minor, 20 | 21) => Value::Bool(head.minor == 21),
            (Kind::Integer | Kind::Long, 0 | 1) => self.integer(field, head)?,
            (Kind::Float | Kind::Double, 0 | 1) => Value::from(integer(head) as f64),
            (Kind::Float | Kind::Double, 7) if matches!(head.minor, 25..=27) => {
                any_float(float(head))
            }
            (Kind::Timestamp, 0 | 1) => self.seconds(field, integer(head) as f64)?,
            (Kind::Timestamp, 7) if matches!(head.minor, 25..=27) => {
                self.seconds(field, float(head))?
            }
            (_, _) => return Err(self.unexpected(field, found(head))),
        };
        Ok(Some(value))
    }

    fn structure(&mut self, field: Field<'m>, head: Head, depth: usize) -> Result<Value, Misread> {
        let shape = field.shape();
        let mut members = Map::new();
        let mut left = Left::new(head);
        while left.more(self)? {
            let head = self.head()?;
            let key = self.text(head)?;
            let Some(member) = shape.member_on_wire(&key) else {
                self.skip(depth + 1)?;
                continue;
            };
            self.path.push(Step::Member(member));
            if let Some(value) = self.value(member, depth + 1)? {
                members.insert(member.name().to_owned(), value);
            }
            self.path.pop();
        }
        Ok(Value::Object(members))
    }

    fn map(&mut self, field: Field<'m>, head: Head, depth: usize) -> Result<Value, Misread> {
        let (_, entry) = field.shape().entry();
        let mut entries = Map::new();
        let mut left = Left::new(head);
        while left.more(self)? {
            let head = self.head()?;
            let key = self.text(head)?;
            self.path.push(Step::Key(key.clone()));
            let value = self.value(entry, depth + 1)?;
            self.path.pop();
            entries.insert(key, value.unwrap_or(Value::Null));
        }
        Ok(Value::Object(entries))
    }

    fn list(&mut self, field: Field<'m>, head: Head, depth: usize) -> Result<Value, Misread> {
        let element = field.shape().element();
        let mut values = Vec::new();
        let mut left = Left::new(head);
        while left.more(self)? {
            self.path
                .push(Step::Element(element, values.len() + 1, false));
            let value = self.value(element, depth + 1)?;
            self.path.pop();
            values.push(value.unwrap_or(Value::Null));
        }
        Ok(Value::Array(values))
    }

    fn integer(&self, field: Field<'m>, head: Head) -> Result<Value, Misread> {
        let number = i64::try_from(integer(head)).ok();
        let fits = |number: &i64| field.kind() == Kind::Long || i32::try_from(*number).is_ok();
        let number = number.filter(fits).map(Value::from);
        number.ok_or_else(|| self.unexpected(field, found(head)))
    }

    fn seconds(&self, field: Field<'m>, seconds: f64) -> Result<Value, Misread> {
        time::from_seconds(seconds).ok_or_else(|| self.unexpected(field, "NUMBER_VALUE"))
    }

    /// Passes over an item of any kind.
    fn skip(&mut self, depth: usize) -> Result<(), Misread> {
        if depth > DEPTH_MAX {
            return Err(Misread::TooDeep);
        }
        let mut head = self.head()?;
        while head.major == 6 {
            head = self.head()?;
        }
        match head.major {
            2 | 3 => self.chunks(head).map(|_| ()),
            4 | 5 => {
                let mut left = Left::new(head);
                while left.more(self)? {
                    self.skip(depth + 1)?;
                    if head.major == 5 {
                        self.skip(depth + 1)?;
                    }
                }
                Ok(())
            }
            7 if head.is_indefinite() => Err(syntax("a break where a value has to be")),
            _ => Ok(()),
        }
    }

    fn head(&mut self) -> Result<Head, Misread> {
        let first = self.take(1)?[0];
        let (major, minor) = (first >> 5, first & 31);
        let number = match minor {
            0..=23 => u64::from(minor),
            24..=27 => {
                let mut number = 0;
                for byte in self.take(1 << (minor - 24))? {
                    number = number << 8 | u64::from(*byte);
                }
                number
            }
            31 if matches!(major, 2..=5 | 7) => 0,
            _ => return Err(syntax("a reserved item")),
        };
        Ok(Head {
            major,
            minor,
            number,
        })
    }

    fn text(&mut self, head: Head) -> Result<String, Misread> {
        if head.major != 3 {
            return Err(syntax("a key that is not text"));
        }
        String::from_utf8(self.chunks(head)?).map_err(|_| syntax("a text that is not UTF-8"))
    }

    /// The bytes of a string, whole or in chunks.
    fn chunks(&mut self, head: Head) -> Result<Vec<u8>, Misread> {
        if !head.is_indefinite() {
            return Ok(self.take_counted(head.number)?.to_vec());
        }
        let mut bytes = Vec::new();
        loop {
            let chunk = self.head()?;
            if chunk.major == 7 && chunk.is_indefinite() {
                return Ok(bytes);
            }
            if chunk.major != head.major || chunk.is_indefinite() {
                return Err(syntax("a chunk of another kind"));
            }
            bytes.extend_from_slice(self.take_counted(chunk.number)?);
        }
    }

    fn take_counted(&mut self, count: u64) -> Result<&'b [u8], Misread> {
        let count = usize::try_from(count).map_err(|_| syntax("an item that is cut off"))?;
        self.take(count)
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], Misread> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| syntax("an item that is cut off"))?;
        self.at += count;
        Ok(taken)
    }

    fn unexpected(&self, field: Field<'m>, found: &str) -> Misread {
        Misread::Unexpected {
            path: self.path.coral(),
            found: found.to_owned(),
            expected: field.kind(),
        }
    }
}

/// How many items a container has left, or that it goes on until a break.
struct Left(Option<u64>);

impl Left {
    fn new(head: Head) -> Self {
        Self((!head.is_indefinite()).then_some(head.number))
    }

    fn more(&mut self, walk: &mut Walk<'_, '_>) -> Result<bool, Misread> {
        match &mut self.0 {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if walk.bytes.get(walk.at) == Some(&BREAK) => {
                walk.at += 1;
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

fn integer(head: Head) -> i128 {
    let number = i128::from(head.number);
    if head.major == 1 { -1 - number } else { number }
}

fn float(head: Head) -> f64 {
    match head.minor {
        25 => half(head.number as u16),
        26 => f64::from(f32::from_bits(head.number as u32)),
        _ => f64::from_bits(head.number),
    }
}

/// RFC 8949, appendix D.
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

fn found(head: Head) -> &'static str {
    match (head.major, head.minor) {
        (0 | 1, _) | (7, 25..=27) => "NUMBER_VALUE",
        (2 | 3, _) => "STRING_VALUE",
        (4, _) => "START_OF_LIST",
        (5, _) => "START_OF_STRUCTURE",
        (7, 20) => "FALSE_VALUE",
        (7, 21) => "TRUE_VALUE",
        _ => "UNKNOWN_VALUE",
    }
}

fn syntax(detail: &str) -> Misread {
    Misread::Syntax(format!("The CBOR is not well-formed: {detail}"))
}

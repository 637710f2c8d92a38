//! From JSON to protobuf, led by a schema. Knows no message of OTLP.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::schema::{Field, Kind, Schema};
use crate::{SpanId, TraceId, wire::put};

/// Protobuf's JSON takes both alphabets, with and without padding.
const BASE64: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&alphabet::STANDARD, PADDED_OR_NOT),
    GeneralPurpose::new(&alphabet::URL_SAFE, PADDED_OR_NOT),
];
const PADDED_OR_NOT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Transcodes one message. How deep it nests is bounded by serde_json: 128 objects and arrays.
pub(super) fn transcode(
    json: &[u8],
    schema: &'static Schema,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(json.len() / 2);
    let mut json = serde_json::Deserializer::from_slice(json);
    Message {
        schema,
        out: &mut out,
    }
    .deserialize(&mut json)?;
    json.end()?;
    Ok(out)
}

/// An object, whose fields are written to `out`.
struct Message<'o> {
    schema: &'static Schema,
    out: &'o mut Vec<u8>,
}

/// The value of a field, or one of its values.
struct Value<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
}

/// All values of a repeated field.
struct Values<'o>(Value<'o>);

/// The name of a field.
struct Name(&'static Schema);

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(field) = object.next_key_seed(Name(self.schema))? {
            let Some(field) = field else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = Value {
                field,
                out: self.out,
            };
            if field.repeated {
                object.next_value_seed(Values(value))?;
            } else {
                object.next_value_seed(value)?;
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(name))
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array for {}", self.0.field.name)
    }

    /// As if it had not been given.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Value { field, out } = self.0;
        while elements.next_element_seed(Value { field, out })?.is_some() {}
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = match self.field.kind {
            Kind::String => "a string",
            Kind::Bytes => "base64",
            Kind::TraceId => "32 hexadecimal digits",
            Kind::SpanId => "16 hexadecimal digits",
            Kind::Bool => "true or false",
            Kind::Int64 | Kind::Uint32 | Kind::Fixed32 | Kind::Fixed64 => "an integer in its range",
            Kind::Double => "a number",
            Kind::Enum(_) => "a number or a known name",
            Kind::Message(_) => "an object",
        };
        write!(f, "{wanted} for {}", self.field.name)
    }

    /// As if it had not been given.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        let Kind::Bool = self.field.kind else {
            return Err(E::invalid_type(Unexpected::Bool(value), &self));
        };
        put::number_field(self.out, self.field.number, value.into());
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        let Kind::Double = self.field.kind else {
            return Err(E::invalid_type(Unexpected::Float(value), &self));
        };
        self.double(value);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let wrong = || E::invalid_value(Unexpected::Str(text), &self);
        match self.field.kind {
            Kind::String => self.bytes(text.as_bytes()),
            Kind::TraceId if text.is_empty() => self.bytes(&[]),
            Kind::TraceId => {
                let id: TraceId = text.parse().map_err(|_| wrong())?;
                self.bytes(&id.0);
            }
            Kind::SpanId if text.is_empty() => self.bytes(&[]),
            Kind::SpanId => {
                let id: SpanId = text.parse().map_err(|_| wrong())?;
                self.bytes(&id.0);
            }
            Kind::Bytes => {
                let mut decoded = BASE64.iter().filter_map(|base64| base64.decode(text).ok());
                let bytes = decoded.next().ok_or_else(wrong)?;
                self.bytes(&bytes);
            }
            Kind::Int64 | Kind::Uint32 | Kind::Fixed32 | Kind::Fixed64 => {
                let value = text.parse().map_err(|_| wrong())?;
                return self.integer(value);
            }
            // `NaN`, `Infinity` and `-Infinity` are read as protobuf writes them.
            Kind::Double => {
                let value = text.parse().map_err(|_| wrong())?;
                self.double(value);
            }
            Kind::Enum(names) => {
                let value = names.iter().position(|name| *name == text);
                let value = value.ok_or_else(wrong)?;
                return self.integer(value as i128);
            }
            Kind::Bool | Kind::Message(_) => return Err(wrong()),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _elements: A) -> Result<(), A::Error> {
        Err(A::Error::invalid_type(Unexpected::Seq, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        let Kind::Message(schema) = self.field.kind else {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        };
        let number = self.field.number;
        put::message_field(self.out, number, |out| {
            Message { schema, out }.visit_map(object)
        })
    }
}

impl Value<'_> {
    fn integer<E: Error>(self, value: i128) -> Result<(), E> {
        let wrong = || {
            E::custom(format_args!(
                "invalid value: integer, expected {}",
                Expected(&self)
            ))
        };
        let number = self.field.number;
        match self.field.kind {
            Kind::Int64 => {
                let value = i64::try_from(value).map_err(|_| wrong())?;
                put::number_field(self.out, number, value as u64);
            }
            Kind::Uint32 => {
                let value = u32::try_from(value).map_err(|_| wrong())?;
                put::number_field(self.out, number, value.into());
            }
            // Numbers without a name come from a later version; negative ones are written in 64 bits.
            Kind::Enum(_) => {
                let value = i32::try_from(value).map_err(|_| wrong())?;
                put::number_field(self.out, number, i64::from(value) as u64);
            }
            Kind::Fixed32 => {
                let value = u32::try_from(value).map_err(|_| wrong())?;
                put::fixed32_field(self.out, number, value);
            }
            Kind::Fixed64 => {
                let value = u64::try_from(value).map_err(|_| wrong())?;
                put::fixed64_field(self.out, number, value);
            }
            Kind::Double => self.double(value as f64),
            _ => return Err(wrong()),
        }
        Ok(())
    }

    fn double(self, value: f64) {
        put::fixed64_field(self.out, self.field.number, value.to_bits());
    }

    fn bytes(self, bytes: &[u8]) {
        put::bytes_field(self.out, self.field.number, bytes);
    }
}

/// What a value should have been, for errors.
struct Expected<'v, 'o>(&'v Value<'o>);

impl fmt::Display for Expected<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

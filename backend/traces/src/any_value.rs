//! What a query sees of an attribute that is stored as its OTLP `AnyValue` message: the elements of an array.

use otlp::wire::AnyValue;
use traceql::model::Value;

/// Offers each scalar element of an array until one is taken. Anything else, and what is damaged, offers nothing.
pub(crate) fn elements<'a>(message: &'a [u8], found: &mut dyn FnMut(Value<'a>) -> bool) -> bool {
    match AnyValue::decode(message) {
        Some(AnyValue::Array(mut array)) => {
            array.any(|element| scalar(&element).is_some_and(&mut *found))
        }
        _ => false,
    }
}

pub(crate) fn is_array(message: &[u8]) -> bool {
    matches!(AnyValue::decode(message), Some(AnyValue::Array(_)))
}

fn scalar<'a>(value: &AnyValue<'a>) -> Option<Value<'a>> {
    match value {
        AnyValue::String(text) => Some(Value::String(text)),
        AnyValue::Int(number) => Some(Value::Int(*number)),
        AnyValue::Double(number) => Some(Value::Double(*number)),
        AnyValue::Bool(flag) => Some(Value::Bool(*flag)),
        AnyValue::Empty | AnyValue::Bytes(_) | AnyValue::Array(_) | AnyValue::KeyValues(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRAY: &[u8] = b"\x2a\x0b\x0a\x03\x0a\x01a\x0a\x02\x18\x07\x0a\x00";

    #[test]
    fn scalar_elements_of_an_array_are_offered_until_one_is_taken() {
        let mut seen = Vec::new();
        let taken = elements(ARRAY, &mut |value| {
            seen.push(format!("{value:?}"));
            value == Value::Int(7)
        });
        assert!(taken);
        assert_eq!(seen, [r#"String("a")"#, "Int(7)"]);
        assert!(!elements(ARRAY, &mut |_| false));
        assert!(is_array(ARRAY));
    }

    #[test]
    fn what_is_no_array_has_no_elements() {
        for message in [&b"\x0a\x02hi"[..], b"", b"\x0a\x09hi", b"\x2a\x0b\x0a"] {
            assert!(!is_array(message));
            assert!(!elements(message, &mut |_| true));
        }
    }
}

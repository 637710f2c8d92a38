//! Trace and span ids: raw bytes inside, lower-case hexadecimal outside.

use std::{fmt, str::FromStr};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// The id of a wire field; `None` if it does not have this id's length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// All bytes zero: invalid by the specification.
            pub fn is_zero(&self) -> bool {
                self.0.iter().all(|byte| *byte == 0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            /// Accepts upper case; the length must be exact.
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let digits = text.as_bytes();
                if digits.len() != 2 * $bytes || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(NotAnId { digits: 2 * $bytes });
                }
                let mut id = [0; $bytes];
                for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    let nibble = |digit: u8| (digit as char).to_digit(16).unwrap_or_default() as u8;
                    *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
                }
                Ok(Self(id))
            }
        }
    };
}

id!(
    /// 16 bytes that join all signals of one request.
    TraceId,
    16
);
id!(
    /// 8 bytes that name one span of a trace.
    SpanId,
    8
);

/// The text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{digits} hexadecimal digits are needed")]
pub struct NotAnId {
    digits: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let text = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            text.parse::<TraceId>().map(|id| id.to_string()),
            Ok(text.to_owned())
        );
        assert_eq!(
            "00f067aa0ba902b7".parse::<SpanId>(),
            Ok(SpanId([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]))
        );
    }

    #[test]
    fn another_length_or_digit_is_an_error() {
        for text in [
            "",
            "4bf92f3577b34da6",
            "zbf92f3577b34da6a3ce929d0e0e4736",
            "4bf92f3577b34da6a3ce929d0e0e473é",
        ] {
            assert_eq!(text.parse::<TraceId>(), Err(NotAnId { digits: 32 }));
        }
    }
}

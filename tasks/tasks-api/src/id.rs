//! Identifiers. What the system makes itself is a UUIDv7, so that it sorts by creation time; a workspace and an actor
//! are names given from outside.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest name of a workspace or an actor.
const NAME_CHARS_MAX: usize = 64;

/// The text is no identifier of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, format = "uuid")]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier, later in order than all that this process made before.
            #[allow(clippy::new_without_default, reason = "each call gives another value")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Takes the canonical form only, so that one task has one address.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let id = Self(Uuid::try_parse(text).map_err(|_| InvalidId)?);
                if id.to_string() == text { Ok(id) } else { Err(InvalidId) }
            }
        }
    };
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(InvalidId) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

uuid_id!(
    /// A task.
    TaskId
);
uuid_id!(
    /// A comment on a task.
    CommentId
);
uuid_id!(
    /// A job; also the id of the activity entry it writes, which makes the entry unique.
    JobId
);
name_id!(
    /// A tenant. Lower-case letters, digits and hyphens, 1 to 64.
    WorkspaceId
);
name_id!(
    /// Who did something: the id of an API key. Lower-case letters, digits and hyphens, 1 to 64.
    ActorId
);

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a valid identifier")
    }
}

impl std::error::Error for InvalidId {}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ids_sort_by_creation() {
        let first = TaskId::new();
        let second = TaskId::new();
        assert!(first < second);
        assert!(first.to_string() < second.to_string());
    }

    #[test]
    fn only_the_canonical_form_of_an_id_is_taken() {
        let id = TaskId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            id.to_string().to_uppercase(),
            id.to_string().replace('-', ""),
            String::new(),
            "../x".to_owned(),
        ] {
            assert_eq!(text.parse::<TaskId>(), Err(InvalidId), "{text}");
        }
    }

    #[test]
    fn a_workspace_name_cannot_carry_a_separator() {
        assert!("team-42".parse::<WorkspaceId>().is_ok());
        for text in ["", "a#b", "A", "a b", &"x".repeat(65)] {
            assert_eq!(text.parse::<WorkspaceId>(), Err(InvalidId), "{text}");
        }
    }
}

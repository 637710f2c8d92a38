//! Cursors: where a list goes on, as an opaque text.
//!
//! A cursor holds a sort key and a checksum over it and the list it is of: never a partition, so that no cursor leads
//! into another workspace, filter or task. The checksum is no secret. It turns mistakes into errors; forging it gains
//! nothing but another place in the same list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Error;
use crate::digest::sha256;

const CHECKSUM_BYTES: usize = 8;
/// Goes into the checksum: cursors of another format are invalid.
const FORMAT: &str = "1";

/// One list: what it lists, of whom, by which filter.
#[derive(Debug, Clone)]
pub(crate) struct Scope(Vec<String>);

impl Scope {
    pub(crate) fn new<const N: usize>(parts: [&dyn ToString; N]) -> Self {
        Self(parts.map(ToString::to_string).to_vec())
    }

    /// The cursor of a place in this list.
    pub(crate) fn cursor(&self, position: &str) -> String {
        let mut bytes = self.checksum(position).to_vec();
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a cursor in this list.
    ///
    /// # Errors
    /// [`Error::InvalidCursor`] for anything but a cursor of this list.
    pub(crate) fn position(&self, cursor: &str) -> Result<String, Error> {
        let bytes = URL_SAFE_NO_PAD
            .decode(cursor)
            .map_err(|_| Error::InvalidCursor)?;
        let (checksum, position) = bytes
            .split_at_checked(CHECKSUM_BYTES)
            .ok_or(Error::InvalidCursor)?;
        let position = std::str::from_utf8(position).map_err(|_| Error::InvalidCursor)?;
        if checksum == self.checksum(position) {
            Ok(position.to_owned())
        } else {
            Err(Error::InvalidCursor)
        }
    }

    fn checksum(&self, position: &str) -> [u8; CHECKSUM_BYTES] {
        let parts = self.0.iter().map(String::as_bytes);
        let digest = sha256(
            [FORMAT.as_bytes(), position.as_bytes()]
                .into_iter()
                .chain(parts),
        );
        *digest.first_chunk().expect("a SHA-256 is longer")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn scope() -> Scope {
        Scope::new([&"tasks", &"dev", &"{}"])
    }

    fn check_refused(scope: &Scope, cursor: &str) {
        assert!(
            matches!(scope.position(cursor), Err(Error::InvalidCursor)),
            "{cursor}"
        );
    }

    #[test]
    fn a_cursor_is_of_one_list_only() {
        let cursor = scope().cursor("position");
        assert_eq!(scope().position(&cursor).unwrap(), "position");
        check_refused(&Scope::new([&"comments", &"dev", &"{}"]), &cursor);
        check_refused(&Scope::new([&"tasks", &"de", &"v{}"]), &cursor);
        check_refused(
            &Scope::new([&"tasks", &"dev", &r#"{"status":"todo"}"#]),
            &cursor,
        );
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let cursor = scope().cursor("0198c0de-0000-7000-8000-000000000000");
        for index in 0..cursor.len() {
            for other in ['A', 'z', '_', '=', '%', 'é'] {
                let changed: String = cursor
                    .chars()
                    .enumerate()
                    .map(|(at, old)| if at == index { other } else { old })
                    .collect();
                if changed != cursor {
                    check_refused(&scope(), &changed);
                }
            }
        }
        check_refused(&scope(), &cursor[..cursor.len() - 1]);
        check_refused(&scope(), &format!("{cursor}A"));
        check_refused(&scope(), &format!("{cursor}="));
    }

    proptest! {
        #[test]
        fn garbage_is_no_cursor(text in ".{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            check_refused(&scope(), &text);
            check_refused(&scope(), &URL_SAFE_NO_PAD.encode(bytes));
        }

        #[test]
        fn every_position_comes_back(position in ".{0,100}") {
            prop_assert_eq!(scope().position(&scope().cursor(&position)).unwrap(), position);
        }
    }
}

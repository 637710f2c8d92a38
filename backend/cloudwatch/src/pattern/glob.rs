//! Text in which `*` stands for any characters, none included. No other wildcard exists.

/// A text with wildcards, cut at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// At least one; between two neighbours stands a wildcard.
    parts: Box<[Box<str>]>,
}

impl Glob {
    pub(super) fn new(text: &str) -> Self {
        Self {
            parts: text.split('*').map(Box::from).collect(),
        }
    }

    /// The whole text, when it has no wildcard.
    pub(super) fn literal(&self) -> Option<&str> {
        match &*self.parts {
            [whole] => Some(whole),
            _ => None,
        }
    }

    /// The longest text that must stand in whatever matches.
    pub(super) fn longest_part(&self) -> &str {
        self.parts
            .iter()
            .max_by_key(|part| part.len())
            .map_or("", |part| part)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.parts else {
            return self.literal() == Some(text);
        };
        let Some(mut rest) = text.strip_prefix(&**first) else {
            return false;
        };
        // Taking the first place for each part is enough: a later one leaves less for the parts that follow.
        for part in middle {
            match rest.find(&**part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(&**last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(glob: &str, text: &str, expected: bool) {
        assert_eq!(Glob::new(glob).matches(text), expected, "{glob} on {text}");
    }

    #[test]
    fn a_star_stands_for_any_characters_and_for_none() {
        check("abc", "abc", true);
        check("abc", "abcd", false);
        check("*", "", true);
        check("a*", "a", true);
        check("a*a", "a", false);
        check("a*a", "aa", true);
        check("*b*", "abc", true);
        check("*ab*ab", "abab", true);
        check("*ab*ab", "ab", false);
        check("a*b*c", "a-c-b-c", true);
        check("", "a", false);
        check("ä*ö", "äxö", true);
    }
}

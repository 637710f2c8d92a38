//! Patterns with captures: `<method> <_> status=<status>`, to parse a line or to test one.

use memchr::memmem;

#[derive(Clone, Debug)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    /// None when the name is `_`.
    Capture(Option<Box<str>>),
}

impl Part {
    fn text(&self) -> String {
        match self {
            Self::Literal(text) => text.to_string(),
            Self::Capture(name) => format!("<{}>", name.as_deref().unwrap_or("_")),
        }
    }
}

impl Pattern {
    /// Of the parser: it has to name something.
    pub(crate) fn parser(written: &str) -> Result<Self, String> {
        let parts = parts(written);
        let named = |part: &Part| match part {
            Part::Capture(Some(name)) => Some(name.clone()),
            _ => None,
        };
        let names: Vec<Box<str>> = parts.iter().filter_map(named).collect();
        if parts.is_empty() {
            return Err("parse error at line 1, col 1: syntax error: unexpected $end, expecting IDENTIFIER or LITERAL".into());
        }
        if names.is_empty() {
            return Err("at least one capture is required".into());
        }
        no_neighbours(&parts)?;
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(format!(
                    "duplicate capture name ({name}): invalid expression"
                ));
            }
        }
        Ok(Self(parts))
    }

    /// Of a line filter: it must not name anything.
    pub(crate) fn filter(written: &str) -> Result<Self, String> {
        let parts = parts(written);
        no_neighbours(&parts)?;
        let named = |part: &&Part| matches!(part, Part::Capture(Some(_)));
        match parts.iter().find(named) {
            Some(part) => Err(format!(
                "named captures are not allowed: found '{}'",
                part.text()
            )),
            None => Ok(Self(parts)),
        }
    }

    /// What the line has for each name; what comes after a literal that is missing goes without.
    pub(crate) fn captures<'p, 'l>(&'p self, line: &'l str) -> Vec<(&'p str, &'l str)> {
        let mut found = Vec::new();
        let (mut rest, mut parts) = (line, &self.0[..]);
        if line.is_empty() {
            return found;
        }
        if let [Part::Literal(literal), after @ ..] = parts {
            let Some(after_literal) = rest.strip_prefix(&**literal) else {
                return found;
            };
            (rest, parts) = (after_literal, after);
        }
        while let [Part::Capture(name), after @ ..] = parts {
            let end = match after {
                [Part::Literal(literal), ..] => find(rest, literal).map(|at| (at, literal.len())),
                _ => None,
            };
            let (value, next) = match end {
                Some((at, length)) => (&rest[..at], Some(&rest[at + length..])),
                None => (rest, None),
            };
            if let Some(name) = name {
                found.push((&**name, value));
            }
            let Some(next) = next else {
                break;
            };
            (rest, parts) = (next, &after[1..]);
        }
        found
    }

    /// Whether the whole line is like this; no capture is empty.
    pub(crate) fn is_match(&self, line: &str) -> bool {
        let Some(last) = self.0.last().filter(|_| !line.is_empty()) else {
            return line.is_empty() && self.0.is_empty();
        };
        let mut rest = line;
        for (index, part) in self.0.iter().enumerate() {
            let Part::Literal(literal) = part else {
                continue;
            };
            match find(rest, literal) {
                None => return false,
                Some(0) if index > 0 => return false,
                Some(at) => rest = &rest[at + literal.len()..],
            }
        }
        matches!(last, Part::Capture(_)) != rest.is_empty()
    }
}

fn find(text: &str, literal: &str) -> Option<usize> {
    memmem::find(text.as_bytes(), literal.as_bytes())
}

fn parts(written: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut literal, mut rest) = (String::new(), written);
    while let Some(character) = rest.chars().next() {
        if let Some((name, after)) = capture(rest) {
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            parts.push(Part::Capture((name != "_").then(|| name.into())));
            rest = after;
        } else {
            literal.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    parts
}

/// `<name>` and what follows.
fn capture(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('<')?.split_once('>')?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let valid = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(is_part);
    valid.then_some((name, after))
}

fn no_neighbours(parts: &[Part]) -> Result<(), String> {
    for pair in parts.windows(2) {
        if let [Part::Capture(_), Part::Capture(_)] = pair {
            return Err(format!(
                "found consecutive capture '{}{}': invalid expression",
                pair[0].text(),
                pair[1].text()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn captures_stand_between_literals() {
        let pattern = Pattern::parser("<ip> - <_> [<when>] \"<rest>").unwrap();
        let found = pattern.captures("1.2.3.4 - bob [now] \"GET /");
        assert_eq!(
            found,
            [("ip", "1.2.3.4"), ("when", "now"), ("rest", "GET /")]
        );
        // A literal that is missing ends it: what is left is the last capture's.
        assert_eq!(pattern.captures("1.2.3.4 x"), [("ip", "1.2.3.4 x")]);
        let anchored = Pattern::parser("a <b>").unwrap();
        assert_eq!(anchored.captures("xa c"), []);
        assert_eq!(anchored.captures(""), []);
    }

    #[test]
    fn a_filter_is_of_the_whole_line() {
        let check = |written: &str, line: &str| Pattern::filter(written).unwrap().is_match(line);
        assert!(check("<_> bar", "foo bar"));
        assert!(!check("<_> bar", "foo bar baz"));
        assert!(!check("<_> bar <_>", " bar "));
        assert!(check("<_>bar<_>", " bar "));
        assert!(check("", "") && !check("", "x") && !check("<_>", ""));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (written, message) in [
            ("plain", "at least one capture is required"),
            ("<_>", "at least one capture is required"),
            (
                "<a><b>",
                "found consecutive capture '<a><b>': invalid expression",
            ),
            ("<a> <a>", "duplicate capture name (a): invalid expression"),
        ] {
            assert_eq!(Pattern::parser(written).unwrap_err(), message);
        }
        let error = Pattern::filter("<a>").unwrap_err();
        assert_eq!(error, "named captures are not allowed: found '<a>'");
    }
}

//! The parser `logfmt`: `key=value key="quoted value" key`.

use crate::{
    ast::{Logfmt, LogfmtParameter},
    labels::{DUPLICATE_SUFFIX, LineLabels, StageError, label_name, label_value},
    stages::label_filter::passes_at_once,
    units::quote,
};

/// The key that a parameter asks for: a word, or anything in quotes.
pub(crate) fn parse_key(written: &str) -> Result<Box<str>, String> {
    let text = written.trim_matches([' ', '\t', '\n']);
    if let Some(quoted) = text.strip_prefix('"') {
        return match quoted.split_once('"') {
            Some((key, "")) => Ok(key.into()),
            _ => Err("syntax error: unexpected STRING".into()),
        };
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let wrong = text.chars().enumerate();
    let mut wrong = wrong.filter(|(at, c)| !is_part(*c) || *at == 0 && c.is_ascii_digit());
    match wrong.next() {
        Some((_, character)) => Err(format!("unexpected char {character}")),
        None if text.is_empty() => {
            Err("syntax error: unexpected $end, expecting STRING or KEY".into())
        }
        None => Ok(text.into()),
    }
}

/// False when the line is not wanted.
pub(crate) fn parse(line: &str, logfmt: &Logfmt, labels: &mut LineLabels) -> bool {
    if labels.hints.nothing_wanted() {
        return true;
    }
    let mut scan = Scan::new(line);
    let wanted = if logfmt.parameters.is_empty() {
        parse_all(&mut scan, logfmt, labels)
    } else {
        parse_parameters(&mut scan, logfmt, labels);
        true
    };
    let Some(error) = scan.error.filter(|_| logfmt.strict && wanted) else {
        return wanted;
    };
    labels.set_parser_error(StageError::Logfmt, Some(&error));
    !logfmt.parameters.is_empty() || passes_at_once(crate::labels::ERROR, labels)
}

fn parse_all(scan: &mut Scan<'_>, logfmt: &Logfmt, labels: &mut LineLabels) -> bool {
    while !scan.rest.is_empty() {
        let Some((key, value)) = scan.pair() else {
            // What is broken ends a strict reading and is passed over by another one.
            if logfmt.strict {
                break;
            }
            continue;
        };
        let name = label_name(key);
        if name.is_empty() {
            continue;
        }
        let name = labels.free_name(&name);
        if !labels.hints.wants(&name) || value.is_empty() && !logfmt.keep_empty {
            continue;
        }
        labels.set(name.clone(), label_value(&value));
        if !passes_at_once(&name, labels) {
            return false;
        }
        if labels.hints.all_extracted() {
            break;
        }
    }
    true
}

/// Every parameter is a label afterwards, an empty one where the line has nothing.
fn parse_parameters(scan: &mut Scan<'_>, logfmt: &Logfmt, labels: &mut LineLabels) {
    for LogfmtParameter { name, .. } in &logfmt.parameters {
        if !labels.is_taken(name) {
            labels.set(name.clone(), "".into());
        }
    }
    while !scan.rest.is_empty() {
        let Some((key, value)) = scan.pair() else {
            if logfmt.strict {
                break;
            }
            continue;
        };
        let key = label_name(key);
        let value: Box<str> = if value.contains(char::REPLACEMENT_CHARACTER) {
            "".into()
        } else {
            value
        };
        let asked = logfmt.parameters.iter().filter(|one| *one.key == key);
        for LogfmtParameter { name, .. } in asked {
            let name = if labels.is_taken(name) {
                format!("{name}{DUPLICATE_SUFFIX}").into()
            } else {
                name.clone()
            };
            labels.set(name, value.clone());
        }
    }
}

/// Goes through a line pair by pair.
struct Scan<'l> {
    line: &'l str,
    rest: &'l str,
    /// The last thing that was broken.
    error: Option<String>,
}

impl<'l> Scan<'l> {
    fn new(line: &'l str) -> Self {
        Self {
            line,
            rest: line,
            error: None,
        }
    }

    /// The next pair. None at the end, and where something is broken; what belongs to it is passed over then.
    fn pair(&mut self) -> Option<(&'l str, Box<str>)> {
        let is_space = |c: char| c <= ' ';
        self.rest = self.rest.trim_start_matches(is_space);
        if self.rest.is_empty() {
            return None;
        }
        let stop = |c: char| c == '=' || c == '"' || c <= ' ';
        let end = self.rest.find(stop).unwrap_or(self.rest.len());
        let (key, after) = self.rest.split_at(end);
        self.rest = after;
        let broken = key.contains(char::REPLACEMENT_CHARACTER);
        match after.chars().next() {
            Some('"') => return self.unexpected('"'),
            Some('=') if key.is_empty() => return self.unexpected('='),
            Some('=') if broken => {
                self.syntax_error("invalid key");
                return self.skip_word();
            }
            _ if broken => {
                self.syntax_error("invalid key");
                return None;
            }
            Some('=') => {}
            _ => return Some((key, "".into())),
        }
        self.rest = &after[1..];
        if self.rest.starts_with('"') {
            return self.quoted().map(|value| (key, value));
        }
        let end = self.rest.find(stop).unwrap_or(self.rest.len());
        let (value, after) = self.rest.split_at(end);
        self.rest = after;
        match after.chars().next() {
            Some(other @ ('=' | '"')) => self.unexpected(other),
            _ => Some((key, value.into())),
        }
    }

    fn quoted(&mut self) -> Option<Box<str>> {
        let mut escaped = false;
        let mut characters = self.rest[1..].char_indices();
        let end = characters.find(|(_, character)| {
            let ends = *character == '"' && !escaped;
            escaped = *character == '\\' && !escaped;
            ends
        });
        let Some((length, _)) = end else {
            self.rest = "";
            self.syntax_error("unterminated quoted value");
            return None;
        };
        let text = &self.rest[1..=length];
        self.rest = &self.rest[length + 2..];
        let value = unescape(text);
        if value.is_none() {
            self.syntax_error("invalid quoted value");
        }
        value.map(Into::into)
    }

    fn unexpected<T>(&mut self, character: char) -> Option<T> {
        let shown = quote(&character.to_string()).replace("\\\"", "\"");
        self.syntax_error(&format!("unexpected '{}'", &shown[1..shown.len() - 1]));
        self.skip_word()
    }

    fn skip_word<T>(&mut self) -> Option<T> {
        let end = self.rest.find(|c: char| c <= ' ');
        self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
        None
    }

    fn syntax_error(&mut self, message: &str) {
        let position = self.line.len() - self.rest.len() + 1;
        self.error = Some(format!("logfmt syntax error at pos {position} : {message}"));
    }
}

/// The text that escapes stand for; half a pair of surrogates stands for a broken character.
fn unescape(text: &str) -> Option<String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escaped = &rest[at + 1..];
        let mut length = 1;
        out.push(match escaped.chars().next()? {
            same @ ('"' | '\\' | '/' | '\'') => same,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, taken) = code_point(escaped)?;
                length = taken;
                character
            }
            _ => return None,
        });
        rest = &escaped[length..];
    }
    out.push_str(rest);
    Some(out)
}

fn code_point(escaped: &str) -> Option<(char, usize)> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix('u')?.get(..4)?, 16).ok();
    let first = unit(escaped)?;
    if let Some(character) = char::from_u32(u32::from(first)) {
        return Some((character, 5));
    }
    let second = escaped
        .get(5..)
        .and_then(|rest| unit(rest.strip_prefix('\\')?));
    let pair = second.and_then(|second| char::decode_utf16([first, second]).next()?.ok());
    Some(pair.map_or((char::REPLACEMENT_CHARACTER, 5), |pair| (pair, 11)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(line: &str, expected: &[(&str, &str)], error: Option<&str>) {
        let mut scan = Scan::new(line);
        let mut found = Vec::new();
        while !scan.rest.is_empty() {
            found.extend(scan.pair());
        }
        let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (*k, &**v)).collect();
        assert_eq!(found, expected, "{line}");
        assert_eq!(scan.error.as_deref(), error, "{line}");
    }

    #[test]
    fn pairs_are_read_as_far_as_they_are_whole() {
        check(
            "a=1 b c= d=\"x y\"",
            &[("a", "1"), ("b", ""), ("c", ""), ("d", "x y")],
            None,
        );
        check("é=\"\\u00e9\\n\"", &[("é", "é\n")], None);
        let at = |pos: usize, what: &str| format!("logfmt syntax error at pos {pos} : {what}");
        check("a=b=c d=1", &[("d", "1")], Some(&at(4, "unexpected '='")));
        check("=b d=1", &[("d", "1")], Some(&at(1, "unexpected '='")));
        check("a\"b d=1", &[("d", "1")], Some(&at(2, "unexpected '\"'")));
        check("a=\"b", &[], Some(&at(5, "unterminated quoted value")));
        check(
            "a=\"\\q\" b=1",
            &[("b", "1")],
            Some(&at(7, "invalid quoted value")),
        );
    }

    #[test]
    fn a_parameter_is_a_word_or_quoted() {
        assert_eq!(&*parse_key("a_1").unwrap(), "a_1");
        assert_eq!(&*parse_key("\"a b\"").unwrap(), "a b");
        for written in ["", "1a", "a b", "a.b", "\"a", "\"a\"b"] {
            assert!(parse_key(written).is_err(), "{written}");
        }
    }
}

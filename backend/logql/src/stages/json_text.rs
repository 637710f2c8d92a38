//! JSON as the parsers of lines read it: lenient about what they do not look at, so that a broken line gives what comes before
//! the break.

/// The most levels of objects that are looked into; what is deeper makes no labels.
pub(crate) const DEPTH_MAX: usize = 64;

const MALFORMED: &str = "Malformed JSON error";
const UNKNOWN_VALUE: &str = "Unknown value type";
const OPEN_STRING: &str = "Value is string, but can't find closing '\"' symbol";
pub(crate) const OPEN_ARRAY: &str = "Value is array, but can't find closing ']' symbol";
pub(crate) const OPEN_OBJECT: &str = "Value looks like object, but can't find closing '}' symbol";
pub(crate) const BAD_ESCAPE: &str = "Encountered an invalid escape sequence in a string";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Object,
    Array,
    Boolean,
    Null,
}

/// A value as it stands in the line; a text without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'l> {
    pub(crate) text: &'l str,
    pub(crate) kind: Kind,
}

/// Why an object was left before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Broken(&'static str),
    /// By the visitor: the rest is not needed.
    Enough,
    /// By the visitor: the line is not wanted.
    Unwanted,
}

/// Visits the members of an object in their order. Keys come without their escapes.
pub(crate) fn each_member<'l>(
    text: &'l str,
    visit: &mut dyn FnMut(&str, Value<'l>) -> Result<(), Left>,
) -> Result<(), Left> {
    let broken = |why| Err(Left::Broken(why));
    let mut rest = text.trim_start_matches(is_space);
    let Some(inner) = rest.strip_prefix('{') else {
        return broken(OPEN_OBJECT);
    };
    rest = inner.trim_start_matches(is_space);
    if rest.is_empty() {
        return broken(MALFORMED);
    }
    loop {
        if rest.starts_with('}') {
            return Ok(());
        }
        let Some(key_on) = rest.strip_prefix('"') else {
            return broken(OPEN_OBJECT);
        };
        let Some(end) = text_end(key_on) else {
            return broken(MALFORMED);
        };
        let Some(key) = unescape(&key_on[..end]) else {
            return broken(BAD_ESCAPE);
        };
        let after_key = key_on[end + 1..].trim_start_matches(is_space);
        let Some(value_on) = after_key.strip_prefix(':') else {
            return broken(MALFORMED);
        };
        let (value, after) = value(value_on).map_err(Left::Broken)?;
        visit(&key, value)?;
        rest = after.trim_start_matches(is_space);
        if rest.is_empty() {
            return broken(OPEN_ARRAY);
        }
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start_matches(is_space);
            if rest.is_empty() {
                return broken(OPEN_ARRAY);
            }
        } else if !rest.starts_with('}') {
            return broken(OPEN_OBJECT);
        }
    }
}

/// The value that comes next and what follows it.
pub(crate) fn value(text: &str) -> Result<(Value<'_>, &str), &'static str> {
    let text = text.trim_start_matches(is_space);
    let Some(first) = text.bytes().next() else {
        return Err(MALFORMED);
    };
    let (kind, end) = match first {
        b'"' => {
            let end = text_end(&text[1..]).ok_or(OPEN_STRING)?;
            let value = Value {
                text: &text[1..=end],
                kind: Kind::Text,
            };
            return Ok((value, &text[end + 2..]));
        }
        b'{' => (
            Kind::Object,
            block_end(text, b'{', b'}').ok_or(OPEN_OBJECT)?,
        ),
        b'[' => (Kind::Array, block_end(text, b'[', b']').ok_or(OPEN_ARRAY)?),
        _ => {
            let end = text
                .find(|c: char| is_space(c) || matches!(c, ',' | '}' | ']'))
                .unwrap_or(text.len());
            let kind = match (&text[..end], first) {
                ("true" | "false", _) => Kind::Boolean,
                ("null", _) => Kind::Null,
                (_, b'0'..=b'9' | b'-') => Kind::Number,
                _ => return Err(UNKNOWN_VALUE),
            };
            (kind, end)
        }
    };
    let value = Value {
        text: &text[..end],
        kind,
    };
    Ok((value, &text[end..]))
}

pub(crate) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\n' | '\r' | '\t')
}

/// Where the quote is that ends a text.
fn text_end(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = memchr::memchr2(b'"', b'\\', text.as_bytes().get(at..)?)? + at;
        if text.as_bytes()[found] == b'"' {
            return Some(found);
        }
        at = found + 2;
    }
}

/// Where a bracket is closed again.
fn block_end(text: &str, open: u8, close: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut level, mut at) = (0_usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at += text_end(&text[at + 1..])? + 1,
            byte if byte == open => level += 1,
            byte if byte == close => {
                level = level.checked_sub(1)?;
                if level == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The text that escapes stand for. None when one stands for nothing.
pub(crate) fn unescape(text: &str) -> Option<std::borrow::Cow<'_, str>> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Some(text.into());
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escaped = &rest[at + 1..];
        let (character, length) = match escaped.bytes().next()? {
            byte @ (b'"' | b'\\' | b'/') => (char::from(byte), 1),
            b'b' => ('\u{8}', 1),
            b'f' => ('\u{c}', 1),
            b'n' => ('\n', 1),
            b'r' => ('\r', 1),
            b't' => ('\t', 1),
            b'u' => code_point(escaped)?,
            _ => return None,
        };
        out.push(character);
        rest = &escaped[length..];
    }
    out.push_str(rest);
    Some(out.into())
}

/// `uXXXX`, or two of them for one character.
fn code_point(escaped: &str) -> Option<(char, usize)> {
    let unit = |text: &str| {
        let digits = text.strip_prefix('u')?.get(..4)?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| hex)
    };
    let first = unit(escaped)?;
    if let Some(character) = char::from_u32(u32::from(first)) {
        return Some((character, 5));
    }
    let second = unit(escaped.get(5..)?.strip_prefix('\\')?)?;
    let decoded = char::decode_utf16([first, second]).next()?.ok()?;
    Some((decoded, 11))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn members(text: &str) -> (Vec<String>, Result<(), Left>) {
        let mut seen = Vec::new();
        let result = each_member(text, &mut |key, value| {
            seen.push(format!("{key}={}", value.text));
            Ok(())
        });
        (seen, result)
    }

    #[test]
    fn members_come_in_their_order() {
        let (seen, result) =
            members(r#" {"a": "x\"y", "b\u0041":[1,"]"], "c":{"d":1} ,"e":null} x"#);
        assert_eq!(seen, ["a=x\\\"y", "bA=[1,\"]\"]", "c={\"d\":1}", "e=null"]);
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn a_broken_object_gives_what_comes_before() {
        for (text, count, why) in [
            (r#"{"a":1,"b":"#, 1, MALFORMED),
            (r#"{"a":1,"b":tru}"#, 1, UNKNOWN_VALUE),
            (r#"{"a":1"#, 1, OPEN_ARRAY),
            (r#"{"a":"x"#, 0, OPEN_STRING),
            (r#"{"a":{"b":1"#, 0, OPEN_OBJECT),
            ("plain", 0, OPEN_OBJECT),
            (r#"{"\x":1}"#, 0, BAD_ESCAPE),
        ] {
            let (seen, result) = members(text);
            assert_eq!(
                (seen.len(), result),
                (count, Err(Left::Broken(why))),
                "{text}"
            );
        }
    }

    #[test]
    fn escapes_stand_for_characters() {
        assert_eq!(unescape(r"a\n\u00e9\ud83d\ude00").unwrap(), "a\né😀");
        for text in [r"\", r"\q", r"\u12", r"\ud83d", r"\ud83dx", r"\udc00"] {
            assert_eq!(unescape(text), None, "{text}");
        }
    }
}

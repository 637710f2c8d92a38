//! The texts of matchers: `{a="x", b!~y}`. Alertmanager has two grammars and prefers the older where both take a text and
//! differ; so does this. Newer: names and values in UTF-8, quoted as Go does it. Older: Prometheus' names, and values that
//! need no quotes.

use super::{Matcher, Operator};

/// A longer text is refused before it is looked at.
const TEXT_BYTES_MAX: usize = 64 << 10;

const OPERATORS: [(&str, Operator); 4] = [
    ("=~", Operator::Regex),
    ("!~", Operator::NotRegex),
    ("!=", Operator::NotEqual),
    ("=", Operator::Equal),
];

/// Space of the older grammar.
const SPACE: [char; 5] = ['\t', '\n', '\x0c', '\r', ' '];

/// Why a text is no matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} in {text:?}")]
pub struct SyntaxError {
    text: String,
    reason: String,
}

/// Any number of matchers, in braces or not.
///
/// # Errors
/// If neither grammar takes the text.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, SyntaxError> {
    prefer(text, utf8_matchers(text), classic_matchers(text))
}

/// Exactly one matcher, not in braces.
///
/// # Errors
/// If neither grammar takes the text.
pub fn parse_matcher(text: &str) -> Result<Matcher, SyntaxError> {
    if text.starts_with('{') || text.ends_with('}') {
        return fail(text, "no brace may stand here".to_owned());
    }
    let one = utf8_matchers(text).and_then(|matchers| match <[Matcher; 1]>::try_from(matchers) {
        Ok([matcher]) => Ok(matcher),
        Err(_) => Err("exactly one matcher must stand here".to_owned()),
    });
    prefer(text, one, classic_matcher(text))
}

/// What the newer grammar must quote.
pub(super) fn is_reserved(character: char) -> bool {
    character.is_whitespace() || "{}!=~,\\\"'`".contains(character)
}

fn prefer<T: PartialEq>(
    text: &str,
    newer: Result<T, String>,
    older: Result<T, String>,
) -> Result<T, SyntaxError> {
    match (newer, older) {
        (Ok(newer), Err(_)) => Ok(newer),
        (_, Ok(older)) => Ok(older),
        (Err(reason), Err(_)) => fail(text, reason),
    }
}

fn fail<T>(text: &str, reason: String) -> Result<T, SyntaxError> {
    let text = text.chars().take(256).collect();
    Err(SyntaxError { text, reason })
}

fn matcher(name: &str, operator: Operator, value: &str) -> Result<Matcher, String> {
    Matcher::new(name, operator, value)
        .map_err(|_| format!("{value:?} is not a regular expression"))
}

#[derive(Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Comma,
    Operator(Operator),
    Text(String),
}

/// The newer grammar.
fn utf8_matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let mut tokens = tokens(text)?.into_iter().peekable();
    let braced = tokens.next_if_eq(&Token::Open).is_some();
    let mut matchers = Vec::new();
    while tokens.peek().is_some_and(|token| *token != Token::Close) {
        let Some(Token::Text(name)) = tokens.next() else {
            return Err("a label name is missing".to_owned());
        };
        let Some(Token::Operator(operator)) = tokens.next() else {
            return Err("one of =, !=, =~ and !~ is missing".to_owned());
        };
        let Some(Token::Text(value)) = tokens.next() else {
            return Err("a value is missing".to_owned());
        };
        matchers.push(matcher(&name, operator, &value)?);
        if tokens.next_if_eq(&Token::Comma).is_none() {
            break;
        }
    }
    let closed = tokens.next_if_eq(&Token::Close).is_some();
    if braced != closed {
        return Err("a brace has no other".to_owned());
    }
    match tokens.next() {
        None => Ok(matchers),
        Some(_) => Err("a comma or the end must stand behind a matcher".to_owned()),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("more than {TEXT_BYTES_MAX} bytes"));
    }
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '{' => (Token::Open, 1),
            '}' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '"' => {
                let length = quoted_length(rest).ok_or("a quote is not closed")?;
                (Token::Text(unquote(&rest[1..length - 1])?), length)
            }
            '=' | '!' => {
                let (sign, operator) = operator(rest).ok_or("`!` is no operator")?;
                (Token::Operator(operator), sign.len())
            }
            other if is_reserved(other) => return Err(format!("{other:?} must be quoted")),
            _ => {
                let length = rest.find(is_reserved).unwrap_or(rest.len());
                (Token::Text(rest[..length].to_owned()), length)
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn operator(text: &str) -> Option<(&'static str, Operator)> {
    OPERATORS
        .into_iter()
        .find(|(sign, _)| text.starts_with(sign))
}

/// Bytes up to and with the closing quote of a text that begins with one.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

/// What stands between quotes, as Go reads it: escapes of bytes must make UTF-8 in the end.
fn unquote(quoted: &str) -> Result<String, String> {
    let wrong = || "an escape is not one of Go's".to_owned();
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        if character == '\n' {
            return Err("a quoted text is broken into lines".to_owned());
        }
        if character != '\\' {
            bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let escape = characters.next().ok_or_else(wrong)?;
        let (digits, radix) = match escape {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (3, 8),
            other => {
                bytes.push(control(other).ok_or_else(wrong)?);
                continue;
            }
        };
        let first = (radix == 8).then_some(escape);
        let number: String = first
            .into_iter()
            .chain(characters.by_ref())
            .take(digits)
            .collect();
        let is_number = number.len() == digits && number.chars().all(|digit| digit.is_digit(radix));
        let code = u32::from_str_radix(&number, radix)
            .ok()
            .filter(|_| is_number);
        let code = code.ok_or_else(wrong)?;
        if matches!(escape, 'u' | 'U') {
            let character = char::from_u32(code).ok_or_else(wrong)?;
            bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
        } else {
            bytes.push(u8::try_from(code).map_err(|_| wrong())?);
        }
    }
    String::from_utf8(bytes).map_err(|_| "a quoted text is not UTF-8".to_owned())
}

fn control(escape: char) -> Option<u8> {
    Some(match escape {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        _ => return None,
    })
}

/// The older grammar.
fn classic_matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let mut matchers = Vec::new();
    let mut start = 0;
    let (mut quoted, mut escaped) = (false, false);
    for (index, character) in text.char_indices() {
        match character {
            ',' if !quoted => {
                matchers.push(classic_matcher(&text[start..index])?);
                start = index + 1;
            }
            // It does not end an escape: so it is in the real one.
            ',' => {}
            '"' if escaped => escaped = false,
            '"' => quoted = !quoted,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    if !text[start..].trim().is_empty() {
        matchers.push(classic_matcher(text[start..].trim())?);
    }
    Ok(matchers)
}

fn classic_matcher(text: &str) -> Result<Matcher, String> {
    let text = text.trim_matches(SPACE);
    let name_length = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(name_length);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("a label name is missing".to_owned());
    }
    let rest = rest.trim_start_matches(SPACE);
    let (sign, operator) = operator(rest).ok_or("one of =, !=, =~ and !~ is missing")?;
    let value = rest[sign.len()..].trim_start_matches(SPACE);
    matcher(name, operator, &classic_value(value)?)
}

/// An unescaped quote may only stand at both ends; a backslash that escapes nothing is one.
fn classic_value(text: &str) -> Result<String, String> {
    let wrong = || Err("a quote in a value is not escaped".to_owned());
    let opened = text.strip_prefix('"');
    let mut characters = opened.unwrap_or(text).chars();
    let mut value = String::new();
    let mut open = opened.is_some();
    while let Some(character) = characters.next() {
        let is_last = characters.as_str().is_empty();
        match character {
            '\\' if !is_last => match characters.next() {
                Some('n') => value.push('\n'),
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                Some(other) => value.extend(['\\', other]),
                None => {}
            },
            '"' if open && is_last => open = false,
            '"' => return wrong(),
            other => value.push(other),
        }
    }
    if open { wrong() } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(text: &str, expected: &str) {
        let texts = parse_matchers(text)
            .unwrap()
            .iter()
            .map(Matcher::to_string)
            .collect::<Vec<_>>();
        assert_eq!(texts.join(" "), expected, "{text}");
    }

    #[test]
    fn both_grammars_are_read() {
        check("a=b", r#"a="b""#);
        check(r#"a=~"x""#, r#"a=~"x""#);
        check("{}", "");
        check("", "");
        check(r#"{ a = "b" , c !~ d, }"#, r#"a="b" c!~"d""#);
        check(r#""a b"="c""#, r#""a b"="c""#);
        check("größe=x", r#"größe="x""#);
        check(r#"a="\u00e9\x41\101""#, r#"a="\\u00e9\\x41\\101""#);
        check(r#""ä"="\u00e9\x41\101""#, r#"ä="éAA""#);
        // The older one alone.
        check("a=b c", r#"a="b c""#);
        check("a=", r#"a="""#);
        check(r"a=~\d+", r#"a=~"\\d+""#);
        check(r#"a="x\qy""#, r#"a="x\\qy""#);
        check(r#"a="b,c",d=e"#, r#"a="b,c" d="e""#);
        check("a={b}", r#"a="{b""#);
    }

    #[test]
    fn what_neither_takes_is_refused() {
        for wrong in [
            "a",
            "=b",
            "a=b,,c=d",
            "!=b",
            "a!b",
            r#"a="b"#,
            r#"a=b"c"#,
            "a=~(",
            "5a=\"b\" c",
            "ä=b c",
            r#""ä"="\q""#,
            r#""ä"="\xff""#,
        ] {
            assert!(parse_matchers(wrong).is_err(), "{wrong}");
        }
        for wrong in ["{a=b}", "a=b}", "", "ä=b,ö=c"] {
            assert!(parse_matcher(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_matcher("a=b,c=d").unwrap().value, "b,c=d");
        assert!(parse_matchers(&format!("ä={}", "x".repeat(TEXT_BYTES_MAX))).is_err());
    }
}

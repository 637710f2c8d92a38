//! Pairs in logfmt: `key=value other="with spaces" flag`. What is wrong is said in the words of `go-logfmt`.

/// The pairs, in their order. A key without a value has an empty one.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(|byte| *byte <= b' ') {
            at += 1;
        }
        if at == bytes.len() {
            return Ok(pairs);
        }
        let start = at;
        while let Some(byte @ b'!'..) = bytes.get(at).filter(|byte| **byte != b'=') {
            if *byte == b'"' {
                return Err(unexpected('"', at));
            }
            at += 1;
        }
        if start == at {
            return Err(unexpected('=', at));
        }
        let key = text[start..at].to_owned();
        let mut value = String::new();
        if bytes.get(at) == Some(&b'=') {
            (value, at) = self::value(text, at + 1)?;
        }
        pairs.push((key, value));
    }
}

/// The value that starts at `start`, and where it ends.
fn value(text: &str, start: usize) -> Result<(String, usize), String> {
    let bytes = text.as_bytes();
    if bytes.get(start) == Some(&b'"') {
        return quoted(text, start);
    }
    let mut at = start;
    while let Some(byte @ b'!'..) = bytes.get(at) {
        if matches!(byte, b'=' | b'"') {
            return Err(unexpected(char::from(*byte), at));
        }
        at += 1;
    }
    Ok((text[start..at].to_owned(), at))
}

fn quoted(text: &str, start: usize) -> Result<(String, usize), String> {
    let bytes = text.as_bytes();
    let mut end = start + 1;
    loop {
        match bytes.get(end) {
            None => {
                return Err(format!(
                    "unterminated quoted value at pos {}",
                    bytes.len() + 1
                ));
            }
            Some(b'\\') => end += 2,
            Some(b'"') => break,
            Some(_) => end += 1,
        }
    }
    let literal = &text[start..=end];
    // The escapes of JSON are those of logfmt.
    let value =
        unescaped(literal).ok_or_else(|| format!("invalid quoted value at pos {}", end + 2))?;
    Ok((value, end + 1))
}

/// The text of a string literal with the escapes of JSON.
fn unescaped(literal: &str) -> Option<String> {
    let mut out = String::with_capacity(literal.len());
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        out.push(match rest.next()? {
            escaped @ ('"' | '\\' | '/' | '\'') => escaped,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => unicode(&mut rest)?,
            _ => return None,
        });
    }
    Some(out)
}

/// `\uXXXX`, or a pair of them for what does not fit into one.
fn unicode(rest: &mut std::str::Chars<'_>) -> Option<char> {
    let unit = |rest: &mut std::str::Chars<'_>| {
        (0..4).try_fold(0, |code, _| Some(code << 4 | rest.next()?.to_digit(16)?))
    };
    let first = unit(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    let mut ahead = rest.clone();
    if (ahead.next(), ahead.next()) == (Some('\\'), Some('u'))
        && let Some(second @ 0xdc00..0xe000) = unit(&mut ahead)
    {
        *rest = ahead;
        return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
    }
    Some(char::REPLACEMENT_CHARACTER)
}

fn unexpected(character: char, at: usize) -> String {
    format!("unexpected '{character}' at pos {}", at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_parted_by_space() {
        let pairs = parse(" a=b  c=\"d \\\"e\\u00e9\\ud83d\\ude00\" flag é=ü ");
        let expected = [("a", "b"), ("c", "d \"eé😀"), ("flag", ""), ("é", "ü")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(pairs, Ok(expected.to_vec()));
    }

    #[test]
    fn errors_say_where() {
        for (text, expected) in [
            ("=x", "unexpected '=' at pos 1"),
            ("a\"b=x", "unexpected '\"' at pos 2"),
            ("a==x", "unexpected '=' at pos 3"),
            ("s=\"", "unterminated quoted value at pos 4"),
            ("a=\"\\", "unterminated quoted value at pos 5"),
            ("a=\"\\q\"", "invalid quoted value at pos 7"),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
        }
    }
}

//! What the `regex` crate would take and Go refuses: high and stacked repetitions, flags and escapes of its own.
//!
//! Looks at the expression as it is written. What neither of them takes is left to the compiler. Not found: names of Unicode
//! classes that Go does not know, and counts of nested repetitions, which Go multiplies; compiled sizes are bounded anyway.

/// The highest count of a repetition in Go.
const REPEATS_MAX: u32 = 1_000;
/// Letters and digits that may stand behind a backslash, outside of a class and in one.
const ESCAPES: &str = "01234567aAbBdDfnpPQrsStvwWxz";
const ESCAPES_IN_CLASS: &str = "01234567adDfnpPrsStvwWx";
/// Letters of flags, as in `(?i-s:…)`.
const FLAGS: &str = "imsU";

/// Why Go would refuse an expression, in its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    RepeatCount(String),
    /// A repetition of a repetition, without parentheses.
    RepeatOperator(String),
    Escape(String),
    /// A group with a flag, or of a kind, that Go does not know.
    Group(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RepeatCount(text) => write!(f, "invalid repeat count: `{text}`"),
            Self::RepeatOperator(text) => write!(f, "invalid nested repetition operator: `{text}`"),
            Self::Escape(text) => write!(f, "invalid escape sequence: `{text}`"),
            Self::Group(text) => write!(f, "invalid or unsupported Perl syntax: `{text}`"),
        }
    }
}

impl std::error::Error for Refused {}

/// Whether Go would take it, as far as the `regex` crate would.
pub(crate) fn check(expression: &str) -> Result<(), Refused> {
    let (mut rest, mut repetition) = (expression, None);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '*' | '+' | '?' => 1,
            '{' => match crate::counts(&rest[1..]) {
                Some(counts) => {
                    let text = &rest[..counts.len() + 2];
                    check_counts(counts, text)?;
                    text.len()
                }
                None => 0,
            },
            _ => 0,
        };
        if length > 0 {
            // A question mark behind it makes it reluctant.
            let length = length + usize::from(rest[length..].starts_with('?'));
            let operator = &rest[..length];
            if let Some(before) = repetition.replace(operator) {
                return Err(Refused::RepeatOperator(format!("{before}{operator}")));
            }
            rest = &rest[length..];
            continue;
        }
        repetition = None;
        rest = match first {
            '\\' => after_escape(rest, ESCAPES)?,
            '[' => after_class(rest)?,
            '(' => after_group_opening(rest)?,
            other => &rest[other.len_utf8()..],
        };
    }
    Ok(())
}

fn check_counts(counts: &str, text: &str) -> Result<(), Refused> {
    let is_too_high = |count: &str| {
        let number = count.parse::<u32>();
        number.map_or(!count.is_empty(), |number| number > REPEATS_MAX)
    };
    match counts.split(',').any(is_too_high) {
        true => Err(Refused::RepeatCount(text.to_owned())),
        false => Ok(()),
    }
}

/// Behind the escape at the beginning of the text; a quoted text is one.
fn after_escape<'e>(rest: &'e str, known: &str) -> Result<&'e str, Refused> {
    let Some(escaped) = rest[1..].chars().next() else {
        return Ok("");
    };
    let length = 1 + escaped.len_utf8();
    if escaped.is_ascii_alphanumeric() && !known.contains(escaped) || !escaped.is_ascii() {
        return Err(Refused::Escape(rest[..length].to_owned()));
    }
    let after = &rest[length..];
    match escaped {
        'Q' => Ok(after.split_once(r"\E").map_or("", |(_, after)| after)),
        // Their arguments, so that a brace is not taken for a repetition.
        'x' | 'p' | 'P' if after.starts_with('{') => {
            Ok(after.split_once('}').map_or("", |(_, after)| after))
        }
        _ => Ok(after),
    }
}

/// Behind the class at the beginning of the text.
fn after_class(rest: &str) -> Result<&str, Refused> {
    let rest = &rest[1..];
    let rest = rest.strip_prefix('^').unwrap_or(rest);
    let mut rest = rest.strip_prefix(']').unwrap_or(rest);
    while let Some(first) = rest.chars().next() {
        let named = rest.strip_prefix("[:").and_then(|name| name.find(":]"));
        rest = match (first, named) {
            (']', _) => return Ok(&rest[1..]),
            (_, Some(length)) => &rest[length + 4..],
            ('\\', _) => after_escape(rest, ESCAPES_IN_CLASS)?,
            (other, _) => &rest[other.len_utf8()..],
        };
    }
    Ok("")
}

/// Behind `(`, or behind what a group of a kind begins with.
fn after_group_opening(rest: &str) -> Result<&str, Refused> {
    let Some(kind) = rest.strip_prefix("(?") else {
        return Ok(&rest[1..]);
    };
    if kind.starts_with("P<") || kind.starts_with('<') {
        return Ok(kind.split_once('>').map_or("", |(_, after)| after));
    }
    let flags = kind.find([':', ')']).unwrap_or(kind.len());
    let is_known = |flag: char| flag == '-' || FLAGS.contains(flag);
    match kind[..flags]
        .char_indices()
        .find(|(_, flag)| !is_known(*flag))
    {
        Some((at, flag)) => {
            let text = &rest[..2 + at + flag.len_utf8()];
            Err(Refused::Group(text.to_owned()))
        }
        None => Ok(&kind[flags..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_takes_is_taken() {
        for expression in [
            "",
            "a*b+?c??d{2}e{2,}?f{2,1000}",
            "{,3}/users/{id}{",
            r"\Qa**{2000}\E*\x{10ffff}\p{Greek}\pL{2}\07\a",
            r"[*+?{2}{3}()\]\-a-z[:alpha:]**]*",
            "[]**]+",
            "(?i)(?P<name>a)(?<other>b)(?s-m:c)(?:d)*",
            r"(?U:a*)\z\b\B",
            "(a*)*",
        ] {
            assert_eq!(check(expression), Ok(()), "{expression}");
        }
    }

    #[test]
    fn what_only_the_crate_takes_is_refused_in_gos_words() {
        for (expression, reason) in [
            ("a{1001}", "invalid repeat count: `{1001}`"),
            (
                "(a{2,99999999999})",
                "invalid repeat count: `{2,99999999999}`",
            ),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a+?{2}", "invalid nested repetition operator: `+?{2}`"),
            ("[a]{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
            (r"\u0041", r"invalid escape sequence: `\u`"),
            (r"[\z]", r"invalid escape sequence: `\z`"),
            (r"[\b]", r"invalid escape sequence: `\b`"),
            (r"\é", r"invalid escape sequence: `\é`"),
            ("(?x: a )", "invalid or unsupported Perl syntax: `(?x`"),
            ("(?i-u)a", "invalid or unsupported Perl syntax: `(?i-u`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ] {
            let refused = check(expression).map_err(|error| error.to_string());
            assert_eq!(refused, Err(reason.to_owned()), "{expression}");
        }
    }
}

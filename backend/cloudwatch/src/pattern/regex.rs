//! `%regex%`: the part of regular expressions that CloudWatch Logs takes, without groups and with few symbols, checked before it
//! is compiled. Matching is the `regex` crate's: linear in the text.

use regex::bytes::{Regex, RegexBuilder};

use super::PatternError;

/// Compiled size of one expression, in bytes: what nested repetition makes of a pattern ends here.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// What stands for itself besides letters and digits. The documentation leaves out the space, its own examples use it.
const SYMBOLS: &str = ":_#=@/;,- ";
const OPERATORS: &str = "^$?[]{}|*+.";
/// What may follow a backslash: classes of characters, the start of `\xhh`, and whatever would mean something else.
const ESCAPED: &str = "dDsSwWx%\\^$?[]{}|*+.-/";

/// A compiled expression.
#[derive(Clone, Debug)]
pub(super) struct Expression(Regex);

impl Expression {
    /// From what stands between the percent signs.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::term("%%"));
        }
        let refusal = || PatternError::term(&format!("%{text}%"));
        check(text).ok_or_else(refusal)?;
        // Bytes without Unicode classes: `\d` is a digit from 0 to 9, and `.` is cheap.
        RegexBuilder::new(text)
            .unicode(false)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .build()
            .map(Self)
            .map_err(|_| refusal())
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text.as_bytes())
    }
}

/// Whether only the documented characters stand there. What the `regex` crate would read as more than a class (a class within a
/// class, a difference of classes) is refused too.
fn check(text: &str) -> Option<()> {
    let mut class = false;
    let mut previous = None;
    let mut characters = text.chars();
    while let Some(next) = characters.next() {
        match next {
            '\\' => {
                let escaped = characters.next()?;
                ESCAPED.contains(escaped).then_some(())?;
                previous = None;
                continue;
            }
            '[' => {
                (!class).then_some(())?;
                class = true;
            }
            ']' => class = false,
            '-' if class && previous == Some('-') => return None,
            _ => {
                (next.is_ascii_alphanumeric() || SYMBOLS.contains(next) || OPERATORS.contains(next))
                    .then_some(())?
            }
        }
        previous = Some(next);
    }
    Some(())
}

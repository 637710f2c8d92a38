//! Tests of a line's text. They come before everything else and allocate nothing.

use memchr::memmem::Finder;

use crate::{
    ast::LineFilter,
    parse::compile_bytes,
    stages::{ip::IpMatcher, pattern::Pattern},
};

/// Characters that mean something in a regular expression.
const SPECIAL: &str = "\\.+*?()|[]{}^$";

#[derive(Clone, Debug)]
pub(crate) enum LineTest {
    /// The empty text: every line has it.
    All,
    Contains(Box<Finder<'static>>),
    Regex(regex::bytes::Regex),
    Pattern(Pattern),
    Ip(IpMatcher),
}

impl LineTest {
    pub(crate) fn contains(text: &str) -> Self {
        if text.is_empty() {
            return Self::All;
        }
        Self::Contains(Box::new(Finder::new(text).into_owned()))
    }

    /// A regular expression anywhere in the line; a mere text where it is no more than that.
    pub(crate) fn regex(written: &str) -> Result<Self, String> {
        if matches!(written, "" | ".*") {
            return Ok(Self::All);
        }
        if !written.contains(|c: char| SPECIAL.contains(c)) {
            return Ok(Self::contains(written));
        }
        compile_bytes(&go_regex::translate(written), written).map(Self::Regex)
    }

    fn holds(&self, line: &str) -> bool {
        match self {
            Self::All => true,
            Self::Contains(finder) => finder.find(line.as_bytes()).is_some(),
            Self::Regex(regex) => regex.is_match(line.as_bytes()),
            Self::Pattern(pattern) => pattern.is_match(line),
            Self::Ip(ip) => ip.is_in(line),
        }
    }
}

impl LineFilter {
    pub(crate) fn holds(&self, line: &str) -> bool {
        let tests = || self.alternatives.iter().map(|one| &one.test);
        // The empty text beside another one asks for nothing.
        let asking = |test: &&LineTest| !matches!(test, LineTest::All);
        let mut asked = tests().filter(asking).peekable();
        let any = asked.peek().is_none() || asked.any(|test| test.holds(line));
        any != self.op.is_negated()
    }

    /// The text that every line which passes has, if there is one.
    pub(crate) fn needle(&self) -> Option<&str> {
        match &self.alternatives[..] {
            [one] if !self.op.is_negated() => match &one.test {
                LineTest::Contains(_) => Some(&one.written),
                _ => None,
            },
            _ => None,
        }
    }
}

//! The `tracestate` list: <https://www.w3.org/TR/trace-context-2/#tracestate-header>.
//!
//! Reads any number of header values as one list, bounds it, and converts to and from OpenTelemetry's `TraceState`.
//! That type still has the key grammar of level 1 and refuses some keys level 2 allows, so the list itself is ours.

use opentelemetry::trace::TraceState;

/// Members a list may have; a longer one is invalid as a whole, since nobody can say which members to trust.
const MEMBERS_MAX: usize = 32;
/// Longest key, and longest value.
const PART_CHARS_MAX: usize = 256;
/// Longest list passed on, commas included. The specification asks for at least 512; our own member comes on top, and
/// the bound keeps what strangers send from growing every span, message and outbox item of their request.
const LIST_CHARS_MAX: usize = 1_024;
/// Members longer than this are the first to go when the list is too long (the specification's own figure).
const MEMBER_CHARS_LONG: usize = 128;

/// Members in order, most recent first; keys are unique, grammar and limits hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tracestate {
    members: Vec<(String, String)>,
}

impl Tracestate {
    /// Reads the values of all `tracestate` headers, in order, as one list. `None`: the list is invalid and is dropped
    /// as a whole. Of a repeated key only the first, most recent member stays.
    pub(super) fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut list = Self::default();
        let members = values
            .into_iter()
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(super::trim_whitespace)
            .filter(|member| !member.is_empty());
        for (count, member) in members.enumerate() {
            let (key, value) = parse_member(member)?;
            if count == MEMBERS_MAX {
                return None;
            }
            if list.get(key).is_none() {
                list.members.push((key.to_owned(), value.to_owned()));
            }
        }
        list.shorten();
        Some(list)
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let member = self.members.iter().find(|(name, _)| name == key)?;
        Some(&member.1)
    }

    /// Puts a member in front, where a changed member belongs; the last one goes if the list was full.
    pub(super) fn put(&mut self, key: &str, value: String) {
        self.members.retain(|(name, _)| name != key);
        self.members.truncate(MEMBERS_MAX - 1);
        self.members.insert(0, (key.to_owned(), value));
    }

    /// The list as OpenTelemetry holds it, without the members it refuses; `true` if it took all.
    pub(super) fn to_otel(&self) -> (TraceState, bool) {
        let pairs = |members: &[(String, String)]| {
            TraceState::from_key_value(members.iter().map(|(key, value)| (key, value)))
        };
        if let Ok(state) = pairs(&self.members) {
            return (state, true);
        }
        let held = self.members.iter().filter(|member| is_held(member));
        let held: Vec<_> = held.cloned().collect();
        (pairs(&held).unwrap_or_default(), false)
    }

    /// The list to send when a span's own state came from this one: members that were added or changed since, then
    /// what is left of this list in its order, with the members OpenTelemetry could not hold.
    pub(super) fn merged(&self, state: &TraceState) -> Self {
        let changed = state
            .into_iter()
            .filter(|(key, value)| self.get(key) != Some(value))
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let kept = self.members.iter().filter(|member| {
            let now = state.get(&member.0);
            now == Some(&member.1) || (now.is_none() && !is_held(member))
        });
        let mut members: Vec<_> = changed.chain(kept.cloned()).collect();
        members.truncate(MEMBERS_MAX);
        Self { members }
    }

    pub(super) fn format(&self) -> String {
        let members = self
            .members
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        members.collect::<Vec<_>>().join(",")
    }

    /// Whole members go: the long ones first, then from the end (specification, "tracestate Limits").
    fn shorten(&mut self) {
        while self.chars() > LIST_CHARS_MAX {
            let long = self
                .members
                .iter()
                .rposition(|member| chars(member) > MEMBER_CHARS_LONG);
            self.members.remove(long.unwrap_or(self.members.len() - 1));
        }
    }

    fn chars(&self) -> usize {
        let commas = self.members.len().saturating_sub(1);
        self.members.iter().map(chars).sum::<usize>() + commas
    }
}

fn chars((key, value): &(String, String)) -> usize {
    key.len() + 1 + value.len()
}

fn is_held((key, value): &(String, String)) -> bool {
    TraceState::from_key_value([(key, value)]).is_ok()
}

fn parse_member(member: &[u8]) -> Option<(&str, &str)> {
    let member = str::from_utf8(member).ok()?;
    let (key, value) = member.split_once('=')?;
    (is_key(key.as_bytes()) && is_value(value.as_bytes())).then_some((key, value))
}

fn is_key(key: &[u8]) -> bool {
    let starts = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let continues = |byte: &u8| starts(byte) || b"_-*/@".contains(byte);
    key.first().is_some_and(starts) && key.len() <= PART_CHARS_MAX && key.iter().all(continues)
}

/// Trailing spaces are already gone: they count as whitespace around the member.
fn is_value(value: &[u8]) -> bool {
    let allowed = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    (1..=PART_CHARS_MAX).contains(&value.len()) && value.iter().all(allowed)
}

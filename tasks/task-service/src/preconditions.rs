//! `If-Match`: which version of a task a change may start from (RFC 9110, 13.1.1).
//!
//! Reads the header and compares. What a client is told about the header's form beyond "malformed" is the gateway's.

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use tasks_api::{Kind, Problem, Task};

use crate::refusal::Refusal;

/// Blanks between entity tags (RFC 9110, 5.6.3).
const BLANKS: [char; 2] = [' ', '\t'];

/// The versions a change may start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// `*`: whatever the version.
    Any,
    /// One of these strong entity tags, quotes included. Weak ones are left out: they never match here.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// # Errors
    /// [`Kind::VersionMismatch`] when the task is at none of these versions.
    pub(crate) fn check(&self, task: &Task) -> Result<(), Problem> {
        match self {
            Self::OneOf(tags) if !tags.contains(&task.etag()) => Err(mismatch(task.version)),
            Self::Any | Self::OneOf(_) => Ok(()),
        }
    }

    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(header::IF_MATCH).iter();
        match (values.next(), values.next()) {
            (None, _) => Err(Problem::new(Kind::IfMatchRequired)),
            (Some(value), None) => value.to_str().ok().and_then(parse).ok_or_else(malformed),
            (Some(_), Some(_)) => Err(malformed()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self::read(&parts.headers)?)
    }
}

/// What a change gets that started from another version.
pub(crate) fn mismatch(current: u64) -> Problem {
    Problem::new(Kind::VersionMismatch).detail(format!("the task is at version {current}"))
}

fn malformed() -> Problem {
    Problem::new(Kind::MalformedRequest)
        .detail("If-Match is neither * nor a list of entity tags in quotes")
}

fn parse(text: &str) -> Option<IfMatch> {
    if text == "*" {
        return Some(IfMatch::Any);
    }
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(BLANKS);
        let strong = rest.strip_prefix("W/");
        let (tag, after) = strong.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        if !tag.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        if strong.is_none() {
            tags.push(format!("\"{tag}\""));
        }
        let after = after.trim_start_matches(BLANKS);
        if after.is_empty() {
            return Some(IfMatch::OneOf(tags));
        }
        rest = after.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::Timestamp;
    use tasks_api::{NewTask, TaskId};

    use super::*;

    fn check(value: &str, version: u64) -> Result<(), Kind> {
        let new: NewTask = serde_json::from_str(r#"{"title": "a"}"#).unwrap();
        let mut task = Task::new(TaskId::new(), new, Timestamp::UNIX_EPOCH);
        task.version = version;
        let headers = HeaderMap::from_iter([(header::IF_MATCH, value.parse().unwrap())]);
        let read = IfMatch::read(&headers);
        read.and_then(|tags| tags.check(&task))
            .map_err(|problem| problem.kind)
    }

    #[test]
    fn a_strong_tag_of_the_version_or_an_asterisk_matches() {
        for value in ["*", r#""3""#, r#""1", "3""#, r#""1","3" "#, r#"W/"1", "3""#] {
            assert_eq!(check(value, 3), Ok(()), "{value}");
        }
    }

    #[test]
    fn a_weak_tag_and_other_versions_do_not() {
        for value in [r#""2""#, r#"W/"3""#, r#""33""#, r#""""#, r#""3 ""#.trim()] {
            let kind = check(value, 3).unwrap_err();
            assert!(
                matches!(kind, Kind::VersionMismatch | Kind::MalformedRequest),
                "{value}"
            );
        }
        assert_eq!(check(r#"W/"3""#, 3), Err(Kind::VersionMismatch));
    }

    #[test]
    fn text_that_is_no_list_of_tags_is_malformed() {
        for value in [
            "",
            "3",
            "\"3",
            r#""3","#,
            r#""3" "4""#,
            r#"*, "3""#,
            r#""a b""#,
        ] {
            assert_eq!(check(value, 3), Err(Kind::MalformedRequest), "{value}");
        }
    }

    #[test]
    fn a_change_needs_the_header_exactly_once() {
        let kind = |headers: &HeaderMap| IfMatch::read(headers).unwrap_err().kind;
        let mut headers = HeaderMap::new();
        assert_eq!(kind(&headers), Kind::IfMatchRequired);
        headers.append(header::IF_MATCH, "*".parse().unwrap());
        headers.append(header::IF_MATCH, "*".parse().unwrap());
        assert_eq!(kind(&headers), Kind::MalformedRequest);
    }
}

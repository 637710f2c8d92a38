//! Names of groups and streams, ARNs, and limits of numbers: what the API's model says of members that many operations share.

use crate::refusal::Refusal;

/// Characters of the name of a group or a stream.
const NAME_CHARS_MAX: usize = 512;

/// Checks the name of a group.
pub(crate) fn group(name: &str) -> Result<&str, Refusal> {
    length("logGroupName", name)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/#".contains(&byte);
    if !name.bytes().all(allowed) {
        return Err(Refusal::constraint(
            "logGroupName",
            r"satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+",
        ));
    }
    Ok(name)
}

/// Checks the name of a stream.
pub(crate) fn stream(name: &str) -> Result<&str, Refusal> {
    length("logStreamName", name)?;
    if name.contains([':', '*']) {
        return Err(Refusal::constraint(
            "logStreamName",
            "satisfy regular expression pattern: [^:*]*",
        ));
    }
    Ok(name)
}

/// The name of the group that a request names by name or by ARN, one of the two.
pub(crate) fn group_of<'r>(
    name: Option<&'r str>,
    identifier: Option<&'r str>,
) -> Result<&'r str, Refusal> {
    match (name, identifier) {
        (Some(name), None) => group(name),
        (None, Some(identifier)) => group(from_arn(identifier)),
        _ => Err(Refusal::invalid(
            "Exactly one of logGroupName and logGroupIdentifier must be specified",
        )),
    }
}

/// A number between 1 and `max`, or `default`.
pub(crate) fn limit(given: Option<i64>, default: usize, max: usize) -> Result<usize, Refusal> {
    match given {
        None => Ok(default),
        Some(limit) if limit < 1 => Err(Refusal::constraint(
            "limit",
            "have value greater than or equal to 1",
        )),
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| *limit <= max)
            .ok_or_else(|| {
                let constraint = format!("have value less than or equal to {max}");
                Refusal::constraint("limit", &constraint)
            }),
    }
}

pub(crate) fn bad_token() -> Refusal {
    Refusal::invalid("The specified nextToken is invalid.")
}

fn length(member: &str, name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::constraint(
            member,
            "have length greater than or equal to 1",
        ));
    }
    if name.chars().count() > NAME_CHARS_MAX {
        let constraint = format!("have length less than or equal to {NAME_CHARS_MAX}");
        return Err(Refusal::constraint(member, &constraint));
    }
    Ok(())
}

/// `arn:aws:logs:REGION:ACCOUNT:log-group:NAME`, with or without `:*`; anything else is a name.
fn from_arn(identifier: &str) -> &str {
    let mut parts = identifier.splitn(7, ':');
    if parts.next() != Some("arn") || parts.nth(4) != Some("log-group") {
        return identifier;
    }
    let name = parts.next().unwrap_or("");
    name.strip_suffix(":*").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_name_or_by_arn() {
        let arn = "arn:aws:logs:eu-west-1:000000000000:log-group:/a/b";
        assert_eq!(group_of(None, Some(arn)), Ok("/a/b"));
        assert_eq!(group_of(None, Some(&format!("{arn}:*"))), Ok("/a/b"));
        assert_eq!(group_of(Some("/a/b"), None), Ok("/a/b"));
        assert_eq!(group_of(None, Some("/a/b")), Ok("/a/b"));
        assert!(group_of(Some("a"), Some("a")).is_err());
        assert!(group_of(None, None).is_err());
        assert!(group_of(None, Some("arn:aws:s3:::x")).is_err());
    }

    #[test]
    fn names_are_bounded_and_of_known_characters() {
        assert!(group("a b").is_err());
        assert!(group("").is_err());
        assert!(group(&"a".repeat(513)).is_err());
        assert!(group(&"a".repeat(512)).is_ok());
        assert!(stream("a b ä").is_ok());
        assert!(stream("a:b").is_err());
        assert!(stream("a*").is_err());
    }

    #[test]
    fn a_limit_is_between_one_and_its_maximum() {
        assert_eq!(limit(None, 50, 100), Ok(50));
        assert_eq!(limit(Some(100), 50, 100), Ok(100));
        assert!(limit(Some(0), 50, 100).is_err());
        assert!(limit(Some(101), 50, 100).is_err());
        assert!(limit(Some(i64::MAX), 50, 100).is_err());
    }
}

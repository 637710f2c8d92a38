//! The parameters of queries: flags, matchers, a receiver.

use ::alertmanager::{
    machine::Filter,
    matcher::{Matcher, parse_matcher},
    pattern::Pattern,
};
use axum::{extract::FromRequestParts, http::request::Parts};

use super::failure::Failure;

/// What counts as true; everything else is false.
const TRUE: [&str; 10] = [
    "true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled",
];

/// All parameters of a URL.
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        ))
    }
}

impl Params {
    /// Which alerts are asked for.
    pub(super) fn filter(&self) -> Result<Filter, Failure> {
        Ok(Filter {
            active: self.flag("active"),
            silenced: self.flag("silenced"),
            inhibited: self.flag("inhibited"),
            muted: self.flag("muted"),
            receiver: self.receiver()?,
            matchers: self.matchers()?,
        })
    }

    /// Every parameter `filter`; all of them must hold.
    pub(super) fn matchers(&self) -> Result<Vec<Matcher>, Failure> {
        let filters = self.0.iter().filter(|(name, _)| name == "filter");
        filters.map(|(_, text)| matcher(text)).collect()
    }

    fn receiver(&self) -> Result<Option<Pattern>, Failure> {
        let Some(text) = self.last("receiver").filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let pattern = Pattern::new(text).map_err(|_| {
            Failure::bad_request(format!(
                "failed to parse receiver param: error parsing regexp: `^(?:{text})$`"
            ))
        });
        pattern.map(Some)
    }

    /// True unless it is said otherwise.
    fn flag(&self, name: &str) -> bool {
        let text = self.last(name).filter(|text| !text.is_empty());
        text.is_none_or(|text| TRUE.contains(&text.to_lowercase().as_str()))
    }

    fn last(&self, name: &str) -> Option<&str> {
        let mut own = self.0.iter().rev();
        own.find(|(key, _)| key == name).map(|(_, value)| &**value)
    }
}

fn matcher(text: &str) -> Result<Matcher, Failure> {
    parse_matcher(text).map_err(|_| {
        let is_braced = text.starts_with('{') || text.ends_with('}');
        let reason = match is_braced {
            true => "unexpected open or close brace",
            false => "bad matcher format",
        };
        Failure::bad_request(format!("{reason}: {text}"))
    })
}

//! What series there are: `series`, `labels`, `label/{name}/values`.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use tsdb::{Matcher, SourceError};

use super::{
    Shared,
    answer::{Answer, cut},
    failure::Failure,
    form::Form,
    json, params,
};

/// In front of a label name whose other characters are written as code points.
const ESCAPED: &str = "U__";
/// Digits of the largest code point.
const CODE_DIGITS_MAX: usize = 6;

/// `GET, POST /series`.
pub(super) async fn series(State(api): Shared, form: Form) -> Result<Response, Failure> {
    form.strict()?;
    if form.all("match[]").next().is_none() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let limit = params::limit(&form)?;
    let range_ms = params::times(&form)?;
    let selectors = params::selectors(&form);
    let selectors = selectors.map_err(|reason| Failure::parameter("match[]", reason))?;
    let store = Arc::clone(api.prometheus.store());
    let job = move || {
        let mut found = Vec::new();
        for matchers in &selectors {
            found.append(&mut store.series(matchers, range_ms.clone())?);
        }
        if selectors.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        let is_truncated = cut(&mut found, limit);
        let answer = Answer::new(|out| json::array(out, &found, json::labels));
        Ok(answer.truncated(is_truncated).into_response())
    };
    api.queries.run(job).await
}

/// `GET, POST /labels`.
pub(super) async fn label_names(State(api): Shared, form: Form) -> Result<Response, Failure> {
    let store = Arc::clone(api.prometheus.store());
    let list = List::read(&form)?;
    let range_ms = list.range_ms.clone();
    let job = move || list.answer(|matchers| store.label_names(matchers, range_ms.clone()));
    api.queries.run(job).await
}

/// `GET /label/{name}/values`.
pub(super) async fn label_values(
    State(api): Shared,
    name: Result<Path<String>, PathRejection>,
    form: Form,
) -> Result<Response, Failure> {
    // What is no UTF-8 is no name either.
    let name = name.map_or(String::new(), |Path(name)| name);
    let name = unescaped(&name).unwrap_or(name);
    if name.is_empty() {
        return Err(Failure::bad_data("invalid label name: \"\""));
    }
    let store = Arc::clone(api.prometheus.store());
    let list = List::read(&form)?;
    let range_ms = list.range_ms.clone();
    let job = move || list.answer(|matchers| store.label_values(&name, matchers, range_ms.clone()));
    api.queries.run(job).await
}

/// What a list of names or values is asked for.
struct List {
    limit: Option<usize>,
    range_ms: std::ops::RangeInclusive<i64>,
    selectors: Vec<Vec<Matcher>>,
}

impl List {
    fn read(form: &Form) -> Result<Self, Failure> {
        Ok(Self {
            limit: params::limit(form)?,
            range_ms: params::times(form)?,
            selectors: params::selectors(form).map_err(Failure::bad_data)?,
        })
    }

    /// What `ask` finds for any of the selectors.
    fn answer(
        &self,
        ask: impl Fn(&[Matcher]) -> Result<Vec<Box<str>>, SourceError>,
    ) -> Result<Response, Failure> {
        let mut found = match self.selectors.as_slice() {
            [] => ask(&[])?,
            [matchers] => ask(matchers)?,
            several => {
                let mut all = BTreeSet::new();
                for matchers in several {
                    all.extend(ask(matchers)?);
                }
                all.into_iter().collect()
            }
        };
        let is_truncated = cut(&mut found, self.limit);
        let answer =
            Answer::new(|out| json::array(out, &found, |out, name| json::string(out, name)));
        Ok(answer.truncated(is_truncated).into_response())
    }
}

/// A name in which `_` is doubled and other characters stand as `_code_`. `None` if it is not one.
fn unescaped(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix(ESCAPED)?;
    let mut out = String::with_capacity(rest.len());
    while let Some((plain, after)) = rest.split_once('_') {
        out.push_str(plain);
        let (code, after) = after.split_once('_')?;
        if code.is_empty() {
            out.push('_');
        } else if code.len() < CODE_DIGITS_MAX + 1
            && code.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        } else {
            return None;
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_escaped() {
        for (name, expected) in [
            ("U__http_2e_status__code", Some("http.status_code")),
            ("U__", Some("")),
            ("U__a_1F600_", Some("a😀")),
            ("U__a_", None),
            ("U__a_zz_", None),
            ("U__a_d800_", None),
            ("U__a_0000020_", None),
            ("job", None),
        ] {
            assert_eq!(unescaped(name).as_deref(), expected, "{name}");
        }
    }
}

//! The envelope of an answer: status, data, remarks.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use promql::Annotations;

use super::json;

/// Remarks of each kind that are shown; the number of the others is said.
const REMARKS_MAX: usize = 10;
const TRUNCATED: &str = "results truncated due to limit";

/// Data is written into it, once; then it is a response.
pub(super) struct Answer {
    body: String,
    remarks: Annotations,
}

impl Answer {
    /// With the data that `write` writes.
    pub(super) fn new(write: impl FnOnce(&mut String)) -> Self {
        let mut body = "{\"status\":\"success\",\"data\":".to_owned();
        write(&mut body);
        Self {
            body,
            remarks: Annotations::default(),
        }
    }

    pub(super) fn remarks(mut self, remarks: Annotations) -> Self {
        self.remarks = remarks;
        self
    }

    /// Says that there was more, if so.
    pub(super) fn truncated(mut self, is_truncated: bool) -> Self {
        if is_truncated {
            self.remarks.warnings.push(TRUNCATED.to_owned());
        }
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(mut self) -> Response {
        write_remarks(&mut self.body, "warning", &self.remarks.warnings);
        write_remarks(&mut self.body, "info", &self.remarks.infos);
        self.body.push('}');
        ([(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

fn write_remarks(out: &mut String, kind: &str, remarks: &[String]) {
    if remarks.is_empty() {
        return;
    }
    let omitted = remarks.len().saturating_sub(REMARKS_MAX);
    let omitted = (omitted > 0).then(|| format!("{omitted} more {kind} annotations omitted"));
    out.push_str(&format!(",\"{kind}s\":"));
    let shown = remarks.iter().take(REMARKS_MAX).chain(&omitted);
    json::array(out, shown, |out, remark| json::string(out, remark));
}

/// Cuts a list to a limit. Whether there was more.
pub(super) fn cut<T>(list: &mut Vec<T>, limit: Option<usize>) -> bool {
    let is_longer = limit.is_some_and(|limit| list.len() > limit);
    if let Some(limit) = limit {
        list.truncate(limit);
    }
    is_longer
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ten_remarks_of_a_kind_are_shown() {
        let warnings: Vec<String> = (0..12).map(|number| format!("<{number}>")).collect();
        let remarks = Annotations {
            warnings,
            infos: vec!["i".to_owned()],
        };
        let response = Answer::new(|out| out.push_str("[]"))
            .remarks(remarks)
            .into_response();
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        let body = std::str::from_utf8(&body).unwrap();
        assert!(
            body.starts_with(
                "{\"status\":\"success\",\"data\":[],\"warnings\":[\"\\u003c0\\u003e\","
            )
        );
        assert!(body.ends_with(
            "\"\\u003c9\\u003e\",\"2 more warning annotations omitted\"],\"infos\":[\"i\"]}"
        ));
    }

    #[test]
    fn a_limit_cuts_what_is_longer() {
        let mut list = vec![1, 2, 3];
        assert!(!cut(&mut list, None));
        assert!(!cut(&mut list, Some(3)));
        assert!(cut(&mut list, Some(2)));
        assert_eq!(list, [1, 2]);
    }
}

//! Which format a page has, by its `Content-Type`. Nothing is guessed from the page.

use super::{Format, cursor::quote};

/// Why a page cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentTypeError {
    #[error("target sends no Content-Type")]
    Missing,
    #[error("target sends the Content-Type {0}, which is not supported")]
    Unsupported(String),
}

impl Format {
    /// By the media type; its parameters do not count, as in Prometheus.
    ///
    /// # Errors
    /// There is none, or it is of another kind.
    pub fn of(content_type: &str) -> Result<Self, ContentTypeError> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "" => Err(ContentTypeError::Missing),
            "application/openmetrics-text" => Ok(Self::OpenMetrics),
            "text/plain" => Ok(Self::Text),
            _ => Err(ContentTypeError::Unsupported(quote(
                content_type.as_bytes(),
            ))),
        }
    }
}

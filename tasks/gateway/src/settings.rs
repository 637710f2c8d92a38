//! Settings of the gateway. Those every process has are `runtime`'s.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use conventions::defaults::TASKS_TABLE;
use reqwest::Url;
use runtime::{Secret, Time};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

runtime::settings! {
    /// Settings of the gateway.
    pub struct Settings {
        /// Where the API is served. Beyond loopback, put something that speaks TLS in front of it.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080));
        /// Where the task-service is: `http` or `https`, with a path if it is below one.
        task_service_url: BaseUrl = BaseUrl::local(8081);
        /// How long the task-service may take for one request, further tries included. What takes longer is a 504. Longer
        /// than the task-service's own limit, which tells more.
        task_service_timeout: Time = Time::from_secs(20);
        /// Shown to the task-service with every request. Without it, none is shown.
        internal_token: Option<Secret> = None;
        /// DynamoDB table with the API keys.
        table: String = TASKS_TABLE.to_owned();
        /// Requests in progress; while there are as many, further ones get 503 at once. 0 refuses all.
        requests_in_flight_max: usize = 512;
        /// How long one request may take: its body, the look-up of its key, and the task-service. What takes longer is a 504.
        request_timeout: Time = Time::from_secs(30);
    }
}

/// Where another service is. Paths are added to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    fn local(port: u16) -> Self {
        format!("http://127.0.0.1:{port}")
            .parse()
            .expect("an address is a URL")
    }

    pub(crate) fn get(&self) -> &Url {
        &self.0
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url: Url = text
            .parse()
            .map_err(|error| format!("`{text}` is no URL: {error}"))?;
        let has_more = url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || has_more {
            return Err(
                "expected http://host or https://host, without credentials, query and fragment"
                    .to_owned(),
            );
        }
        Ok(Self(url))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for BaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_a_place_and_nothing_more() {
        for text in ["http://127.0.0.1:8081", "https://tasks.internal/prefix/"] {
            assert!(text.parse::<BaseUrl>().is_ok(), "{text}");
        }
        for text in [
            "",
            "127.0.0.1:8081",
            "ftp://host",
            "http://user:pass@host",
            "http://host?a=b",
            "http://host#a",
        ] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }
}

//! Settings of a process: one flat struct, one loader. Flag, environment, file, default, in this order.
//!
//! A key `request_timeout` is the flag `--request-timeout`, the variable `TRIPOD_REQUEST_TIMEOUT` and the line
//! `request_timeout = "10s"` of the file that `--config` names. The documentation of the fields is the reference.

use serde::{Serialize, de::DeserializeOwned};

mod load;
mod values;

pub use load::{Error, Loaded, Request, load};
pub use values::{Secret, Time};

/// What [`settings!`](crate::settings!) implements.
pub trait Settings: Default + Serialize + DeserializeOwned {
    /// Every key with its documentation.
    const KEYS: &'static [(&'static str, &'static str)];
}

/// Declares a struct of settings: `/// effect, edge values` and `key: Type = default;` for each.
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident { $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr;)* }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        $vis struct $name { $($(#[doc = $doc])+ pub $key: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $crate::settings::Settings for $name {
            const KEYS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($key), concat!($($doc, "\n",)+)),)*];
        }
    };
}

crate::settings! {
    /// What every process has.
    pub struct Common {
        /// Where metrics, health and faults are served. Keep it where only operators reach it: it asks for no key.
        admin_listen: std::net::SocketAddr = std::net::SocketAddr::from(([127, 0, 0, 1], 9100));
        /// `deployment.environment.name` of every span. Unset, it is what `OTEL_RESOURCE_ATTRIBUTES` says, or `dev`.
        environment: Option<String> = None;
        /// Whether faults can be injected on the admin listener. For scenarios, never in production.
        allow_faults: bool = false;
        /// How long running work may take to end after SIGTERM; what is not done then is cut off.
        drain_timeout: Time = Time::from_secs(10);
    }
}

/// The reference of a process's settings, as Markdown: a table of every key, its default and its documentation.
///
/// `admin_listen` is the default of this process's admin listener.
pub fn render_reference<S: Settings>(name: &str, admin_listen: &str) -> String {
    let own = rows(&S::default(), S::KEYS);
    let common = Common {
        admin_listen: admin_listen.parse().expect("the default is an address"),
        ..Common::default()
    };
    let head = "| key | default | effect |\n|---|---|---|\n";
    format!("## {name}\n\n{head}{own}{}", rows(&common, Common::KEYS))
}

fn rows<S: Serialize>(defaults: &S, keys: &[(&str, &str)]) -> String {
    let defaults = load::table_of(defaults);
    let row = |(key, documentation): &(&str, &str)| {
        let default = defaults
            .get(*key)
            .map(|value| format!("`{value}`"))
            .unwrap_or_default();
        let text: Vec<_> = documentation.lines().map(str::trim).collect();
        format!("| `{key}` | {default} | {} |\n", text.join(" "))
    };
    keys.iter().map(row).collect()
}

#[cfg(test)]
mod tests;

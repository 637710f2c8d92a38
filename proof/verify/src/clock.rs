//! The clock that scenarios run on: real time, real time with everything shortened, or simulated instants.
//!
//! A scenario speaks of the times of the objective ("six minutes"). [`Clock::shortened`] says how long that is on this clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::json;

use crate::http::{Http, HttpError};

/// Scrape and evaluation interval of the system, on a clock that is not shortened.
pub const INTERVAL: Duration = Duration::from_secs(15);

/// How far beyond what is known to be the time of something it is looked for: for the clocks of machines, and the time that a request
/// takes.
pub(crate) const MARGIN_MS: i64 = 60_000;

/// How time passes.
#[derive(Clone, Debug)]
pub enum Clock {
    /// As it does. `factor` divides all windows, intervals and waits: 1, or what the rules were rendered for.
    Real { factor: u32 },
    /// When it is told to: the system scrapes and evaluates at each instant that it is advanced to, and at no other.
    Virtual { control: String, now_ms: i64 },
}

#[derive(Deserialize)]
struct Shown {
    now_ms: i64,
}

impl Clock {
    /// Takes over the virtual clock of a system.
    ///
    /// # Errors
    /// Its control does not answer.
    pub async fn take(control: &str, http: &Http) -> Result<Self, HttpError> {
        let answer = http.get(&format!("{control}/clock")).await?;
        let shown: Shown = answer.json()?;
        Ok(Self::Virtual {
            control: control.to_owned(),
            now_ms: shown.now_ms,
        })
    }

    /// As reports call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Real { factor: 1 } => "real",
            Self::Real { .. } => "compressed",
            Self::Virtual { .. } => "virtual",
        }
    }

    /// What all times are divided by.
    pub fn factor(&self) -> u32 {
        match self {
            Self::Real { factor } => *factor,
            Self::Virtual { .. } => 1,
        }
    }

    /// Unix milliseconds on the clock of the system's samples.
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::Real { .. } => system_ms(),
            Self::Virtual { now_ms, .. } => *now_ms,
        }
    }

    /// A time of the objective, as long as it lasts here.
    pub fn shortened(&self, time: Duration) -> Duration {
        match self {
            Self::Real { factor } => time / *factor,
            Self::Virtual { .. } => time,
        }
    }

    /// Requests that may be counted on the other side of an instant: none where everything waits for it.
    pub fn edge_requests(&self) -> f64 {
        match self {
            Self::Real { .. } => crate::traffic::AT_ONCE_MAX as f64,
            Self::Virtual { .. } => 0.0,
        }
    }

    /// Lets one scrape interval pass, at whose end all targets are scraped and all rules evaluated. On a real clock the
    /// system does so by itself, sometime within it.
    ///
    /// # Errors
    /// The control of a virtual clock does not answer.
    pub async fn step(&mut self, http: &Http) -> Result<(), HttpError> {
        match self {
            Self::Real { factor } => tokio::time::sleep(INTERVAL / *factor).await,
            Self::Virtual { control, now_ms } => {
                *now_ms += INTERVAL.as_millis() as i64;
                let body = json!({"now_ms": *now_ms});
                http.put(&format!("{control}/clock"), &body).await?;
            }
        }
        Ok(())
    }
}

/// Unix milliseconds of this machine.
pub fn system_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

//! The service: one catalogue, one event store, one operation at a time called by name. What each operation does is in
//! `operations`; nothing of HTTP but status codes is known here.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    catalogue::{Catalogue, CatalogueRecovery},
    events::Events,
    operations,
    refusal::Refusal,
};

/// What comes before the name of an operation in `X-Amz-Target`.
pub const TARGET_PREFIX: &str = "Logs_20140328.";

/// A clock: Unix time in milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a service is told.
#[derive(Clone)]
pub struct Options {
    /// Stands in ARNs.
    pub region: String,
    /// Stands in ARNs: twelve digits.
    pub account_id: String,
    pub now: Clock,
}

/// CloudWatch Logs. Its calls block, on files.
pub struct Service {
    pub(crate) options: Options,
    pub(crate) events: Arc<dyn Events>,
    catalogue: Mutex<Catalogue>,
    /// Held by whatever writes, so that nothing is written to a stream while it goes.
    changes: Mutex<()>,
}

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the catalogue of log groups in {}", dir.display())]
pub struct OpenError {
    dir: PathBuf,
    source: io::Error,
}

impl Service {
    /// Opens the catalogue in `dir`, which is made when it is not there; events are in `events`.
    ///
    /// # Errors
    /// When the folder or the catalogue cannot be read or written.
    pub fn open(
        dir: &Path,
        options: Options,
        events: Arc<dyn Events>,
    ) -> Result<(Self, CatalogueRecovery), OpenError> {
        let (catalogue, recovery) = fs::create_dir_all(dir)
            .and_then(|()| Catalogue::open(dir))
            .map_err(|source| OpenError {
                dir: dir.to_owned(),
                source,
            })?;
        let service = Self {
            options,
            events,
            catalogue: Mutex::new(catalogue),
            changes: Mutex::new(()),
        };
        Ok((service, recovery))
    }

    /// The answer to an operation: a JSON object, or nothing where the API says so.
    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> Result<Option<Value>, Refusal> {
        match operation {
            "CreateLogGroup" => operations::create_group(self, request(body)?).map(|()| None),
            "DeleteLogGroup" => operations::delete_group(self, request(body)?).map(|()| None),
            "DescribeLogGroups" => operations::describe_groups(self, request(body)?).map(Some),
            "PutRetentionPolicy" => operations::put_retention(self, request(body)?).map(|()| None),
            "DeleteRetentionPolicy" => {
                operations::delete_retention(self, request(body)?).map(|()| None)
            }
            "CreateLogStream" => operations::create_stream(self, request(body)?).map(|()| None),
            "DeleteLogStream" => operations::delete_stream(self, request(body)?).map(|()| None),
            "DescribeLogStreams" => operations::describe_streams(self, request(body)?).map(Some),
            "PutLogEvents" => operations::put_events(self, request(body)?).map(Some),
            "GetLogEvents" => operations::get_events(self, &request(body)?).map(Some),
            "FilterLogEvents" => operations::filter_events(self, &request(body)?).map(Some),
            _ => Err(operations::refused(operation)),
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.options.now)()
    }

    /// A change that panicked has changed nothing or all: the catalogue is as its journal says.
    pub(crate) fn catalogue(&self) -> MutexGuard<'_, Catalogue> {
        self.catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Service")
            .field("region", &self.options.region)
            .finish_non_exhaustive()
    }
}

/// A request's members; unknown ones are ignored, as the service does. An empty body is an empty object.
fn request<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(Refusal::unreadable)
}

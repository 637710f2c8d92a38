//! The DynamoDB engine: its data folder, its settings, the thread it runs on. Requests reach it
//! through [`forward`].
//!
//! The engine's own HTTP service is the only surface that has all of its checks and error shapes,
//! and it takes nothing but a TCP listener. So it listens on a private loopback port, and the
//! endpoint passes requests on over kept-alive connections. That adds 0.05 ms to a median of 0.2 to
//! 0.5 ms, and buys one more thing: the engine answers on its own thread, so that SQLite never
//! blocks the runtime of the embedding process. One thread is enough, as the engine does one
//! operation at a time.

mod forward;
mod sweep;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use conventions::fields;
use dynoxide::Database;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tracing::dispatcher::{self, Dispatch};

use crate::Error;

/// Target prefix of the service. `DynamoDBStreams_20120810` is deliberately not served: see
/// [`forward`].
pub(crate) const TARGET: &str = "DynamoDB_20120810";
/// The service's own limit on a request.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long closing the database may take.
const STOP_MAX: Duration = Duration::from_secs(5);

const DATABASE_FILE: &str = "dynamodb.sqlite";
/// Held exclusively while the database is open. A file of its own: closing a second handle of the
/// database would drop SQLite's locks.
const LOCK_FILE: &str = "dynamodb.lock";
/// Connections that may wait to be accepted. The endpoint opens one per request in progress.
const BACKLOG: u32 = 1024;

/// A running engine. Dropping it stops it without waiting.
#[derive(Debug)]
pub(crate) struct Engine {
    connections: forward::Connections,
    failures: Failures,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    thread: JoinHandle<()>,
    /// Dropped to stop.
    stop: oneshot::Sender<()>,
}

/// Says once that the engine fails and once that it has recovered, however many requests see it.
#[derive(Debug, Default)]
struct Failures(AtomicBool);

impl Engine {
    /// Opens the database in `data`, or one in memory, and starts serving it.
    pub(crate) async fn start(data: Option<PathBuf>) -> Result<Engine, Error> {
        let (stop, stopped) = oneshot::channel();
        let (started, starting) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("dynamodb".to_owned())
            .spawn(move || run(data.as_deref(), started, stopped))
            .map_err(|source| Error::System { source })?;
        let ended = || Error::System {
            source: io::Error::other("the engine thread ended while it started"),
        };
        let addr = starting.await.map_err(|_| ended())??;
        Ok(Engine {
            connections: forward::Connections::new(addr),
            failures: Failures::default(),
            running: Mutex::new(Some(Running { thread, stop })),
        })
    }

    /// Lets the running operation finish and closes the database.
    pub(crate) async fn stop(&self) {
        self.connections.close();
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Running { thread, stop }) = running else {
            return;
        };
        drop(stop);
        let joined = tokio::task::spawn_blocking(move || thread.join());
        if tokio::time::timeout(STOP_MAX, joined).await.is_err() {
            tracing::warn!("the DynamoDB engine is still busy and ends with the process");
        }
    }
}

impl Failures {
    fn failed(&self, what: &str, error: &dyn std::fmt::Display) {
        if self.is_news(true) {
            tracing::error!({ fields::ERROR } = %error, "{what} fails; this is said once");
        }
    }

    fn succeeded(&self, what: &str) {
        if self.is_news(false) {
            tracing::info!("{what} has recovered");
        }
    }

    fn is_news(&self, failing: bool) -> bool {
        self.0.swap(failing, Ordering::Relaxed) != failing
    }
}

/// All that serving takes.
struct Prepared {
    database: Database,
    runtime: Runtime,
    listener: TcpListener,
    addr: SocketAddr,
    sweeps: sweep::Sweeps,
    lock: Option<File>,
}

/// The engine thread, from opening the database to closing it.
fn run(
    data: Option<&Path>,
    started: oneshot::Sender<Result<SocketAddr, Error>>,
    stopped: oneshot::Receiver<()>,
) {
    let Prepared {
        database,
        runtime,
        listener,
        addr,
        sweeps,
        lock,
    } = match prepare(data) {
        Ok(prepared) => prepared,
        Err(error) => return drop(started.send(Err(error))),
    };
    if started.send(Ok(addr)).is_ok() {
        let until_stopped = async { drop(stopped.await) };
        let serving = dynoxide::server::serve_with_shutdown(listener, database, until_stopped);
        // The engine's events are a warning for each refused condition, which is ordinary; the
        // endpoint says what matters.
        let served = dispatcher::with_default(&Dispatch::none(), || runtime.block_on(serving));
        if let Err(error) = served {
            tracing::error!({ fields::ERROR } = %error, "the DynamoDB engine ended");
        }
    }
    // Connections and sweeps hold the database open; the folder is free when it is closed.
    drop(runtime);
    sweeps.stop();
    // Unlocked rather than only closed: a process that is just being started has a copy of the file until it executes.
    // It fails for no reason that closing the file would not mend.
    let _ = lock.as_ref().map(File::unlock);
    drop(lock);
}

fn prepare(data: Option<&Path>) -> Result<Prepared, Error> {
    let (database, lock) = open(data)?;
    let refused = |source| Error::System { source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(refused)?;
    let (listener, addr) = runtime.block_on(async { listen() }).map_err(refused)?;
    let sweeps = sweep::Sweeps::start(database.clone()).map_err(refused)?;
    Ok(Prepared {
        database,
        runtime,
        listener,
        addr,
        sweeps,
        lock,
    })
}

fn open(data: Option<&Path>) -> Result<(Database, Option<File>), Error> {
    let Some(folder) = data else {
        let memory = PathBuf::from(":memory:");
        let database = Database::memory().map_err(|source| Error::Database {
            path: memory,
            source,
        })?;
        return Ok((database, None));
    };
    let in_folder = |source| Error::Folder {
        path: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(in_folder)?;
    let writable = |name| {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(name))
    };
    let lock = writable(LOCK_FILE).map_err(in_folder)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Error::InUse {
            path: folder.to_owned(),
        },
        TryLockError::Error(source) => in_folder(source),
    })?;
    // SQLite would open a read-only file and fail at the first write.
    drop(writable(DATABASE_FILE).map_err(in_folder)?);
    let path = folder.join(DATABASE_FILE);
    let name = path
        .to_str()
        .ok_or_else(|| in_folder(io::Error::other("the path is not valid UTF-8")))?;
    let opened = Database::new(name).and_then(|database| {
        // Its name notwithstanding, this sets `synchronous = NORMAL`: a commit survives kill -9,
        // without waiting for the disk each time.
        database.disable_bulk_loading()?;
        Ok(database)
    });
    let database = opened.map_err(|source| Error::Database {
        path: path.clone(),
        source,
    })?;
    Ok((database, Some(lock)))
}

fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    // Accepted sockets inherit it; the engine does not set it, and its larger answers would wait
    // for delayed acknowledgements.
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let listener = socket.listen(BACKLOG)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_lasting_failure_and_its_end_are_each_said_once() {
        let failures = Failures::default();
        let said = [false, true, true, false, false, true].map(|failing| failures.is_news(failing));
        assert_eq!(said, [false, true, false, true, false, true]);
    }

    #[test]
    fn a_folder_is_opened_once_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(Some(folder.path())).unwrap();
        assert!(matches!(
            open(Some(folder.path())),
            Err(Error::InUse { .. })
        ));
        drop(opened);
        open(Some(folder.path())).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        let error = open(Some(&file.join("data"))).map(drop).unwrap_err();
        assert!(matches!(error, Error::Folder { .. }), "{error:?}");
        assert!(error.to_string().contains("file/data"), "{error}");
    }

    #[test]
    fn a_database_that_is_none_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DATABASE_FILE);
        let garbage = "not a database at all ".repeat(400);
        std::fs::write(&path, &garbage).unwrap();
        assert!(matches!(
            open(Some(folder.path())),
            Err(Error::Database { .. })
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), garbage);
    }
}

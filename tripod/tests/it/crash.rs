//! kill -9 of every process under load: nothing acknowledged is lost, no effect happens twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    api::Api,
    system::{Start, System, signal, wait_for},
};

const CLIENTS: usize = 4;
/// Kills of single processes, and of the supervisor with everything in it.
const KILLS: usize = 12;
const SUPERVISOR_KILLS: usize = 3;
const PAUSE_MS: std::ops::Range<u64> = 400..1_200;

/// The system, exchanged while clients run.
struct Running<'a> {
    folder: &'a Path,
    system: Mutex<Option<System>>,
    over: AtomicBool,
}

impl Running<'_> {
    fn api(&self) -> Option<Api> {
        self.system
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(Api::new)
    }

    fn kill_one(&self) {
        let service = ["gateway", "task-service", "worker"][rand::random_range(0..3)];
        let system = self.system.lock().unwrap();
        let pid = system.as_ref().unwrap().pid(service);
        // The process may just have ended by itself: then there is nothing to kill.
        if Path::new(&format!("/proc/{pid}")).exists() {
            signal(pid, Signal::KILL);
        }
    }

    fn kill_all(&self) {
        let system = self.system.lock().unwrap().take().unwrap();
        system.kill();
        let restarted = System::start(self.folder, &Start::default());
        *self.system.lock().unwrap() = Some(restarted);
    }
}

/// Creates tasks, each until it is acknowledged, as a client with an idempotency key does. Titles and acknowledged ids.
fn client(running: &Running<'_>, number: usize) -> BTreeMap<String, String> {
    let mut acknowledged = BTreeMap::new();
    let mut count = 0;
    while !running.over.load(Ordering::Relaxed) {
        count += 1;
        let title = format!("{number}-{count}");
        let id = wait_for("an acknowledgement", || acknowledge(running, &title));
        acknowledged.insert(title, id);
    }
    acknowledged
}

fn acknowledge(running: &Running<'_>, title: &str) -> Option<String> {
    let api = running.api()?;
    let request = api
        .request(reqwest::Method::POST, "/v1/tasks")
        .header("idempotency-key", title);
    let response = request.json(&json!({"title": title})).send().ok()?;
    let status = response.status();
    assert!(
        status == StatusCode::CREATED || status.is_server_error() || status == StatusCode::CONFLICT,
        "{status}"
    );
    (status == StatusCode::CREATED).then(|| response.json::<Value>().ok())??["id"]
        .as_str()
        .map(str::to_owned)
}

/// Ids of every task of the workspace by title.
fn listed(api: &Api) -> BTreeMap<String, Vec<String>> {
    let mut tasks: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/v1/tasks?limit=100{cursor}"));
        for task in page["items"].as_array().unwrap() {
            let title = task["title"].as_str().unwrap().to_owned();
            tasks
                .entry(title)
                .or_default()
                .push(task["id"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return tasks,
        }
    }
}

#[test]
fn kill_9_of_any_process_loses_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running {
        folder: folder.path(),
        system: Mutex::new(Some(System::start(folder.path(), &Start::default()))),
        over: AtomicBool::new(false),
    };
    let acknowledged: BTreeMap<_, _> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn({
                    let running = &running;
                    move || client(running, number)
                })
            })
            .collect();
        for kill in 0..KILLS {
            thread::sleep(Duration::from_millis(rand::random_range(PAUSE_MS)));
            running.kill_one();
            if kill % (KILLS / SUPERVISOR_KILLS) == KILLS / SUPERVISOR_KILLS - 1 {
                running.kill_all();
            }
        }
        running.over.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });

    let api = running.api().unwrap();
    let found = wait_for("the gateway", || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| listed(&api))).ok()
    });
    let lost: BTreeSet<_> = acknowledged
        .iter()
        .filter(|(title, id)| !found.get(*title).is_some_and(|ids| ids.contains(id)))
        .collect();
    assert!(lost.is_empty(), "acknowledged and not found: {lost:?}");
    let doubled: Vec<_> = found.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(doubled.is_empty(), "made twice: {doubled:?}");

    for (title, id) in &acknowledged {
        let entries = wait_for("the history", || {
            let entries = api.activity(id);
            (!entries.is_empty()).then_some(entries)
        });
        assert_eq!(entries, ["created"], "history of {title}");
    }
    println!(
        "kill -9: {} tasks acknowledged, {} found, {} history entries, 0 twice; {KILLS} processes and {SUPERVISOR_KILLS} supervisors killed",
        acknowledged.len(),
        found.len(),
        acknowledged.len(),
    );
}

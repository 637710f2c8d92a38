//! The manager on a real clock, with real sockets and a real disk: deliveries that fail, peers that are slow, restarts and kills.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use alertmanager::{
    config::Config,
    machine::Options,
    manager::{Manager, system_clock},
    view::GettableSilence,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::sink::Sink;

/// Set for the process that is killed.
const CHILD_FOLDER: &str = "TRIPOD_TEST_ALERTMANAGER_FOLDER";

struct Running {
    manager: Manager,
    sink: Sink,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Groups of which each waits for nothing and is told once; receivers are chosen by the label `to`.
fn config(sink: &Sink, receivers: &[(&str, &str)]) -> Arc<Config> {
    let mut text = "route:\n  receiver: none\n  group_by: ['...']\n  group_wait: 0s\n  group_interval: 1h\n  routes:\n".to_owned();
    for (name, _) in receivers {
        text += &format!("    - {{receiver: {name}, matchers: [to={name}]}}\n");
    }
    text += "receivers:\n  - {name: none}\n";
    for (name, options) in receivers {
        text += &format!(
            "  - {{name: {name}, webhook_configs: [{{url: 'http://{}/{name}'{options}}}]}}\n",
            sink.address
        );
    }
    Arc::new(Config::parse(&text, Path::new(".")).unwrap())
}

impl Running {
    async fn start(folder: &Path, receivers: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sink = Sink::start().await;
        let config = config(&sink, receivers);
        let (manager, _) =
            Manager::open(folder, config, Options::default(), system_clock()).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (manager, stop) = (manager.clone(), stop.clone());
            async move { manager.run(stop).await }
        });
        Self {
            manager,
            sink,
            stop,
            task,
        }
    }

    fn fire(&self, to: &str, name: &str) {
        let alerts = json!([{"labels": {"to": to, "n": name}}]);
        let alerts = serde_json::from_value(alerts).unwrap();
        assert_eq!(self.manager.receive(alerts), []);
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_and_what_is_final_is_not() {
    let folder = folder();
    let receivers = [
        ("busy", ""),
        ("refuses", ""),
        ("redirects", ", http_config: {follow_redirects: false}"),
    ];
    let running = Running::start(folder.path(), &receivers).await;
    running.sink.answer("/busy", &[500, 429]);
    running.sink.answer("/refuses", &[400]);
    running.sink.answer("/redirects", &[302]);
    running.fire("refuses", "1");
    running.fire("redirects", "1");
    running.sink.wait_for("/refuses", 1).await;
    running.sink.wait_for("/redirects", 1).await;
    running.fire("busy", "1");
    running.sink.wait_for("/busy", 3).await;
    let answers = |path| -> Vec<u16> {
        let requests = running.sink.requests(path).into_iter();
        requests.map(|request| request.answer).collect()
    };
    assert_eq!(answers("/busy"), [500, 429, 200]);
    // The two pauses above would have been long enough for another attempt.
    assert_eq!(
        (answers("/refuses"), answers("/redirects")),
        (vec![400], vec![302])
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_answer_holds_up_nobody_else() {
    let folder = folder();
    let running = Running::start(
        folder.path(),
        &[("slow", ", timeout: 300ms"), ("dead", ""), ("well", "")],
    )
    .await;
    running.sink.answer("/slow", &[0, 0]);
    running.sink.answer("/dead", &[0; 1_000]);
    for number in 0..100 {
        running.fire("dead", &number.to_string());
    }
    running.fire("slow", "1");
    // As many as one URL may have under way.
    running.sink.wait_for("/dead", 16).await;
    for number in 0..10 {
        running.fire("well", &number.to_string());
    }
    running.sink.wait_for("/well", 10).await;
    running.sink.wait_for("/slow", 3).await;
    assert_eq!(running.sink.requests("/dead").len(), 16);
    let answers: Vec<u16> = running
        .sink
        .requests("/slow")
        .iter()
        .map(|request| request.answer)
        .collect();
    assert_eq!(answers, [0, 0, 200]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_sent_and_read_anew() {
    let folder = folder();
    let file = folder.path().join("token");
    std::fs::write(&file, "one\n").unwrap();
    let options = format!(
        ", http_config: {{authorization: {{credentials_file: '{}'}}}}",
        file.display()
    );
    let basic = ", http_config: {basic_auth: {username: u, password: p}}";
    let running = Running::start(folder.path(), &[("token", &options), ("basic", basic)]).await;
    running.fire("token", "1");
    running.fire("basic", "1");
    running.sink.wait_for("/token", 1).await;
    running.sink.wait_for("/basic", 1).await;
    std::fs::write(&file, "two").unwrap();
    running.fire("token", "2");
    running.sink.wait_for("/token", 2).await;
    let has = |path, index: usize, line: &str| {
        let headers = running.sink.requests(path)[index].headers.clone();
        assert!(headers.iter().any(|header| header == line), "{headers:?}");
    };
    has("/token", 0, "authorization: Bearer one");
    has("/token", 1, "authorization: Bearer two");
    has("/basic", 0, "authorization: Basic dTpw");
    has("/basic", 0, "content-type: application/json");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_is_not_told_again_after_a_restart() {
    let folder = folder();
    let running = Running::start(folder.path(), &[("a", "")]).await;
    running.fire("a", "1");
    running.sink.wait_for("/a", 1).await;
    // The next is told after the first was written down.
    running.fire("a", "2");
    running.sink.wait_for("/a", 2).await;
    running.stop().await;
    let running = Running::start(folder.path(), &[("a", "")]).await;
    running.fire("a", "1");
    running.fire("a", "3");
    running.sink.wait_for("/a", 1).await;
    let told: Vec<_> = running
        .sink
        .requests("/a")
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["commonLabels"]["n"], "3");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_survives_a_kill() {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        return silence_and_wait(Path::new(&folder)).await;
    }
    let folder = folder();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "running::a_silence_survives_a_kill"])
        .env(CHILD_FOLDER, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let done = folder.path().join("done");
    peers::wait_until(std::time::Duration::from_secs(60), || done.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let running = Running::start(folder.path(), &[]).await;
    let silences: Vec<GettableSilence> = running
        .manager
        .ask(|machine, now_ms| machine.silences(&[], now_ms));
    let comments: Vec<&str> = silences
        .iter()
        .map(|silence| silence.comment.as_str())
        .collect();
    assert_eq!(comments, ["kept"]);
    assert_eq!(
        std::fs::read_to_string(done).unwrap(),
        silences[0].id.to_string()
    );
    running.stop().await;
}

/// What the process does that is killed. Nothing runs in it that would store the silence later.
async fn silence_and_wait(folder: &Path) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = config(&Sink::start().await, &[]);
    let (manager, _) = Manager::open(folder, config, Options::default(), system_clock()).unwrap();
    let silence = json!({
        "matchers": [{"name": "a", "value": "b", "isRegex": false}],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2999-01-01T00:00:00Z",
        "createdBy": "test",
        "comment": "kept",
    });
    let id = manager
        .set_silence(serde_json::from_value(silence).unwrap())
        .unwrap();
    let new = folder.join("done.new");
    std::fs::write(&new, id.to_string()).unwrap();
    std::fs::rename(new, folder.join("done")).unwrap();
    std::future::pending().await
}

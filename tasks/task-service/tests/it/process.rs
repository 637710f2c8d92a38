//! A process under test, the AWS endpoints it talks to, and waiting for a condition. The worker's tests use it as well.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use aws_local::{AwsLocal, Options};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use store::{JobQueue, Store};
use tasks_api::JobId;
use telemetry::testing::{OtlpSink, Span};

/// For anything that must come to hold: far above what is needed on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
pub(crate) const TABLE: &str = "tests";
pub(crate) const QUEUE: &str = "jobs";

/// One AWS endpoint. It can go away and come back at the same address: with its tables, without its messages.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
    running: Option<AwsLocal>,
}

/// DynamoDB and SQS at endpoints of their own, so that each can go away alone.
pub(crate) struct Aws {
    pub(crate) dynamodb: Endpoint,
    pub(crate) sqs: Endpoint,
}

/// A process, and everything it says. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    admin: String,
    pub(crate) client: Client,
    pub(crate) sink: OtlpSink,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Endpoint {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut endpoint = Self {
            address: "127.0.0.1:0".parse().unwrap(),
            folder,
            running: None,
        };
        endpoint.restart().await;
        endpoint
    }

    /// Connections are refused from now on.
    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    pub(crate) async fn restart(&mut self) {
        let options = Options {
            data: Some(self.folder.path().to_owned()),
            ..Options::default()
        };
        let running = AwsLocal::bind(self.address, options).await.unwrap();
        self.address = running.addr();
        self.running = Some(running);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Aws {
    pub(crate) async fn start() -> Self {
        Self {
            dynamodb: Endpoint::start().await,
            sqs: Endpoint::start().await,
        }
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(self.dynamodb_client(), TABLE)
    }

    /// Makes a job's item unreadable, as no process of ours would.
    pub(crate) async fn damage_job(&self, job: JobId) {
        let request = self.dynamodb_client().update_item().table_name(TABLE);
        let request = request
            .key("pk", AttributeValue::S(format!("JOB#{job}")))
            .key("sk", AttributeValue::S("JOB".into()));
        let request = request.update_expression("SET kind = :kind");
        let kind = AttributeValue::S("unheard_of".into());
        request
            .expression_attribute_values(":kind", kind)
            .send()
            .await
            .unwrap();
    }

    fn dynamodb_client(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(self.dynamodb.url())
            .credentials_provider(Credentials::new("any", "any", None, None, "tests"))
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    pub(crate) fn sqs_client(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(self.sqs.url())
            .credentials_provider(Credentials::new("any", "any", None, None, "tests"))
            .interceptor(telemetry::aws::Interceptor::new())
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// The queue, once somebody has made it.
    pub(crate) async fn queue(&self) -> JobQueue {
        eventually("the queue", async || {
            JobQueue::connect(self.sqs_client(), QUEUE).await.ok()
        })
        .await
    }

    /// The queue when it is so old that nothing sent from now on is taken for lost: its age is told in whole seconds.
    pub(crate) async fn aged_queue(&self) -> JobQueue {
        let queue = self.queue().await;
        let created_at = queue.created_at().await.unwrap();
        let is_aged = || Timestamp::now().duration_since(created_at) > SignedDuration::from_secs(1);
        eventually("the next second", async || is_aged().then_some(())).await;
        queue
    }
}

impl Process {
    /// Starts a program on these endpoints, with faults allowed. It may take a while until it is [ready](Self::ready).
    pub(crate) async fn start(program: &str, aws: &Aws, environment: &[(&str, &str)]) -> Self {
        // `telemetry::init` does this in a process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sink = OtlpSink::start().unwrap();
        let mut command = Command::new(program);
        command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
            .env("AWS_ENDPOINT_URL_DYNAMODB", aws.dynamodb.url())
            .env("AWS_ENDPOINT_URL_SQS", aws.sqs.url())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint())
            .env("TRIPOD_LISTEN", "127.0.0.1:0")
            .env("TRIPOD_ADMIN_LISTEN", "127.0.0.1:0")
            .env("TRIPOD_TABLE", TABLE)
            .env("TRIPOD_QUEUE", QUEUE)
            .env("TRIPOD_ALLOW_FAULTS", "true")
            .envs(environment.iter().copied());
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (output, kept) = (
            BufReader::new(child.stdout.take().unwrap()),
            Arc::clone(&lines),
        );
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                kept.lock()
                    .unwrap()
                    .push(serde_json::from_str(&line).expect("a log line is JSON"));
            }
        });
        let mut process = Self {
            child,
            admin: String::new(),
            client: Client::builder()
                .no_proxy()
                .timeout(DEADLINE)
                .build()
                .unwrap(),
            sink,
            lines,
        };
        let started = process.log_line("process started").await;
        process.admin = format!("http://{}", started["fields"]["admin"].as_str().unwrap());
        process
    }

    pub(crate) async fn ready(&self) {
        eventually("readiness", async || {
            (self.readiness().await.0 == StatusCode::OK).then_some(())
        })
        .await;
    }

    /// The answer of `/readyz`.
    pub(crate) async fn readiness(&self) -> (StatusCode, String) {
        let answer = self.admin(Method::GET, "/readyz").send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// A request to the admin listener.
    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.admin))
    }

    pub(crate) async fn fault(&self, target: &str, effect: Value) {
        let mut body = json!({"target": target, "for_seconds": 600});
        body.as_object_mut()
            .unwrap()
            .extend(effect.as_object().unwrap().clone());
        let answer = self
            .admin(Method::PUT, "/faults/test")
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_success(),
            "{}",
            answer.text().await.unwrap()
        );
    }

    pub(crate) async fn heal(&self) {
        let answer = self
            .admin(Method::DELETE, "/faults/test")
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success());
    }

    /// The sum of all samples of a metric with these labels; none if there is no such sample.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let page = self
            .admin(Method::GET, "/metrics")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let samples = page
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")));
        let samples = samples.filter(|line| labels.iter().all(|label| line.contains(label)));
        let values = samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
        values.reduce(|sum, value| sum + value)
    }

    /// Log lines so far whose message begins like this.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let begins = |line: &&Value| {
            line["fields"]["message"]
                .as_str()
                .is_some_and(|text| text.starts_with(message))
        };
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(begins).cloned().collect()
    }

    /// The first log line whose message begins like this, when it is there.
    pub(crate) async fn log_line(&self, message: &str) -> Value {
        eventually(message, async || self.logged(message).first().cloned()).await
    }

    /// What of the spans exported so far is wanted, once there is something.
    pub(crate) async fn span(&self, what: &str, is_wanted: impl Fn(&Span) -> bool) -> Span {
        eventually(what, async || {
            self.sink.spans().into_iter().find(|span| is_wanted(span))
        })
        .await
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGTERM, and the end in order. What was exported and said until then stays readable.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.ended().await
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        eventually("the end of the process", async || {
            self.child.try_wait().unwrap()
        })
        .await
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} for {what}");
        tokio::time::sleep(POLL).await;
    }
}

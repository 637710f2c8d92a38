//! `tripod aws`: the three services answer alone, over TLS too, keep what they have over a restart, and take what Fluent Bit sends with
//! the file and the flags of compose.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use conventions::resource::{GATEWAY, TASK_SERVICE, WORKER};
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    api::{Api, client},
    logs::CloudWatch,
    system::{Guarded, command, run_to_end, signal, wait, wait_for},
};

/// Any credentials will do, but there have to be some.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=local/20261124/us-east-1/any/aws4_request, SignedHeaders=host, Signature=0";
/// What it says first.
const READY: &str = "AWS is ready.";

/// `tripod aws` on free ports.
struct Aws {
    process: Guarded,
    http: String,
    tls: String,
    ca_file: PathBuf,
}

impl Aws {
    fn start(data: &Path) -> Self {
        let mut command = command(&["aws", "--ports", "auto", "--data"]);
        let mut process = command
            .arg(data)
            .stderr(Stdio::inherit())
            .spawn()
            .map(Guarded)
            .unwrap();
        let mut lines = BufReader::new(process.0.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some(READY));
        let said: Vec<String> = lines
            .by_ref()
            .skip(1)
            .take_while(|line| !line.is_empty())
            .collect();
        // Whoever stops reading would break its pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let after = |start: &str| {
            let line = said.iter().find_map(|line| line.trim().strip_prefix(start));
            line.unwrap_or_else(|| panic!("{said:?}")).trim().to_owned()
        };
        let over_tls = after("CloudWatch Logs over TLS");
        let (tls, ca_file) = over_tls.split_once("   CA: ").unwrap();
        Self {
            http: after("DynamoDB, SQS, CloudWatch Logs"),
            tls: tls.to_owned(),
            ca_file: ca_file.into(),
            process,
        }
    }

    fn call(&self, target: &str, request: &Value) -> Value {
        let request = client()
            .post(&self.http)
            .header("X-Amz-Target", target)
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("X-Amz-Date", "20261124T000000Z")
            .header("Authorization", SIGNED)
            .body(request.to_string());
        let answer = request.send().unwrap();
        let status = answer.status();
        let answer: Value = answer.json().unwrap_or_default();
        assert_eq!(status, StatusCode::OK, "{target}: {answer}");
        answer
    }

    fn cloudwatch(&self) -> CloudWatch {
        CloudWatch::at(&self.tls, &self.ca_file)
    }

    fn stop(mut self) {
        signal(self.process.0.id(), Signal::TERM);
        assert!(wait(&mut self.process.0).success());
    }
}

#[test]
fn the_three_services_answer_alone_and_keep_what_they_have() {
    let folder = tempfile::tempdir().unwrap();
    let aws = Aws::start(folder.path());
    let table = json!({
        "TableName": "items", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}]
    });
    aws.call("DynamoDB_20120810.CreateTable", &table);
    let item = json!({"k": {"S": "a"}, "v": {"N": "7"}});
    let put = json!({"TableName": "items", "Item": item});
    aws.call("DynamoDB_20120810.PutItem", &put);
    let queue = aws.call("AmazonSQS.CreateQueue", &json!({"QueueName": "jobs"}));
    let message = json!({"QueueUrl": queue["QueueUrl"], "MessageBody": "job"});
    aws.call("AmazonSQS.SendMessage", &message);
    let received = json!({"QueueUrl": queue["QueueUrl"]});
    let received = aws.call("AmazonSQS.ReceiveMessage", &received);
    assert_eq!(received["Messages"][0]["Body"], "job");
    aws.cloudwatch().put(GATEWAY, "a line");
    // Where compose looks for it.
    let data = folder.path().canonicalize().unwrap();
    let expected = Path::new("cloudwatch/tls/ca.pem");
    assert_eq!(aws.ca_file.strip_prefix(data).unwrap(), expected);
    let ca_file = fs::read(&aws.ca_file).unwrap();

    // Its folder is its own while it runs.
    let mut second = command(&["aws", "--ports", "auto", "--data"]);
    second.arg(folder.path());
    let (status, errors) = run_to_end(second);
    assert!(
        !status.success() && errors.contains("another tripod runs on"),
        "{errors}"
    );

    aws.stop();
    let aws = Aws::start(folder.path());
    let got = json!({"TableName": "items", "Key": {"k": {"S": "a"}}});
    let got = aws.call("DynamoDB_20120810.GetItem", &got);
    assert_eq!(got["Item"], item);
    assert_eq!(
        fs::read(&aws.ca_file).unwrap(),
        ca_file,
        "another authority"
    );
    let lines = aws.cloudwatch().lines(GATEWAY, "");
    assert!(lines.contains("a line"), "{lines:?}");
    aws.stop();
}

#[test]
fn services_that_run_elsewhere_work_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let aws = Aws::start(&folder.path().join("aws"));
    let credentials = folder.path().join("credentials");
    let text = "[default]\naws_access_key_id = local\naws_secret_access_key = local\n";
    fs::write(&credentials, text).unwrap();
    let (gateway, task_service) = (free(), free());
    let key = store::KeyText::generate().unwrap().reveal();
    let _services: Vec<Guarded> = [
        (GATEWAY, "TRIPOD_LISTEN", gateway.clone()),
        (TASK_SERVICE, "TRIPOD_LISTEN", task_service.clone()),
        (WORKER, "TRIPOD_ADMIN_LISTEN", free()),
    ]
    .map(|(service, name, value)| {
        let mut command = command(&[service]);
        command
            .env("AWS_ENDPOINT_URL", &aws.http)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_SHARED_CREDENTIALS_FILE", &credentials)
            .env("OTEL_SDK_DISABLED", "true")
            .env("TRIPOD_ADMIN_LISTEN", free())
            .env("TRIPOD_TASK_SERVICE_URL", format!("http://{task_service}"))
            .env("TRIPOD_SEED_API_KEYS", format!("demo={key}"))
            .env(name, value)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        Guarded(command.spawn().unwrap())
    })
    .into();
    let api = Api {
        client: client(),
        gateway: format!("http://{gateway}"),
        key,
    };
    let title = json!({"title": "Elsewhere"});
    let task: Value = wait_for("a task", || {
        let made = api.request(Method::POST, "/v1/tasks").json(&title).send();
        let made = made.ok()?;
        (made.status() == StatusCode::CREATED).then(|| made.json().unwrap())
    });
    wait_for("its job to be done", || {
        (api.activity(task["id"].as_str().unwrap()) == ["created"]).then_some(())
    });
}

#[test]
fn what_fluent_bit_sends_with_the_file_of_compose_arrives() {
    let Some(program) = peers::component("fluent-bit") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let aws = Aws::start(&folder.path().join("aws"));
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let line =
        json!({"service": GATEWAY, "level": "INFO", "timestamp": "2026-11-24T03:00:00.000001Z"});
    fs::write(logs.join("gateway.log"), format!("{line}\n")).unwrap();
    let _fluent_bit = fluent_bit(&program, folder.path(), &aws);
    let cloudwatch = aws.cloudwatch();
    wait_for("the line in CloudWatch", || {
        cloudwatch
            .lines(GATEWAY, "")
            .contains(&line.to_string())
            .then_some(())
    });
}

/// Loki is not there; a destination that is away holds up no other one.
fn fluent_bit(program: &Path, folder: &Path, aws: &Aws) -> Guarded {
    let (host, port) = aws
        .tls
        .strip_prefix("https://")
        .and_then(|it| it.split_once(':'))
        .unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/fluent-bit/fluent-bit.yaml");
    let mut command = Command::new(program);
    command
        .arg("--config")
        .arg(file)
        .env_clear()
        .env("TRIPOD_LOGS", folder.join("logs"))
        .env("TRIPOD_FLUENT_BIT_DATA", folder.join("data"))
        .env("TRIPOD_ENV", "local")
        .env("TRIPOD_INSTANCE", "compose")
        .env("TRIPOD_FLUENT_BIT_HEALTH", port_of(&free()))
        .env("TRIPOD_LOKI_HOST", "127.0.0.1")
        .env("TRIPOD_LOKI_PORT", port_of(&free()))
        .env("TRIPOD_CLOUDWATCH_HOST", host)
        .env("TRIPOD_CLOUDWATCH_PORT", port)
        .env("TRIPOD_CLOUDWATCH_CA", &aws.ca_file)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Guarded(command.spawn().unwrap())
}

/// An address that nobody listens on now.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn port_of(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

//! Golden answers: each file in a folder is a list of requests with the answers they get. `UPDATE_GOLDEN=1` writes them anew.
//! Those in `golden/` are of Tempo; other surfaces have folders of their own.
//!
//! A request is a line `> METHOD path`, then `> name = value` for each parameter, then `> Header: value`. With the content type
//! of a form the parameters are its body. Under it stand the status and content type, and the body (in hexadecimal when it is
//! protobuf).

use std::{env, fs, net::SocketAddr, path::Path};

use opentelemetry_proto::tonic::{
    common::v1::{ArrayValue, InstrumentationScope, KeyValueList, any_value::Value},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status, TracesData,
        span::{Event, Link},
    },
};
use prost::Message;

use crate::{
    client::{Client, target},
    data::{any, pair, text},
    serving::Ours,
};

/// When the tests take place: 2026-11-23T11:00:00Z.
const NOW_NS: u64 = 1_795_431_600_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;
const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) fn now_ns() -> u64 {
    NOW_NS
}

#[test]
fn answers_are_the_golden_ones() {
    let ours = Ours::start(now_ns);
    ours.store
        .ingest(&traces().encode_to_vec(), NOW_NS)
        .unwrap();
    check(ours.address, "golden", 8);
}

/// The answers of a surface are those in the files, of which there are so many at least.
pub(crate) fn check(address: SocketAddr, folder: &str, files_min: usize) {
    let mut client = Client::new(address);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(folder);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(
        files.len() >= files_min,
        "the golden files are not in {}",
        folder.display()
    );
    let mut different = Vec::new();
    for file in files {
        let expected = fs::read_to_string(&file).unwrap();
        let actual = answered(&mut client, &expected);
        if actual == expected {
            continue;
        }
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, &actual).unwrap();
        }
        different.push(format!("{}:\n{actual}", file.display()));
    }
    assert!(
        different.is_empty(),
        "not as expected, now:\n{}",
        different.join("\n")
    );
}

/// The file as it would be with the answers of now.
fn answered(client: &mut Client, file: &str) -> String {
    let mut out = String::new();
    let mut lines = file.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(request) = line.strip_prefix("> ") else {
            if line.starts_with('#') {
                out.push_str(line);
                out.push('\n');
            }
            continue;
        };
        let (method, path) = request.split_once(' ').unwrap();
        out.push_str(&format!("{line}\n"));
        let (mut parameters, mut headers) = (Vec::new(), Vec::new());
        while let Some(more) = lines.peek().and_then(|line| line.strip_prefix("> ")) {
            out.push_str(&format!("> {more}\n"));
            match more.split_once(" = ") {
                Some(parameter) => parameters.push(parameter),
                None => headers.push(more.split_once(": ").unwrap()),
            }
            lines.next();
        }
        let is_form = headers.contains(&("Content-Type", FORM));
        let (path, body) = match is_form {
            true => (path.to_owned(), target("", &parameters)[1..].to_owned()),
            false => (target(path, &parameters), String::new()),
        };
        let answer = client.ask(method, &path, &headers, body.as_bytes());
        let body = match answer.content_type.as_str() {
            "application/protobuf" => answer
                .body
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            _ => answer.text().to_owned(),
        };
        out.push_str(&format!(
            "{} {}\n{}\n\n",
            answer.status,
            answer.content_type,
            body.trim_end()
        ));
    }
    out
}

/// Two traces. The first has everything that a span can have, the second no root and a short id.
fn traces() -> TracesData {
    let mut id = [0; 16];
    id[15] = 0xab;
    let start = NOW_NS - 5_000 * MILLISECOND_NS;
    let orphan = Span {
        trace_id: id.to_vec(),
        span_id: vec![0, 0, 0, 0, 0, 0, 0, 1],
        parent_span_id: vec![0xc7; 8],
        name: "orphan".to_owned(),
        kind: 1,
        start_time_unix_nano: start + 1_200 * MILLISECOND_NS,
        end_time_unix_nano: start + 1_200 * MILLISECOND_NS + 1_000,
        ..Span::default()
    };
    let first = vec![
        text("service.name", "gateway"),
        pair("replica", Value::IntValue(1)),
    ];
    TracesData {
        resource_spans: vec![
            resource(first, vec![server(start), client(start)]),
            resource(
                vec![text("service.name", "task-service")],
                vec![internal(start)],
            ),
            resource(Vec::new(), vec![orphan]),
        ],
    }
}

fn resource(
    attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>,
    spans: Vec<Span>,
) -> ResourceSpans {
    let scope = (attributes.len() == 2).then(|| InstrumentationScope {
        name: "lib".to_owned(),
        version: "1.0".to_owned(),
        attributes: vec![text("scope.kind", "made-up")],
        ..InstrumentationScope::default()
    });
    ResourceSpans {
        resource: Some(Resource {
            attributes,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope,
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

const TRACE_ID: [u8; 16] = *b"\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c";

fn server(start: u64) -> Span {
    let letters = ["a", "b"].map(|letter| any(Value::StringValue(letter.to_owned())));
    let pairs = vec![pair("a", Value::IntValue(-1))];
    Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: vec![0xb7; 8],
        trace_state: "a=b".to_owned(),
        name: "GET /a".to_owned(),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 1_000 * MILLISECOND_NS,
        attributes: vec![
            pair("http.response.status_code", Value::IntValue(500)),
            text("text", "<a&b>é\u{2028}"),
            pair("ratio", Value::DoubleValue(1.5)),
            pair("large", Value::DoubleValue(1e21)),
            pair("flag", Value::BoolValue(true)),
            pair(
                "letters",
                Value::ArrayValue(ArrayValue {
                    values: letters.to_vec(),
                }),
            ),
            pair("bytes", Value::BytesValue(vec![1, 2])),
            pair("pairs", Value::KvlistValue(KeyValueList { values: pairs })),
            pair("zero", Value::IntValue(0)),
            text("empty", ""),
        ],
        dropped_attributes_count: 3,
        events: vec![Event {
            time_unix_nano: start + 500 * MILLISECOND_NS,
            name: "exception".to_owned(),
            attributes: vec![text("exception.type", "E")],
            ..Event::default()
        }],
        links: vec![Link {
            trace_id: vec![0x1a; 16],
            span_id: vec![0x17; 8],
            trace_state: "q=1".to_owned(),
            attributes: vec![text("link.kind", "follows")],
            ..Link::default()
        }],
        status: Some(Status {
            code: 2,
            message: "boom".to_owned(),
        }),
        ..Span::default()
    }
}

fn client(start: u64) -> Span {
    Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: vec![0xc7; 8],
        parent_span_id: vec![0xb7; 8],
        name: "POST".to_owned(),
        kind: 3,
        start_time_unix_nano: start + 100 * MILLISECOND_NS,
        end_time_unix_nano: start + 500 * MILLISECOND_NS,
        attributes: vec![text("http.request.method", "POST")],
        ..Span::default()
    }
}

fn internal(start: u64) -> Span {
    Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: vec![0xd7; 8],
        parent_span_id: vec![0xc7; 8],
        name: "q".to_owned(),
        kind: 1,
        start_time_unix_nano: start + 200 * MILLISECOND_NS,
        end_time_unix_nano: start + 300 * MILLISECOND_NS,
        ..Span::default()
    }
}

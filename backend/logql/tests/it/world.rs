//! Lines of every kind: JSON, logfmt, plain ones, packed ones, coloured ones, and broken ones of each kind.

use tsdb::Labels;

use crate::memory::Line;

pub(crate) const SECOND: i64 = 1_000_000_000;
/// The time zero of all data. A whole hour: the real one moves the ends of spans to multiples of the step.
pub(crate) const START_NS: i64 = 1_790_002_800 * SECOND;
pub(crate) const LENGTH_S: i64 = 600;

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len() as u64) as usize]
    }
}

const LEVELS: [&str; 4] = ["debug", "info", "warn", "error"];
const PATHS: [&str; 5] = ["/", "/tasks", "/tasks/42", "/health", "/a b?x=1&y=%20"];
const ODD: [&str; 16] = [
    "",
    " ",
    "{\"broken\": ",
    "{\"a\":1,\"b\":tru}",
    "[1,2,3]",
    "\"just text\"",
    "level=error msg=\"unterminated",
    "a=b=c d=1 =2 e",
    "tab\there = spaced \"quoted\"",
    "ünïcödé 日本語 level=info dauer=5s",
    "{\"deep\":{\"er\":{\"est\":[1,{\"x\":\"y\"}],\"n\":null,\"t\":true}},\"1st\":\"digit\",\"sp ace\":\"v\"}",
    "ip=10.1.2.3 other=fe80::1 end",
    "100% <html> & \\ back\\slash",
    "{\"level\":\"fatal\",\"app\":\"inner\",\"trace_id\":\"in-line\",\"msg\":\"caf\\u00e9\\n\\\"q\\\"\"}",
    "key=\"esc \\\"x\\\" \\u0041\" flag latency=12ms size=3KB",
    "\u{1b}[31mred\u{1b}[0m and \u{1b}[1;32mgreen\u{1b}[0m",
];

pub(crate) fn lines() -> Vec<Line> {
    let mut numbers = Numbers(7);
    let mut lines = Vec::new();
    for index in 0..LENGTH_S * 2 {
        let n = &mut numbers;
        let jitter = n.below(400_000_000) as i64;
        let t_ns = START_NS + index * SECOND / 2 + jitter;
        let level = n.one_of(&LEVELS);
        let (stream, text): (Vec<(&str, &str)>, String) = match index % 6 {
            0 => (vec![("app", "json"), ("env", "prod")], json(n, level)),
            1 => (
                vec![("app", "logfmt"), ("env", "prod"), ("level", level)],
                logfmt(n, level),
            ),
            2 => (vec![("app", "nginx"), ("env", "dev")], nginx(n)),
            3 => (
                vec![("app", "odd"), ("env", "dev")],
                n.one_of(&ODD).to_owned(),
            ),
            4 => (vec![("app", "packed")], packed(n, level)),
            _ => (vec![("app", "counter"), ("env", "prod")], counter(n, index)),
        };
        let mut metadata = Vec::new();
        if n.below(3) > 0 {
            metadata.push(("trace_id".to_owned(), format!("{:08x}", n.below(40))));
        }
        if n.below(5) == 0 {
            metadata.push(("env".to_owned(), "meta".to_owned()));
        }
        lines.push(Line {
            stream: Labels::new(stream),
            t_ns,
            metadata,
            text,
        });
    }
    lines
}

fn json(n: &mut Numbers, level: &str) -> String {
    let (status, ms) = (200 + 100 * n.below(4), n.below(900));
    let (path, size) = (n.one_of(&PATHS), n.below(5000));
    format!(
        "{{\"level\":\"{level}\",\"status\":{status},\"duration\":\"{ms}ms\",\"seconds\":{}.{:03},\"path\":\"{path}\",\
         \"size\":\"{size}B\",\"user\":{{\"id\":{},\"name\":\"u{}\"}},\"tags\":[\"a\",\"b\"],\"none\":null,\"ok\":{}}}",
        n.below(3),
        n.below(1000),
        n.below(20),
        n.below(5),
        status < 500,
    )
}

fn logfmt(n: &mut Numbers, level: &str) -> String {
    let (ms, bytes) = (n.below(3000), n.below(100_000));
    let (path, user) = (n.one_of(&PATHS), n.below(5));
    let ip = format!("10.{}.{}.{}", n.below(3), n.below(3), n.below(9));
    format!(
        "level={level} ts={} msg=\"request done\" path=\"{path}\" took={ms}ms bytes={bytes} size={}KiB user=u{user} ip={ip} empty= flag value={}.{}",
        n.below(1000),
        n.below(64),
        n.below(10),
        n.below(100),
    )
}

fn nginx(n: &mut Numbers) -> String {
    let ip = format!("192.168.{}.{}", n.below(3), n.below(30));
    let (method, path) = (n.one_of(&["GET", "POST", "DELETE"]), n.one_of(&PATHS));
    let (status, bytes) = (200 + 100 * n.below(4), n.below(10_000));
    format!("{ip} - - [21/Sep/2026] \"{method} {path} HTTP/1.1\" {status} {bytes} \"-\" \"curl/8\"")
}

fn packed(n: &mut Numbers, level: &str) -> String {
    let pod = n.below(3);
    match n.below(8) {
        0 => "no object".into(),
        1 => format!("{{\"pod\":\"p{pod}\"}}"),
        _ => format!(
            "{{\"_entry\":\"level={level} n={}\",\"pod\":\"p{pod}\",\"app\":\"again\",\"number\":5}}",
            n.below(9)
        ),
    }
}

fn counter(n: &mut Numbers, index: i64) -> String {
    let total = (index % 240) * 3 + n.below(3) as i64;
    let gauge = n.one_of(&["1.5", "-2", "0", "1e3", "NaN", "+Inf", "oops", "7"]);
    format!("total={total} gauge={gauge} shard=s{}", n.below(2))
}

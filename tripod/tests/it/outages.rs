//! Components of the real stack killed with SIGKILL and held down under steady traffic: no request feels it, no log line is lost, and every
//! span is accounted for.
//!
//! The supervisor starts a killed component again, so it is killed again until the outage is over. An outage lasts [`OUTAGE_DEFAULT`], or
//! as long as `TRIPOD_OUTAGE_SECONDS` says.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use conventions::{
    metrics::{OUTCOME, OUTCOME_DROPPED, OUTCOME_EXPORTED, OUTCOME_FAILED, TELEMETRY_SPANS},
    resource::{GATEWAY, SERVICE_NAME, SERVICES, TASK_SERVICE},
};
use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, any_value::Value},
    trace::v1::{ResourceSpans, TracesData},
};
use prost::Message as _;
use reqwest::{Method, StatusCode, blocking::Client};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use serde_json::json;
use telemetry::sampling::predicate;

use crate::{
    api::{Api, client},
    logs::{CloudWatch, Loki},
    stack::{self, DECISION_WAIT, Leftovers},
    system::System,
};

/// Killed one after the other.
const KILLED: [&str; 3] = [COLLECTOR, "loki", "fluent-bit"];
const COLLECTOR: &str = "otelcol";
const OUTAGE: &str = "TRIPOD_OUTAGE_SECONDS";
const OUTAGE_DEFAULT: Duration = Duration::from_secs(5);
/// So short that a component that was started again does not listen yet when it is killed.
const KILL_POLL: Duration = Duration::from_millis(5);
/// Pause between two requests.
const PACE: Duration = Duration::from_millis(50);
/// Requests before the first outage: for longer than [`HELD_FOR`].
const REQUESTS_BEFORE: usize = 160;
/// Requests after each outage.
const REQUESTS_AFTER: usize = 40;
/// Spans that a service holds at most: so few that an outage overflows it.
const QUEUE: (&str, &str) = ("OTEL_BSP_MAX_QUEUE_SIZE", "100");
/// A trace that began so long before the Collector was killed is decided and in its queue on disk. The Collector waits for two seconds and
/// looks once a second which traces have waited, and spans come up to a second after their end; the rest is for a busy machine.
const HELD_FOR: Duration = Duration::from_secs(6);
/// All spans of these are of requests. The worker also has traces of its own, for asking the queue.
const ACCOUNTED: [&str; 2] = [GATEWAY, TASK_SERVICE];
/// How long everything may take to arrive after the last outage: Fluent Bit waits for up to half a minute between attempts.
const PATIENCE: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(500);

/// A request that was made.
struct Made {
    trace_id: TraceId,
    begun: SystemTime,
}

/// What became of a service's spans, as it counts them itself.
#[derive(Clone, Copy, Debug)]
struct Counted {
    exported: u64,
    lost: u64,
}

/// When a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its trace was decided when the Collector was killed.
    Decided,
    /// The Collector may have held its trace.
    Held,
    /// The Collector was away, or is back.
    After,
}

/// A service's spans of all requests. The few beyond the usual, as when the gateway looks up a key now and then, may be anywhere.
#[derive(Debug)]
struct Account {
    requests: u64,
    /// Spans that a request usually makes.
    each: u64,
    made: u64,
    stored: u64,
    /// As the service counts them.
    lost: u64,
    held: u64,
    missing_before: u64,
    missing_after: u64,
}

#[test]
fn no_line_is_lost_and_no_span_unaccounted_for_while_components_are_killed() {
    if !stack::is_at_hand() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let _leftovers = Leftovers(folder.path().join("data"));
    let system = stack::start(&folder, &[DECISION_WAIT, QUEUE]);
    // Each has a span of its start, which is none of a request.
    let before = ACCOUNTED.map(|service| {
        wait_for("the span of a start", || match counted(&system, service) {
            counted if counted.exported > 0 => Ok(counted),
            counted => Err(format!("{service}: {counted:?}")),
        })
    });
    let (made, collector_killed) = outages_under_traffic(&system);
    every_line_is_there(&system);
    every_span_is_accounted_for(&system, &before, &made, collector_killed);
    assert!(system.stop().success());
}

/// What was asked meanwhile, and when the Collector was killed.
fn outages_under_traffic(system: &System) -> (Vec<Made>, SystemTime) {
    let lasting = env::var(OUTAGE).map_or(OUTAGE_DEFAULT, |seconds| {
        Duration::from_secs(seconds.parse().expect("TRIPOD_OUTAGE_SECONDS is a number"))
    });
    let made = Mutex::new(Vec::new());
    let is_over = AtomicBool::new(false);
    let api = Api::new(system);
    let killed = thread::scope(|scope| {
        // Also when this fails: otherwise the traffic would go on for ever.
        let _end = AtEnd(&is_over);
        scope.spawn(|| make_requests(&api, &made, &is_over));
        let count = || made.lock().unwrap_or_else(PoisonError::into_inner).len();
        let further = |requests| {
            let goal = count() + requests;
            wait_for("requests", || match count() {
                count if count >= goal => Ok(()),
                count => Err(format!("{count} of {goal}")),
            });
        };
        further(REQUESTS_BEFORE);
        KILLED.map(|component| {
            let killed = hold_down(system, component, lasting);
            further(REQUESTS_AFTER);
            killed
        })
    });
    (made.into_inner().unwrap(), killed[0])
}

struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Creates tasks, each in a trace that is kept. None of it may feel that telemetry is away.
fn make_requests(api: &Api, made: &Mutex<Vec<Made>>, is_over: &AtomicBool) {
    let ids = || TraceId::from_bytes(rand::random());
    while !is_over.load(Ordering::SeqCst) {
        let trace_id = std::iter::repeat_with(ids).find(|id| predicate().keeps(*id));
        let (trace_id, begun) = (trace_id.unwrap(), SystemTime::now());
        let request = api
            .request(Method::POST, "/v1/tasks")
            .header("traceparent", format!("00-{trace_id}-00000000000000aa-01"))
            .json(&json!({"title": "Made in an outage"}));
        let answer = request.send().unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        made.push(Made { trace_id, begun });
        drop(made);
        thread::sleep(PACE);
    }
}

/// Kills a component and whatever the supervisor starts in its place until the time is over, and waits until it is ready again. When it was
/// killed first.
fn hold_down(system: &System, component: &str, lasting: Duration) -> SystemTime {
    let begun = Instant::now();
    let mut killed = BTreeSet::from([system.pid(component)]);
    let first = killed.first().copied().and_then(Pid::from_raw);
    kill_process(first.unwrap(), Signal::KILL).unwrap();
    let killed_at = SystemTime::now();
    while begun.elapsed() < lasting {
        let pid = system.pid(component);
        if killed.insert(pid) {
            match kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL) {
                // It has ended by itself.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => panic!("{component} cannot be killed: {error}"),
            }
        }
        thread::sleep(KILL_POLL);
    }
    let url = system.run()["components"][component].clone();
    let client = client();
    wait_for(component, || {
        let answer = client.get(url.as_str().unwrap()).send();
        let answer = answer.map_err(|error| error.to_string())?;
        let is_another = !killed.contains(&system.pid(component));
        match answer.status() {
            StatusCode::OK if is_another => Ok(()),
            status => Err(format!("it answers {status}")),
        }
    });
    println!(
        "{component} was down for {lasting:?}, killed {} times, and ready {:.1?} later",
        killed.len(),
        begun.elapsed().saturating_sub(lasting)
    );
    let ends = format!("\"child\":\"{component}\"");
    let log = system.log("backend");
    let said = log
        .lines()
        .filter(|line| line.contains("process ended") && line.contains(&ends));
    assert_eq!(said.count(), killed.len(), "{log}");
    killed_at
}

/// Every line of the log files, byte for byte, and no other one.
fn every_line_is_there(system: &System) {
    let (loki, cloudwatch) = (Loki::of(system), CloudWatch::of(system));
    let since = Instant::now();
    for service in SERVICES {
        let query = format!("{{service=\"{service}\"}}");
        let in_loki = || loki.all(&query);
        let in_cloudwatch = || cloudwatch.lines(service, "");
        let stores: [(&str, &dyn Fn() -> BTreeSet<String>); 2] =
            [("Loki", &in_loki), ("CloudWatch", &in_cloudwatch)];
        for (store, lines) in stores {
            let what = format!("the lines of {service} in {store}");
            let found = wait_for(&what, || {
                let log = system.log(service);
                let written: BTreeSet<String> = log.lines().map(str::to_owned).collect();
                assert_eq!(written.len(), log.lines().count(), "lines are the same");
                let found = lines();
                let foreign: Vec<_> = found.difference(&written).collect();
                assert!(foreign.is_empty(), "{what}: {foreign:?}");
                let missing: Vec<_> = written.difference(&found).collect();
                match missing.first() {
                    Some(first) => Err(format!("{} are missing, as {first}", missing.len())),
                    None => Ok(found.len()),
                }
            });
            println!("{what}: all {found}, {:.0?} after the end", since.elapsed());
        }
    }
}

/// made = stored + counted as lost by the service + held for their decision by the Collector when it was killed.
fn every_span_is_accounted_for(
    system: &System,
    before: &[Counted; ACCOUNTED.len()],
    made: &[Made],
    collector_killed: SystemTime,
) {
    let tempo = system.run()["tempo"].as_str().unwrap().to_owned();
    let client = client();
    let mut stored = vec![[0; ACCOUNTED.len()]; made.len()];
    let mut each = [u64::MAX; ACCOUNTED.len()];
    let accounts = wait_for("every span", || {
        for (made, stored) in made.iter().zip(&mut stored) {
            if stored.iter().zip(&each).any(|(stored, each)| stored < each) {
                *stored = spans(&client, &tempo, made.trace_id);
            }
        }
        let accounts: [Account; ACCOUNTED.len()] = std::array::from_fn(|service| {
            let traces = made.iter().zip(&stored);
            let traces: Vec<(Phase, u64)> = traces
                .map(|(made, stored)| (made.phase(collector_killed), stored[service]))
                .collect();
            Account::of(
                before[service],
                counted(system, ACCOUNTED[service]),
                &traces,
            )
        });
        each = accounts.each_ref().map(|account| account.each);
        match accounts.iter().all(Account::is_closed) {
            true => Ok(accounts),
            false => Err(format!("{accounts:?}")),
        }
    });
    for (service, account) in ACCOUNTED.iter().zip(accounts) {
        println!("{service}: {account:?}");
        // Otherwise nothing was proven of those that are lost.
        assert!(account.lost > 0, "no span was lost");
    }
}

impl Made {
    fn phase(&self, collector_killed: SystemTime) -> Phase {
        match self.begun {
            begun if begun > collector_killed => Phase::After,
            begun if begun + HELD_FOR > collector_killed => Phase::Held,
            _ => Phase::Decided,
        }
    }
}

impl Account {
    fn of(before: Counted, now: Counted, traces: &[(Phase, u64)]) -> Self {
        let decided = traces.iter().filter(|(phase, _)| *phase == Phase::Decided);
        let mut usual: BTreeMap<u64, usize> = BTreeMap::new();
        for (_, stored) in decided {
            *usual.entry(*stored).or_default() += 1;
        }
        let (each, _) = usual.into_iter().max_by_key(|(_, traces)| *traces).unwrap();
        let missing = |of: Phase| {
            let of = traces.iter().filter(|(phase, _)| *phase == of);
            of.map(|(_, stored)| each.saturating_sub(*stored)).sum()
        };
        let lost = now.lost - before.lost;
        Self {
            requests: traces.len() as u64,
            each,
            made: now.exported - before.exported + lost,
            stored: traces.iter().map(|(_, stored)| stored).sum(),
            lost,
            held: missing(Phase::Held),
            missing_before: missing(Phase::Decided),
            missing_after: missing(Phase::After),
        }
    }

    fn is_closed(&self) -> bool {
        let Some(further) = self.made.checked_sub(self.requests * self.each) else {
            // Some wait to be exported.
            return false;
        };
        let is_small = |left: Option<u64>| left.is_some_and(|left| left <= further);
        let accounted = self.stored + self.lost + self.held;
        self.each > 0
            && self.missing_before == 0
            && is_small(self.lost.checked_sub(self.missing_after))
            && is_small(self.made.checked_sub(accounted))
    }
}

fn counted(system: &System, service: &str) -> Counted {
    let url = format!("{}/metrics", system.admin(service));
    let page = client().get(url).send().unwrap().text().unwrap();
    let of = |outcome: &str| {
        let label = format!("{OUTCOME}=\"{outcome}\"");
        let mut samples = page
            .lines()
            .filter(|line| line.starts_with(TELEMETRY_SPANS));
        let sample = samples.find(|line| line.contains(&label)).unwrap();
        let (_, value) = sample.split_once("} ").unwrap();
        value.parse::<f64>().unwrap() as u64
    };
    Counted {
        exported: of(OUTCOME_EXPORTED),
        lost: of(OUTCOME_DROPPED) + of(OUTCOME_FAILED),
    }
}

/// How many spans of each service Tempo has of a trace; one that was delivered twice counts once.
fn spans(client: &Client, tempo: &str, trace_id: TraceId) -> [u64; ACCOUNTED.len()] {
    let request = client
        .get(format!("{tempo}/api/traces/{trace_id}"))
        .header("accept", "application/protobuf");
    let answer = request.send().unwrap();
    if answer.status() == StatusCode::NOT_FOUND {
        return [0; ACCOUNTED.len()];
    }
    assert_eq!(answer.status(), StatusCode::OK);
    let trace = TracesData::decode(answer.bytes().unwrap()).unwrap();
    ACCOUNTED.map(|service| {
        let resources = trace.resource_spans.iter();
        let spans = resources
            .filter(|spans| is_of(spans, service))
            .flat_map(|spans| &spans.scope_spans)
            .flat_map(|scope| &scope.spans);
        let ids: BTreeSet<&[u8]> = spans.map(|span| &span.span_id[..]).collect();
        ids.len() as u64
    })
}

fn is_of(spans: &ResourceSpans, service: &str) -> bool {
    let expected = AnyValue {
        value: Some(Value::StringValue(service.to_owned())),
    };
    let resource = spans.resource.iter();
    resource
        .flat_map(|resource| &resource.attributes)
        .any(|it| it.key == SERVICE_NAME && it.value.as_ref() == Some(&expected))
}

/// Asks until there is an answer; the last reason why there is none otherwise.
fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match condition() {
            Ok(value) => return value,
            Err(reason) if Instant::now() >= deadline => {
                panic!("waited {PATIENCE:?} for {what}: {reason}")
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}

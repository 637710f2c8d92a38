//! Beside the real Prometheus: the same targets, the same configuration file, and every series compared through its API.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tsdb::{Labels, is_stale};

use crate::{
    odd_pages::{EXPLAINED, ODD},
    world::{OPENMETRICS, Reply, Server, TEXT, World, ok, status, wait_until},
};

const STARTED_WITHIN: Duration = Duration::from_secs(30);
/// After so many scrapes of a page, its series are settled: what vanished has its marker, and nothing is new.
const SCRAPES_TO_SETTLE: usize = 3;
/// Phases, names and jobs of what lives on in Prometheus when its page is refused: it ends only what does not stand on the page
/// before what is wrong with it, though a scrape that fails is to end every series of its target. Ours ends them all.
const OUTLIVING: [(usize, &str, &str); 3] =
    [(2, "a", "cut"), (2, "b", "limited"), (4, "d", "limited")];

/// Every series by its labels, and the bits of its last value.
type Series = BTreeMap<Labels, u64>;

/// Pages that change: what is served now, and how often Prometheus asked.
struct Pages {
    server: Server,
    phase: Arc<AtomicUsize>,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Pages {
    /// For each path its answers, one for each phase.
    async fn start(pages: BTreeMap<String, Vec<Vec<u8>>>) -> Self {
        let (phase, asked) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::<Mutex<BTreeMap<String, usize>>>::default(),
        );
        let (now, counts) = (Arc::clone(&phase), Arc::clone(&asked));
        let server = Server::start(move |head| {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            if head.to_lowercase().contains("user-agent: prometheus/") {
                *counts.lock().unwrap().entry(path.clone()).or_default() += 1;
            }
            let answers = &pages[&path];
            Reply::Bytes(answers[now.load(Ordering::SeqCst).min(answers.len() - 1)].clone())
        })
        .await;
        Self {
            server,
            phase,
            asked,
        }
    }

    /// Shows the next pages and waits until Prometheus knows them all.
    async fn settle(&self, phase: usize, paths: usize) {
        self.phase.store(phase, Ordering::SeqCst);
        self.asked.lock().unwrap().clear();
        wait_until("Prometheus has scraped every page", || {
            let asked = self.asked.lock().unwrap();
            // One more than needed: the last one may not be stored yet.
            asked.len() == paths && asked.values().all(|count| *count > SCRAPES_TO_SETTLE)
        })
        .await;
    }
}

/// The real one on this configuration.
struct Prometheus {
    _process: peers::Peer,
    _folder: tempfile::TempDir,
    url: String,
}

impl Prometheus {
    fn start(yaml: &str) -> Option<Self> {
        let program = peers::component("prometheus")?;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, yaml).unwrap();
        let address = peers::free_address();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .args(["--enable-feature=exemplar-storage", "--log.level=error"])
            .stdout(Stdio::null());
        let process = peers::Peer::start(command, &[address], STARTED_WITHIN).unwrap();
        Some(Self {
            _process: process,
            _folder: folder,
            url: format!("http://{address}/api/v1"),
        })
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = reqwest::Url::parse_with_params(&format!("{}/{path}", self.url), query).unwrap();
        let answer = reqwest::get(url).await.unwrap().text().await.unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"].take()
    }

    /// What is not stale now. How long a scrape took is nobody else's.
    async fn series(&self) -> Series {
        let found = self
            .get(
                "query",
                &[(
                    "query",
                    r#"{job=~".+",__name__!="scrape_duration_seconds"}"#,
                )],
            )
            .await;
        let series = found["result"].as_array().unwrap().iter();
        series
            .map(|series| (labels(&series["metric"]), bits(&series["value"][1])))
            .collect()
    }
}

fn labels(object: &Value) -> Labels {
    Labels::new(
        object
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap())),
    )
}

/// Of a number as the API writes it.
fn bits(value: &Value) -> u64 {
    value.as_str().unwrap().parse::<f64>().unwrap().to_bits()
}

/// The same of ours.
fn ours(world: &World) -> Series {
    let stored = world.sink.series.lock().unwrap();
    let last = stored
        .iter()
        .map(|(labels, samples)| (labels, samples.last().unwrap().1));
    let live = last.filter(|(labels, value)| {
        !is_stale(*value) && labels.get("__name__") != "scrape_duration_seconds"
    });
    live.map(|(labels, value)| (labels.clone(), value.to_bits()))
        .collect()
}

fn compare(theirs: &Series, ours: &Series, about: &str) {
    let keys: BTreeSet<&Labels> = theirs.keys().chain(ours.keys()).collect();
    let differing = keys
        .into_iter()
        .filter(|key| theirs.get(key) != ours.get(key));
    let differing: Vec<String> = differing
        .map(|key| {
            let of = |series: &Series| series.get(key).copied().map(f64::from_bits);
            format!("{key:?}: theirs {:?}, ours {:?}", of(theirs), of(ours))
        })
        .collect();
    assert!(
        differing.is_empty(),
        "{about}: {} of {} differ\n{}",
        differing.len(),
        theirs.len(),
        differing.join("\n")
    );
}

async fn settle(world: &World, pages: &Pages, phase: usize, paths: usize, now_ms: &mut i64) {
    pages.settle(phase, paths).await;
    for _ in 0..SCRAPES_TO_SETTLE {
        *now_ms += 1000;
        world.scrape(*now_ms).await;
    }
}

const RICH: &str = "# HELP a Help with \\\\ and \\n
# TYPE a histogram
a_bucket{le=\"1\"} 1
a_bucket{le=\"2.50\"} 2
a_bucket{le=\"+Inf\"} 3
a_sum 4.5e+20
a_count 3
# TYPE s summary
s{quantile=\"0.5\"} 1e-9
b{job=\"page\",service=\"page\",exported_service=\"x\",empty=\"\"} +Inf
c{instance=\"\",service=\"\"} -Inf
d{x=\"\\\"q\\\" \\\\ \\n ü\"} NaN
{\"dotted.name\",\"a.b\"=\"c\"} 1
go_x 1
keep_Me{shard=\"7\"} 1
";

const WITH_EXEMPLARS: &str = "# TYPE e counter
# UNIT e_seconds seconds
e_total{code=\"200\"} 17 # {trace_id=\"abc\",span_id=\"0f\"} 1 TIME
e_total{code=\"500\"} 3
e_created{code=\"200\"} 1.5e9
# TYPE h_seconds histogram
# UNIT h_seconds seconds
h_seconds_bucket{le=\"0.1\"} 1 # {trace_id=\"def\"} 0.05
h_seconds_bucket{le=\"+Inf\"} 3 # {trace_id=\"ghi\"} 7 TIME
h_seconds_count 3
# EOF
";

fn yaml(address: &str) -> String {
    format!(
        "global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}
scrape_configs:
- job_name: plain
  metrics_path: /rich
  static_configs: [{{targets: ['{address}'], labels: {{service: own}}}}]
- job_name: honoring
  honor_labels: true
  metrics_path: /rich
  static_configs: [{{targets: ['{address}'], labels: {{service: own}}}}]
- job_name: relabelling
  metrics_path: /rich
  params: {{q: [a b, c]}}
  static_configs:
  - {{targets: ['{address}', '127.0.0.1:1'], labels: {{service: own, __meta_group: g1}}}}
  relabel_configs:
  - {{source_labels: [__address__], regex: '.*:1', action: drop}}
  - {{source_labels: [__meta_group, service], regex: 'g(.);(.*)', target_label: group, replacement: '$2-${{1}}'}}
  - {{action: labelmap, regex: '__meta_(.*)', replacement: 'meta_$1'}}
  - {{source_labels: [__address__], target_label: shard, modulus: 7, action: hashmod}}
  - {{source_labels: [__param_q], target_label: q}}
  metric_relabel_configs:
  - {{source_labels: [__name__], regex: 'go_.*', action: drop}}
  - {{source_labels: [__name__], regex: 'a_(.*)', target_label: __name__, replacement: 'renamed_$1'}}
  - {{source_labels: [__name__], target_label: lower, action: lowercase}}
  - {{source_labels: [__name__], target_label: upper, action: uppercase}}
  - {{source_labels: [shard], target_label: exported_shard, action: dropequal}}
  - {{regex: 'le|empty', action: labeldrop}}
- job_name: limited
  sample_limit: 5
  metrics_path: /rich
  static_configs: [{{targets: ['{address}']}}]
- job_name: few_labels
  label_limit: 5
  metrics_path: /rich
  static_configs: [{{targets: ['{address}']}}]
- job_name: exemplars
  metrics_path: /exemplars
  static_configs: [{{targets: ['{address}']}}]
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_that_of_prometheus() {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let exemplars = WITH_EXEMPLARS.replace("TIME", &format!("{now}.25"));
    let rich = |text: &str| ok(TEXT, text.as_bytes());
    let less = RICH.replace("a_count 3\n", "").replace("d{", "f{").replace(
        "b{job=\"page\",service=\"page\"",
        "b{service=\"page\",job=\"page\"",
    );
    let answers = vec![
        rich(RICH),
        rich(&less),
        status("500 Internal Server Error"),
        rich("a 1\n"),
        rich(""),
        rich("a 1\nbad\n"),
        rich(RICH),
    ];
    let phases = answers.len();
    let exemplars = ok(OPENMETRICS, exemplars.as_bytes());
    let pages = BTreeMap::from([
        ("/rich".to_owned(), answers.clone()),
        ("/rich?q=a+b&q=c".to_owned(), answers),
        ("/exemplars".to_owned(), vec![exemplars]),
    ]);
    let paths = pages.len();
    let pages = Pages::start(pages).await;
    let yaml = yaml(&pages.server.address.to_string());
    let Some(prometheus) = Prometheus::start(&yaml) else {
        return;
    };
    let world = World::driven(&yaml).await;
    let mut now_ms = 0;
    let mut compared = 0;
    for phase in 0..phases {
        settle(&world, &pages, phase, paths, &mut now_ms).await;
        let theirs = prometheus.series().await;
        compare(&theirs, &ours(&world), &format!("phase {phase}"));
        compared += theirs.len();
    }
    assert!(compared > 200, "only {compared} series");

    let targets = prometheus.get("targets", &[]).await;
    let mut theirs: Vec<_> = targets["activeTargets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| {
            let url = target["scrapeUrl"].as_str().unwrap().to_owned();
            (
                labels(&target["discoveredLabels"]),
                labels(&target["labels"]),
                url,
                target["health"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let shown = world.manager.targets();
    let mut ours: Vec<_> = shown
        .active
        .iter()
        .map(|status| {
            let target = &status.target;
            (
                target.discovered.clone(),
                target.labels.clone(),
                target.url.to_string(),
                status.health.name().to_owned(),
            )
        })
        .collect();
    theirs.sort();
    ours.sort();
    assert_eq!(theirs, ours);
    let dropped = &targets["droppedTargets"][0]["discoveredLabels"];
    let ours = shown
        .dropped
        .iter()
        .flat_map(|dropped| &dropped.discovered)
        .next()
        .unwrap();
    assert_eq!(dropped["__address__"], ours.get("__address__"));

    let exemplars = prometheus
        .get(
            "query_exemplars",
            &[
                ("query", "{job=\"exemplars\"}"),
                ("start", "0"),
                ("end", "99999999999"),
            ],
        )
        .await;
    let mut theirs = BTreeSet::new();
    for series in exemplars.as_array().unwrap() {
        for exemplar in series["exemplars"].as_array().unwrap() {
            let t_s = exemplar["timestamp"].as_f64().unwrap();
            let t_s = if t_s.fract() == 0.25 {
                t_s.to_string()
            } else {
                "of the scrape".to_owned()
            };
            theirs.insert((
                labels(&series["seriesLabels"]),
                labels(&exemplar["labels"]),
                bits(&exemplar["value"]),
                t_s,
            ));
        }
    }
    let stored = world.sink.exemplars.lock().unwrap();
    let ours: BTreeSet<_> = stored
        .iter()
        .map(|of| {
            let t_s = if of.exemplar.t_ms % 1000 == 250 {
                (of.exemplar.t_ms as f64 / 1000.0).to_string()
            } else {
                "of the scrape".to_owned()
            };
            (
                of.labels.clone(),
                of.exemplar.labels.clone(),
                of.exemplar.value.to_bits(),
                t_s,
            )
        })
        .collect();
    assert_eq!(theirs, ours);
    assert_eq!(theirs.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_odd_page_is_taken_or_refused_as_prometheus_does() {
    let mut pages = BTreeMap::new();
    let mut groups = String::new();
    let texts = ODD
        .iter()
        .flat_map(|page| [(TEXT, *page), (OPENMETRICS, *page)]);
    for (n, (content_type, page)) in texts.enumerate() {
        pages.insert(format!("/{n}"), vec![ok(content_type, page.as_bytes())]);
        groups += &format!(
            "  - {{targets: ['ADDRESS'], labels: {{__metrics_path__: /{n}, page: '{n}'}}}}\n"
        );
    }
    let paths = pages.len();
    let pages = Pages::start(pages).await;
    let groups = groups.replace("ADDRESS", &pages.server.address.to_string());
    let yaml = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: odd\n  honor_timestamps: false\n  static_configs:\n{groups}"
    );
    let Some(prometheus) = Prometheus::start(&yaml) else {
        return;
    };
    let world = World::driven(&yaml).await;
    settle(&world, &pages, 0, paths, &mut 0).await;
    let (theirs, ours) = (prometheus.series().await, ours(&world));
    let differing: BTreeSet<usize> = theirs
        .keys()
        .chain(ours.keys())
        .filter(|key| theirs.get(key) != ours.get(key))
        .map(|key| key.get("page").parse().unwrap())
        .collect();
    let page = |n: usize| {
        (
            if n.is_multiple_of(2) {
                TEXT
            } else {
                OPENMETRICS
            },
            ODD[n / 2],
        )
    };
    let differing: BTreeSet<_> = differing.into_iter().map(page).collect();
    let explained: BTreeSet<_> = EXPLAINED
        .iter()
        .map(|(content_type, page, _)| (*content_type, *page))
        .collect();
    assert_eq!(differing, explained);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_on_a_refused_page_is_counted_as_prometheus_does() {
    let text = |page: &str| ok(TEXT, page.as_bytes());
    let answers = BTreeMap::from([
        (
            "/cut".to_owned(),
            vec![
                text("a 1\nb 1\nbad\n"),
                text("a 1\nb 1\nc 1\n"),
                text("a 1\nd 1\nd 2\nbad 1 1 1\n"),
                text(""),
                text("d 1\ne 1\nf 1\n"),
            ],
        ),
        (
            "/limited".to_owned(),
            vec![
                text("a 1\nb 1\nc 1\n"),
                text("b 1\nc 1\n"),
                text("d 1\nb 1\nc 1\n"),
                text("d 1\nc 1\n"),
                text("d 1\nc{x=\"1234\"} 1\ne 1\n"),
            ],
        ),
    ]);
    let phases = answers["/cut"].len();
    let paths = answers.len();
    let pages = Pages::start(answers).await;
    let job = |path: &str, options: &str| {
        format!(
            "- job_name: {path}\n  metrics_path: /{path}\n  static_configs: [{{targets: ['{}']}}]\n{options}",
            pages.server.address
        )
    };
    let yaml = format!(
        "global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}\nscrape_configs:\n{}{}",
        job("cut", ""),
        job(
            "limited",
            "  sample_limit: 2\n  label_value_length_limit: 30\n"
        )
    );
    let Some(prometheus) = Prometheus::start(&yaml) else {
        return;
    };
    let world = World::driven(&yaml).await;
    let (mut now_ms, mut explained) = (0, 0);
    for phase in 0..phases {
        settle(&world, &pages, phase, paths, &mut now_ms).await;
        let added = prometheus
            .get(
                "query",
                &[("query", "sum_over_time(scrape_series_added[1h])")],
            )
            .await;
        let theirs: BTreeMap<String, f64> = added["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|series| {
                let job = series["metric"]["job"].as_str().unwrap().to_owned();
                (job, series["value"][1].as_str().unwrap().parse().unwrap())
            })
            .collect();
        let ours = world.sink.series_added();
        assert_eq!(theirs, ours, "phase {phase}");
        let mut theirs = prometheus.series().await;
        theirs.retain(|labels, _| {
            let outlives = (phase, labels.get("__name__"), labels.get("job"));
            let is_explained = OUTLIVING.contains(&outlives);
            explained += usize::from(is_explained);
            !is_explained
        });
        compare(&theirs, &self::ours(&world), &format!("phase {phase}"));
    }
    assert_eq!(explained, OUTLIVING.len());
}

#[test]
fn promtool_takes_the_file_of_the_system() {
    let Some(promtool) = peers::component("promtool") else {
        return;
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/prometheus.yml");
    let checked = Command::new(promtool)
        .args(["check", "config"])
        .arg(file)
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

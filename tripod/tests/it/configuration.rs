//! `docs/configuration.md` lists every setting of every process, generated from the settings themselves.

use std::{env, fs, path::Path};

use runtime::{Service, settings::render_reference};

const GOLDEN: &str = "docs/configuration.md";
const HEAD: &str = "# Configuration

Every process starts with no configuration at all. A key `request_timeout` is the flag `--request-timeout`, the environment
variable `TRIPOD_REQUEST_TIMEOUT`, or the line `request_timeout = \"10s\"` of the TOML file that `--config` names; a flag beats
the environment, the environment beats the file, and the file beats the default. An unknown flag or key is an error that names
its source, with exit code 2. Durations have a unit: `250ms`, `10s`, `5m`, `1h`.

`tripod up` has its own few flags (`tripod up --help`) and sets addresses, token and keys of its children; every other variable
reaches them unchanged.

What the standards name keeps its name: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_ENDPOINT` and its
relatives, `OTEL_BSP_*`, `OTEL_SDK_DISABLED`, `RUST_LOG` (log lines only; `OTEL_TRACE_FILTER` is its like for spans), `AWS_*` with
`AWS_ENDPOINT_URL`. `TRIPOD_DECISION_WAIT` is the collector's decision wait, and must be the same there.
";

fn reference<S: Service>() -> String {
    render_reference::<S::Settings>(S::NAME, S::ADMIN_LISTEN)
}

#[test]
fn the_reference_lists_every_setting() {
    let parts = [
        HEAD.to_owned(),
        reference::<gateway::Gateway>(),
        reference::<task_service::TaskService>(),
        reference::<worker::Worker>(),
    ];
    let found = parts.join("\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(GOLDEN);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        expected, found,
        "{GOLDEN} differs (`make golden` rewrites it)"
    );
}

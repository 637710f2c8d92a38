//! `tripod stack status`: what runs, whether it is ready, what memory it takes. Reads only.

use std::{fmt::Write, fs, io, path::Path, process::ExitCode, time::Duration};

use anyhow::Context;

use super::running::is_ready;
use crate::{print, up::Run};

const ANSWER_DEADLINE: Duration = Duration::from_secs(2);

/// Prints a line for each process. The code is a failure unless all run and are ready.
pub(super) fn tell(data: &Path) -> anyhow::Result<ExitCode> {
    let run = Run::read(data)
        .with_context(|| format!("no stack runs on {}, as far as it says", data.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no async runtime")?;
    let (text, is_whole) = runtime.block_on(table(&run))?;
    print(&mut io::stdout(), &text);
    Ok(match is_whole {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn table(run: &Run) -> anyhow::Result<(String, bool)> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(ANSWER_DEADLINE)
        .build()
        .context("no HTTP client")?;
    let mut text = format!("  {:<16}{:>8}{:>10}  state\n", "process", "pid", "RSS");
    let (mut is_whole, mut sum_kib) = (true, 0);
    for (name, pid) in &run.pids {
        let rss_kib = rss_kib(*pid);
        sum_kib += rss_kib.unwrap_or_default();
        let state = match (rss_kib, ready_url(run, name)) {
            (None, _) => Err("has ended".to_owned()),
            (Some(_), Some(url)) => is_ready(&client, &url).await.map(|()| "ready"),
            (Some(_), None) => Ok("runs"),
        };
        is_whole &= state.is_ok();
        let state = state.map_or_else(|answer| answer, str::to_owned);
        let rss = rss_kib.map_or("-".to_owned(), megabytes);
        writeln!(text, "  {name:<16}{pid:>8}{rss:>10}  {state}")
            .expect("a string takes every line");
    }
    let sum = megabytes(sum_kib);
    writeln!(text, "  {:<16}{:>8}{sum:>10}", "all", "").expect("a string takes every line");
    Ok((text, is_whole))
}

/// Who can be asked whether it is ready; the supervisor cannot.
fn ready_url(run: &Run, name: &str) -> Option<String> {
    let admin = run.admin.get(name).map(|admin| format!("{admin}/readyz"));
    admin.or_else(|| run.components.get(name).cloned())
}

/// Memory of a process in KiB; none when it has ended.
fn rss_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn megabytes(kib: u64) -> String {
    format!("{:.0} MB", kib as f64 * 1024.0 / 1e6)
}

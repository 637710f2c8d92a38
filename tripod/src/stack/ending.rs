//! How a stack ends from outside: `tripod stack down`, and what a killed supervisor has left behind.
//!
//! Only processes are ended that this folder's run file names and that were started for this folder: ids are reused.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use conventions::resource::BACKEND;
use rustix::process::{Pid, Signal, kill_process};

use crate::up::{Run, is_tripod};

/// How long a stack may take to stop in order: eight processes, each of which is killed when it does not end.
const DOWN_DEADLINE: Duration = Duration::from_secs(150);
const KILL_DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// Stops the stack of a folder and waits until all its processes are gone.
///
/// # Errors
/// There is none, or it does not end.
pub(super) fn down(data: &Path) -> anyhow::Result<()> {
    let data = data
        .canonicalize()
        .with_context(|| format!("no stack runs on {}", data.display()))?;
    let run = Run::read(&data)
        .with_context(|| format!("no stack runs on {}, as far as it says", data.display()))?;
    let supervisor = run.pids.get(BACKEND).copied();
    if let Some(supervisor) = supervisor.filter(|pid| is_tripod(*pid)) {
        signal(supervisor, Signal::TERM);
        let deadline = Instant::now() + DOWN_DEADLINE;
        while is_tripod(supervisor) {
            if Instant::now() >= deadline {
                bail!("the stack, process {supervisor}, has not ended after {DOWN_DEADLINE:?}");
            }
            thread::sleep(POLL);
        }
    }
    end_left_behind(&data)
}

/// Ends the components that an earlier run on this folder has left: their supervisor was killed, and they have no way to notice.
///
/// # Errors
/// One does not end.
pub(super) fn end_left_behind(data: &Path) -> anyhow::Result<()> {
    let Ok(run) = Run::read(data) else {
        return Ok(());
    };
    for name in run.components.keys() {
        let Some(pid) = run.pids.get(name).copied() else {
            continue;
        };
        let deadline = Instant::now() + KILL_DEADLINE;
        while is_of(pid, data) {
            signal(pid, Signal::KILL);
            if Instant::now() >= deadline {
                bail!("{name}, process {pid} of an earlier run, does not end");
            }
            thread::sleep(POLL);
        }
    }
    Ok(())
}

/// Whether a process was started for this folder: its command line names it.
fn is_of(pid: u32, data: &Path) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let folder = data.join("stack");
    String::from_utf8_lossy(&command).contains(&*folder.to_string_lossy())
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // One that has just ended needs no signal; the caller looks again.
        let _ = kill_process(pid, signal);
    }
}

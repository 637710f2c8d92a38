//! CPU time per operation, case by case, each in a process of its own: what a case installs is process-wide, and one
//! case must not warm or disturb another.
//!
//! CPU time, not elapsed time: on a shared machine only the former means anything. It is read from the scheduler
//! (`/proc/*/schedstat`, nanoseconds), for the calling thread and for all threads of the process.

use std::fs;
use std::io::Write as _;
use std::process::Command;

/// Marks the line in which a case tells its result.
const RESULT: &str = "measured";

/// CPU nanoseconds per operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Of the thread that did the operation: what a request waits for.
    pub(crate) caller: f64,
    /// Of all threads, exporter and writer included: what the machine pays.
    pub(crate) process: f64,
}

/// The case this process is to run, or `None` in the process that shows the table.
pub(crate) fn case() -> Option<String> {
    std::env::args()
        .skip_while(|argument| argument != "--case")
        .nth(1)
}

/// Whether `cargo bench` runs this. Other runners only want to know that it starts.
pub(crate) fn asked_for() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Runs a case in a new process.
pub(crate) fn in_new_process(case: &str, variables: &[(&str, &str)]) -> Cost {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--case", case])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text.lines().find_map(|line| line.strip_prefix(RESULT));
    let Some(result) = result else {
        panic!(
            "case {case}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let numbers: Vec<f64> = result
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    let [caller, process] = numbers[..] else {
        panic!("case {case}: {result}")
    };
    Cost { caller, process }
}

/// Tells the process with the table what this case costs.
pub(crate) fn tell(cost: Cost) {
    println!("{RESULT} {} {}", cost.caller, cost.process);
    std::io::stdout().flush().unwrap();
}

/// What `rounds` times `operations` cost per operation: the cheapest round, since noise only adds.
pub(crate) fn cheapest(rounds: usize, operations: u64, mut round: impl FnMut()) -> Cost {
    let mut cheapest = Cost {
        caller: f64::MAX,
        process: f64::MAX,
    };
    for _ in 0..rounds {
        let before = cpu();
        round();
        let after = cpu();
        cheapest.caller = cheapest
            .caller
            .min((after.0 - before.0) as f64 / operations as f64);
        cheapest.process = cheapest
            .process
            .min((after.1 - before.1) as f64 / operations as f64);
    }
    cheapest
}

/// CPU nanoseconds so far: of this thread, of all threads.
fn cpu() -> (u64, u64) {
    let read = |path: &str| -> u64 {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split(' ')
            .next()
            .and_then(|first| first.parse().ok())
            .unwrap_or(0)
    };
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let paths = threads.map(|thread| thread.unwrap().path().join("schedstat"));
    let process = paths.map(|path| read(path.to_str().unwrap())).sum();
    (read("/proc/thread-self/schedstat"), process)
}

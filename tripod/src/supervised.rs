//! A child of `tripod up` ends when its supervisor is gone, however the supervisor ended.
//!
//! The supervisor holds the other end of the child's standard input and never writes to it, so end-of-file means that it
//! died. A parent-death signal would do the same on Linux only, and fires when the spawning *thread* ends.

use std::{env, io::Read, process, thread};

/// Set by the supervisor for its children.
pub(crate) const ENVIRONMENT: &str = "TRIPOD_SUPERVISED";
/// Exit code of a child whose supervisor is gone: it was healthy, and nobody reads this.
const ORPHANED: i32 = 70;

/// Ends this process as soon as the supervisor is gone; does nothing in a process that has none.
///
/// It ends at once instead of draining: the embedded DynamoDB and SQS lived in the supervisor, so no request can be
/// finished, and the ports must be free for the next start. What was acknowledged is on disk.
pub(crate) fn end_with_supervisor() {
    if env::var_os(ENVIRONMENT).is_none() {
        return;
    }
    let watch = || {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(read) if read > 0) {}
        process::exit(ORPHANED);
    };
    thread::Builder::new()
        .name("supervisor-watch".into())
        .spawn(watch)
        .expect("one thread can be started");
}

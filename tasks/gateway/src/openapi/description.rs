//! The text at the top of the document: what a client has to know before its first request.

use std::fmt::Write;

use tasks_api::Status;
use tasks_api::limits::{BODY_BYTES_MAX, IDEMPOTENCY_HOURS, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};

pub(super) fn text() -> String {
    let mut text = format!(
        "Tasks, their status, comments and history.\n\n\
         **Keys.** Every request carries `Authorization: Bearer tpk_…`. A key belongs to one workspace; what is in \
         another one does not exist for it (404).\n\n\
         **Versions.** A task comes with an `ETag`. A change needs it back as `If-Match` (428 without) and is refused \
         when somebody else was faster (412). `*` stands for any version.\n\n\
         **Safe repeats.** A POST with an `Idempotency-Key` can be sent again: for {IDEMPOTENCY_HOURS} hours the \
         first answer comes back and nothing happens twice. The same key with another request is refused (422).\n\n\
         **Lists.** {PAGE_ITEMS_DEFAULT} items per page, {PAGE_ITEMS_MAX} at most. `next_cursor` leads to the next \
         page, with the same filters; without it, that was the last one. A page can be short, even empty, before the \
         last.\n\n\
         **Strictness.** A body has at most {BODY_BYTES_MAX} bytes. Unknown fields, repeated fields and unknown or \
         repeated query parameters are refused, never ignored.\n\n\
         **Problems.** Every error is `application/problem+json` (RFC 9457). `type` is for programs, `trace_id` leads \
         to the request's trace and log lines; every response names its trace in `traceresponse` too.\n\n\
         **Transitions.** The status of a task may change like this:\n\n\
         | from | to |\n|---|---|\n"
    );
    for from in Status::ALL {
        let next: Vec<_> = from
            .next()
            .iter()
            .map(|to| format!("`{}`", to.as_str()))
            .collect();
        writeln!(text, "| `{}` | {} |", from.as_str(), next.join(", "))
            .expect("a string takes all text");
    }
    text
}

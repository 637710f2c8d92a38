//! The business metrics of this service. Every series is there from the start, at 0.

use conventions::metrics::{FROM, OUTBOX_PENDING, PRIORITY, TASK_TRANSITIONS, TASKS_CREATED, TO};
use metrics::{Gauge, counter, describe_counter, describe_gauge, gauge};
use tasks_api::{Priority, Status};

/// Describes and registers all of them. To be called once, before the first request.
pub(crate) fn register() {
    describe_counter!(TASKS_CREATED, "Tasks created.");
    describe_counter!(TASK_TRANSITIONS, "Changes of a task's status.");
    describe_gauge!(OUTBOX_PENDING, "Jobs that are not done yet.");
    for priority in Priority::ALL {
        counter!(TASKS_CREATED, PRIORITY => priority.as_str()).increment(0);
    }
    for from in Status::ALL {
        for to in from.next() {
            counter!(TASK_TRANSITIONS, FROM => from.as_str(), TO => to.as_str()).increment(0);
        }
    }
}

pub(crate) fn task_created(priority: Priority) {
    counter!(TASKS_CREATED, PRIORITY => priority.as_str()).increment(1);
}

pub(crate) fn task_transitioned(from: Status, to: Status) {
    counter!(TASK_TRANSITIONS, FROM => from.as_str(), TO => to.as_str()).increment(1);
}

/// How many jobs wait in the outbox. No value before the first count: 0 would claim that none does.
pub(crate) fn outbox_pending() -> Gauge {
    gauge!(OUTBOX_PENDING)
}

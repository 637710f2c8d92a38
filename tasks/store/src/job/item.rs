//! A job as an item. It is pending while it has a time at which it is due, and dead while it has one at which it died;
//! its place in the index follows.

use jiff::Timestamp;
use tasks_api::{JobKind, TaskId};
use telemetry::w3c::Carrier;

use crate::attributes::{Item, Reader, milliseconds, number, text};
use crate::comment::{DOCUMENT, activity_document};
use crate::job::{Job, JobState, Payload};
use crate::outbox::Shard;
use crate::schema::{GSI1, INDEX_SORT};
use crate::write::Write;
use crate::{Error, keys};

pub(crate) const SHAPE: &str = "a job's item";

pub(crate) const ATTEMPTS: &str = "attempts";
pub(crate) const CREATED: &str = "created_ms";
pub(crate) const DEAD: &str = "dead_ms";
pub(crate) const DUE: &str = "due_ms";
pub(crate) const ERROR_TYPE: &str = "last_error";
pub(crate) const SENDS: &str = "sends";
pub(crate) const SENT: &str = "sent_ms";

const ID: &str = "job_id";
const KIND: &str = "kind";
const TASK_ID: &str = "task_id";
const WORKSPACE: &str = "workspace";

/// The job of a change. It counts as sent: whoever makes the change sends it next, and until it is due nobody else
/// does.
pub(crate) fn write_new(task: TaskId, write: &Write) -> Item {
    let job = &write.job;
    let mut item = keys::job(job.id);
    let attributes = [
        (GSI1.partition, text(keys::outbox(Shard::of(job.id)))),
        (INDEX_SORT, text(keys::position(write.due_at, job.id))),
        (ID, text(job.id.to_string())),
        (KIND, text(job.payload.kind().as_str())),
        (WORKSPACE, text(write.workspace.as_str())),
        (TASK_ID, text(task.to_string())),
        (CREATED, milliseconds(write.now)),
        (SENT, milliseconds(write.now)),
        (SENDS, number(1)),
        (DUE, milliseconds(write.due_at)),
    ];
    let document = match &job.payload {
        Payload::Activity(entry) => Some(text(activity_document(entry))),
        Payload::Purge => None,
    };
    let carrier = job.carrier.as_ref();
    let optional = [
        (DOCUMENT, document),
        (
            conventions::headers::TRACEPARENT,
            carrier.map(|carrier| text(&carrier.traceparent)),
        ),
        (
            conventions::headers::TRACESTATE,
            carrier
                .and_then(|carrier| carrier.tracestate.as_ref())
                .map(text),
        ),
    ];
    let optional = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let all = attributes.into_iter().chain(optional);
    item.extend(all.map(|(name, value)| (name.to_owned(), value)));
    item
}

pub(crate) fn read(item: &Item) -> Result<Job, Error> {
    let item = Reader::new(SHAPE, item);
    Ok(Job {
        id: item.parsed(ID)?,
        workspace: item.parsed(WORKSPACE)?,
        task_id: item.parsed(TASK_ID)?,
        payload: read_payload(&item)?,
        carrier: read_carrier(&item)?,
        created_at: item.milliseconds(CREATED)?,
        sent_at: item.milliseconds(SENT)?,
        sends: item.number(SENDS)?,
        state: read_state(&item)?,
    })
}

pub(crate) fn read_created(item: &Item) -> Result<Timestamp, Error> {
    Reader::new(SHAPE, item).milliseconds(CREATED)
}

pub(crate) fn read_dead(item: &Item) -> Result<Timestamp, Error> {
    Reader::new(SHAPE, item).milliseconds(DEAD)
}

fn read_payload(item: &Reader<'_>) -> Result<Payload, Error> {
    let kind = item.interpreted(KIND, |name| {
        JobKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    })?;
    Ok(match kind {
        JobKind::Activity => Payload::Activity(
            item.interpreted(DOCUMENT, |document| serde_json::from_str(document).ok())?,
        ),
        JobKind::Purge => Payload::Purge,
    })
}

fn read_carrier(item: &Reader<'_>) -> Result<Option<Carrier>, Error> {
    let Some(traceparent) = item.optional_text(conventions::headers::TRACEPARENT)? else {
        return Ok(None);
    };
    let tracestate = item.optional_text(conventions::headers::TRACESTATE)?;
    Ok(Some(Carrier {
        traceparent,
        tracestate,
    }))
}

fn read_state(item: &Reader<'_>) -> Result<JobState, Error> {
    match (item.has(DUE), item.has(DEAD)) {
        (true, false) => Ok(JobState::Pending {
            due_at: item.milliseconds(DUE)?,
        }),
        (false, true) => Ok(JobState::Dead {
            at: item.milliseconds(DEAD)?,
            attempts: item.number(ATTEMPTS)?,
            error_type: item.text(ERROR_TYPE)?.to_owned(),
        }),
        (true, true) => Err(item.damaged(DEAD, "contradicts the time it is due")),
        (false, false) => Err(item.damaged(DUE, "is missing")),
    }
}

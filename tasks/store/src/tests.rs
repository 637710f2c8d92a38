//! Every kind of item: it comes back as it was written, damage to it is an error, and the page on the table knows it.
#![allow(clippy::unwrap_used)]

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use proptest::prelude::*;
use tasks_api::{
    Activity, Comment, CommentId, Event, JobId, NewTask, Priority, Status, Task, TaskId,
    WorkspaceId,
};
use telemetry::w3c::Carrier;

use crate::attributes::{Item, bytes, number, text, texts};
use crate::schema::{EXPIRES_AT, GSI1, GSI2, GSI3, INDEX_SORT, PK, SK};
use crate::{
    Answer, ApiKey, Error, Fingerprint, Idempotency, JobState, KeyText, NewJob, StoredResponse,
    Write, api_key, comment, idempotency, job, task,
};

const PAGE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/access-patterns.md"
));

fn workspace() -> WorkspaceId {
    "dev".parse().unwrap()
}

fn any_instant() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond())
        .prop_map(|nanoseconds| Timestamp::from_nanosecond(nanoseconds).unwrap())
}

prop_compose! {
    fn any_task()(
        title in ".{1,20}",
        description in prop::option::of(".{0,20}"),
        priority in prop::sample::select(&Priority::ALL),
        due_at in prop::option::of(any_instant()),
        labels in prop::collection::vec(".{1,9}", 0..4),
        assignee in prop::option::of(".{1,9}"),
        status in prop::sample::select(&Status::ALL),
        (created_at, updated_at) in (any_instant(), any_instant()),
        version in any::<u64>(),
    ) -> Task {
        let new = NewTask { title, description, priority, due_at, labels, assignee };
        Task { status, updated_at, version, ..Task::new(TaskId::new(), new, created_at) }
    }
}

fn sample_task() -> Task {
    let new = NewTask {
        title: "title".to_owned(),
        description: Some("description".to_owned()),
        priority: Priority::High,
        due_at: Some(Timestamp::UNIX_EPOCH),
        labels: vec!["label".to_owned()],
        assignee: Some("ann".to_owned()),
    };
    Task::new(TaskId::new(), new, Timestamp::UNIX_EPOCH)
}

fn sample_entry() -> Activity {
    Activity {
        id: JobId::new(),
        task_id: TaskId::new(),
        actor: "ann".parse().unwrap(),
        at: Timestamp::UNIX_EPOCH,
        trace_id: "trace".to_owned(),
        event: Event::Transitioned {
            from: Status::Todo,
            to: Status::Done,
        },
    }
}

fn sample_write(job: NewJob) -> Write {
    Write {
        workspace: workspace(),
        now: Timestamp::UNIX_EPOCH,
        job,
        due_at: Timestamp::from_second(7).unwrap(),
        idempotency: None,
    }
}

fn sample_carrier() -> Carrier {
    Carrier {
        traceparent: "parent".to_owned(),
        tracestate: Some("state".to_owned()),
    }
}

fn activity_job() -> Item {
    let write = sample_write(NewJob::activity(sample_entry(), Some(sample_carrier())));
    job::item::write_new(TaskId::new(), &write)
}

fn dead_job() -> Item {
    let mut item = job::item::write_new(
        TaskId::new(),
        &sample_write(NewJob::purge(JobId::new(), None)),
    );
    item.remove(job::item::DUE);
    let dead = [
        (job::item::DEAD, number(5)),
        (job::item::ATTEMPTS, number(5)),
        (job::item::ERROR_TYPE, text("timeout")),
    ];
    item.extend(dead.map(|(name, value)| (name.to_owned(), value)));
    item
}

fn sample_answer() -> Answer {
    Answer {
        to: Idempotency {
            key: "key".to_owned(),
            fingerprint: Fingerprint::of(&[b"request"]),
        },
        response: StoredResponse {
            status: 201,
            etag: Some("etag".to_owned()),
            location: Some("location".to_owned()),
            body: vec![0, 255],
        },
    }
}

fn sample_comment() -> Comment {
    Comment {
        id: CommentId::new(),
        task_id: TaskId::new(),
        author: "ann".parse().unwrap(),
        text: "text".to_owned(),
        created_at: Timestamp::UNIX_EPOCH,
    }
}

/// Whether an item is one of its kind.
type Read = fn(&Item) -> Result<(), Error>;

/// A full item of each kind.
fn samples() -> Vec<(Item, Read)> {
    let key = ApiKey::new(
        &KeyText::generate().unwrap(),
        workspace(),
        Timestamp::UNIX_EPOCH,
    );
    vec![
        (task::item::write(&workspace(), &sample_task()), |item| {
            task::item::read(item).map(drop)
        }),
        (
            comment::write_comment(&workspace(), &sample_comment()),
            |item| comment::read_comment(item).map(drop),
        ),
        (
            comment::write_activity(&workspace(), &sample_entry()),
            |item| comment::read_activity(item).map(drop),
        ),
        (activity_job(), |item| job::item::read(item).map(drop)),
        (dead_job(), |item| job::item::read(item).map(drop)),
        (
            idempotency::write(&workspace(), &sample_answer(), Timestamp::MAX),
            |item| idempotency::read(item).map(drop),
        ),
        (api_key::write(&key), |item| api_key::read(item).map(drop)),
    ]
}

fn any_value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        ".{0,9}".prop_map(text),
        any::<i128>().prop_map(number),
        "[-+.e0-9]{0,9}".prop_map(AttributeValue::N),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(bytes),
        prop::collection::vec(".{0,9}".prop_map(String::from), 0..3)
            .prop_map(|values| texts(&values)),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        Just(AttributeValue::M(Item::new())),
    ]
}

proptest! {
    #[test]
    fn every_task_comes_back(task in any_task()) {
        prop_assert_eq!(task::item::read(&task::item::write(&workspace(), &task)).unwrap(), task);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(
        kind in 0..samples().len(),
        attribute in any::<prop::sample::Index>(),
        value in prop::option::of(any_value()),
    ) {
        let (mut item, read) = samples().swap_remove(kind);
        let name = attribute.get(&item.keys().cloned().collect::<Vec<_>>()).clone();
        match value {
            Some(value) => item.insert(name, value),
            None => item.remove(&name),
        };
        if let Err(error) = read(&item) {
            prop_assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        }
    }
}

#[test]
fn every_kind_of_item_is_read() {
    for (item, read) in samples() {
        read(&item).unwrap();
    }
}

#[test]
fn a_job_comes_back_pending_or_dead() {
    let pending = job::item::read(&activity_job()).unwrap();
    assert_eq!(pending.carrier, Some(sample_carrier()));
    assert_eq!(
        pending.state,
        JobState::Pending {
            due_at: Timestamp::from_second(7).unwrap()
        }
    );
    let dead = job::item::read(&dead_job()).unwrap();
    assert_eq!(dead.carrier, None);
    let at = Timestamp::from_millisecond(5).unwrap();
    assert_eq!(
        dead.state,
        JobState::Dead {
            at,
            attempts: 5,
            error_type: "timeout".to_owned()
        }
    );
}

#[test]
fn the_page_names_every_attribute_and_index() {
    let names = samples().into_iter().flat_map(|(item, _)| item.into_keys());
    let names = names.chain(
        [
            PK, SK, INDEX_SORT, EXPIRES_AT, GSI1.name, GSI2.name, GSI3.name,
        ]
        .map(str::to_owned),
    );
    for name in names {
        assert!(
            PAGE.contains(&format!("`{name}`")),
            "docs/access-patterns.md does not name `{name}`"
        );
    }
}

#[test]
fn the_page_names_every_statement_of_the_store() {
    let sources = [
        include_str!("api_key.rs"),
        include_str!("comment.rs"),
        include_str!("dead_letter.rs"),
        include_str!("idempotency.rs"),
        include_str!("job.rs"),
        include_str!("outbox.rs"),
        include_str!("schema.rs"),
        include_str!("task.rs"),
    ];
    let functions = sources
        .iter()
        .flat_map(|source| source.split("pub async fn ").skip(1));
    for function in functions.map(|rest| rest.split('(').next().unwrap()) {
        assert!(
            PAGE.contains(&format!("`{function}`")),
            "docs/access-patterns.md does not name `{function}`"
        );
    }
}

//! Every key of the table. Workspaces, ids and statuses cannot contain the separator `#`; an assignee can, and is
//! always the last part.

use jiff::Timestamp;
use tasks_api::{ActorId, CommentId, JobId, Status, TaskId, WorkspaceId};

use crate::attributes::{Item, text};
use crate::digest::sha256;
use crate::outbox::Shard;
use crate::schema::{PK, SK};

/// Sort key of the task itself. It is behind all that hangs on the task: `A#` and `C#` are smaller.
pub(crate) const TASK: &str = "TASK";
pub(crate) const COMMENT_PREFIX: &str = "C#";
pub(crate) const ACTIVITY_PREFIX: &str = "A#";
/// Index partition of dead jobs.
pub(crate) const DEAD: &str = "DEAD";

const JOB: &str = "JOB";
const API_KEY: &str = "KEY";
const IDEMPOTENCY: &str = "I";
/// No item has this key.
const NOTHING: &str = "NOTHING";
/// Thirteen digits of milliseconds sort as text until the year 2286; what is outside of it is put at its ends.
const MILLISECONDS_MAX: i64 = 9_999_999_999_999;

pub(crate) fn task_partition(workspace: &WorkspaceId, id: TaskId) -> String {
    format!("W#{workspace}#T#{id}")
}

pub(crate) fn task(workspace: &WorkspaceId, id: TaskId) -> Item {
    key(task_partition(workspace, id), TASK)
}

pub(crate) fn comment(workspace: &WorkspaceId, task: TaskId, id: CommentId) -> Item {
    key(
        task_partition(workspace, task),
        format!("{COMMENT_PREFIX}{id}"),
    )
}

pub(crate) fn activity(workspace: &WorkspaceId, task: TaskId, id: JobId) -> Item {
    key(
        task_partition(workspace, task),
        format!("{ACTIVITY_PREFIX}{id}"),
    )
}

/// The comment whose sort key this is.
pub(crate) fn comment_at(workspace: &WorkspaceId, task: TaskId, position: &str) -> Option<Item> {
    let id = position.strip_prefix(COMMENT_PREFIX)?.parse().ok()?;
    Some(comment(workspace, task, id))
}

/// The history entry whose sort key this is.
pub(crate) fn activity_at(workspace: &WorkspaceId, task: TaskId, position: &str) -> Option<Item> {
    let id = position.strip_prefix(ACTIVITY_PREFIX)?.parse().ok()?;
    Some(activity(workspace, task, id))
}

pub(crate) fn job(id: JobId) -> Item {
    key(format!("{JOB}#{id}"), JOB)
}

pub(crate) fn api_key(id: &ActorId) -> Item {
    key(format!("{API_KEY}#{id}"), API_KEY)
}

/// The client's key as a hash: it may hold any character, and something the client would not want stored.
pub(crate) fn idempotency(workspace: &WorkspaceId, client_key: &str) -> Item {
    let hash: String = sha256([client_key.as_bytes()])
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    key(format!("W#{workspace}#I#{hash}"), IDEMPOTENCY)
}

pub(crate) fn nothing() -> Item {
    key(NOTHING, NOTHING)
}

/// Index partition of a workspace's tasks.
pub(crate) fn tasks_of(workspace: &WorkspaceId) -> String {
    format!("W#{workspace}")
}

/// Index partition of a workspace's tasks in one status.
pub(crate) fn tasks_in(workspace: &WorkspaceId, status: Status) -> String {
    format!("W#{workspace}#S#{}", status.as_str())
}

/// Index partition of a workspace's tasks that one person has.
pub(crate) fn tasks_with(workspace: &WorkspaceId, assignee: &str) -> String {
    format!("W#{workspace}#U#{assignee}")
}

/// Index partition of pending jobs.
pub(crate) fn outbox(shard: Shard) -> String {
    format!("OUTBOX#{shard}")
}

/// Place in time order of a pending or dead job.
pub(crate) fn position(at: Timestamp, id: JobId) -> String {
    format!("{}#{id}", position_time(at))
}

/// The beginning of [`position`]: less than the position of every job at that time, more than all before.
pub(crate) fn position_time(at: Timestamp) -> String {
    format!("{:013}", at.as_millisecond().clamp(0, MILLISECONDS_MAX))
}

/// The job at a [`position`].
pub(crate) fn job_at(position: &str) -> Option<JobId> {
    position.split_once('#')?.1.parse().ok()
}

pub(crate) fn key(partition: impl Into<String>, sort: impl Into<String>) -> Item {
    Item::from([
        (PK.to_owned(), text(partition)),
        (SK.to_owned(), text(sort)),
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn positions_sort_by_time() {
        let id = JobId::new();
        let times = [
            i64::from(i32::MIN),
            0,
            9,
            10,
            1_767_322_245_123,
            MILLISECONDS_MAX,
        ];
        for pair in times.windows(2) {
            let (earlier, later) = (position(at(pair[0]), id), position(at(pair[1]), id));
            assert!(earlier <= later, "{earlier} {later}");
            assert_eq!(earlier.len(), later.len());
        }
        assert!(position_time(at(10)) < position(at(10), id));
        assert!(position(at(9), id) < position_time(at(10)));
        assert_eq!(
            position(Timestamp::MAX, id),
            position(at(MILLISECONDS_MAX), id)
        );
    }

    #[test]
    fn a_position_names_its_job() {
        let id = JobId::new();
        assert_eq!(job_at(&position(at(1), id)), Some(id));
        for garbage in ["", "1", "1#", "1#x", "#"] {
            assert_eq!(job_at(garbage), None);
        }
    }

    #[test]
    fn only_a_whole_sort_key_is_a_place_among_comments_or_entries() {
        let (workspace, task): (WorkspaceId, _) = ("dev".parse().unwrap(), TaskId::new());
        let (comment_id, job_id) = (CommentId::new(), JobId::new());
        let at = |position: &str| {
            (
                comment_at(&workspace, task, position),
                activity_at(&workspace, task, position),
            )
        };
        assert_eq!(
            at(&format!("C#{comment_id}")),
            (Some(comment(&workspace, task, comment_id)), None)
        );
        assert_eq!(
            at(&format!("A#{job_id}")),
            (None, Some(activity(&workspace, task, job_id)))
        );
        for garbage in ["", "C#", "A#", TASK, "C#x", "A#x", &job_id.to_string()] {
            assert_eq!(at(garbage), (None, None), "{garbage}");
        }
    }

    #[test]
    fn no_two_lists_share_a_partition() {
        let (one, two): (WorkspaceId, WorkspaceId) = ("a".parse().unwrap(), "a-t".parse().unwrap());
        let assignee = "todo#S#todo";
        let partitions = [
            tasks_of(&one),
            tasks_of(&two),
            tasks_in(&one, Status::Todo),
            tasks_in(&two, Status::Todo),
            tasks_with(&one, assignee),
            tasks_with(&two, assignee),
        ];
        for (index, partition) in partitions.iter().enumerate() {
            assert!(!partitions[..index].contains(partition), "{partition}");
        }
    }

    #[test]
    fn what_hangs_on_a_task_sorts_before_it() {
        assert!(ACTIVITY_PREFIX < COMMENT_PREFIX && COMMENT_PREFIX < TASK);
    }
}

//! Jobs that were given up: how a job gets among them, how they are listed, and how one gets out again. The queue's
//! copies of them are in `queue`.

use jiff::Timestamp;
use tasks_api::{JobId, Page, PageQuery};

use crate::attributes::{milliseconds, number, text};
use crate::cursor::Scope;
use crate::failure::failure;
use crate::job::{Job, item};
use crate::list::List;
use crate::outbox::{Shard, pending};
use crate::schema::{GSI1, INDEX_SORT};
use crate::statement::Update;
use crate::transaction::Condition;
use crate::{Error, Store, keys};

impl Store {
    /// Gives a pending job up. False when it is done or was given up before.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn bury(
        &self,
        id: JobId,
        now: Timestamp,
        attempts: u32,
        error_type: &str,
    ) -> Result<bool, Error> {
        self.update_if(Update {
            key: keys::job(id),
            expression: format!(
                "SET {} = :now, {} = :attempts, {} = :error, {} = :partition, {INDEX_SORT} = :position REMOVE {}",
                item::DEAD,
                item::ATTEMPTS,
                item::ERROR_TYPE,
                GSI1.partition,
                item::DUE
            ),
            condition: Condition::of(
                pending(),
                [
                    (":now", milliseconds(now)),
                    (":attempts", number(attempts)),
                    (":error", text(error_type)),
                    (":partition", text(keys::DEAD)),
                    (":position", text(keys::position(now, id))),
                ],
            ),
        })
        .await
    }

    /// Makes a dead job pending and due now. False when it is not dead.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revive(&self, id: JobId, now: Timestamp) -> Result<bool, Error> {
        self.update_if(Update {
            key: keys::job(id),
            expression: format!(
                "SET {} = :now, {} = :partition, {INDEX_SORT} = :position REMOVE {}, {}, {}",
                item::DUE,
                GSI1.partition,
                item::DEAD,
                item::ATTEMPTS,
                item::ERROR_TYPE
            ),
            condition: Condition::of(
                format!("attribute_exists({})", item::DEAD),
                [
                    (":now", milliseconds(now)),
                    (":partition", text(keys::outbox(Shard::of(id)))),
                    (":position", text(keys::position(now, id))),
                ],
            ),
        })
        .await
    }

    /// Dead jobs, the last one first, so that a walk which revives them ends even if they die again.
    ///
    /// # Errors
    /// [`Error::InvalidCursor`], [`Error::Unavailable`], [`Error::Corrupt`].
    pub async fn dead_jobs(&self, page: &PageQuery) -> Result<Page<Job>, Error> {
        let list = List {
            shape: item::SHAPE,
            index: Some(GSI1),
            partition: keys::DEAD.to_owned(),
            prefix: "",
            filter: None,
            scope: Scope::new([&keys::DEAD]),
        };
        self.page(
            &list,
            page,
            |position| keys::job_at(position).map(keys::job),
            item::read,
        )
        .await
    }

    /// When the longest dead job died.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    pub async fn oldest_dead_at(&self) -> Result<Option<Timestamp>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(GSI1.name)
            .key_condition_expression(format!("{} = :partition", GSI1.partition))
            .expression_attribute_values(":partition", text(keys::DEAD))
            .projection_expression(item::DEAD)
            .limit(1);
        let answer = query
            .send()
            .await
            .map_err(|error| failure("Query", error))?;
        answer.items().first().map(item::read_dead).transpose()
    }
}

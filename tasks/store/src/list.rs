//! One page of a list: one partition of the table or of an index, newest first, by a bounded number of queries.

use aws_sdk_dynamodb::types::AttributeValue;
use tasks_api::limits::PAGE_ITEMS_MAX;
use tasks_api::{Page, PageQuery};

use crate::attributes::{Item, Reader, text};
use crate::cursor::Scope;
use crate::failure::failure;
use crate::schema::{INDEX_SORT, Index, PK, SK};
use crate::{Error, Store};

/// Items that one query looks at when a filter drops some of them.
const EXAMINED_MAX: usize = 100;
/// Queries for one page. Each ends after 1 MB or [`EXAMINED_MAX`] items, so a page costs at most four times that.
const QUERIES_MAX: usize = 4;

/// A list, as far as it concerns storage.
pub(crate) struct List {
    /// What its items are, for errors.
    pub(crate) shape: &'static str,
    /// `None` is the table itself.
    pub(crate) index: Option<Index>,
    pub(crate) partition: String,
    /// What the sort keys of its items begin with; empty for all of the partition.
    pub(crate) prefix: &'static str,
    pub(crate) filter: Option<Filter>,
    /// What its cursors are bound to.
    pub(crate) scope: Scope,
}

/// Conditions on the items of a list, beside their place in it.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) expression: String,
    pub(crate) values: Vec<(String, AttributeValue)>,
}

impl Filter {
    /// Adds a condition; `value` stands in it as `:name`.
    pub(crate) fn and(&mut self, condition: &str, name: &str, value: AttributeValue) {
        if !self.expression.is_empty() {
            self.expression.push_str(" AND ");
        }
        self.expression.push_str(condition);
        self.values.push((format!(":{name}"), value));
    }
}

impl Store {
    /// Reads a page. `key_of` tells the key in the table of the item at a place in the list, if that is one.
    ///
    /// # Errors
    /// [`Error::InvalidCursor`], [`Error::Unavailable`], [`Error::Corrupt`].
    pub(crate) async fn page<T>(
        &self,
        list: &List,
        page: &PageQuery,
        key_of: impl Fn(&str) -> Option<Item>,
        read: impl Fn(&Item) -> Result<T, Error>,
    ) -> Result<Page<T>, Error> {
        let wanted = page.items().clamp(1, PAGE_ITEMS_MAX) as usize;
        let mut start = page
            .cursor
            .as_deref()
            .map(|cursor| list.start(cursor, key_of))
            .transpose()?;
        let mut found: Vec<Item> = Vec::new();
        for _ in 0..QUERIES_MAX {
            // One more than wanted tells whether there is another page.
            let limit = if list.filter.is_some() {
                EXAMINED_MAX
            } else {
                wanted + 1 - found.len()
            };
            let (items, end) = self.query(list, start.take(), limit).await?;
            found.extend(items);
            start = end;
            if found.len() > wanted || start.is_none() {
                break;
            }
        }
        let last = if found.len() > wanted {
            found.get(wanted - 1)
        } else {
            start.as_ref()
        };
        let next_cursor = last.map(|item| list.cursor_at(item)).transpose()?;
        let items = found
            .iter()
            .take(wanted)
            .map(read)
            .collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor })
    }

    async fn query(
        &self,
        list: &List,
        start: Option<Item>,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<Item>), Error> {
        let partition = list.index.map_or(PK, |index| index.partition);
        let mut condition = format!("{partition} = :partition");
        if !list.prefix.is_empty() {
            condition.push_str(&format!(
                " AND begins_with({}, :prefix)",
                list.sort_attribute()
            ));
        }
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .set_index_name(list.index.map(|index| index.name.to_owned()))
            // Indexes have no consistent reads.
            .consistent_read(list.index.is_none())
            .key_condition_expression(condition)
            .expression_attribute_values(":partition", text(&list.partition))
            .scan_index_forward(false)
            .set_exclusive_start_key(start)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        if !list.prefix.is_empty() {
            request = request.expression_attribute_values(":prefix", text(list.prefix));
        }
        if let Some(filter) = &list.filter {
            request = request.filter_expression(&filter.expression);
            for (name, value) in &filter.values {
                request = request.expression_attribute_values(name, value.clone());
            }
        }
        let answer = request
            .send()
            .await
            .map_err(|error| failure("Query", error))?;
        // Some servers tell the end by an empty key.
        let end = answer.last_evaluated_key.filter(|key| !key.is_empty());
        Ok((answer.items.unwrap_or_default(), end))
    }
}

impl List {
    fn sort_attribute(&self) -> &'static str {
        if self.index.is_some() { INDEX_SORT } else { SK }
    }

    fn start(&self, cursor: &str, key_of: impl Fn(&str) -> Option<Item>) -> Result<Item, Error> {
        let position = self.scope.position(cursor)?;
        let mut key = key_of(&position).ok_or(Error::InvalidCursor)?;
        if let Some(index) = self.index {
            key.insert(index.partition.to_owned(), text(&self.partition));
            key.insert(INDEX_SORT.to_owned(), text(position));
        }
        Ok(key)
    }

    fn cursor_at(&self, item: &Item) -> Result<String, Error> {
        let position = Reader::new(self.shape, item).text(self.sort_attribute())?;
        Ok(self.scope.cursor(position))
    }
}

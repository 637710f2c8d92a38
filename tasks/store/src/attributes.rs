//! Items as DynamoDB has them: writing values, and reading an item strictly. What a damaged item's error says never
//! holds a value of it.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::Error;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// One item, read as a kind of item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    shape: &'static str,
    item: &'a Item,
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Nanoseconds, so that an instant comes back as it went in and still compares as a number.
pub(crate) fn nanoseconds(at: Timestamp) -> AttributeValue {
    number(at.as_nanosecond())
}

pub(crate) fn milliseconds(at: Timestamp) -> AttributeValue {
    number(at.as_millisecond())
}

pub(crate) fn bytes(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

pub(crate) fn texts(values: &[String]) -> AttributeValue {
    AttributeValue::L(values.iter().map(text).collect())
}

impl<'a> Reader<'a> {
    pub(crate) fn new(shape: &'static str, item: &'a Item) -> Self {
        Self { shape, item }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.item.contains_key(name)
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<&'a str, Error> {
        let value = self.value(name)?.as_s();
        Ok(value.map_err(|_| self.damaged(name, "is no text"))?)
    }

    /// A text that some type is written as.
    pub(crate) fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, Error> {
        self.interpreted(name, |text| text.parse().ok())
    }

    /// A text that is one of a known set.
    pub(crate) fn interpreted<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Error> {
        read(self.text(name)?).ok_or_else(|| self.damaged(name, "has an unknown value"))
    }

    pub(crate) fn number<T: FromStr>(&self, name: &'static str) -> Result<T, Error> {
        let value = self.value(name)?.as_n().ok();
        let number = value.and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.damaged(name, "is no number in range"))
    }

    pub(crate) fn nanoseconds(&self, name: &'static str) -> Result<Timestamp, Error> {
        let instant = Timestamp::from_nanosecond(self.number(name)?);
        instant.map_err(|_| self.damaged(name, "is no instant"))
    }

    pub(crate) fn milliseconds(&self, name: &'static str) -> Result<Timestamp, Error> {
        let instant = Timestamp::from_millisecond(self.number(name)?);
        instant.map_err(|_| self.damaged(name, "is no instant"))
    }

    pub(crate) fn bytes(&self, name: &'static str) -> Result<&'a [u8], Error> {
        let value = self.value(name)?.as_b();
        Ok(value
            .map_err(|_| self.damaged(name, "is not binary"))?
            .as_ref())
    }

    pub(crate) fn texts(&self, name: &'static str) -> Result<Vec<String>, Error> {
        let damaged = || self.damaged(name, "is no list of texts");
        let values = self.value(name)?.as_l().map_err(|_| damaged())?.iter();
        values
            .map(|value| value.as_s().cloned().map_err(|_| damaged()))
            .collect()
    }

    /// What `read` makes of an attribute, if it is there.
    pub(crate) fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&Self, &'static str) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.has(name).then(|| read(self, name)).transpose()
    }

    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<String>, Error> {
        self.optional(name, |item, name| item.text(name).map(str::to_owned))
    }

    pub(crate) fn damaged(&self, name: &str, how: &str) -> Error {
        Error::Corrupt {
            shape: self.shape,
            reason: format!("attribute {name} {how}"),
        }
    }

    fn value(&self, name: &'static str) -> Result<&'a AttributeValue, Error> {
        self.item
            .get(name)
            .ok_or_else(|| self.damaged(name, "is missing"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(
        value: Option<AttributeValue>,
        read: impl Fn(Reader<'_>) -> Result<(), Error>,
        expected: &str,
    ) {
        let item: Item = value
            .into_iter()
            .map(|value| ("a".to_owned(), value))
            .collect();
        let error = read(Reader::new("thing", &item)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("thing is damaged: attribute a {expected}")
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        check(None, |item| item.text("a").map(drop), "is missing");
        check(
            Some(number(1)),
            |item| item.text("a").map(drop),
            "is no text",
        );
        check(
            Some(text("secret")),
            |item| item.parsed::<u8>("a").map(drop),
            "has an unknown value",
        );
        check(
            Some(text("secret")),
            |item| item.number::<u8>("a").map(drop),
            "is no number in range",
        );
        check(
            Some(number(256)),
            |item| item.number::<u8>("a").map(drop),
            "is no number in range",
        );
        check(
            Some(number(i128::MAX)),
            |item| item.nanoseconds("a").map(drop),
            "is no instant",
        );
        check(
            Some(number(i64::MAX)),
            |item| item.milliseconds("a").map(drop),
            "is no instant",
        );
        check(
            Some(text("secret")),
            |item| item.bytes("a").map(drop),
            "is not binary",
        );
        check(
            Some(text("secret")),
            |item| item.texts("a").map(drop),
            "is no list of texts",
        );
        let mixed = AttributeValue::L(vec![text("a"), number(1)]);
        check(
            Some(mixed),
            |item| item.texts("a").map(drop),
            "is no list of texts",
        );
    }

    #[test]
    fn an_instant_comes_back_to_the_nanosecond() {
        for at in [
            Timestamp::MIN,
            Timestamp::UNIX_EPOCH,
            "2026-01-02T03:04:05.123456789Z".parse().unwrap(),
            Timestamp::MAX,
        ] {
            let item = Item::from([("a".to_owned(), nanoseconds(at))]);
            assert_eq!(Reader::new("thing", &item).nanoseconds("a").unwrap(), at);
        }
    }
}

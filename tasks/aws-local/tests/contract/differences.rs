//! Where an implementation is known to differ from AWS, each with its reason. A check that meets
//! one of these demands the difference, so that a row that is no longer true fails the suite.
//! Sources: the implementations' code, and this suite's own runs.

use crate::endpoints::{Aws, Implementation};
use Implementation::{Embedded, Moto};

/// What AWS does and somebody else does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    AttributesAreNamedByPrefix,
    CreatedTimestampIsInWholeSeconds,
    DeadLetterKeepsReceiveCount,
    EleventhAttributeIsRefused,
    ExpiredItemsGo,
    GarbledExpressionIsRefused,
    ItemOf400KiB,
    MalformedReceiptHandleIsRefused,
    MessageOf1MiB,
    NumberOutOfRangeIsRefused,
    TransactionTokenIsHonoured,
}

pub(crate) const DIFFERENCES: &[(Behaviour, Implementation, &str)] = &[
    (
        Behaviour::AttributesAreNamedByPrefix,
        Embedded,
        "the engine knows whole names, `All` and `.*` only",
    ),
    (
        Behaviour::DeadLetterKeepsReceiveCount,
        Embedded,
        "the engine starts to count anew in the dead-letter queue",
    ),
    (
        Behaviour::MalformedReceiptHandleIsRefused,
        Embedded,
        "the engine ignores handles it does not know when deleting",
    ),
    (
        Behaviour::MessageOf1MiB,
        Embedded,
        "the engine has AWS' former limit of 256 KiB",
    ),
    (
        Behaviour::CreatedTimestampIsInWholeSeconds,
        Moto,
        "writes a fraction",
    ),
    (
        Behaviour::EleventhAttributeIsRefused,
        Moto,
        "does not count attributes",
    ),
    (
        Behaviour::ExpiredItemsGo,
        Moto,
        "never deletes by time to live",
    ),
    (
        Behaviour::GarbledExpressionIsRefused,
        Moto,
        "fails with an internal error",
    ),
    (
        Behaviour::ItemOf400KiB,
        Moto,
        "refuses an item from 405,000 bytes on",
    ),
    (
        Behaviour::NumberOutOfRangeIsRefused,
        Moto,
        "takes negative timeouts and delays",
    ),
    (
        Behaviour::TransactionTokenIsHonoured,
        Moto,
        "ignores ClientRequestToken and executes again",
    ),
];

impl Aws {
    /// Demands that `holds`, or that it does not where a difference is known.
    #[track_caller]
    pub(crate) fn expect(&self, behaviour: Behaviour, holds: bool) {
        let known = DIFFERENCES
            .iter()
            .find(|(known, who, _)| *known == behaviour && *who == self.implementation);
        match known {
            None => assert!(holds, "{behaviour:?} does not hold on {self}"),
            Some((.., reason)) => assert!(
                !holds,
                "{behaviour:?} holds on {self} now: strike the row \"{reason}\""
            ),
        }
    }
}

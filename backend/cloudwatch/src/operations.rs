//! What each operation of the API does, by subject; and which ones are refused by name.

mod filter;
mod get;
mod groups;
mod page;
mod put;
mod streams;

pub(crate) use filter::filter_events;
pub(crate) use get::get_events;
pub(crate) use groups::{
    create_group, delete_group, delete_retention, describe_groups, put_retention,
};
pub(crate) use put::put_events;
pub(crate) use streams::{create_stream, delete_stream, describe_streams};

use crate::refusal::Refusal;

/// What is served.
const SERVED: [&str; 11] = [
    "CreateLogGroup",
    "CreateLogStream",
    "DeleteLogGroup",
    "DeleteLogStream",
    "DeleteRetentionPolicy",
    "DescribeLogGroups",
    "DescribeLogStreams",
    "FilterLogEvents",
    "GetLogEvents",
    "PutLogEvents",
    "PutRetentionPolicy",
];

/// The name to count an operation under: one of a fixed set, whatever the client sends.
pub(crate) fn named(operation: &str) -> &'static str {
    let mut served = SERVED.into_iter();
    served.find(|name| *name == operation).unwrap_or("other")
}

/// The refusal of an operation that is not served: those that people try are told what to use.
pub(crate) fn refused(operation: &str) -> Refusal {
    match operation {
        "StartQuery" | "StopQuery" | "GetQueryResults" | "DescribeQueries" => {
            Refusal::unsupported(format!(
                "{operation}: CloudWatch Logs Insights is not offered; use FilterLogEvents, or LogQL on the Loki API"
            ))
        }
        "TagResource"
        | "UntagResource"
        | "ListTagsForResource"
        | "TagLogGroup"
        | "UntagLogGroup"
        | "ListTagsLogGroup" => {
            Refusal::unsupported(format!("{operation}: log groups have no tags here"))
        }
        "StartLiveTail" => Refusal::unsupported(
            "StartLiveTail is not offered; follow nextForwardToken of GetLogEvents",
        ),
        _ => Refusal::unknown_operation(),
    }
}

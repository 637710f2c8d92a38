//! What answers otherwise than Prometheus 3.14.0, and why. The comparison fails on any other difference, and on an entry that
//! no longer is one.

const POSITION: &str = "the end of an empty text has a place too";
const NO_TIME: &str =
    "what is no number is no time; Prometheus takes it for a moment in the year 1677";
const IMPATIENT: &str = "a query without any time is not begun; Prometheus says so in the words of whatever notices first";
const CHUNKS: &str =
    "only what has samples in the range is told; Prometheus' head tells of all that it holds";
const OWN: &str = "the process, its settings and what they cost are our own";
const MOMENT: &str = "it was another moment, or took another time";

/// A part of the question, a part of what Prometheus answers, and the reason.
pub(super) const EXPLAINED: [(&str, &str, &str); 16] = [
    ("/api/v1/", "unknown position: parse error: ", POSITION),
    ("&time=NaN", "success", NO_TIME),
    ("timeout=0", "error", IMPATIENT),
    ("timeout=%2D1", "error", IMPATIENT),
    ("/labels?match[]=%7B", "success", CHUNKS),
    ("/values?match[]=%7B", "success", CHUNKS),
    (
        "/label/%ff/values",
        "invalid label name",
        "bytes that are no text are not shown",
    ),
    (
        "/status/config",
        "yaml",
        "the file is shown as it was written, without the defaults",
    ),
    ("/status/flags", "success", OWN),
    ("/status/buildinfo", "success", OWN),
    ("/status/runtimeinfo", "success", OWN),
    ("/status/tsdb", "success", OWN),
    (
        "OPTIONS /api/v1/",
        "content-encoding",
        "no body is not called compressed",
    ),
    (
        "/write?number=2 ",
        "existing 1, new value 2",
        "the store does not say what it holds",
    ),
    (
        "proto=x",
        "supported: prometheus.WriteRequest",
        "other words for the one message that is taken",
    ),
    (
        "proto=io.prometheus.write.v2.Request",
        "204",
        "remote write 2.0 is not received",
    ),
];

/// How a field of an answer is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Whether it is a moment, a number, a text or empty.
    Kind,
    /// Not at all.
    Left,
}

/// Fields that are not compared as they are, and the reason.
pub(super) const PARTS: [(&str, Extent, &str); 8] = [
    ("lastScrape", Extent::Kind, MOMENT),
    ("lastScrapeDuration", Extent::Kind, MOMENT),
    ("lastEvaluation", Extent::Kind, MOMENT),
    ("evaluationTime", Extent::Kind, MOMENT),
    ("activeAt", Extent::Kind, MOMENT),
    ("keepFiringSince", Extent::Kind, MOMENT),
    (
        "lastError",
        Extent::Kind,
        "the operating system's words, and Go's",
    ),
    (
        "globalUrl",
        Extent::Kind,
        "the name of this machine is not put in place of a loopback address: it leads nowhere",
    ),
];

/// The entry that a difference falls under.
pub(super) fn explained(question: &str, theirs: &str) -> Option<usize> {
    EXPLAINED
        .iter()
        .position(|(asked, answered, _)| question.contains(asked) && theirs.contains(answered))
}

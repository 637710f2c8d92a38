//! Reads pages back, strictly: OpenMetrics 1.0 by its ABNF and its rules for families, and samples of either format.
//!
//! Written from the specification, not from the writer; it shares no code with it. For tests.

use std::collections::{BTreeMap, BTreeSet};

/// One line that carries a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    /// As written.
    pub(super) number: String,
    pub(super) exemplar: Option<Exemplar>,
}

/// What stands after a sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Exemplar {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
    pub(super) timestamp: f64,
}

/// One family of an OpenMetrics page.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) unit: Option<String>,
    pub(super) help: Option<String>,
    pub(super) samples: Vec<Sample>,
}

type Result<T> = std::result::Result<T, String>;

impl Sample {
    pub(super) fn value(&self) -> f64 {
        self.number.parse().expect("a sample's number was checked")
    }
}

/// The families of a whole OpenMetrics 1.0 page, or the first rule that it breaks.
pub(super) fn openmetrics(page: &str) -> Result<Vec<Family>> {
    let body = page
        .strip_suffix("# EOF\n")
        .ok_or("the page does not end in # EOF")?;
    let mut families: Vec<Family> = Vec::new();
    for line in body.split_terminator('\n') {
        match line.strip_prefix("# ") {
            Some(metadata) => read_metadata(metadata, &mut families)?,
            None => {
                let family = families
                    .last_mut()
                    .ok_or("a sample stands before every family")?;
                family.samples.push(sample(line)?);
            }
        }
    }
    let mut taken = BTreeSet::new();
    for family in &families {
        check_family(family).map_err(|broken| format!("{}: {broken}", family.name))?;
        for suffix in ["", "_total", "_created", "_bucket", "_sum", "_count"] {
            let is_ours = match family.kind.as_str() {
                "counter" => ["", "_total", "_created"].contains(&suffix),
                "histogram" => suffix != "_total",
                _ => suffix.is_empty(),
            };
            if is_ours && !taken.insert(format!("{}{suffix}", family.name)) {
                return Err(format!("{}{suffix} belongs to two families", family.name));
            }
        }
    }
    Ok(families)
}

/// One sample line of either format.
pub(super) fn sample(line: &str) -> Result<Sample> {
    let name_end = line
        .find(['{', ' '])
        .ok_or_else(|| format!("no value: {line:?}"))?;
    let (name, rest) = line.split_at(name_end);
    if !is_name(name, true) {
        return Err(format!("illegal metric name: {line:?}"));
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let rest = rest
        .strip_prefix(' ')
        .ok_or_else(|| format!("no space before the value: {line:?}"))?;
    let (number, exemplar) = match rest.split_once(" # ") {
        Some((number, exemplar)) => (number, Some(read_exemplar(exemplar)?)),
        None => (rest, None),
    };
    if !is_number(number) {
        return Err(format!("not a number: {line:?}"));
    }
    Ok(Sample {
        name: name.to_owned(),
        labels,
        number: number.to_owned(),
        exemplar,
    })
}

fn read_metadata(metadata: &str, families: &mut Vec<Family>) -> Result<()> {
    let mut words = metadata.splitn(3, ' ');
    let mut word = || {
        words
            .next()
            .ok_or_else(|| format!("incomplete: {metadata:?}"))
    };
    let (keyword, name, text) = (word()?, word()?, word()?);
    if !is_name(name, true) {
        return Err(format!("illegal family name {name:?}"));
    }
    if keyword == "TYPE" {
        families.push(Family {
            name: name.to_owned(),
            kind: text.to_owned(),
            ..Family::default()
        });
        return Ok(());
    }
    let family = families.last_mut().filter(|family| family.name == name);
    let family = family.ok_or_else(|| format!("metadata before its TYPE: {metadata:?}"))?;
    if !family.samples.is_empty() || family.help.is_some() {
        return Err(format!("metadata out of order: {metadata:?}"));
    }
    match keyword {
        "UNIT" if family.unit.is_none() => family.unit = Some(text.to_owned()),
        "HELP" => family.help = Some(unescape(text)?),
        _ => return Err(format!("unexpected: {metadata:?}")),
    }
    Ok(())
}

/// What stands between the braces, and what stands after them.
fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label has no value")?;
        if !is_name(name, false) {
            return Err(format!("illegal label name {name:?}"));
        }
        let end = closing_quote(after).ok_or("a label value does not end")?;
        let value = unescape(&after[..end])?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("label {name:?} stands twice"));
        }
        rest = &after[end + 1..];
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        rest = rest.strip_prefix(',').ok_or("no comma between labels")?;
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

/// Only the three defined escapes: others are allowed, but nobody should write them.
fn unescape(text: &str) -> Result<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(char @ ('\\' | '"')) => char,
                other => return Err(format!("undefined escape \\{other:?} in {text:?}")),
            },
            '"' => return Err(format!("bare quote in {text:?}")),
            char => char,
        });
    }
    Ok(plain)
}

fn read_exemplar(text: &str) -> Result<Exemplar> {
    let text = text.strip_prefix('{').ok_or("an exemplar has no labels")?;
    let (labels, rest) = labels(text)?;
    let length: usize = labels
        .iter()
        .flat_map(|(name, value)| [name, value])
        .map(|text| text.chars().count())
        .sum();
    if length > 128 {
        return Err(format!("the exemplar's labels take {length} characters"));
    }
    let numbers: Vec<&str> = rest.trim_start().split(' ').collect();
    let [value, timestamp] = numbers[..] else {
        return Err(format!("not a value and a timestamp: {rest:?}"));
    };
    if !is_number(value) || !is_number(timestamp) || timestamp.contains('e') {
        return Err(format!("not a value and a timestamp: {rest:?}"));
    }
    let parse = |number: &str| number.parse().map_err(|error| format!("{number}: {error}"));
    Ok(Exemplar {
        labels,
        value: parse(value)?,
        timestamp: parse(timestamp)?,
    })
}

fn check_family(family: &Family) -> Result<()> {
    if let Some(unit) = &family.unit
        && !family.name.ends_with(&format!("_{unit}"))
    {
        return Err(format!("unit {unit} is not the end of the name"));
    }
    let mut series = BTreeSet::new();
    for sample in &family.samples {
        if !series.insert((&sample.name, &sample.labels)) {
            return Err(format!("series stands twice: {sample:?}"));
        }
        let suffix = sample.name.strip_prefix(&family.name).unwrap_or("?");
        match (family.kind.as_str(), suffix) {
            ("counter", "_total") if sample.value() >= 0.0 => {}
            ("histogram", "_bucket") => {}
            ("gauge", "") | ("histogram", "_sum" | "_count") if sample.exemplar.is_none() => {}
            _ => return Err(format!("not a {}'s sample: {sample:?}", family.kind)),
        }
    }
    if family.kind == "histogram" {
        return check_histogram(family);
    }
    Ok(())
}

/// Series by series, each one's lines together: buckets in order up to `+Inf`, then sum and count or neither.
fn check_histogram(family: &Family) -> Result<()> {
    let mut rest = family.samples.as_slice();
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|sample| sample.labels.get("le").is_some_and(|le| le == "+Inf"));
        let end = end.ok_or("no +Inf bucket")?;
        let (buckets, after) = rest.split_at(end + 1);
        check_buckets(buckets)?;
        rest = after;
        let has_sum = rest
            .first()
            .is_some_and(|sample| sample.name.ends_with("_sum"));
        if has_sum {
            let [sum, count, after @ ..] = rest else {
                return Err("a sum without a count".to_owned());
            };
            let mut labels = buckets[0].labels.clone();
            labels.remove("le");
            let is_whole =
                sum.labels == labels && count.labels == labels && count.name.ends_with("_count");
            if !is_whole
                || count.number != buckets[end].number
                || sum.value().is_nan()
                || sum.value() < 0.0
            {
                return Err(format!("sum and count do not fit: {sum:?} {count:?}"));
            }
            rest = after;
        }
    }
    Ok(())
}

fn check_buckets(buckets: &[Sample]) -> Result<()> {
    let (mut below, mut counted) = (f64::NEG_INFINITY, 0);
    for bucket in buckets {
        let le = bucket.labels.get("le").ok_or("a bucket without le")?;
        let bound: f64 = le.parse().map_err(|error| format!("{le}: {error}"))?;
        let count: u64 = bucket
            .number
            .parse()
            .map_err(|error| format!("bucket: {error}"))?;
        if bound <= below || count < counted || !(le == "+Inf" || le.contains(['.', 'e'])) {
            return Err(format!("bucket out of order: {bucket:?}"));
        }
        if let Some(exemplar) = &bucket.exemplar
            && !(exemplar.value <= bound && exemplar.value > below && count > counted)
        {
            return Err(format!("the exemplar is not of this bucket: {bucket:?}"));
        }
        (below, counted) = (bound, count);
    }
    Ok(())
}

fn is_name(name: &str, is_metric: bool) -> bool {
    let is_legal =
        |char: char| char.is_ascii_alphanumeric() || char == '_' || (is_metric && char == ':');
    !name.is_empty()
        && name.chars().all(is_legal)
        && !name.starts_with(|char: char| char.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_decimal = unsigned.starts_with(|char: char| char.is_ascii_digit())
        && unsigned
            .chars()
            .all(|char| char.is_ascii_digit() || ".e+-".contains(char))
        && unsigned.parse::<f64>().is_ok();
    is_decimal || unsigned == "Inf" || text == "NaN"
}

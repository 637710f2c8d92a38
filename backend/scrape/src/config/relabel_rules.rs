//! Relabelling rules as they are written, and what each action asks of them.

use super::{
    check::Fault,
    yaml::{At, Relabel},
};
use crate::relabel::{Action, Pattern, Rule};

const SEPARATOR: &str = ";";
const PATTERN: &str = "(.*)";
const REPLACEMENT: &str = "$1";

pub(super) fn read(written: Vec<At<Relabel>>) -> Result<Vec<Rule>, Fault> {
    written.iter().map(rule).collect()
}

fn rule(place: &At<Relabel>) -> Result<Rule, Fault> {
    let written = &place.value;
    Ok(Rule {
        source_labels: written.source_labels.clone().unwrap_or_default(),
        separator: written.separator.clone().unwrap_or(SEPARATOR.into()),
        action: action(place)?,
    })
}

fn action(place: &At<Relabel>) -> Result<Action, Fault> {
    let written = &place.value;
    let name = match &written.action {
        Some(action) => action.value.to_lowercase(),
        None => "replace".to_owned(),
    };
    takes_all(place, &name)?;
    let pattern = || pattern(written.regex.as_ref());
    let target = || target(place, &name);
    let replacement = || match &written.replacement {
        Some(text) => text.value.clone(),
        None => REPLACEMENT.to_owned(),
    };
    Ok(match name.as_str() {
        "replace" => Action::Replace {
            pattern: pattern()?,
            target: target()?,
            replacement: replacement(),
        },
        "keep" => Action::Keep(pattern()?),
        "drop" => Action::Drop(pattern()?),
        "keepequal" => Action::KeepEqual { target: target()? },
        "dropequal" => Action::DropEqual { target: target()? },
        "hashmod" => Action::HashMod {
            target: target()?,
            modulus: modulus(place)?,
        },
        "labelmap" => Action::LabelMap {
            pattern: pattern()?,
            replacement: replacement(),
        },
        "labeldrop" => Action::LabelDrop(pattern()?),
        "labelkeep" => Action::LabelKeep(pattern()?),
        "lowercase" => Action::Lowercase { target: target()? },
        "uppercase" => Action::Uppercase { target: target()? },
        _ => {
            let what = format!("action: {name:?} is no action");
            let at = written.action.as_ref();
            return Err(at.map_or_else(|| Fault::at(place, &*what), |at| Fault::at(at, &*what)));
        }
    })
}

/// Some actions would ignore an option, and Prometheus refuses it.
fn takes_all(place: &At<Relabel>, action: &str) -> Result<(), Fault> {
    let refused: &[&str] = match action {
        "keepequal" | "dropequal" => &["regex", "modulus", "separator", "replacement"],
        "labeldrop" | "labelkeep" => &[
            "source_labels",
            "target_label",
            "modulus",
            "separator",
            "replacement",
        ],
        "lowercase" | "uppercase" => &["replacement"],
        _ => &[],
    };
    let written = &place.value;
    let options = [
        ("source_labels", written.source_labels.is_some()),
        ("separator", written.separator.is_some()),
        ("regex", written.regex.is_some()),
        ("modulus", written.modulus.is_some()),
        ("target_label", written.target_label.is_some()),
        ("replacement", written.replacement.is_some()),
    ];
    let wrong = options
        .iter()
        .find(|(option, is_written)| *is_written && refused.contains(option));
    match wrong {
        Some((option, _)) => Err(Fault::at(
            place,
            format!("the action {action} takes no {option}"),
        )),
        None => Ok(()),
    }
}

fn modulus(place: &At<Relabel>) -> Result<u64, Fault> {
    let modulus = place.value.modulus.filter(|modulus| *modulus > 0);
    modulus.ok_or_else(|| Fault::at(place, "the action hashmod needs a modulus that is not zero"))
}

fn pattern(written: Option<&At<String>>) -> Result<Pattern, Fault> {
    let text = written.map_or(PATTERN, |regex| &regex.value);
    Pattern::new(text).map_err(|error| {
        let place = written.expect("the default is an expression");
        Fault::at(place, format!("regex: {error}"))
    })
}

fn target(place: &At<Relabel>, action: &str) -> Result<String, Fault> {
    match &place.value.target_label {
        Some(target) if !target.value.is_empty() => Ok(target.value.clone()),
        _ => Err(Fault::at(
            place,
            format!("the action {action} needs a target_label"),
        )),
    }
}

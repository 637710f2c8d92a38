//! Silences: what they are, how they change, which of them mute an alert. Kept over a restart by the journal.
//!
//! What a silence has muted must stay readable: a change that would rewrite the past ends the silence and makes another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    instant,
    labels::Labels,
    matcher::{Matcher, Operator, all_match},
};

/// Silences held, those that are over included.
pub const SILENCES_MAX: usize = 10_000;
/// Bytes of a silence as it is stored.
pub const SILENCE_BYTES_MAX: usize = 64 << 10;

/// A silence as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: Uuid,
    pub matchers: Vec<SilenceMatcher>,
    pub starts_at_ms: i64,
    pub ends_at_ms: i64,
    pub updated_at_ms: i64,
    pub created_by: String,
    pub comment: String,
}

/// One matcher of a silence, as the API has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceMatcher {
    pub name: String,
    pub value: String,
    #[serde(default)]
    pub is_regex: bool,
    #[serde(default = "yes")]
    pub is_equal: bool,
}

/// A silence as the API takes it. With an id, it changes the one that has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableSilence {
    #[serde(default)]
    pub id: Option<String>,
    pub matchers: Vec<SilenceMatcher>,
    #[serde(rename = "startsAt", deserialize_with = "instant::optional")]
    pub starts_at_ms: Option<i64>,
    #[serde(rename = "endsAt", deserialize_with = "instant::optional")]
    pub ends_at_ms: Option<i64>,
    pub created_by: String,
    pub comment: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    Active,
    Pending,
    Expired,
}

/// Why a silence is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    #[error("silence not found")]
    NotFound,
    #[error("invalid silence: {0}")]
    Invalid(String),
    #[error("there are {SILENCES_MAX} silences already")]
    TooMany,
    #[error("silence has more than {SILENCE_BYTES_MAX} bytes")]
    TooLarge,
    /// The journal says why.
    #[error("silence is not on disk, and would be lost in a restart")]
    NotStored,
}

/// All silences.
#[derive(Debug, Default)]
pub(crate) struct Silences {
    by_id: BTreeMap<Uuid, (Silence, Vec<Matcher>)>,
}

impl Silence {
    /// At its last instant a silence still mutes.
    pub fn state(&self, now_ms: i64) -> SilenceState {
        if now_ms < self.starts_at_ms {
            SilenceState::Pending
        } else if now_ms > self.ends_at_ms {
            SilenceState::Expired
        } else {
            SilenceState::Active
        }
    }

    /// True if the past stays as it was.
    fn can_become(&self, other: &Self, now_ms: i64) -> bool {
        let times = match self.state(now_ms) {
            SilenceState::Active => {
                let second = |time_ms: i64| time_ms.div_euclid(1_000);
                second(self.starts_at_ms) == second(other.starts_at_ms)
                    && other.ends_at_ms >= now_ms
            }
            SilenceState::Pending => other.starts_at_ms >= now_ms,
            SilenceState::Expired => false,
        };
        times && self.matchers == other.matchers
    }
}

impl SilenceMatcher {
    pub(crate) fn operator(&self) -> Operator {
        match (self.is_equal, self.is_regex) {
            (true, false) => Operator::Equal,
            (false, false) => Operator::NotEqual,
            (true, true) => Operator::Regex,
            (false, true) => Operator::NotRegex,
        }
    }
}

impl Silences {
    /// Creates or changes a silence. Returns what must be stored, the silence itself last.
    pub(crate) fn set(
        &mut self,
        posted: PostableSilence,
        now_ms: i64,
    ) -> Result<Vec<Silence>, SilenceError> {
        let mut silence = silence(posted, now_ms)?;
        let matchers = compile(&silence.matchers)?;
        let old = self.by_id.get(&silence.id).map(|(old, _)| old.clone());
        if !silence.id.is_nil() && old.is_none() {
            return Err(SilenceError::NotFound);
        }
        let changes = old.filter(|old| old.state(now_ms) != SilenceState::Expired);
        let mut stored = Vec::new();
        if !changes
            .as_ref()
            .is_some_and(|old| old.can_become(&silence, now_ms))
        {
            if self.by_id.len() >= SILENCES_MAX {
                return Err(SilenceError::TooMany);
            }
            stored.extend(changes.and_then(|old| self.expire(old.id, now_ms).ok().flatten()));
            silence.id = Uuid::new_v4();
            silence.starts_at_ms = silence.starts_at_ms.max(now_ms);
        }
        self.by_id.insert(silence.id, (silence.clone(), matchers));
        stored.push(silence);
        Ok(stored)
    }

    /// Ends a silence now. `None` if it is over.
    pub(crate) fn expire(
        &mut self,
        id: Uuid,
        now_ms: i64,
    ) -> Result<Option<Silence>, SilenceError> {
        let (silence, _) = self.by_id.get_mut(&id).ok_or(SilenceError::NotFound)?;
        match silence.state(now_ms) {
            SilenceState::Expired => return Ok(None),
            SilenceState::Active => {}
            SilenceState::Pending => silence.starts_at_ms = now_ms,
        }
        silence.ends_at_ms = now_ms;
        silence.updated_at_ms = now_ms;
        Ok(Some(silence.clone()))
    }

    /// Takes a silence from the journal as it is.
    pub(crate) fn restore(&mut self, silence: Silence) -> Result<(), SilenceError> {
        let matchers = compile(&silence.matchers)?;
        self.by_id.insert(silence.id, (silence, matchers));
        Ok(())
    }

    /// Forgets what was over at `before_ms`.
    pub(crate) fn forget(&mut self, before_ms: i64) {
        self.by_id
            .retain(|_, (silence, _)| silence.ends_at_ms > before_ms);
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<&Silence> {
        self.by_id.get(&id).map(|(silence, _)| silence)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.by_id.values().map(|(silence, _)| silence)
    }

    /// Ids of the silences that mute these labels now, in their order.
    pub(crate) fn muting(&self, labels: &Labels, now_ms: i64) -> Vec<Uuid> {
        let active = self.by_id.iter().filter(|(_, (silence, matchers))| {
            silence.state(now_ms) == SilenceState::Active && all_match(matchers, labels)
        });
        active.map(|(id, _)| *id).collect()
    }
}

fn yes() -> bool {
    true
}

/// Checks what is posted.
fn silence(posted: PostableSilence, now_ms: i64) -> Result<Silence, SilenceError> {
    let invalid = |reason: &str| SilenceError::Invalid(reason.to_owned());
    let id = match posted.id.as_deref() {
        None | Some("") => Uuid::nil(),
        // An id that is none belongs to no silence.
        Some(id) => id.parse().map_err(|_| SilenceError::NotFound)?,
    };
    let ends_at_ms = posted
        .ends_at_ms
        .ok_or_else(|| invalid("invalid zero end timestamp"))?;
    let starts_at_ms = posted.starts_at_ms.unwrap_or(now_ms);
    if starts_at_ms >= ends_at_ms {
        return Err(invalid("start time must be before end time"));
    }
    if ends_at_ms < now_ms {
        return Err(invalid("end time can't be in the past"));
    }
    let texts = posted
        .matchers
        .iter()
        .map(|matcher| matcher.name.len() + matcher.value.len());
    if texts.sum::<usize>() + posted.comment.len() + posted.created_by.len() > SILENCE_BYTES_MAX {
        return Err(SilenceError::TooLarge);
    }
    Ok(Silence {
        id,
        matchers: posted.matchers,
        starts_at_ms,
        ends_at_ms,
        updated_at_ms: now_ms,
        created_by: posted.created_by,
        comment: posted.comment,
    })
}

/// At least one matcher must need a label: a silence of everything is never meant.
fn compile(matchers: &[SilenceMatcher]) -> Result<Vec<Matcher>, SilenceError> {
    let invalid = |reason: String| SilenceError::Invalid(reason);
    let mut compiled = Vec::with_capacity(matchers.len());
    for (index, matcher) in matchers.iter().enumerate() {
        if matcher.name.is_empty() {
            return Err(invalid(format!(
                "invalid label matcher {index}: invalid label name \"\""
            )));
        }
        let matcher = Matcher::new(&matcher.name, matcher.operator(), &matcher.value);
        compiled.push(matcher.map_err(|_| {
            invalid(format!(
                "invalid label matcher {index}: invalid regular expression"
            ))
        })?);
    }
    if compiled.is_empty() {
        return Err(invalid("at least one matcher required".to_owned()));
    }
    let matches_nothing = |matcher: &Matcher| {
        matches!(matcher.operator, Operator::Equal | Operator::Regex) && matcher.matches_value("")
    };
    if compiled.iter().all(matches_nothing) {
        let reason = "at least one matcher must not match the empty string";
        return Err(invalid(reason.to_owned()));
    }
    Ok(compiled)
}

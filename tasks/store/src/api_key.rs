//! API keys: their text, what is stored of them, and how the two are compared. Who may have one is the gateway's and
//! the operator's.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tasks_api::{ActorId, WorkspaceId};

use crate::attributes::{Item, Reader, bytes, milliseconds, text};
use crate::transaction::Condition;
use crate::{Error, Store, keys};

const SHAPE: &str = "an API key's item";

const ACTOR: &str = "actor";
const CREATED: &str = "created_ms";
const SECRET_SHA256: &str = "secret_sha256";
const WORKSPACE: &str = "workspace";

/// What every key begins with, so that a scanner for leaked secrets can know it.
const PREFIX: &str = "tpk_";
/// Parts id from secret. An id cannot contain it.
const SEPARATOR: char = '_';
/// The letters and digits of new ids and secrets: five bits each, none that is taken for another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters of a new id: 60 bits, so that none is given twice.
const ID_CHARS: usize = 12;
/// Characters of a new secret: 160 bits.
const SECRET_CHARS: usize = 32;
/// Characters of a secret that is taken; the longest is for secrets made elsewhere, as 32 bytes in hex.
const SECRET_CHARS_TAKEN: std::ops::RangeInclusive<usize> = SECRET_CHARS..=64;

/// A key as its owner holds it: `tpk_{id}_{secret}`. Never printed: the text comes out by [`KeyText::reveal`] only.
#[derive(Clone)]
pub struct KeyText {
    id: ActorId,
    secret: String,
}

/// A key as it is stored. The secret is random enough for a plain hash: nobody can try all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The key's id, and the name under which its owner acts.
    pub actor: ActorId,
    pub workspace: WorkspaceId,
    pub secret_sha256: [u8; 32],
    /// Kept in milliseconds.
    pub created_at: Timestamp,
}

/// The text is no API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKeyText;

impl KeyText {
    /// A new key of 160 random bits.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let id = random_text::<ID_CHARS>()?;
        let id = id.parse().expect("the alphabet is part of an id's");
        Ok(Self {
            id,
            secret: random_text::<SECRET_CHARS>()?,
        })
    }

    pub fn id(&self) -> &ActorId {
        &self.id
    }

    /// The text to hand to the owner.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}{SEPARATOR}{}", self.id, self.secret)
    }

    fn secret_sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.secret).into()
    }
}

impl ApiKey {
    /// What is stored of a key.
    pub fn new(key: &KeyText, workspace: WorkspaceId, created_at: Timestamp) -> Self {
        Self {
            actor: key.id.clone(),
            workspace,
            secret_sha256: key.secret_sha256(),
            created_at,
        }
    }

    /// Whether this is the key presented. Takes the same time for every wrong secret.
    pub fn matches(&self, presented: &KeyText) -> bool {
        let same_secret = self.secret_sha256.ct_eq(&presented.secret_sha256());
        self.actor == presented.id && bool::from(same_secret)
    }
}

impl Store {
    /// The key of this id, whatever its secret.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    pub async fn api_key(&self, id: &ActorId) -> Result<Option<ApiKey>, Error> {
        let item = self.get(keys::api_key(id)).await?;
        item.as_ref().map(read).transpose()
    }

    /// Stores a key, in place of an older one of the same id in the same workspace.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the id is taken by another workspace.
    pub async fn put_api_key(&self, key: &ApiKey) -> Result<(), Error> {
        let absent = Condition::absent().expression;
        let condition = Condition::of(
            format!("{absent} OR {WORKSPACE} = :workspace"),
            [(":workspace", text(key.workspace.as_str()))],
        );
        if self.put_if(write(key), condition).await? {
            Ok(())
        } else {
            Err(Error::Conflict)
        }
    }
}

impl FromStr for KeyText {
    type Err = InvalidKeyText;

    fn from_str(text: &str) -> Result<Self, InvalidKeyText> {
        let parts = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(SEPARATOR));
        let (id, secret) = parts.ok_or(InvalidKeyText)?;
        let in_alphabet = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !SECRET_CHARS_TAKEN.contains(&secret.len()) || !secret.bytes().all(in_alphabet) {
            return Err(InvalidKeyText);
        }
        let id = id.parse().map_err(|_| InvalidKeyText)?;
        Ok(Self {
            id,
            secret: secret.to_owned(),
        })
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyText")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for InvalidKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (SECRET_CHARS_TAKEN.start(), SECRET_CHARS_TAKEN.end());
        write!(
            f,
            "not an API key: expected {PREFIX}{{id}}{SEPARATOR}{{secret}}, the secret {min} to {max} lower-case letters and digits"
        )
    }
}

impl std::error::Error for InvalidKeyText {}

pub(crate) fn write(key: &ApiKey) -> Item {
    let mut item = keys::api_key(&key.actor);
    let attributes = [
        (ACTOR, text(key.actor.as_str())),
        (WORKSPACE, text(key.workspace.as_str())),
        (SECRET_SHA256, bytes(key.secret_sha256)),
        (CREATED, milliseconds(key.created_at)),
    ];
    item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    item
}

pub(crate) fn read(item: &Item) -> Result<ApiKey, Error> {
    let item = Reader::new(SHAPE, item);
    let secret = item.bytes(SECRET_SHA256)?;
    Ok(ApiKey {
        actor: item.parsed(ACTOR)?,
        workspace: item.parsed(WORKSPACE)?,
        secret_sha256: secret
            .try_into()
            .map_err(|_| item.damaged(SECRET_SHA256, "has a wrong length"))?,
        created_at: item.milliseconds(CREATED)?,
    })
}

fn random_text<const CHARS: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; CHARS];
    getrandom::fill(&mut bytes)?;
    // 256 is a multiple of 32: every character is equally likely.
    Ok(bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn workspace() -> WorkspaceId {
        "dev".parse().unwrap()
    }

    #[test]
    fn a_new_key_comes_back_from_its_text() {
        let key = KeyText::generate().unwrap();
        let text = key.reveal();
        assert_eq!(text.len(), "tpk_".len() + ID_CHARS + 1 + SECRET_CHARS);
        let parsed: KeyText = text.parse().unwrap();
        assert_eq!(parsed.id(), key.id());
        assert!(ApiKey::new(&key, workspace(), Timestamp::UNIX_EPOCH).matches(&parsed));
    }

    #[test]
    fn no_two_keys_are_the_same() {
        let (one, two) = (KeyText::generate().unwrap(), KeyText::generate().unwrap());
        assert_ne!(one.id(), two.id());
        assert_ne!(one.secret, two.secret);
    }

    #[test]
    fn only_the_whole_key_matches() {
        let key = KeyText::generate().unwrap();
        let stored = ApiKey::new(&key, workspace(), Timestamp::UNIX_EPOCH);
        let other_secret = KeyText {
            id: key.id.clone(),
            secret: "a".repeat(SECRET_CHARS),
        };
        let other_id = KeyText {
            id: "other".parse().unwrap(),
            secret: key.secret.clone(),
        };
        let longer = KeyText {
            id: key.id.clone(),
            secret: format!("{}a", key.secret),
        };
        for wrong in [other_secret, other_id, longer] {
            assert!(!stored.matches(&wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_text_of_another_form_is_refused() {
        let secret = "a".repeat(SECRET_CHARS);
        assert!(format!("tpk_dev_{secret}").parse::<KeyText>().is_ok());
        for text in [
            String::new(),
            "tpk_".to_owned(),
            "tpk_dev_".to_owned(),
            format!("tpk__{secret}"),
            format!("dev_{secret}"),
            format!("TPK_dev_{secret}"),
            format!("tpk_Dev_{secret}"),
            format!("tpk_dev_{}", &secret[1..]),
            format!("tpk_dev_{}", secret.repeat(3)),
            format!("tpk_dev_{secret}_x"),
            format!("tpk_dev_{secret} "),
            format!("tpk_dev_{}", secret.to_uppercase()),
            format!("tpk_dev_{}é", &secret[2..]),
        ] {
            assert_eq!(
                text.parse::<KeyText>().unwrap_err(),
                InvalidKeyText,
                "{text}"
            );
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        let key = KeyText::generate().unwrap();
        let stored = ApiKey::new(&key, workspace(), Timestamp::UNIX_EPOCH);
        assert!(!format!("{key:?} {stored:?}").contains(&key.secret));
    }
}

//! Merges flags, environment, file and defaults into typed settings; an error names where the bad value came from.

use std::{collections::BTreeMap, ffi::OsString, fs::File, io::Read, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

use super::{Common, Settings};

/// What environment variables of ours start with.
const ENVIRONMENT_PREFIX: &str = "TRIPOD_";
/// The flag that names the file; it is no setting itself.
const FILE_FLAG: &str = "config";
const HELP_FLAGS: &[&str] = &["--help", "-h"];
const VERSION_FLAGS: &[&str] = &["--version", "-V"];
/// A settings file larger than this is none.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What the command line asks for.
#[derive(Debug)]
pub enum Request<S> {
    Run(Loaded<S>),
    /// `--help` or `--version`: this text.
    Print(String),
}

/// Settings, ready to use.
#[derive(Debug)]
pub struct Loaded<S> {
    pub own: S,
    pub common: Common,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{source_name}: {reason}")]
    Invalid { source_name: String, reason: String },
    #[error("unknown setting {source_name}; --help lists them")]
    Unknown { source_name: String },
    #[error("{0} needs a value")]
    NoValue(String),
    #[error("{0} is given twice")]
    Twice(String),
    #[error("an argument is no UTF-8: {0}")]
    NoUnicode(String),
    #[error("`{0}` is no flag; flags look like --listen 127.0.0.1:8080")]
    NoFlag(String),
    #[error("settings file {}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
}

/// Loads a process's settings. `admin_listen` is the default of its admin listener; `environment` what
/// [`std::env::vars_os`] gives.
///
/// # Errors
/// The first source that holds something unknown or invalid. A variable `TRIPOD_…` that is no key of this process is
/// left alone: another process on the same machine may have it.
pub fn load<S: Settings>(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    admin_listen: &str,
) -> Result<Request<S>, Error> {
    let mut own = Merge::<S>::new(S::default());
    let mut common = Merge::new(Common {
        admin_listen: admin_listen.parse().expect("the default is an address"),
        ..Common::default()
    });
    let flags = match read_flags(arguments, |key| own.is_switch(key) || common.is_switch(key))? {
        Flags::Given(flags) => flags,
        Flags::Help => return Ok(Request::Print(help::<S>(admin_listen))),
        Flags::Version => {
            return Ok(Request::Print(
                concat!(env!("CARGO_PKG_VERSION"), "\n").into(),
            ));
        }
    };

    if let Some(path) = flags.get(FILE_FLAG) {
        for (key, value) in read_file(path.into())? {
            let source = format!("{path}: `{key}`");
            if !(own.set(&key, &source, value.clone())? || common.set(&key, &source, value)?) {
                return Err(Error::Unknown {
                    source_name: source,
                });
            }
        }
    }
    for (name, text) in environment
        .into_iter()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text)))
    {
        let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX).map(str::to_lowercase) else {
            continue;
        };
        let known = own.knows(&key) || common.knows(&key);
        let text = text.into_string();
        let text = match (known, text) {
            (true, Ok(text)) => text,
            (true, Err(_)) => {
                return Err(Error::Invalid {
                    source_name: name,
                    reason: "no UTF-8".into(),
                });
            }
            (false, _) => continue,
        };
        own.set_text(&key, &name, &text)?;
        common.set_text(&key, &name, &text)?;
    }
    for (key, text) in flags.iter().filter(|(key, _)| *key != FILE_FLAG) {
        let source = format!("--{}", key.replace('_', "-"));
        if !(own.set_text(key, &source, text)? || common.set_text(key, &source, text)?) {
            return Err(Error::Unknown {
                source_name: source,
            });
        }
    }
    Ok(Request::Run(Loaded {
        own: own.finish()?,
        common: common.finish()?,
    }))
}

/// The defaults as a table. Keys without a default are absent.
pub(super) fn table_of<S: Serialize>(settings: &S) -> Table {
    Table::try_from(settings).expect("settings are flat and have string keys")
}

/// One struct's values on the way: the defaults, and what replaced some of them.
struct Merge<S> {
    defaults: Table,
    given: Table,
    settings: std::marker::PhantomData<S>,
}

impl<S: Settings> Merge<S> {
    fn new(defaults: S) -> Self {
        let mut defaults = table_of(&defaults);
        // Secrets have no defaults worth keeping, and print as asterisks.
        defaults.retain(|_, value| value.as_str() != Some("***"));
        Self {
            defaults,
            given: Table::new(),
            settings: std::marker::PhantomData,
        }
    }

    /// Whether the flag needs no value: `--allow-faults` alone means yes.
    fn is_switch(&self, key: &str) -> bool {
        matches!(self.defaults.get(key), Some(Value::Boolean(_)))
    }

    fn knows(&self, key: &str) -> bool {
        S::KEYS.iter().any(|(known, _)| *known == key)
    }

    /// False if there is no such key.
    fn set_text(&mut self, key: &str, source: &str, text: &str) -> Result<bool, Error> {
        let value = match self.defaults.get(key) {
            Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).ok(),
            Some(Value::Integer(_)) => text.parse().map(Value::Integer).ok(),
            Some(Value::Float(_)) => text.parse().map(Value::Float).ok(),
            _ => None,
        };
        self.set(
            key,
            source,
            value.unwrap_or_else(|| Value::String(text.to_owned())),
        )
    }

    /// False if there is no such key. The value is tried at once, so that the error can name its source.
    fn set(&mut self, key: &str, source: &str, value: Value) -> Result<bool, Error> {
        if !self.knows(key) {
            return Ok(false);
        }
        let alone = Table::from_iter([(key.to_owned(), value.clone())]);
        parse::<S>(alone).map_err(|reason| Error::Invalid {
            source_name: source.to_owned(),
            reason,
        })?;
        self.given.insert(key.to_owned(), value);
        Ok(true)
    }

    fn finish(mut self) -> Result<S, Error> {
        self.defaults.extend(self.given);
        parse(self.defaults).map_err(|reason| Error::Invalid {
            source_name: "settings".into(),
            reason,
        })
    }
}

fn parse<S: DeserializeOwned>(table: Table) -> Result<S, String> {
    table
        .try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())
}

/// What the arguments hold.
enum Flags {
    /// By key.
    Given(BTreeMap<String, String>),
    Help,
    Version,
}

fn read_flags(
    arguments: impl IntoIterator<Item = OsString>,
    is_switch: impl Fn(&str) -> bool,
) -> Result<Flags, Error> {
    let mut flags = BTreeMap::new();
    let mut arguments = arguments.into_iter().map(|argument| {
        let text = argument.into_string();
        text.map_err(|text| Error::NoUnicode(text.to_string_lossy().into_owned()))
    });
    while let Some(argument) = arguments.next() {
        let argument = argument?;
        if HELP_FLAGS.contains(&argument.as_str()) {
            return Ok(Flags::Help);
        }
        if VERSION_FLAGS.contains(&argument.as_str()) {
            return Ok(Flags::Version);
        }
        let Some(name) = argument.strip_prefix("--") else {
            return Err(Error::NoFlag(argument));
        };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let key = name.replace('-', "_");
        let value = match value {
            Some(value) => value,
            None if is_switch(&key) => "true".to_owned(),
            None => arguments
                .next()
                .ok_or_else(|| Error::NoValue(argument.clone()))??,
        };
        if flags.insert(key, value).is_some() {
            return Err(Error::Twice(format!("--{name}")));
        }
    }
    Ok(Flags::Given(flags))
}

fn read_file(path: PathBuf) -> Result<Table, Error> {
    let wrong = |reason: String| Error::File {
        path: path.clone(),
        reason,
    };
    let file = File::open(&path).map_err(|error| wrong(error.to_string()))?;
    let mut text = String::new();
    // A device says that it has no length and never ends, so what counts is what was read.
    let length = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    if length.map_err(|error| wrong(error.to_string()))? as u64 > FILE_BYTES_MAX {
        return Err(wrong(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        // The parser's own text draws the line below; an error here is one line.
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        wrong(format!(
            "line {line}: {}",
            error.message().replace('\n', ", ")
        ))
    })
}

fn help<S: Settings>(admin_listen: &str) -> String {
    let mut text = String::from(
        "Settings, by flag, by environment variable TRIPOD_…, or in the file that --config names:\n",
    );
    let mut defaults = table_of(&S::default());
    defaults.extend(table_of(&Common::default()));
    defaults.insert("admin_listen".into(), admin_listen.into());
    for (key, documentation) in S::KEYS.iter().chain(Common::KEYS) {
        let default = defaults
            .get(*key)
            .map(|value| format!(" = {value}"))
            .unwrap_or_default();
        text.push_str(&format!("\n  --{}{default}\n", key.replace('_', "-")));
        text.extend(
            documentation
                .lines()
                .map(|line| format!("      {}\n", line.trim())),
        );
    }
    text
}

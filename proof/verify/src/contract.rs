//! Contracts: how to speak with the services under proof, and how they keep traces. Data, as scenarios are; the schema is in
//! `docs/prove-your-own-services.md`. The task system's own contract is built in.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    file::{self, FileError},
    sampling::Sampler,
    scenario::{BUILT_IN, Scenario, ScenarioError},
};

/// What stands for the path of the built-in one.
const BUILT_IN_PATH: &str = "the built-in contract";
const TASKS: &str = include_str!("contracts/tasks.yml");

/// What somebody's services promise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    pub name: String,
    /// Of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Made once before each scenario, in this order.
    #[serde(default)]
    pub prepare: Vec<Preparation>,
    /// What scenarios call operations.
    pub operations: BTreeMap<String, Request>,
    pub sampling: Sampler,
    /// Instead of the built-in ones.
    #[serde(default)]
    pub scenarios: Vec<Scenario>,
}

/// A request to the target's `gateway`. Texts may name variables in braces: `{api_key}`, and what preparations took.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[serde(default = "get")]
    pub method: String,
    /// With a slash at its start.
    pub path: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub json: Option<Value>,
}

/// A request that must succeed, and what later ones need of its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    pub operation: String,
    /// Variables by name: where each stands in the answer, a JSON pointer (RFC 6901).
    #[serde(default)]
    pub take: BTreeMap<String, String>,
}

/// A contract file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

impl Contract {
    /// The one of the task system.
    ///
    /// # Errors
    /// Never, as long as the tests pass.
    pub fn built_in() -> Result<Self, ContractError> {
        let mut contract: Self = file::parse(BUILT_IN_PATH, TASKS)?;
        for (name, yaml) in BUILT_IN {
            contract.scenarios.push(Scenario::parse(name, yaml)?);
        }
        contract.checked(BUILT_IN_PATH)
    }

    /// Reads a file, YAML or JSON.
    ///
    /// # Errors
    /// See [`ContractError`].
    pub fn read(path: &Path) -> Result<Self, ContractError> {
        let contract: Self = file::read(path)?;
        let shown = path.display().to_string();
        let contract = contract.checked(&shown)?;
        if contract.scenarios.is_empty() {
            return Err(FileError::invalid(&shown, "there are no scenarios").into());
        }
        Ok(contract)
    }

    /// Whether everything that is named is there.
    fn checked(self, path: &str) -> Result<Self, ContractError> {
        let invalid = |text: String| ContractError::from(FileError::invalid(path, text));
        for request in self.operations.values() {
            if !request.path.starts_with('/') {
                return Err(invalid(format!(
                    "path {:?} has no slash at its start",
                    request.path
                )));
            }
            if reqwest::Method::from_bytes(request.method.as_bytes()).is_err() {
                return Err(invalid(format!("{:?} is no method", request.method)));
            }
        }
        let prepared = self.prepare.iter().map(|made| &made.operation);
        let played = self.scenarios.iter().flat_map(Scenario::operations);
        if let Some(unknown) = prepared
            .chain(played)
            .find(|name| !self.operations.contains_key(*name))
        {
            return Err(invalid(format!("there is no operation {unknown}")));
        }
        for scenario in &self.scenarios {
            scenario.check()?;
        }
        Ok(self)
    }
}

fn get() -> String {
    "GET".to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    const SHOP: &str = r#"
name: shop
operations:
  order: {method: POST, path: /orders, json: {item: 1}}
sampling: {percentage: 100}
scenarios:
  - name: propagation
    title: An order is one trace
    operation: order
    phases: [{name: plain, for: 15s, requests: 5}]
    checks: [{check: propagation, phase: plain, services: [shop, stock]}]
"#;

    fn read(text: &str) -> Result<Contract, ContractError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contract.yml");
        fs::write(&path, text).unwrap();
        Contract::read(&path)
    }

    #[test]
    fn the_built_in_one_is_good() {
        let contract = Contract::built_in().unwrap();
        assert_eq!(contract.scenarios.len(), BUILT_IN.len());
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_a_reason() {
        assert!(read(SHOP).is_ok());
        for (from, to, words) in [
            ("operation: order", "operation: buy", "no operation buy"),
            ("path: /orders", "path: orders", "no slash"),
            ("method: POST", "method: \"P T\"", "no method"),
            ("percentage: 100", "percentage: 101", "percentage"),
            ("phase: plain", "phase: none", "no phase none"),
            ("json:", "jsn:", "jsn"),
        ] {
            assert!(SHOP.contains(from));
            let error = read(&SHOP.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        let without = &SHOP[..SHOP.find("scenarios").unwrap()];
        assert!(
            read(without)
                .unwrap_err()
                .to_string()
                .contains("no scenarios")
        );
        assert!(Contract::read(Path::new("/nowhere")).is_err());
    }
}

//! `${env:NAME}`, `${env:NAME:-default}`, `${NAME}` and `$$` in values, as the Collector resolves them: the innermost
//! reference first, over and over; a reference that is the whole value becomes what its text is as YAML.
//!
//! References in keys, and other schemes (`file`, `yaml`), are not known here; the latter are errors.

use super::{
    ConfigError,
    document::{self, Node, Place, Value},
    option,
};

/// References resolved in one file: variables may name variables, and themselves.
const REFERENCES_MAX: usize = 500;

/// Bytes of one value while it is resolved: a chain of variables may double it at each link.
const VALUE_BYTES_MAX: usize = 64 << 10;

const SCHEME: &str = "env";

/// Resolves all references in `document`.
pub(super) fn expand(
    document: &mut Node,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    Expansion {
        env,
        left: REFERENCES_MAX,
    }
    .node(document, "")
}

struct Expansion<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    left: usize,
}

impl Expansion<'_> {
    fn node(&mut self, node: &mut Node, path: &str) -> Result<(), ConfigError> {
        match &mut node.value {
            Value::List(items) => items
                .iter_mut()
                .enumerate()
                .try_for_each(|(index, item)| self.node(item, &option::indexed(path, index))),
            Value::Map(entries) => entries
                .iter_mut()
                .try_for_each(|(key, item)| self.node(item, &option::keyed(path, key))),
            Value::Text(text) => {
                let text = std::mem::take(text);
                self.text(node, path, text)
            }
            _ => Ok(()),
        }
    }

    /// Gives `node` the value of `text`.
    fn text(&mut self, node: &mut Node, path: &str, mut text: String) -> Result<(), ConfigError> {
        let at = node.at;
        let fail = |reason: String| option::error(at, path, reason);
        while let Some(reference) = find(&text) {
            self.left = self.left.checked_sub(1).ok_or_else(|| {
                fail(format!("more than {REFERENCES_MAX} references in the file"))
            })?;
            let resolved = self.resolve(reference).map_err(fail)?;
            if reference == text {
                let value = typed(resolved.as_deref(), at);
                let resolved = resolved.unwrap_or_default();
                if !matches!(value, Value::Text(_)) {
                    node.value = value;
                    node.original = Some(resolved.replace("$$", "$"));
                    return self.node(node, path);
                }
                text = resolved;
            } else {
                text = text.replace(reference, resolved.as_deref().unwrap_or_default());
            }
            if text.len() > VALUE_BYTES_MAX {
                return Err(fail(format!(
                    "longer than {VALUE_BYTES_MAX} bytes once its references are resolved"
                )));
            }
        }
        node.value = Value::Text(text.replace("$$", "$"));
        Ok(())
    }

    /// What `${…}` stands for. Of an unset variable: its default, be it empty, or else nothing; of an empty one: nothing.
    fn resolve(&self, reference: &str) -> Result<Option<String>, String> {
        let inner = &reference[2..reference.len() - 1];
        let (scheme, rest) = inner.split_once(':').unwrap_or((SCHEME, inner));
        if scheme != SCHEME {
            return Err(format!(
                "{reference} is not supported; supported: ${{env:NAME}} and ${{env:NAME:-default}}"
            ));
        }
        let (name, default) = rest
            .split_once(":-")
            .map_or((rest, None), |(name, default)| (name, Some(default)));
        if rest.contains('$') || !is_name(name) {
            return Err(format!("{reference} does not name a variable"));
        }
        Ok(match (self.env)(name) {
            Some(value) => Some(value).filter(|value| !value.is_empty()),
            None => default.map(str::to_owned),
        })
    }
}

/// The first reference that holds no other; `None` from an escaped one on, as in the Collector.
fn find(text: &str) -> Option<&str> {
    let mut from = 0;
    loop {
        let close = from + text[from..].find('}')?;
        let Some(open) = text[from..close].rfind("${") else {
            from = close + 1;
            continue;
        };
        let open = from + open;
        let dollars = text[from..open]
            .bytes()
            .rev()
            .take_while(|byte| *byte == b'$')
            .count();
        return dollars.is_multiple_of(2).then(|| &text[open..=close]);
    }
}

/// `text` as a YAML value, all of it at the place of the reference. What is not YAML is text, and text stays as it is written.
fn typed(text: Option<&str>, at: Place) -> Value {
    let Some(text) = text else { return Value::Null };
    match document::parse(text) {
        Ok(mut node) if !text.is_empty() && !matches!(node.value, Value::Text(_)) => {
            place(&mut node, at);
            node.value
        }
        _ => Value::Text(text.to_owned()),
    }
}

fn place(node: &mut Node, at: Place) {
    node.at = at;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| place(item, at)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, item)| place(item, at)),
        _ => {}
    }
}

fn is_name(name: &str) -> bool {
    let first = name
        .bytes()
        .next()
        .is_some_and(|byte| !byte.is_ascii_digit());
    first
        && name
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn env(name: &str) -> Option<String> {
        let value = match name {
            "NUMBER" => "12",
            "TEXT" => "some text",
            "QUOTED" => "\"12\"",
            "EMPTY" => "",
            "LIST" => "[a, \"${env:NUMBER}\"]",
            "NESTED" => "x${TEXT}x",
            "LOOP" => "${env:LOOP}",
            "LOOPS" => "[\"${env:LOOPS}\", \"${env:LOOPS}\"]",
            "DOUBLE" => "${env:DOUBLE}${env:DOUBLE}",
            "DOLLAR" => "a$$b",
            "BROKEN" => "[1",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn expanded(text: &str) -> Result<Node, String> {
        let mut node = Node {
            at: Place { line: 3, column: 7 },
            value: Value::Text(text.to_owned()),
            original: None,
        };
        expand(&mut node, &env)
            .map_err(|error| error.to_string())
            .map(|()| node)
    }

    fn check(text: &str, expected: Value) {
        assert_eq!(expanded(text).unwrap().value, expected, "{text}");
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn a_whole_value_becomes_what_its_text_is_as_yaml() {
        check("${env:NUMBER}", Value::Int(12));
        check("${NUMBER}", Value::Int(12));
        check("${env:ABSENT:-1.5}", Value::Float(1.5));
        check("${env:ABSENT:-true}", Value::Bool(true));
        check("${env:ABSENT:-10s}", text("10s"));
        check("${env:NUMBER:-13}", Value::Int(12));
        check("${env:QUOTED}", text("\"12\""));
        check("${env:BROKEN}", text("[1"));
        assert_eq!(expanded("${env:NUMBER}").unwrap().original.unwrap(), "12");
    }

    #[test]
    fn what_is_unset_or_empty_is_nothing_unless_its_default_is_an_empty_text() {
        check("${env:ABSENT}", Value::Null);
        check("${env:EMPTY}", Value::Null);
        check("${env:EMPTY:-full}", Value::Null);
        check("${env:ABSENT:-}", text(""));
        check("a${env:ABSENT}b${env:EMPTY}c", text("abc"));
    }

    #[test]
    fn a_part_of_a_value_is_replaced_as_text() {
        check(
            "port ${env:NUMBER} of ${env:TEXT}",
            text("port 12 of some text"),
        );
        check("${env:NUMBER}${env:NUMBER}", text("1212"));
        check("${env:NESTED}", text("xsome textx"));
        check("${env:ABSENT:-${env:NUMBER}}", Value::Int(12));
        let Value::List(items) = expanded("${env:LIST}").unwrap().value else {
            panic!("a list")
        };
        assert_eq!(
            [&items[0].value, &items[1].value],
            [&text("a"), &Value::Int(12)]
        );
        assert_eq!(items[1].at, Place { line: 3, column: 7 });
    }

    #[test]
    fn a_doubled_dollar_is_one_and_hides_a_reference() {
        check("a$$b", text("a$b"));
        check("$${env:NUMBER}", text("${env:NUMBER}"));
        check("$$${env:NUMBER}", text("$12"));
        check("${env:DOLLAR}", text("a$b"));
        check("no reference: } ${ $ {", text("no reference: } ${ $ {"));
    }

    #[test]
    fn what_cannot_be_resolved_names_its_place() {
        let check = |text: &str, expected: &str| {
            let message = expanded(text).unwrap_err();
            assert!(
                message.starts_with("line 3, column 7: ") && message.contains(expected),
                "{text}: {message}"
            );
        };
        check("${file:secret}", "${file:secret} is not supported");
        check("${env:1X}", "does not name a variable");
        check("${env:}", "does not name a variable");
        check("${env:A B}", "does not name a variable");
        check("${env:LOOP}", "more than 500 references");
        check("${env:LOOPS}", "more than 500 references");
        check("${env:DOUBLE}", "longer than 65536 bytes");
    }
}

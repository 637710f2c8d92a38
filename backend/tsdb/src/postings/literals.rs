//! Expressions that are a choice of literals, as Grafana writes them for variables: `a|b|c`.

/// Longest choice that is looked up value by value.
const CHOICES_MAX: usize = 256;
/// Characters that mean something in an expression, of the `regex` crate or of RE2.
const SPECIAL: &[char] = &[
    '\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$',
];

/// The values that an anchored expression matches, if it is nothing but a choice of literals, none of them empty.
pub(super) fn of(pattern: &str) -> Option<Vec<String>> {
    let inner = ["^(?s:", "^(?:"]
        .iter()
        .find_map(|start| pattern.strip_prefix(start)?.strip_suffix(")$"))?;
    let inner = grouped(inner).unwrap_or(inner);
    let mut values = Vec::new();
    let mut value = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '|' => values.push(std::mem::take(&mut value)),
            '\\' => value.push(chars.next().filter(|c| SPECIAL.contains(c) || *c == '-')?),
            c if SPECIAL.contains(&c) => return None,
            c => value.push(c),
        }
    }
    values.push(value);
    let is_usable = values.len() <= CHOICES_MAX && values.iter().all(|value| !value.is_empty());
    is_usable.then_some(values)
}

/// What is in the one group that is all of an expression. A second group is a special character inside.
fn grouped(pattern: &str) -> Option<&str> {
    let inner = pattern.strip_prefix('(')?.strip_suffix(')')?;
    let inner = inner.strip_prefix("?:").unwrap_or(inner);
    (!inner.ends_with('\\')).then_some(inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn check(pattern: &str, expected: Option<&[&str]>) {
        let found = of(&format!("^(?s:{pattern})$"));
        let expected = expected.map(|values| values.iter().map(ToString::to_string).collect());
        assert_eq!(found, expected, "{pattern}");
    }

    #[test]
    fn a_choice_of_literals_is_seen() {
        check("a", Some(&["a"]));
        check("a|bc", Some(&["a", "bc"]));
        check("(a|b)", Some(&["a", "b"]));
        check("(?:a|b)", Some(&["a", "b"]));
        check(r"a\.b|c\-d", Some(&["a.b", "c-d"]));
        check(r"(a\))", Some(&["a)"]));
    }

    #[test]
    fn anything_else_is_not() {
        for pattern in [
            "a.b", "", "a|", "(a)|(b)", "(a)(b)", "a{2}", "[ab]", r"\d", r"(a\)", "(?i:a)", "(?i)a",
        ] {
            check(pattern, None);
        }
        assert_eq!(of("a|b"), None);
    }

    proptest! {
        #[test]
        fn the_values_are_those_that_match(pattern in r"[ab|()\\.?:-]{0,8}", value in "[ab.:-]{0,4}") {
            let anchored = format!("^(?s:{pattern})$");
            if let (Ok(regex), Some(values)) = (Regex::new(&anchored), of(&anchored)) {
                prop_assert_eq!(regex.is_match(&value), values.contains(&value));
                for value in &values {
                    prop_assert!(regex.is_match(value));
                }
            }
        }
    }
}

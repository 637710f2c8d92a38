#![allow(clippy::unwrap_used)]

use super::*;

/// The rules that a tree of these files breaks.
fn findings(
    check: fn(&Tree) -> anyhow::Result<Vec<Finding>>,
    files: &[(&str, &str)],
) -> Vec<String> {
    let file = |(path, text): &(&str, &str)| File {
        path: (*path).to_owned(),
        text: (*text).to_owned(),
    };
    let tree = Tree {
        root: PathBuf::from("/nonexistent"),
        files: files.iter().map(file).collect(),
    };
    check(&tree)
        .unwrap()
        .into_iter()
        .map(|finding| finding.rule)
        .collect()
}

#[test]
fn a_file_without_a_purpose_is_found() {
    let rules = findings(
        sources::check,
        &[
            ("a/src/lib.rs", "fn f() {}\n"),
            ("a/src/b.rs", "//! Owns b.\n"),
        ],
    );
    assert_eq!(rules, ["opens without `//!` lines that say what it owns"]);
}

#[test]
fn a_long_function_is_found_unless_it_is_a_test() {
    let long = format!("//! Owns f.\nfn f() {{\n{}}}\n", "    g();\n".repeat(70));
    assert_eq!(
        findings(sources::check, &[("a/src/f.rs", &long)]),
        ["`f` has 72 lines, more than 70"]
    );
    assert!(findings(sources::check, &[("a/tests/f.rs", &long)]).is_empty());
    let inside = format!(
        "//! Owns f.\n#[cfg(test)]\nmod tests {{\n{}}}\n",
        long.replace("//! Owns f.\n", "")
    );
    assert!(findings(sources::check, &[("a/src/f.rs", &inside)]).is_empty());
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let long = format!("//! Owns a.\n{}", "const A: u8 = 1;\n".repeat(600));
    assert_eq!(
        findings(sources::check, &[("a/src/f.rs", &long)]),
        ["601 lines, more than 600"]
    );
}

#[test]
fn a_name_that_says_nothing_is_found() {
    assert_eq!(
        findings(sources::check, &[("a/src/util.rs", "//! Owns all.\n")]),
        ["`util` does not say what is inside"]
    );
}

#[test]
fn a_second_copy_of_a_name_is_found_in_literals_and_macros() {
    let conventions = (
        "telemetry/conventions/src/spans.rs",
        "pub const URL_PATH: &str = \"url.path\";\n",
    );
    for copy in [
        "fn f() { g(\"url.path\") }",
        "fn f() { span!(\"x\", url.path = 1); }",
        "fn f() { v![h(\"url.path\")]; }",
    ] {
        assert_eq!(
            findings(names::check, &[conventions, ("a/src/lib.rs", copy)]),
            ["\"url.path\" is conventions::URL_PATH"]
        );
    }
    assert!(
        findings(
            names::check,
            &[conventions, ("a/tests/it.rs", "fn f() { g(\"url.path\") }")]
        )
        .is_empty()
    );
    assert!(
        findings(
            names::check,
            &[
                conventions,
                (
                    "a/src/lib.rs",
                    "fn f() { assert!(url.path()); g(url.path) }"
                )
            ]
        )
        .is_empty()
    );
}

#[test]
fn an_arrow_upwards_is_found() {
    let manifest = "[package]\nname = \"telemetry\"\n[dependencies]\ngateway.workspace = true\n";
    let rules = findings(
        arrows::check,
        &[("telemetry/telemetry/Cargo.toml", manifest)],
    );
    assert_eq!(rules, ["`telemetry` must not depend on `gateway`"]);
}

#[test]
fn a_dependency_is_declared_in_the_root_and_used() {
    let manifest = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n[dependencies]\nhttp = \"1\"\nbytes.workspace = true\n";
    let lock = (
        "Cargo.lock",
        "[[package]]\nname = \"metrics\"\n[[package]]\nname = \"metrics\"\n",
    );
    let rules = findings(
        manifests::check,
        &[
            ("a/Cargo.toml", manifest),
            ("a/src/lib.rs", "use http::Uri;"),
            lock,
        ],
    );
    assert_eq!(
        rules,
        [
            "holds 2 versions of `metrics`",
            "`bytes` is declared in dependencies and not used",
            "`http` has its version outside the root manifest",
        ]
    );
}

#[test]
fn a_workspace_of_its_own_has_its_own_versions() {
    let manifest = "[workspace]\n[package]\nname = \"a\"\n[dependencies]\nhttp = \"1\"\n";
    let lock = ("Cargo.lock", "package = []\n");
    for check in [manifests::check, arrows::check] {
        assert!(findings(check, &[("a/Cargo.toml", manifest), lock]).is_empty());
    }
}

#[test]
fn a_root_dependency_that_nobody_uses_is_found() {
    let root = ("Cargo.toml", "[workspace.dependencies]\nhttp = \"1\"\n");
    let lock = ("Cargo.lock", "[[package]]\nname = \"http\"\n");
    assert_eq!(
        findings(manifests::check, &[root, lock]),
        ["`http` is declared and no crate uses it"]
    );
}

#[test]
fn a_broken_link_and_a_home_folder_are_found() {
    let rules = findings(
        docs::check,
        &[("docs/a.md", "[b](b.md) [c](https://example.org)\n")],
    );
    assert!(rules.contains(&"links to `b.md`, which does not exist".to_owned()));
    let rules = findings(docs::check, &[("a.txt", "see /home/somebody/file\n")]);
    assert!(rules.contains(&"names somebody's home folder".to_owned()));
}

#[test]
fn a_decision_without_alternatives_is_found() {
    let text = "## Context\n## Decision\n## Cost\n";
    let rules = findings(docs::check, &[("docs/decisions/001-x.md", text)]);
    assert!(rules.contains(&"has no section `## Alternatives`".to_owned()));
}

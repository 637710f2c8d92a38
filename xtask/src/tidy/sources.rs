//! Rust files: what they open with, how long they and their functions are, what they are called.

use anyhow::Context;
use syn::{spanned::Spanned, visit::Visit};

use super::{File, Finding, Tree};

/// Production lines in one file; tests at its end do not count.
const FILE_LINES_MAX: usize = 600;
/// Lines of one function, signature and braces included.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of unit tests that may stay below the code they test.
const INLINE_TEST_LINES_MAX: usize = 150;
/// Lines a file may take to say what it owns.
const PURPOSE_LINES_MAX: usize = 10;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "common", "util", "utils", "core", "helpers", "helper", "misc",
];

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in tree.with_extension("rs") {
        let syntax =
            syn::parse_file(&file.text).with_context(|| format!("{} is no Rust", file.path))?;
        findings.extend(check_name(file));
        findings.extend(check_purpose(file));
        if !file.is_test() {
            findings.extend(check_length(file, &syntax));
            findings.extend(check_functions(file, &syntax));
        }
    }
    Ok(findings)
}

fn check_name(file: &File) -> Option<Finding> {
    let empty = file
        .path
        .split('/')
        .map(|part| part.trim_end_matches(".rs"))
        .find(|part| EMPTY_NAMES.contains(part))?;
    Some(file.finding(None, format!("`{empty}` does not say what is inside")))
}

fn check_purpose(file: &File) -> Option<Finding> {
    // A test module that belongs to one file is described by that file; attributes may stand in front.
    if file.path.ends_with("/tests.rs") {
        return None;
    }
    let purpose = file
        .text
        .lines()
        .skip_while(|line| line.starts_with("#![") || line.starts_with("#!/"));
    let lines = purpose.take_while(|line| line.starts_with("//!")).count();
    let is_documented_root = file.path.ends_with("src/lib.rs");
    match lines {
        0 => Some(file.finding(1, "opens without `//!` lines that say what it owns")),
        1..=PURPOSE_LINES_MAX => None,
        _ if is_documented_root => None,
        _ => Some(file.finding(
            1,
            format!("takes {lines} lines to say what it owns, more than {PURPOSE_LINES_MAX}"),
        )),
    }
}

fn check_length(file: &File, syntax: &syn::File) -> Vec<Finding> {
    let total = file.text.lines().count();
    let tests = syntax.items.iter().filter_map(inline_tests).sum::<usize>();
    let mut findings = Vec::new();
    if total - tests > FILE_LINES_MAX {
        findings.push(file.finding(
            None,
            format!("{} lines, more than {FILE_LINES_MAX}", total - tests),
        ));
    }
    if tests > INLINE_TEST_LINES_MAX {
        findings.push(file.finding(
            None,
            format!("{tests} lines of tests belong into a file of their own"),
        ));
    }
    findings
}

/// Lines of a `#[cfg(test)] mod tests { … }`.
fn inline_tests(item: &syn::Item) -> Option<usize> {
    let syn::Item::Mod(module) = item else {
        return None;
    };
    module.content.as_ref()?;
    module
        .attrs
        .iter()
        .any(is_cfg_test)
        .then(|| lines_of(module))
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|argument| argument.is_ident("test"))
}

fn check_functions(file: &File, syntax: &syn::File) -> Vec<Finding> {
    let mut functions = Functions {
        file,
        findings: Vec::new(),
    };
    functions.visit_file(syntax);
    functions.findings
}

struct Functions<'a> {
    file: &'a File,
    findings: Vec<Finding>,
}

impl Functions<'_> {
    fn check(&mut self, name: &syn::Ident, block: &syn::Block) {
        let lines = lines_of(block);
        if lines > FUNCTION_LINES_MAX {
            let rule = format!("`{name}` has {lines} lines, more than {FUNCTION_LINES_MAX}");
            self.findings
                .push(self.file.finding(name.span().start().line, rule));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !module.attrs.iter().any(is_cfg_test) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.check(&function.sig.ident, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.check(&function.sig.ident, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }
}

fn lines_of(item: &impl Spanned) -> usize {
    let span = item.span();
    span.end().line - span.start().line + 1
}

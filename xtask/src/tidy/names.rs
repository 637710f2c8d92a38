//! Names of spans, attributes, metrics and headers stand in `conventions` and nowhere else.
//!
//! A string literal, or a dotted field of a `tracing` macro, that repeats such a name is a second copy. Names of one
//! plain word (`service`, `queue`) are everyday words and are not looked for.

use std::collections::HashMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

use super::{File, Finding, Tree};

/// Where the names live.
const SOURCE: &str = "telemetry/conventions/src/";

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let names = Names::read(tree)?;
    let mut findings = Vec::new();
    for file in tree.with_extension("rs") {
        if !file.path.starts_with(SOURCE) && !file.path.starts_with("xtask/") && !file.is_test() {
            findings.extend(names.copies(file)?);
        }
    }
    Ok(findings)
}

/// From a name to the constant that holds it.
struct Names(HashMap<String, String>);

impl Names {
    fn read(tree: &Tree) -> anyhow::Result<Self> {
        let mut constants = Constants::default();
        for file in tree
            .with_extension("rs")
            .filter(|file| file.path.starts_with(SOURCE))
        {
            constants.visit_file(&syn::parse_file(&file.text)?);
        }
        Ok(Self(constants.0))
    }

    fn copies(&self, file: &File) -> anyhow::Result<Vec<Finding>> {
        let mut literals = Literals::default();
        literals.visit_file(&syn::parse_file(&file.text)?);
        let copies = literals.0.into_iter().filter_map(|(line, text)| {
            let constant = self.0.get(&text)?;
            Some(file.finding(line, format!("\"{text}\" is conventions::{constant}")))
        });
        Ok(copies.collect())
    }
}

#[derive(Default)]
struct Constants(HashMap<String, String>);

impl<'ast> Visit<'ast> for Constants {
    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        if let syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) = &*item.expr
            && text.value().contains(['.', '_', '-'])
        {
            self.0.insert(text.value(), item.ident.to_string());
        }
    }
}

/// Every string literal and every dotted name in a macro, with its line. Test modules are left out.
#[derive(Default)]
struct Literals(Vec<(usize, String)>);

impl Literals {
    fn read_macro(&mut self, tokens: TokenStream) {
        let mut dotted = String::new();
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) if dotted.is_empty() || dotted.ends_with('.') => {
                    dotted.push_str(&ident.to_string());
                }
                TokenTree::Punct(punct) if punct.as_char() == '.' && !dotted.is_empty() => {
                    dotted.push('.')
                }
                _ => self.flush(&mut dotted, &token),
            }
            match token {
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                        self.0.push((literal.span().start().line, text.value()));
                    }
                }
                TokenTree::Group(group) => self.read_macro(group.stream()),
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }

    fn flush(&mut self, dotted: &mut String, next: &TokenTree) {
        // What a bracket follows is a method call: `url.scheme()` in an ordinary macro's argument.
        if dotted.contains('.') && !matches!(next, TokenTree::Group(_)) {
            self.0
                .push((next.span().start().line, std::mem::take(dotted)));
        }
        dotted.clear();
    }
}

impl<'ast> Visit<'ast> for Literals {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.ident != "tests" {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.push((literal.span().start().line, literal.value()));
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        self.read_macro(invocation.tokens.clone());
    }

    /// `#[doc = "…"]` and `#[serde(rename = "…")]` are not uses of a name.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

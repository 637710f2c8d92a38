//! Golden pages: each file in `pages/` is a page followed, after a line of equals signs, by what is read from it. The
//! ending of its name is its format. `UPDATE_GOLDEN=1` writes the second part anew.

use std::{env, fmt::Write, fs, path::Path};

use scrape::exposition::{Entry, Format, Parser};

const SEPARATOR: &str = "==========\n";

#[test]
fn pages_are_read_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/pages");
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let golden = fs::read_to_string(&path).unwrap();
        let (page, expected) = golden.split_once(SEPARATOR).unwrap_or((&golden, ""));
        let format = match path.extension().and_then(|ending| ending.to_str()) {
            Some("text") => Format::Text,
            Some("openmetrics") => Format::OpenMetrics,
            ending => panic!("{ending:?} is no format"),
        };
        let read = read(page, format);
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, [page, SEPARATOR, &read].concat()).unwrap();
        } else {
            assert_eq!(read, expected, "{}", path.display());
        }
        checked += 1;
    }
    assert!(checked >= 5, "only {checked} pages");
}

/// One line for each entry.
fn read(page: &str, format: Format) -> String {
    let mut out = String::new();
    for entry in Parser::new(page.as_bytes(), format) {
        match entry {
            Ok(Entry::Help { family, text }) => writeln!(out, "help {family} {text:?}"),
            Ok(Entry::Kind { family, kind }) => writeln!(out, "type {family} {}", kind.name()),
            Ok(Entry::Unit { family, unit }) => writeln!(out, "unit {family} {unit:?}"),
            Ok(Entry::Sample(sample)) => {
                let mut labels = Vec::new();
                sample.labels(&mut labels);
                write!(out, "{labels:?} {:?} at {:?}", sample.value, sample.t_ms).unwrap();
                if let Some(exemplar) = sample.exemplar {
                    labels.clear();
                    exemplar.labels(&mut labels);
                    let (value, t_ms) = (exemplar.value, exemplar.t_ms);
                    write!(out, " exemplar {labels:?} {value:?} at {t_ms:?}").unwrap();
                }
                writeln!(out)
            }
            Err(error) => writeln!(out, "error: {error}"),
        }
        .unwrap();
    }
    out
}

#![allow(clippy::unwrap_used)]

use std::{ffi::OsString, io::Write, net::SocketAddr};

use super::*;

const ADMIN: &str = "127.0.0.1:9199";

crate::settings! {
    /// A process of these tests.
    struct Example {
        /// Where it listens.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080));
        /// How many at once.
        parallel: u32 = 4;
        /// Whether it
        /// does.
        eager: bool = false;
        /// How long it waits.
        patience: Time = Time::from_secs(5);
        /// What nobody may see.
        token: Option<Secret> = None;
    }
}

/// Loads from flags, variables and the text of a file.
fn load_from(
    flags: &[&str],
    variables: &[(&str, &str)],
    file: Option<&str>,
) -> Result<Loaded<Example>, String> {
    let mut arguments: Vec<OsString> = flags.iter().map(OsString::from).collect();
    let mut written = tempfile::NamedTempFile::new().unwrap();
    if let Some(text) = file {
        written.write_all(text.as_bytes()).unwrap();
        arguments.extend(["--config".into(), written.path().into()]);
    }
    let environment = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    match load::<Example>(arguments, environment, ADMIN) {
        Ok(Request::Run(loaded)) => Ok(loaded),
        Ok(Request::Print(text)) => Err(text),
        Err(error) => Err(error.to_string()),
    }
}

fn check_error(flags: &[&str], variables: &[(&str, &str)], file: Option<&str>, parts: &[&str]) {
    let error = load_from(flags, variables, file).unwrap_err();
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn nothing_at_all_is_enough() {
    let loaded = load_from(&[], &[], None).unwrap();
    assert_eq!(loaded.own.parallel, 4);
    assert_eq!(loaded.common.admin_listen.to_string(), ADMIN);
    assert!(!loaded.common.allow_faults);
}

#[test]
fn a_flag_beats_a_variable_beats_a_file_beats_the_default() {
    let file = Some("parallel = 1\n");
    let variable = ("TRIPOD_PARALLEL", "2");
    let parallel = |flags: &[&str], variables: &[(&str, &str)], file| {
        load_from(flags, variables, file).unwrap().own.parallel
    };
    assert_eq!(parallel(&[], &[], file), 1);
    assert_eq!(parallel(&[], &[variable], file), 2);
    assert_eq!(parallel(&["--parallel", "3"], &[variable], file), 3);
    assert_eq!(parallel(&["--parallel=3"], &[variable], file), 3);
}

#[test]
fn every_type_is_read_from_text() {
    let flags = [
        "--allow-faults",
        "--patience",
        "250ms",
        "--listen",
        "[::1]:1",
        "--admin-listen=127.0.0.1:1",
    ];
    let loaded = load_from(
        &flags,
        &[("TRIPOD_EAGER", "true"), ("TRIPOD_TOKEN", "42")],
        None,
    )
    .unwrap();
    assert!(loaded.common.allow_faults && loaded.own.eager);
    assert_eq!(loaded.own.patience, Time::from_millis(250));
    assert_eq!(loaded.own.listen.to_string(), "[::1]:1");
    assert_eq!(loaded.own.token.unwrap().reveal(), "42");
}

#[test]
fn what_is_wrong_is_named_with_its_source() {
    check_error(
        &["--parallel", "many"],
        &[],
        None,
        &["--parallel", "invalid type"],
    );
    check_error(&["--parallel", "-1"], &[], None, &["--parallel"]);
    check_error(
        &[],
        &[("TRIPOD_PATIENCE", "5")],
        None,
        &["TRIPOD_PATIENCE", "10s"],
    );
    check_error(
        &[],
        &[("TRIPOD_LISTEN", "nowhere")],
        None,
        &["TRIPOD_LISTEN"],
    );
    check_error(&[], &[], Some("eager = 1"), &["`eager`", "invalid type"]);
    check_error(
        &["--colour", "red"],
        &[],
        None,
        &["unknown setting --colour"],
    );
    check_error(
        &[],
        &[],
        Some("colour = 1"),
        &["unknown setting", "`colour`"],
    );
    check_error(&["--parallel"], &[], None, &["--parallel needs a value"]);
    check_error(&["parallel"], &[], None, &["`parallel` is no flag"]);
    check_error(
        &["--config", "/nonexistent/file"],
        &[],
        None,
        &["/nonexistent/file", "No such file"],
    );
}

#[test]
fn a_file_that_is_no_toml_or_never_ends_is_one_line() {
    check_error(&[], &[], Some("parallel = 1\neager = = 1\n"), &["line 2: "]);
    check_error(&["--config", "/dev/zero"], &[], None, &["larger than"]);
}

#[test]
fn a_flag_given_twice_is_refused() {
    check_error(
        &["--parallel=1", "--parallel", "2"],
        &[],
        None,
        &["--parallel is given twice"],
    );
    check_error(
        &["--eager", "--eager=false"],
        &[],
        None,
        &["--eager is given twice"],
    );
}

#[test]
fn a_switch_needs_no_value() {
    assert!(
        load_from(&["--eager", "--parallel", "2"], &[], None)
            .unwrap()
            .own
            .eager
    );
    assert!(!load_from(&["--eager=false"], &[], None).unwrap().own.eager);
}

#[cfg(unix)]
#[test]
fn a_flag_that_is_no_utf_8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let flag = OsString::from_vec(b"--listen=\xff".to_vec());
    let error = load::<Example>([flag], [], ADMIN).unwrap_err().to_string();
    assert!(error.contains("no UTF-8"), "{error}");
}

#[test]
fn the_version_can_be_asked_for() {
    let version = load_from(&["--version"], &[], None).unwrap_err();
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_variable_of_another_process_is_left_alone() {
    assert!(load_from(&[], &[("TRIPOD_COLOUR", "red"), ("PARALLEL", "9")], None).is_ok());
}

#[test]
fn a_secret_is_never_shown() {
    let loaded = load_from(&["--token", "hush"], &[], None).unwrap();
    assert!(!format!("{:?}", loaded.own).contains("hush"));
    assert!(!toml::to_string(&loaded.own).unwrap().contains("hush"));
}

#[test]
fn help_and_reference_list_every_key_with_its_default() {
    let help = load_from(&["--help"], &[], None).unwrap_err();
    let reference = render_reference::<Example>("example", ADMIN);
    for (key, _) in Example::KEYS.iter().chain(Common::KEYS) {
        assert!(
            help.contains(&format!("--{}", key.replace('_', "-"))),
            "{help}"
        );
        assert!(reference.contains(&format!("| `{key}` |")), "{reference}");
    }
    assert!(help.contains("--patience = \"5s\""), "{help}");
    assert!(
        reference.contains("| `eager` | `false` | Whether it does. |"),
        "{reference}"
    );
}

#[test]
fn a_duration_has_a_unit_and_survives_being_printed() {
    for (text, printed) in [
        ("250ms", "250ms"),
        ("90s", "90s"),
        ("120s", "2m"),
        ("1h", "1h"),
        ("0s", "0s"),
        ("1000ms", "1s"),
    ] {
        assert_eq!(text.parse::<Time>().unwrap().to_string(), printed);
    }
    for text in [
        "",
        "5",
        "s",
        "-1s",
        "1.5s",
        "1d",
        "99999999999999999999s",
        "18446744073709551615h",
    ] {
        assert!(text.parse::<Time>().is_err(), "{text}");
    }
}

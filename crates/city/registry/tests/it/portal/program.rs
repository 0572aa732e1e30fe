//! Tests of `check` and `portal` as an operator runs them: mistakes and keys that end.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use clock::{Clock as _, SystemClock};

use crate::installed::{run, words};

const CONFIG: &str = "city-registry.toml";

/// Folder of `init`, with a change of its configuration, and an address that is not in use.
fn changed(change: impl FnOnce(String) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (code, ..) = words(&run(folder.path(), &["init", "."]));
    assert_eq!(code, Some(0));
    let path = folder.path().join(CONFIG);
    let text = std::fs::read_to_string(&path).unwrap();
    let port = testbed::ports::free_port();
    let address = format!("[portal]\naddress = \"127.0.0.1:{port}\"\n");
    let text = change(text.replacen("# [portal]\n", &address, 1));
    std::fs::write(&path, text).unwrap();
    folder
}

/// Configuration whose keys end at a time.
fn ending(text: &str, until: DateTime<Utc>) -> String {
    let until = until.format("until = \"%Y-%m-%dT%H:%M:%SZ\"").to_string();
    let line = |line: &str| match line.starts_with("until = ") {
        true => until.clone(),
        false => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn check(folder: &Path) -> (Option<i32>, String) {
    let (code, printed, complaint) = words(&run(folder, &["check"]));
    (code, printed + &complaint)
}

#[test]
fn what_init_writes_can_be_checked_as_it_stands() {
    let folder = changed(|text| text);
    let (code, printed) = check(folder.path());
    assert_eq!(code, Some(0), "{printed}");
    for said in [
        "ok      rules: of version 1",
        "verifiers pin it",
        "the keys of city suffice until",
        "the keys of hcert suffice until",
        "the keys of revocations suffice until",
    ] {
        assert!(printed.contains(said), "{said}: {printed}");
    }
}

/// Configuration from before certificates.
fn without_hcert(text: &str) -> String {
    let sections = text.split("\n\n");
    let others = sections.filter(|section| !section.contains("pass-hcert.key"));
    others.collect::<Vec<_>>().join("\n\n")
}

#[test]
fn a_configuration_from_before_certificates_works_and_is_told_what_to_add() {
    let folder = changed(|text| without_hcert(&text));
    std::fs::remove_file(folder.path().join("pass-hcert.key")).unwrap();
    let (code, printed) = check(folder.path());
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("no certificates are issued")
            && printed.contains("products = [\"hcert\"]"),
        "{printed}"
    );
    assert!(
        printed.contains("the keys of city suffice until"),
        "{printed}"
    );
}

#[test]
fn limits_of_certificates_are_checked_at_their_edges() {
    let setting = |days: u16| {
        changed(|text| {
            text.replace(
                "certificate_days = 90 ",
                &format!("certificate_days = {days} "),
            )
        })
    };
    for (days, expected) in [(0, 78), (1, 0), (365, 0), (366, 78)] {
        let (code, printed) = check(setting(days).path());
        assert_eq!(code, Some(expected), "{days}: {printed}");
        assert_eq!(
            printed.contains("write 1 to 365"),
            expected == 78,
            "{printed}"
        );
    }
}

#[test]
fn what_init_prints_can_be_pasted_from_a_folder_with_blanks() {
    let folder = tempfile::tempdir().unwrap();
    let (code, printed, _) = words(&run(folder.path(), &["init", "my city's"]));
    assert_eq!(code, Some(0));
    let command = printed
        .lines()
        .find_map(|line| line.split_once("then run: city-registry --config "));
    let (arguments, _) = command.unwrap().1.split_once(';').unwrap();
    let program = env!("CARGO_BIN_EXE_city-registry");
    let script = format!("{program} --config {arguments}");
    let pasted = std::process::Command::new("bash")
        .current_dir(folder.path())
        .arg("-c")
        .arg(&script)
        .output()
        .unwrap();
    assert!(pasted.status.success(), "{script}: {pasted:?}");
}

#[test]
fn mistakes_end_with_78_and_are_named() {
    let listening = "[portal]\naddress = \"0.0.0.0:";
    let local = "[portal]\naddress = \"127.0.0.1:";
    let cases = [
        ("passes.root_key", "pass-root.key", "nowhere.key"),
        (
            "passes.pass_id_key holds no key",
            "pass-id.key",
            "receipt.key",
        ),
        ("is there twice", "pass-revocations.key", "pass-city.key"),
        ("write 1 to 20", "strips_per_day = 3", "strips_per_day = 21"),
        ("write 1 to 20", "strips_per_day = 3", "strips_per_day = 0"),
        ("write 0 to 3", "days_ahead = 3", "days_ahead = 4"),
        (
            "write 1 to 1000",
            "most_per_window = 60",
            "most_per_window = 1001",
        ),
        ("nowhere.toml", "\"pass-rules.toml\"", "\"nowhere.toml\""),
        ("there is no [portal.tls]", local, listening),
    ];
    for (said, from, to) in cases {
        let folder = changed(|text| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        for command in ["check", "portal"] {
            let (code, printed, complaint) = words(&run(folder.path(), &[command]));
            let printed = printed + &complaint;
            assert_eq!(code, Some(78), "{command}: {printed}");
            assert!(printed.contains(said), "{command}: {said}: {printed}");
        }
    }
}

#[test]
fn a_portal_without_passes_ends_with_78() {
    let port = testbed::ports::free_port();
    let address = format!("[portal]\naddress = \"127.0.0.1:{port}\"\n");
    let folder = changed(|text| text.split("[passes]").next().unwrap().to_owned() + &address);
    let (code, _, complaint) = words(&run(folder.path(), &["portal"]));
    assert_eq!(code, Some(78));
    assert!(complaint.contains("there is no [passes]"), "{complaint}");
}

#[test]
fn check_says_when_the_next_key_is_due() {
    let now = SystemClock::default().now();
    let in_days = |days: i64| {
        let until = now + TimeDelta::days(days);
        check(changed(|text| ending(&text, until)).path())
    };
    let soon = in_days(20);
    assert_eq!(soon.0, Some(0));
    assert!(
        soon.1.contains("warning passes: the keys of city suffice"),
        "{}",
        soon.1
    );
    assert!(
        soon.1.contains("ok      passes: the keys of revocations"),
        "{}",
        soon.1
    );
    let late = in_days(9);
    assert_eq!(late.0, Some(0));
    assert!(late.1.contains("add the next one now"), "{}", late.1);
    let over = in_days(-1);
    assert_eq!(over.0, Some(78), "{}", over.1);
}

#[test]
fn check_says_that_no_key_signs_now() {
    let begin = |text: String| {
        let from = (SystemClock::default().now() + TimeDelta::days(1)).format("%Y-%m-%dT%H:%M:%SZ");
        let line = |line: &str| match line.starts_with("from = ") {
            true => format!("from = \"{from}\""),
            false => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    };
    let (code, printed) = check(changed(begin).path());
    assert_eq!(code, Some(78));
    assert!(printed.contains("no key signs city now"), "{printed}");
    assert!(
        printed.contains("a key begins within 72 hours"),
        "{printed}"
    );
}

//! Audit log of the registry's commands: two lines for each, and nothing done without the first.

use std::path::Path;

use contract::Scheme;
use serde_json::Value;

use crate::installed::{Installed, install, page_with, run, send, terminate, words};
use crate::world::pseudonym;

/// Registry with an audit log, and a batch in its queue.
async fn audited() -> Installed {
    let installed = install(None);
    let folder = installed.folder.path();
    let config = folder.join("city-registry.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + "\n[audit]\nfolder = \"audit\"\n").unwrap();
    send(folder, &installed.public).await;
    installed
}

/// Text of the log; empty where there is none.
fn text(folder: &Path) -> String {
    let Ok(files) = std::fs::read_dir(folder.join("audit")) else {
        return String::new();
    };
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "jsonl"));
    paths.sort();
    let texts = paths
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap());
    texts.collect()
}

/// Changes the newest file of the log.
fn change(folder: &Path, change: impl FnOnce(String) -> String) {
    let files = std::fs::read_dir(folder.join("audit")).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let newest = paths.filter(|path| path.extension().is_some_and(|it| it == "jsonl"));
    let newest = newest.max().unwrap();
    let text = std::fs::read_to_string(&newest).unwrap();
    std::fs::write(&newest, change(text)).unwrap();
}

/// Event, command and exit code of each line; no exit code where there is none yet.
fn lines(folder: &Path) -> Vec<String> {
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let event = word(&line["event"]);
        let command = word(&line["details"]["command"]);
        match line["details"]["exit_code"].as_u64() {
            None => format!("{event} {command}"),
            Some(code) => format!("{event} {command} {code}"),
        }
    };
    text(folder).lines().map(line).collect()
}

/// Counts of the newest line.
fn counts(folder: &Path) -> Value {
    let text = text(folder);
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    line["details"]["counts"].clone()
}

#[tokio::test]
async fn commands_about_persons_and_those_that_change_something_leave_two_lines() {
    let installed = audited().await;
    let folder = installed.folder.path();
    assert_eq!(words(&run(folder, &["run", "--drain"])).0, Some(0));
    assert_eq!(counts(folder)["applied"], 1);
    let value = hex::encode(pseudonym(Scheme::Snils, 7).value);
    let name = format!("hmac/snils/1/{value}");
    let (code, shown, _) = words(&run(folder, &["show", "--subject", &name]));
    assert!(code == Some(0) && shown.contains("2021-06-01"), "{shown}");
    assert_eq!(counts(folder)["subjects"], 1);
    assert_eq!(words(&run(folder, &["persons", "split", &name])).0, Some(0));
    assert_eq!(counts(folder)["changed"], 1);
    assert_eq!(words(&run(folder, &["persons", "actions"])).0, Some(0));
    let discard = ["dead-letters", "discard", "--all", "--yes"];
    assert_eq!(words(&run(folder, &discard)).0, Some(1));
    let purge = ["purge", "nowhere", "--dry-run"];
    assert_eq!(words(&run(folder, &purge)).0, Some(78));
    // Counts of the whole store, keys and lists are nobody's data.
    for command in [
        &["show", "--stats"][..],
        &["dead-letters", "list"],
        &["keys", "public"],
        &["check"],
    ] {
        assert_eq!(words(&run(folder, command)).0, Some(0), "{command:?}");
    }
    let expected = [
        "begun run",
        "done run 0",
        "begun show subject",
        "done show subject 0",
        "begun persons split",
        "done persons split 0",
        "begun persons actions",
        "done persons actions 0",
        "begun dead-letters discard",
        "failed dead-letters discard 1",
        "begun purge --dry-run",
        "failed purge --dry-run 78",
    ];
    assert_eq!(lines(folder), expected);
    let text = text(folder);
    let stored = shown.lines().find_map(|line| line.split("snils/1/").nth(1));
    for content in [&value[..], stored.unwrap(), "2021-06-01", "not-detected"] {
        assert!(!text.contains(content), "{content}: {text}");
    }
    let (code, report, _) = words(&run(folder, &["check"]));
    assert!(
        code == Some(0) && report.contains("ok      audit: 12 lines"),
        "{report}"
    );
}

#[tokio::test]
async fn verify_finds_a_changed_line_and_a_missing_one() {
    let installed = audited().await;
    let folder = installed.folder.path();
    run(folder, &["run", "--drain"]);
    run(folder, &["persons", "actions"]);
    let verify = |more: &[&str]| words(&run(folder, &[&["audit", "verify"], more].concat()));
    let (code, told, _) = verify(&[]);
    assert!(code == Some(0) && told.contains("4 lines"), "{told}");
    let head = told.lines().find_map(|line| line.strip_prefix("head: "));
    let head = head.unwrap();
    assert_eq!(verify(&["--head", head]).0, Some(0));
    let whole = text(folder);

    change(folder, |text| {
        text.replacen("\"applied\":1", "\"applied\":0", 1)
    });
    let (code, _, told) = verify(&[]);
    assert!(code == Some(65) && told.contains(".jsonl:3"), "{told}");
    // Nothing is done upon a log that is not as it was written.
    let (code, _, told) = words(&run(folder, &["persons", "actions"]));
    assert!(
        code == Some(78) && told.contains("nothing was done"),
        "{told}"
    );
    let (code, report, _) = words(&run(folder, &["check"]));
    assert!(
        code == Some(78) && report.contains("FAILED  audit"),
        "{report}"
    );

    let without = |number: usize| {
        let lines = whole.lines().enumerate();
        let left = lines.filter(|(at, _)| at + 1 != number);
        left.map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    change(folder, |_| without(2));
    assert_eq!(verify(&[]).0, Some(65));
    change(folder, |_| without(4));
    assert_eq!(verify(&[]).0, Some(0), "only a kept head tells the end");
    let (code, _, told) = verify(&["--head", head]);
    assert!(
        code == Some(65) && told.contains("the log ends with line 3"),
        "{told}"
    );
    let elsewhere = ["audit", "verify", "--folder", "nowhere"];
    assert_eq!(words(&run(folder, &elsewhere)).0, Some(78));
}

#[tokio::test]
async fn without_a_line_nothing_is_done() {
    let installed = audited().await;
    let folder = installed.folder.path();
    std::fs::write(folder.join("audit"), "a file in the way").unwrap();
    for command in [
        &["run", "--drain"][..],
        &["run"],
        &[
            "show",
            "--subject",
            &format!("hmac/snils/1/{}", "00".repeat(32)),
        ],
        &["persons", "conflicts"],
    ] {
        let (code, _, told) = words(&run(folder, command));
        assert!(
            code == Some(78) && told.contains("nothing was done"),
            "{told}"
        );
    }
    assert!(
        !folder.join("registry.sqlite").exists(),
        "no store was made"
    );
    let (code, report, _) = words(&run(folder, &["check"]));
    assert!(
        code == Some(78) && report.contains("FAILED  audit"),
        "{report}"
    );
    std::fs::remove_file(folder.join("audit")).unwrap();
    let (code, told, _) = words(&run(folder, &["run", "--drain"]));
    assert!(code == Some(0) && told.contains("1 applied"), "{told}");
}

#[tokio::test]
async fn commands_beside_a_running_registry_write_the_same_log() {
    let installed = audited().await;
    let folder = installed.folder.path();
    let mut daemon = installed.start();
    page_with(installed.port, "/health/ready", "200 OK").await;
    std::thread::scope(|threads| {
        let commands =
            [0; 3].map(|_| threads.spawn(|| words(&run(folder, &["persons", "conflicts"])).0));
        for command in commands {
            assert_eq!(command.join().unwrap(), Some(0));
        }
    });
    assert_eq!(terminate(&mut daemon).await, Some(0));
    let lines = lines(folder);
    assert_eq!(lines.first().unwrap(), "begun run");
    assert_eq!(lines.last().unwrap(), "done run 0");
    let count = |line: &str| lines.iter().filter(|it| *it == line).count();
    assert_eq!(count("begun persons conflicts"), 3);
    assert_eq!(count("done persons conflicts 0"), 3);
    let (code, told, _) = words(&run(folder, &["audit", "verify"]));
    assert!(code == Some(0) && told.contains("8 lines"), "{told}");
}

#[test]
fn without_the_section_no_log_is_kept() {
    let installed = install(None);
    let folder = installed.folder.path();
    assert_eq!(words(&run(folder, &["persons", "actions"])).0, Some(0));
    assert!(!folder.join("audit").exists());
    let (code, _, told) = words(&run(folder, &["audit", "verify"]));
    assert!(code == Some(78) && told.contains("no [audit]"), "{told}");
    let config = folder.join("city-registry.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    for (section, said) in [
        (
            "folder = \"queue\"",
            "queue.directory.path and audit.folder",
        ),
        ("folder = \"\"", "audit.folder is empty"),
        ("foldr = \"audit\"", "did you mean `folder`?"),
    ] {
        std::fs::write(&config, format!("{text}\n[audit]\n{section}\n")).unwrap();
        let (code, _, told) = words(&run(folder, &["persons", "actions"]));
        assert!(code == Some(78) && told.contains(said), "{told}");
    }
}

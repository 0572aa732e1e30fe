//! The key ring's commands.

use std::fs;

use super::{json, mode, told, words};
use crate::support::{City, Clinic, fsb_source};

#[test]
fn keys_are_made_shared_rotated_and_retired_and_never_shown() {
    let city = City::new();
    let clinic = Clinic::new(
        &city,
        "[queue.directory]\npath = \"queue\"\n",
        &fsb_source(1, "mis"),
        "",
    );
    let folder = clinic.folder.path();
    let at = |name: &str| folder.join(name).display().to_string();
    let shown = |ring: &str| {
        fs::rename(folder.join(ring), folder.join("keys")).expect("the ring is put in place");
        json(&clinic.program(&["keys", "show", "--json"]))
    };
    let first = shown("keys");
    told(
        &clinic.program(&["keys", "share", "--out", &at("shared")]),
        0,
        &["trusted way"],
    );
    assert_eq!(mode(&folder.join("shared")), 0o600);
    told(
        &clinic.program(&["keys", "share", "--out", &at("shared")]),
        78,
        &["exists already"],
    );
    told(
        &clinic.program(&[
            "keys",
            "new",
            "--out",
            &at("joined"),
            "--join",
            &at("shared"),
        ]),
        0,
        &["epoch 1"],
    );
    told(
        &clinic.program(&["keys", "new", "--out", &at("x"), "--join", &at("keys")]),
        78,
        &["keys: line", "record key"],
    );
    told(
        &clinic.program(&["keys", "rotate", "--out", &at("rotated")]),
        0,
        &["epoch 2", "sync --full"],
    );
    told(
        &clinic.program(&["keys", "retire", "1", "--out", &at("x")]),
        78,
        &["only one"],
    );

    let rotated = shown("rotated");
    assert_eq!(rotated["pseudonym"][0], first["pseudonym"][0]);
    assert_eq!(rotated["pseudonym"].as_array().map(Vec::len), Some(2));
    told(
        &clinic.program(&["keys", "share", "--out", &at("both")]),
        0,
        &[],
    );
    told(
        &clinic.program(&["keys", "retire", "1", "--out", &at("retired")]),
        0,
        &["epoch 2"],
    );
    let joined = shown("joined");
    assert_eq!(joined["pseudonym"], first["pseudonym"]);
    assert_ne!(
        joined["record"], first["record"],
        "each clinic's record key is its own"
    );
    told(
        &clinic.program(&["keys", "merge", &at("both"), "--out", &at("merged")]),
        0,
        &["sync --full"],
    );
    let merged = shown("merged");
    assert_eq!(
        (&merged["pseudonym"], &merged["record"]),
        (&rotated["pseudonym"], &joined["record"])
    );
    assert_eq!(shown("retired")["pseudonym"][0], rotated["pseudonym"][1]);

    let text = fs::read_to_string(folder.join("keys")).expect("the ring is text");
    let secrets = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().find(|word| word.len() == 43));
    let said = words(&clinic.program(&["keys", "show"]))
        + &words(&clinic.program(&["check", "--offline"]));
    assert!(
        secrets
            .inspect(|key| assert!(!said.contains(key), "a key was shown"))
            .count()
            >= 2
    );
}

//! Tests of `city-registry persons`: what an operator sees of contradicting records, and decides.

use std::path::Path;

use broker::{DirectoryConfig, QueueConfig};
use contract::{Event, PublicKey, Scheme, wire};
use serde_json::Value;

use crate::installed::{public_key, run, words};
use crate::world::{asserted_of, negative, pseudonym, withdrawn};

/// Test of the person with this SNILS and this passport.
fn test_of(record: u16, count: u32, snils: u16, passport: u16) -> Event {
    asserted_of(record, count, snils, passport, negative("2021-06-01"))
}

async fn store(folder: &Path, public: &PublicKey, events: &[Event]) {
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let (batch, _) = public.seal(&wire::encode(events)).unwrap();
    let publisher = broker::publisher(&queue, folder).unwrap();
    publisher.publish(&batch).await.unwrap();
    let (code, printed, said) = words(&run(folder, &["run", "--drain"]));
    assert_eq!(code, Some(0), "{printed}{said}");
}

fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    let (code, printed, said) = words(&run(folder, arguments));
    assert_eq!(code, Some(0), "{printed}{said}");
    serde_json::from_str(&printed).unwrap()
}

/// Numbers of the SNILS and passports of each person that a passport's query shows.
fn persons_of(folder: &Path, passport: &str) -> Vec<usize> {
    let shown = json_of(folder, &["persons", "show", passport, "--json"]);
    let persons = shown["persons"].as_array().unwrap();
    persons
        .iter()
        .map(|person| person["names"].as_array().unwrap().len())
        .collect()
}

#[tokio::test]
async fn an_operator_sees_contradictions_and_decides() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, printed, _) = words(&run(folder, &["init", "."]));
    let public = PublicKey::from_text(&public_key(&printed)).unwrap();
    store(folder, &public, &[test_of(1, 1, 1, 9), test_of(2, 1, 2, 9)]).await;
    let (code, listed, _) = words(&run(folder, &["persons", "conflicts"]));
    assert_eq!(code, Some(0));
    assert!(listed.contains(" stored:hmac/passport-ru/1/"), "{listed}");
    assert!(listed.contains("it is with neither"), "{listed}");

    // The name as it is printed, and the person's own pseudonym, lead to the same.
    let conflicts = json_of(folder, &["persons", "conflicts", "--json"]);
    let name = conflicts[0]["name"].as_str().unwrap();
    let portal = pseudonym(Scheme::PassportRu, 9);
    let portal = format!("hmac/passport-ru/1/{}", hex::encode(portal.value));
    let older = name.strip_prefix("stored:").unwrap();
    for passport in [name, &portal, older, name.rsplit('/').next().unwrap()] {
        assert_eq!(persons_of(folder, passport), [1, 1, 1], "{passport}");
        let (code, shown, said) = words(&run(folder, &["show", "--subject", passport]));
        assert_eq!(code, Some(0), "{passport}: {said}");
        assert!(shown.contains(name), "{shown}");
    }
    let (code, _, said) = words(&run(folder, &["rules", "apply", "--subject", name]));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("as the registry stores it"), "{said}");

    let snils = format!(
        "hmac/snils/1/{}",
        hex::encode(pseudonym(Scheme::Snils, 2).value)
    );
    let (code, said, _) = words(&run(folder, &["persons", "join", name, &snils]));
    assert!(code == Some(0) && said.contains("from now on"), "{said}");
    assert_eq!(persons_of(folder, name), [2, 1]);
    let (_, said, _) = words(&run(folder, &["persons", "join", &snils, name]));
    assert!(said.contains("already"), "{said}");
    let (_, said, _) = words(&run(folder, &["persons", "split", name]));
    assert!(said.contains("stands alone from now on"), "{said}");
    assert_eq!(persons_of(folder, name)[0], 1);
    for undone in [
        vec!["persons", "split", "--undo", name],
        vec!["persons", "join", "--undo", name, &snils],
    ] {
        let (code, said, _) = words(&run(folder, &undone));
        assert!(
            code == Some(0) && said.contains("records say again"),
            "{said}"
        );
    }
    assert_eq!(persons_of(folder, name), [1, 1, 1]);
    let actions = json_of(folder, &["persons", "actions", "--json"]);
    let actions: Vec<&str> = actions
        .as_array()
        .unwrap()
        .iter()
        .map(|action| action["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["join-undone", "split-undone", "split", "join"]);

    // What the contradicting record said is gone with it.
    let kind = contract::FactKind::Test;
    store(folder, &public, &[withdrawn(2, 2, kind)]).await;
    assert_eq!(persons_of(folder, name), [2]);
    let (_, listed, _) = words(&run(folder, &["persons", "conflicts"]));
    assert!(listed.contains("no name"), "{listed}");
}

#[test]
fn a_name_that_is_none_or_not_stored_is_told() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "."]);
    let unknown = "ab".repeat(32);
    for (arguments, code, said) in [
        (vec!["persons", "show", "ab"], 2, "64 hex characters"),
        (
            vec!["persons", "show", "md5/snils/1/ab"],
            2,
            "64 hex characters",
        ),
        (vec!["persons", "show", &unknown], 1, "no such name"),
        (vec!["persons", "split", &unknown], 1, "no such name"),
        (
            vec!["persons", "join", &unknown, &unknown],
            1,
            "no such name",
        ),
    ] {
        let found = words(&run(folder.path(), &arguments));
        assert!(found.0 == Some(code) && found.2.contains(said), "{found:?}");
    }
}

//! Tests of `city-registry rules`, as an operator runs it.

use std::fs;

use crate::installed::{run, words};

#[test]
fn worked_cases_are_run_and_what_differs_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(words(&run(folder, &["init", "."])).0, Some(0));
    let (code, printed, _) = words(&run(folder, &["rules", "test"]));
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains(" 0 failed"), "{printed}");

    let rules = fs::read_to_string(folder.join("pass-rules.toml")).unwrap();
    let changed = rules.replace("months = 12", "months = 3");
    fs::write(folder.join("pass-rules.toml"), changed).unwrap();
    let (code, printed, said) = words(&run(folder, &["rules", "test"]));
    assert_eq!(code, Some(65), "{printed}{said}");
    assert!(printed.contains("FAILED: ") && printed.contains("given: "));

    // A file that is cut would lack rules without a word.
    let large = format!("{}{rules}", "#".repeat(1024 * 1024));
    fs::write(folder.join("pass-rules.toml"), large).unwrap();
    let (code, _, said) = words(&run(folder, &["rules", "test"]));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("is larger than 1048576 bytes"), "{said}");
}

#[test]
fn rules_are_applied_to_a_person_of_an_open_key_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(words(&run(folder, &["init", "."])).0, Some(0));
    let apply = |epoch: u16| {
        let subject = format!("hmac/snils/{epoch}/{}", "a5".repeat(32));
        words(&run(folder, &["rules", "apply", "--subject", &subject]))
    };
    let (code, printed, said) = apply(1);
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.contains("no-facts-yet"), "{printed}");
    let (code, printed, said) = apply(2);
    assert_eq!((code, printed.as_str()), (Some(2), ""), "{said}");
    assert!(said.contains("epoch 2 is not open"), "{said}");
}

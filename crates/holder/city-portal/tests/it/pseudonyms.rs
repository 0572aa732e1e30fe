//! The command that prints a person's pseudonyms, in both suites.

use std::path::Path;
use std::process::{Output, Stdio};

use pseudonym::{
    CitizenPseudonyms, IdentifierKind, Policy, PolicyConfig, SharedKeys, StatedIdentifier, Suite,
};
use secrecy::SecretString;
use tokio::io::AsyncWriteExt as _;

use crate::key_double::{EPOCHS, KeyDouble, evaluated, sections};
use crate::program::{configured, moving, strong};

/// A number, as a person writes it, and its normal form.
const TYPED: &str = "612-480-911 69";
const SNILS: &str = "61248091169";

/// Runs the command with this standard input.
async fn ask(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_city-portal"))
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("CITY_PORTAL_CONFIG")
        .arg("pseudonyms")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

fn printed(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn shared_keys_name_a_person_as_the_page_does() {
    let (folder, _, _) = configured("http://127.0.0.1:9", "");
    let keys = std::fs::read_to_string(folder.path().join("shared.key")).unwrap();
    let keys = SharedKeys::parse(&SecretString::from(keys)).unwrap();
    let policy = Policy::new(&PolicyConfig::default()).unwrap();
    let stated = StatedIdentifier {
        kind: IdentifierKind::Snils,
        value: SecretString::from(SNILS),
        country: None,
    };
    let expected = CitizenPseudonyms::new(&keys, Suite::Hmac, policy).of(vec![stated]);
    let expected: Vec<String> = expected
        .unwrap()
        .iter()
        .map(|one| format!("hmac/snils/{}/{}", one.epoch, hex::encode(one.value)))
        .collect();
    let line = format!("snils {TYPED}\n");
    assert_eq!(printed(&ask(folder.path(), &[], &line).await), expected);
    std::fs::write(folder.path().join("identifiers"), &line).unwrap();
    let from_file = ask(folder.path(), &["identifiers"], "").await;
    assert_eq!(printed(&from_file), expected);
}

#[tokio::test]
async fn key_services_name_a_person_as_the_page_does() {
    let first = KeyDouble::start().await;
    let second = KeyDouble::start().await;
    let doubles = [&first, &second];
    let (folder, _, _) = configured("http://127.0.0.1:9", "");
    strong(folder.path(), &sections(&doubles));
    let values = evaluated(&doubles, "snils", SNILS);
    let expected = EPOCHS.iter().zip(values);
    let expected: Vec<String> = expected
        .map(|(epoch, value)| format!("voprf/snils/{epoch}/{}", hex::encode(value)))
        .collect();
    let output = ask(folder.path(), &[], &format!("snils {TYPED}\n")).await;
    assert_eq!(printed(&output), expected);
}

#[tokio::test]
async fn a_city_that_moves_names_a_person_in_both_suites() {
    let first = KeyDouble::start().await;
    let second = KeyDouble::start().await;
    let doubles = [&first, &second];
    let (folder, _, _) = configured("http://127.0.0.1:9", "");
    let line = format!("snils {TYPED}\n");
    let mut expected = printed(&ask(folder.path(), &[], &line).await);
    moving(folder.path(), &sections(&doubles));
    let values = evaluated(&doubles, "snils", SNILS);
    let evaluated = EPOCHS.iter().zip(values);
    expected.extend(
        evaluated.map(|(epoch, value)| format!("voprf/snils/{epoch}/{}", hex::encode(value))),
    );
    assert_eq!(printed(&ask(folder.path(), &[], &line).await), expected);
}

#[tokio::test]
async fn what_cannot_be_used_is_told_without_it() {
    let (folder, _, _) = configured("http://127.0.0.1:9", "");
    for wrong in ["snils 61248091168", "snils612", "snils:RUS 61248091169", ""] {
        let output = ask(folder.path(), &[], wrong).await;
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.stdout.is_empty() && !said.contains("612"), "{said}");
    }
}

#[tokio::test]
async fn numbers_that_cannot_be_used_are_explained_without_them() {
    let (folder, _, _) = configured("http://127.0.0.1:9", "");
    for (stated, said) in [
        (
            "snils 612-480-911 69\nsnils 112-233-445 95",
            "two different SNILS are stated, and a person has one",
        ),
        ("snils 61248091168", "a digit is mistyped"),
        ("snils 6124809116", "the wrong length or characters"),
        ("snils 11111111111", "stands for no number"),
        ("national-id:XX 61248091169", "no code of ISO 3166-1"),
    ] {
        let output = ask(folder.path(), &[], stated).await;
        assert_eq!(output.status.code(), Some(2), "{said}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(said), "{said}: {told}");
        let digits = told.chars().filter(char::is_ascii_digit).count();
        assert!(output.stdout.is_empty() && digits < 6, "{told}");
    }
}

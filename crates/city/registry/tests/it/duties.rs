//! Retention, deletion and tokens as an operator meets them: the program's commands.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use contract::{Scheme, Suite};
use oprf::TokenKey;
use secrecy::ExposeSecret;

use crate::installed::{Installed, install, run, send, words};
use crate::world::pseudonym;

/// Registry with a fact of 1 June 2021 of person 7, and more sections.
async fn with_a_fact(sections: &str) -> Installed {
    let installed = install(None);
    let folder = installed.folder.path();
    let config = folder.join("city-registry.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + sections).unwrap();
    send(folder, &installed.public).await;
    let (code, _, said) = words(&run(folder, &["run", "--drain"]));
    assert_eq!(code, Some(0), "{said}");
    installed
}

/// Runs a command with this standard input.
fn ask(folder: &Path, arguments: &[&str], input: &str) -> Output {
    use std::io::Write as _;
    let mut child = Command::new(env!("CARGO_BIN_EXE_city-registry"))
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("CITY_REGISTRY_CONFIG")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn asserted(folder: &Path) -> bool {
    let (_, printed, _) = words(&run(folder, &["show", "--stats"]));
    printed.contains("asserted    test 1")
}

fn log(folder: &Path) -> String {
    let files = std::fs::read_dir(folder.join("audit")).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let lines = paths.filter(|path| path.extension().is_some_and(|it| it == "jsonl"));
    lines
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

#[tokio::test]
async fn old_facts_expire_by_a_command_and_leave_a_line() {
    let sections = "\n[retention]\nextra_days = 30\n[audit]\nfolder = \"audit\"\n";
    let installed = with_a_fact(sections).await;
    let folder = installed.folder.path();
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert!(
        code == Some(0) && printed.contains("facts expire 30 days after"),
        "{printed}"
    );
    for (arguments, expected) in [
        (
            &["expire", "--dry-run"][..],
            "would expire (nothing was changed): 1",
        ),
        (&["expire"], "facts that expired: 1"),
        (&["expire", "--json"], "\"test\": 0"),
    ] {
        assert_eq!(asserted(folder), arguments != ["expire", "--json"]);
        let (code, printed, said) = words(&run(folder, arguments));
        assert_eq!(code, Some(0), "{said}");
        assert!(printed.contains(expected), "{arguments:?}: {printed}");
    }
    let log = log(folder);
    assert!(
        log.contains("\"expire --dry-run\"") && log.contains("\"facts\":1"),
        "{log}"
    );
    assert!(!log.contains("2021-06-01"));
}

#[tokio::test]
async fn without_the_section_nothing_expires_and_two_files_of_rules_are_refused() {
    let installed = with_a_fact("").await;
    let folder = installed.folder.path();
    let (code, _, said) = words(&run(folder, &["expire"]));
    assert!(
        code == Some(78) && said.contains("no [retention]"),
        "{said}"
    );
    assert!(asserted(folder));
    let config = folder.join("city-registry.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text + "\n[retention]\nrules = \"pass-rules.toml\"\n",
    )
    .unwrap();
    let (code, _, said) = words(&run(folder, &["expire"]));
    assert!(
        code == Some(78) && said.contains("take retention.rules out"),
        "{said}"
    );
}

#[tokio::test]
async fn a_person_is_deleted_by_pseudonyms_from_standard_input_or_a_file() {
    let installed = with_a_fact("\n[audit]\nfolder = \"audit\"\n").await;
    let folder = installed.folder.path();
    let name = pseudonym(Scheme::Snils, 7);
    assert_eq!(name.suite, Suite::Hmac);
    let value = hex::encode(name.value);
    let line = format!("hmac/snils/1/{value}\n");
    let dry = ["delete-subject", "--dry-run"];
    let (code, printed, said) = words(&ask(folder, &dry, &line));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        printed.contains("would be deleted (nothing was changed): 1"),
        "{printed}"
    );
    assert!(asserted(folder));
    let (code, _, said) = words(&ask(folder, &["delete-subject"], "hmac/snils/2/00\n"));
    assert!(code == Some(2) && said.contains("line 1: "), "{said}");
    std::fs::write(folder.join("pseudonyms"), &line).unwrap();
    let delete = ["delete-subject", "pseudonyms"];
    let (code, printed, said) = words(&run(folder, &delete));
    assert!(
        code == Some(0) && printed.contains("facts deleted: 1"),
        "{printed}{said}"
    );
    assert!(!asserted(folder));
    let (code, _, said) = words(&run(folder, &delete));
    assert!(
        code == Some(1) && said.contains("nobody is known"),
        "{said}"
    );
    let log = log(folder);
    assert!(
        log.contains("\"delete-subject --dry-run\"") && log.contains("\"persons\":1"),
        "{log}"
    );
    assert!(!log.contains(&value));
}

#[tokio::test]
async fn check_tells_of_the_keys_of_tokens_and_required_tokens_are_asked_for() {
    let installed = install(None);
    let folder = installed.folder.path();
    let key = TokenKey::generate();
    let key_text = key.to_text();
    for file in ["batch.key", "twice.key"] {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(file);
        std::fs::write(&path, key_text.expose_secret()).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let config = folder.join("city-registry.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let write = |keys: &str| {
        let section = format!("{text}\n[tokens]\nkeys = [{keys}]\n");
        std::fs::write(&config, section).unwrap();
    };
    let batch = "{ number = 1, key = { file = \"batch.key\" }, use = \"batch\" }";
    write(&format!(
        "{batch}, {{ number = 1, key = {{ file = \"twice.key\" }}, use = \"day\" }}"
    ));
    for command in [&["check"][..], &["run", "--drain"]] {
        let (code, printed, said) = words(&run(folder, command));
        let told = printed + &said;
        assert!(
            code == Some(78) && told.contains("the key is there twice"),
            "{told}"
        );
    }
    write(batch);
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert_eq!(code, Some(0), "{printed}");
    let fingerprint = key.public_key().fingerprint();
    for told in [
        &format!("key 1 (batch): {fingerprint}"),
        "clinics that are alive are not counted",
        "a batch without a token is refused",
    ] {
        assert!(printed.contains(told), "{told}: {printed}");
    }
    send(folder, &installed.public).await;
    let (code, printed, said) = words(&run(folder, &["run", "--drain"]));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        printed.contains("0 applied") && printed.contains("1 refused"),
        "{printed}"
    );
    let (_, printed, _) = words(&run(folder, &["show", "--stats"]));
    assert!(printed.contains("refusals    token 1"), "{printed}");
    assert!(printed.contains("0 today so far, 0 yesterday"), "{printed}");
}

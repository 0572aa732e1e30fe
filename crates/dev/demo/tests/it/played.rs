//! Both modes, played to the end.

use std::path::Path;
use std::process::Command;
use std::thread;

use testbed::leak::Scanner;

/// Identifiers of patients, as the clinics write them.
const NUMBERS: [(&str, &str); 6] = [
    ("patient of both clinics", "501-377-201 39"),
    ("employee", "612-480-911 69"),
    ("patient whose sample was swapped", "501-377-202 40"),
    ("diplomat", "12AB34567"),
    ("patient of the first clinic", "501-377-205 43"),
    ("person with a forged vaccination", "501-377-207 45"),
];

/// Runs the demo in a folder that does not exist yet; returns what it printed.
fn play(kept: &Path, options: &[&str]) -> String {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.arg("--keep").arg(kept).args(options);
    let output = demo.output().expect("the demo starts");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{printed}");
    printed
}

/// A row of the registry's facts without what differs from run to run: what the person is known
/// by, and the fact.
fn known_by_and_fact(row: &str) -> [&str; 2] {
    let mut cells = row.split("  ").filter(|cell| !cell.is_empty()).skip(1);
    let [known_by, fact] = [cells.next(), cells.next()];
    [known_by.unwrap_or_default(), fact.unwrap_or_default()].map(str::trim)
}

/// The registry's facts as each table of them shows them, sorted; what is withdrawn is of nobody.
fn facts(printed: &str) -> Vec<Vec<[&str; 2]>> {
    let of_table = |table| {
        let rows = str::lines(table).skip(1);
        let rows = rows.take_while(|row| !row.starts_with(' '));
        let of_persons = rows.filter(|row| !row.starts_with('—'));
        let mut facts: Vec<_> = of_persons.map(known_by_and_fact).collect();
        facts.sort_unstable();
        facts
    };
    let tables = printed.split("subject   known by").skip(1);
    tables.map(of_table).collect()
}

/// True if a clinic's key ring has a pseudonym key.
fn has_pseudonym_key(kept: &Path, clinic: &str) -> bool {
    let ring = std::fs::read_to_string(kept.join(clinic).join("keys")).expect("a key ring");
    assert!(ring.contains("record"), "every ring has a record key");
    ring.lines().any(|line| line.starts_with("pseudonym"))
}

#[test]
fn strong_mode_tells_the_same_story_and_nobody_beyond_the_clinics_learns_who_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [plain, strong, out] = ["plain", "strong", "out"].map(|name| folder.path().join(name));
    let out_option = out.to_str().expect("UTF-8");
    let [told_plain, told_strong] = thread::scope(|scope| {
        let playing = scope.spawn(|| play(&plain, &[]));
        let told_strong = play(&strong, &["--strong", "--out", out_option]);
        [playing.join().expect("the default is played"), told_strong]
    });

    let of_plain = facts(&told_plain);
    assert_eq!(of_plain.iter().map(Vec::len).collect::<Vec<_>>(), [15, 13]);
    assert_eq!(of_plain, facts(&told_strong));
    for clinic in ["fsb", "fso"] {
        assert!(has_pseudonym_key(&plain, clinic));
        assert!(!has_pseudonym_key(&strong, clinic));
    }
    for code in [
        "key-service-away",
        "key-service-misconfigured",
        "key-service-ceiling",
        "token-ceiling",
    ] {
        assert!(told_strong.contains(code), "{code}: {told_strong}");
        assert!(!told_plain.contains(code), "{code}: {told_plain}");
    }
    for told in [
        "taken out of their outer seal",
        "With it comes a one-use token",
        "2 clinics are alive today",
        "tokens were given; then: the token issuer 127.0.0.1:",
        "1 applied, 2 refused for their token, and counted",
        "the ceilings of key services and issuer are lifted",
        "each of them stated by the FSB clinic",
        "a person with a forged vaccination, with the SNILS: invalid (revoked)",
        "names multiplied by the factor",
    ] {
        assert!(told_strong.contains(told), "{told}: {told_strong}");
        assert!(!told_plain.contains(told), "{told}: {told_plain}");
    }
    assert!(out.join("pass-fso.txt").is_file());
    assert!(!plain.join("key-service-1").exists());

    let scanner = Scanner::new(&NUMBERS);
    let (at_a_clinic, _) = scanner.scan_folder(&strong);
    assert!(!at_a_clinic.is_empty(), "the first clinic has its patients");
    for beyond_the_clinics in [
        "key-service-1",
        "key-service-2",
        "key-service-impostor",
        "token-issuer",
        "clinics-queues",
        "relay",
        "registry",
        "registry-escrow",
    ] {
        let (hits, bytes) = scanner.scan_folder(&strong.join(beyond_the_clinics));
        assert!(bytes > 0, "{beyond_the_clinics} has written something");
        assert_eq!(hits, [], "{beyond_the_clinics}");
    }
}

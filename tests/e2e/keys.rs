//! Keys that are not those of before, or not the city's: refused at every start and by `check`.

use std::fs;

use pseudonym::KeyRing;
use secrecy::ExposeSecret;

use crate::cli::{told, words};
use crate::support::{City, Clinic, fsb_source};

/// Clinic whose source is away, and whose outbox was begun under its ring.
fn begun() -> Clinic {
    let queue = "[queue.directory]\npath = \"queue\"\n";
    let clinic = Clinic::new(&City::new(), queue, &fsb_source(1, "mis"), "");
    told(&clinic.program(&["sync"]), 1, &[]);
    clinic
}

impl Clinic {
    fn ring(&self) -> KeyRing {
        KeyRing::parse(&self.ring_text().into()).expect("the ring can be read")
    }

    fn ring_text(&self) -> String {
        fs::read_to_string(self.folder.path().join("keys")).expect("the ring is text")
    }

    fn put_ring(&self, text: &str) {
        fs::write(self.folder.path().join("keys"), text).expect("the ring is put in place");
    }

    /// Writes the line into `[registry]`.
    fn set_fingerprints(&self, list: &str) {
        let text = fs::read_to_string(self.config_path()).expect("the configuration");
        let kept = text
            .lines()
            .filter(|line| !line.starts_with("pseudonym_fingerprints"));
        let text = kept.collect::<Vec<_>>().join("\n").replace(
            "[registry]\n",
            &format!("[registry]\npseudonym_fingerprints = {list}\n"),
        );
        fs::write(self.config_path(), text).expect("the configuration is written");
    }
}

/// The ring's text with one line, which begins so, taken from another ring.
fn mixed(ring: &str, other: &str, begin: &str) -> String {
    let find = |text: &str| {
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with(begin));
        line.expect("a ring has both lines").to_owned()
    };
    ring.replace(&find(ring), &find(other))
}

#[test]
fn another_pseudonym_key_of_the_same_epoch_stops_every_start() {
    let clinic = begun();
    let right = clinic.ring_text();
    let own = clinic.ring().pseudonym_fingerprints().remove(0).1;
    let other = KeyRing::generate();
    let others = other.pseudonym_fingerprints().remove(0).1;
    let other = other.to_text();
    let wrong = mixed(&right, other.expose_secret(), "pseudonym ");
    clinic.put_ring(&wrong);
    for command in [
        &["sync"][..],
        &["run"],
        &["check", "--offline"],
        &["keys", "accept"],
    ] {
        told(
            &clinic.program(command),
            78,
            &["epoch 1", &own, &others, "keys accept"],
        );
    }
    clinic.put_ring(&right);
    told(&clinic.program(&["sync"]), 1, &[]);
    told(
        &clinic.program(&["keys", "accept"]),
        0,
        &["nothing to accept"],
    );

    clinic.put_ring(&wrong);
    told(
        &clinic.program(&["keys", "accept", "--yes"]),
        0,
        &["accepted", &others],
    );
    told(&clinic.program(&["sync"]), 1, &[]);
    clinic.put_ring(&right);
    told(&clinic.program(&["sync"]), 78, &["epoch 1", &own, &others]);
}

#[test]
fn another_record_key_stops_every_start_and_cannot_be_accepted() {
    let clinic = begun();
    let own = clinic.ring().record_fingerprint();
    let other = KeyRing::generate().to_text();
    clinic.put_ring(&mixed(
        &clinic.ring_text(),
        other.expose_secret(),
        "record ",
    ));
    let others = clinic.ring().record_fingerprint();
    for command in [
        &["sync"][..],
        &["check", "--offline"],
        &["keys", "accept", "--yes"],
    ] {
        told(&clinic.program(command), 78, &["record key", &own, &others]);
    }
}

#[test]
fn keys_that_are_not_the_citys_stop_every_start() {
    let clinic = begun();
    let own = clinic.ring().pseudonym_fingerprints().remove(0).1;
    let shown = words(&clinic.program(&["keys", "show"]));
    let line = format!("pseudonym_fingerprints = [\"1:{own}\"]");
    assert!(shown.contains(&line), "{shown}");
    let checked = words(&clinic.program(&["check", "--offline"]));
    assert!(
        checked.contains("compared with nothing") && checked.contains(&line),
        "{checked}"
    );

    let check = || words(&clinic.program(&["check", "--offline"]));
    clinic.set_fingerprints(&format!("[\"1:{own}\"]"));
    told(&clinic.program(&["sync"]), 1, &[]);
    let checked = check();
    assert!(
        checked.contains("the pseudonym keys are the city's"),
        "{checked}"
    );
    clinic.set_fingerprints(&format!("[\"1:{own}\", \"2:00000000\"]"));
    told(&clinic.program(&["sync"]), 1, &[]);
    let checked = check();
    assert!(
        checked.contains("the city's epoch 2 is lacking"),
        "{checked}"
    );

    for (list, said) in [
        (
            "[\"1:00000000\"]".to_owned(),
            "put the city's key ring in place",
        ),
        ("[\"2:00000000\"]".to_owned(), "has no entry for epoch 1"),
        (format!("[\"1:{own}\", \"1:{own}\"]"), "names epoch 1 twice"),
        ("[\"1\"]".to_owned(), "such as 1:abcd1234"),
    ] {
        clinic.set_fingerprints(&list);
        for command in [&["sync"][..], &["run"], &["check", "--offline"]] {
            told(&clinic.program(command), 78, &[said]);
        }
    }
    // The command that shows the way out works all the same.
    clinic.set_fingerprints("[\"1:00000000\"]");
    told(&clinic.program(&["keys", "show"]), 0, &[&line]);
}

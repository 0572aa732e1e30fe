//! Issues passes of an invented city into a folder, for programs of others to check.
//!
//! `cargo run -p verifier --example issue_passes -- FOLDER` writes `root.jwk`, `trust.json` (the
//! signing key as a JWK set), `trust.cose`, `revocations.cose`, `sheet.svg`, and these passes:
//! `strip.txt` (today), `paper.txt` (seven days), `certificate.txt`, `expired.txt`, `later.txt`,
//! `ended.txt` (on the revocation list) and `foreign.txt` (of a key that the city does not know).

use std::error::Error;
use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::{Europe, Tz};
use clock::{Clock, SystemClock};
use pass::hcert::{Certificate, Entry, HcertClaims, Vaccination};
use pass::holder::{BirthDate, HolderAttributes, Initial};
use pass::keys::{SigningKey, jwk_set};
use pass::qr::paper_sheet;
use pass::revocation::{Edition, RevocationList, RevocationPayload, Tag, TagSet};
use pass::strip::{issue_certificate, issue_strip};
use pass::trust::{TrustBundle, TrustedKey, sign_revocations};
use pass::window::{Coverage, Window, day_windows, paper_window};
use pass::{PassId, Product};

const ZONE: Tz = Europe::Moscow;
const ISSUER: &str = "RU-MOW";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("give a folder")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let now = SystemClock::default().now();
    let key = SigningKey::generate();
    let ended = PassId::random();
    let always = Window::new(now - TimeDelta::days(30), now + TimeDelta::days(30))?;
    let covered = Coverage::new([always]);
    let days = day_windows(ZONE, now, 1, &covered)?;
    let paper = paper_window(ZONE, now, &covered)?.ok_or("the zone has no day today")?;
    let [today, tomorrow] = days.as_slice() else {
        return Err("the zone has no day today or tomorrow".into());
    };
    let yesterday = Window::new(today.start() - TimeDelta::days(1), today.start())?;
    let strip = |key: &SigningKey, window: Window, id: PassId| {
        issue_strip(key, ISSUER, window, id, holder())
    };
    let sheet = strip(&key, paper, PassId::random());
    let passes = [
        ("strip.txt", strip(&key, *today, PassId::random())),
        ("certificate.txt", certificate(&key, *today)?),
        ("expired.txt", strip(&key, yesterday, PassId::random())),
        ("later.txt", strip(&key, *tomorrow, PassId::random())),
        ("ended.txt", strip(&key, *today, ended)),
        (
            "foreign.txt",
            strip(&SigningKey::generate(), *today, PassId::random()),
        ),
        ("paper.txt", sheet.clone()),
    ];
    for (name, text) in passes {
        fs::write(folder.join(name), text + "\n")?;
    }
    fs::write(folder.join("sheet.svg"), paper_sheet(&sheet, ZONE)?)?;
    fs::write(folder.join("trust.json"), jwk_set(&[*key.public()]))?;
    publish(folder, &key, ended, now)
}

fn holder() -> HolderAttributes {
    let birth = BirthDate::new(Some(17), None).unwrap_or_default();
    HolderAttributes::new(Initial::try_from("A").ok(), None, birth)
}

fn certificate(key: &SigningKey, today: Window) -> Result<String, Box<dyn Error>> {
    let claims = HcertClaims {
        issuer: ISSUER.to_owned(),
        issued_at: today.start(),
        expires: today.end() + TimeDelta::days(29),
        id: PassId::random(),
        certificate: Certificate {
            given_initial: Initial::try_from("A").ok(),
            family_initial: None,
            entry: Entry::Vaccination(Vaccination {
                prophylaxis: "J07BX03".to_owned(),
                product: "Sputnik-V".to_owned(),
                manufacturer: "Gamaleya-Research-Institute".to_owned(),
                dose: 2,
                doses: 2,
                date: today.start().with_timezone(&ZONE).date_naive(),
                country: "RU".to_owned(),
            }),
        },
    };
    Ok(issue_certificate(key, &claims)?)
}

/// Writes what verifiers have: the root, the trust bundle, and the list with the ended pass.
fn publish(
    folder: &Path,
    key: &SigningKey,
    ended: PassId,
    now: DateTime<Utc>,
) -> Result<(), Box<dyn Error>> {
    let root = SigningKey::generate();
    fs::write(
        folder.join("root.jwk"),
        format!("{:#}\n", root.public().jwk()),
    )?;
    let bundle = TrustBundle {
        sequence: 1,
        issued_at: now,
        keys: vec![TrustedKey {
            key: *key.public(),
            from: now - TimeDelta::days(7),
            until: now + TimeDelta::days(60),
            products: vec![Product::City, Product::Hcert, Product::Revocations],
        }],
        lowest_revocations: 1,
        issuer: ISSUER.to_owned(),
    };
    fs::write(folder.join("trust.cose"), bundle.sign(&root)?)?;
    let tags = TagSet::new(vec![Tag::of_pass(ended.0)])?;
    let list = RevocationList::new(Edition::new(1, now)?, tags);
    let signed = sign_revocations(&RevocationPayload::Whole(list), key);
    fs::write(folder.join("revocations.cose"), signed)?;
    Ok(())
}

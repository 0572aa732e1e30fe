//! What `check` says of key services, and mistakes in their configuration.

use tempfile::TempDir;

use crate::double::{Behaviour, Double};
use crate::key_double::{KeyBehaviour, KeyDouble};
use crate::program::{configured, run, strong};

async fn checked(folder: &TempDir) -> (Option<i32>, String) {
    let path = folder.path().to_owned();
    let checked = tokio::task::spawn_blocking(move || run(&path, &["check"]));
    checked.await.unwrap()
}

#[tokio::test]
async fn check_looks_at_every_service() {
    let registry = Double::start(Behaviour::Entitled).await;
    let first = KeyDouble::start().await;
    let second = KeyDouble::start().await;
    let (folder, ..) = configured(&registry.url(), "");
    strong(
        folder.path(),
        &crate::key_double::sections(&[&first, &second]),
    );
    let (code, printed) = checked(&folder).await;
    assert_eq!(code, Some(0), "{printed}");
    let name = format!("127.0.0.1:{}", second.port);
    for said in [
        "keys.services\n".to_owned(),
        "ok       epoch 3: public keys with the fingerprints ".to_owned(),
        format!("ok       {name} has key 7 of epoch 3 as it is pinned"),
        format!("ok       {name} has key 8 of epoch 4 as it is pinned"),
        format!("{name} evaluates 10000 elements a day for this portal, 9968 of them"),
    ] {
        assert!(printed.contains(&said), "{said}: {printed}");
    }
    for (behaviour, expected, said) in [
        (KeyBehaviour::NoKeys, 78, "has no key 7 of epoch 3\n"),
        (KeyBehaviour::OtherKeys, 78, "over a second channel"),
        (
            KeyBehaviour::Problem(403, "unknown-client"),
            78,
            "→ ask its operator to enter the fingerprint",
        ),
        (
            KeyBehaviour::Problem(503, "busy"),
            1,
            "→ citizens are told to try again later until it answers",
        ),
    ] {
        second.behave(behaviour);
        let (code, printed) = checked(&folder).await;
        assert_eq!(code, Some(expected), "{printed}");
        assert!(printed.contains(said), "{said}: {printed}");
        let first = format!("127.0.0.1:{} has key 7 of epoch 3 as", first.port);
        assert!(printed.contains(&first), "{printed}");
    }
}

#[test]
fn mistakes_are_named_and_end_with_78() {
    const SECTION: &str = "[[keys.services]]\nurl = \"http://127.0.0.1:9\"\npublic_keys = [{ epoch = \
                           3, key = 7, public_key = \"KEY\" }]\n";
    let key = oprf::ServiceKey::generate().public_key().to_string();
    let section = SECTION.replace("KEY", &key);
    let shared = "shared = { file = \"shared.key\" }\n";
    let strong = "suite = \"voprf\"\n";
    for (keys, said) in [
        (
            format!("{strong}{shared}{section}"),
            "take the line shared = … out of [keys]",
        ),
        (
            format!("{strong}{shared}"),
            "take the line shared = … out of [keys]",
        ),
        (strong.to_owned(), "no [[keys.services]] is written"),
        (
            format!("{shared}{section}"),
            "[[keys.services]] are written, and keys.suite is not \"voprf\"",
        ),
        (
            format!("suite = \"hmac-streebog\"\n{section}"),
            "or take the sections out",
        ),
        ("suite = \"hmac\"\n".to_owned(), "keys.shared is missing"),
        (
            "suite = \"oprf\"\n".to_owned(),
            "the suite is hmac, hmac-streebog or voprf",
        ),
        (
            format!("{strong}{section}{section}"),
            "keys.services: public_key for epoch 3 of key service 2",
        ),
        (
            format!("{strong}{}", section.replace("http:", "https:")),
            "keys.services: key service 1 (127.0.0.1:9) has no certificate",
        ),
    ] {
        let (folder, ..) = configured("http://127.0.0.1:9", "");
        let path = folder.path().join("city-portal.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(shared));
        std::fs::write(&path, text.replacen(shared, &keys, 1)).unwrap();
        for command in ["check", "run"] {
            let (code, printed) = run(folder.path(), &[command]);
            assert_eq!(code, Some(78), "{command}: {keys}: {printed}");
            assert!(printed.contains(said), "{command}: {said}: {printed}");
        }
    }
}

#[test]
fn the_strong_example_configuration_is_read() {
    let example = include_str!("../../../../../config/strong/city-portal.toml");
    let config: city_portal::Config = toml::from_str(example).unwrap();
    assert_eq!(config.portal.mistake(), None);
    assert_eq!(config.keys.mistake(), None);
    let services = config.keys.services.unwrap();
    assert_eq!(services.check(), Ok(()));
    assert_eq!((services.0.len(), services.epochs()), (2, vec![1]));
    let whole: Vec<&str> = example
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.starts_with('[') || setting.contains(" = ") => setting,
            _ => line,
        })
        .collect();
    toml::from_str::<city_portal::Config>(&whole.join("\n")).unwrap();
}

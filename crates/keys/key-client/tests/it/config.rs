//! Mistakes in the configuration, told by the setting.

use std::num::NonZeroU16;

use key_client::{DEFAULT_TIMEOUT_SECONDS, KeyClient, KeyServicesConfig};
use oprf::ServiceKey;

use crate::double::read;

const HERE: &str = "http://127.0.0.1:9480";

fn fresh() -> String {
    ServiceKey::generate().public_key().to_string()
}

/// An entry of public_keys.
fn pin(epoch: u16, key: u16, public_key: &str) -> String {
    format!("{{ epoch = {epoch}, key = {key}, public_key = \"{public_key}\" }}")
}

/// A service with these settings and pinned keys.
fn service(settings: &str, pins: &[String]) -> String {
    let pins = pins.join(", ");
    format!("[[services]]\n{settings}\npublic_keys = [{pins}]\n")
}

fn here(pins: &[String]) -> String {
    service(&format!("url = \"{HERE}\""), pins)
}

fn told(text: &str) -> String {
    read(text).check().unwrap_err().to_string()
}

/// The error that reading a text gives, as the program's messages have it.
fn unreadable(text: &str) -> String {
    let table: toml::Table = text.parse().unwrap();
    let services = table["services"].clone();
    let read: Result<KeyServicesConfig, _> = services.try_into();
    read.unwrap_err().to_string()
}

#[test]
fn a_configuration_is_read_written_and_read_again() {
    let pins = [pin(1, 3, &fresh()), pin(2, 4, &fresh())];
    let settings = "url = \"https://keys.example\"\nca_file = \"ca.pem\"\ncertificate = \
                    \"c.pem\"\nprivate_key = { credential = \"key\" }\ntimeout_seconds = 120";
    let config =
        read(&(service(settings, &pins) + &here(&[pin(1, 1, &fresh()), pin(2, 2, &fresh())])));
    config.check().unwrap();
    assert_eq!(config.epochs(), [1, 2]);
    assert_eq!(config.0[0].timeout_seconds, NonZeroU16::new(120).unwrap());
    assert_eq!(config.0[1].timeout_seconds, DEFAULT_TIMEOUT_SECONDS);
    let mut table = toml::Table::new();
    table.insert(
        "services".to_owned(),
        toml::Value::try_from(&config).unwrap(),
    );
    assert_eq!(read(&table.to_string()), config);
}

#[test]
fn the_number_of_services_is_limited() {
    let four: String = (0..4).map(|_| here(&[pin(1, 1, &fresh())])).collect();
    read(&four).check().unwrap();
    let five = four + &here(&[pin(1, 1, &fresh())]);
    assert!(told(&five).contains("there are 5 key services"));
    let none = KeyServicesConfig(Vec::new()).check().unwrap_err();
    assert!(none.to_string().contains("configure 1 to 4"));
}

#[test]
fn the_number_of_epochs_is_limited() {
    let pins = |epochs: std::ops::Range<u16>| {
        let pins: Vec<String> = epochs.map(|epoch| pin(epoch, epoch, &fresh())).collect();
        here(&pins)
    };
    read(&pins(1..3)).check().unwrap();
    assert!(told(&pins(1..4)).contains("name 3 epochs"));
    assert!(told(&pins(1..1)).contains("name 0 epochs"));
}

#[test]
fn every_service_has_every_epoch_once() {
    let both = here(&[pin(1, 1, &fresh()), pin(2, 2, &fresh())]);
    let lacks = both + &here(&[pin(2, 1, &fresh())]);
    let lacks = told(&lacks);
    assert!(lacks.contains("public_keys of key service 2 (127.0.0.1:9480) has 0 keys for epoch 1"));
    let twice = here(&[pin(1, 1, &fresh()), pin(1, 2, &fresh())]);
    assert!(told(&twice).contains("has 2 keys for epoch 1"));
}

#[test]
fn no_public_key_and_no_number_is_there_twice() {
    let key = fresh();
    let of_two = here(&[pin(1, 1, &key)]) + &here(&[pin(1, 9, &key)]);
    let message = told(&of_two);
    assert!(
        message.contains("public_key for epoch 1 of key service 2"),
        "{message}"
    );
    let of_two_epochs = here(&[pin(1, 1, &key), pin(2, 2, &key)]);
    assert!(told(&of_two_epochs).contains("public_key for epoch 2 of key service 1"));
    let kept = here(&[pin(1, 1, &key), pin(2, 1, &key)]);
    assert_eq!(read(&kept).check(), Ok(()), "another service has a new key");
    let number = here(&[pin(1, 5, &fresh()), pin(2, 5, &fresh())]);
    assert!(told(&number).contains("key = 5 of key service 1"));
}

#[test]
fn a_service_is_asked_by_tls_or_on_this_machine() {
    let with = |url: &str| {
        let settings =
            format!("url = \"{url}\"\ncertificate = \"c\"\nprivate_key = {{ env = \"K\" }}");
        read(&service(&settings, &[pin(1, 1, &fresh())])).check()
    };
    for good in [
        "https://keys.example:9480",
        "https://keys.example/",
        "http://127.0.0.1:9480",
        "http://[::1]:9480",
        "http://localhost:9480",
    ] {
        assert_eq!(with(good), Ok(()), "{good}");
    }
    for bad in [
        "http://keys.example:9480",
        "http://192.0.2.1:9480",
        "http://localhost.example:9480",
        "https://user:secret@keys.example",
        "https://keys.example/v1",
        "https://keys.example/?a",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
    ] {
        let mistake = with(bad).unwrap_err().to_string();
        assert!(mistake.contains("url of key service 1"), "{bad}");
        assert!(!mistake.contains("secret"), "{mistake}");
    }
}

#[test]
fn a_certificate_and_its_key_come_together() {
    let of = |settings: &str| service(settings, &[pin(1, 1, &fresh())]);
    let neither = told(&of("url = \"https://k.example\""));
    assert!(
        neither.contains("key service 1 (k.example) has no certificate"),
        "{neither}"
    );
    let one = told(&of(&format!("url = \"{HERE}\"\ncertificate = \"c\"")));
    assert!(one.contains("no private_key"), "{one}");
    let other = told(&of(&format!(
        "url = \"{HERE}\"\nprivate_key = {{ env = \"K\" }}"
    )));
    assert!(other.contains("no certificate"), "{other}");
}

#[test]
fn values_out_of_range_are_refused_where_they_stand_and_not_repeated() {
    let private = ServiceKey::generate().to_text();
    let private = secrecy::ExposeSecret::expose_secret(&private).to_owned();
    let settings =
        |more: &str| service(&format!("url = \"{HERE}\"\n{more}"), &[pin(1, 1, &fresh())]);
    for (text, expected) in [
        (here(&[pin(0, 1, &fresh())]), "nonzero"),
        (here(&[pin(1, 0, &fresh())]), "nonzero"),
        (here(&[pin(1, 1, &private)]), "begins with `cgov1:`"),
        (settings("timeout_seconds = 0"), "nonzero"),
        (
            settings("timeout_seconds = 121"),
            "timeout_seconds is 1 to 120",
        ),
        (settings("user = \"x\""), "user"),
        (
            service("url = \"no url\"", &[pin(1, 1, &fresh())]),
            "write https://HOST",
        ),
    ] {
        let message = unreadable(&text);
        assert!(message.contains(expected), "{expected}: {message}");
        assert!(!message.contains(&private[6..]) && !message.contains("no url"));
    }
}

#[test]
fn files_that_do_not_fit_are_named_by_their_setting() {
    let folder = crate::tls::folder_with_client("good.pem", "good.key");
    crate::tls::write_other_key(folder.path(), "other.key");
    std::fs::write(folder.path().join("empty.pem"), "nothing").unwrap();
    for (settings, expected) in [
        (
            "ca_file = \"no.pem\"",
            "ca_file of key service 1 (k.example): ",
        ),
        (
            "ca_file = \"empty.pem\"",
            "ca_file of key service 1 (k.example) holds no certificate",
        ),
        (
            "certificate = \"no.pem\"",
            "certificate of key service 1 (k.example): ",
        ),
        ("certificate = \"empty.pem\"", "are no pair in PEM form"),
        (
            "private_key = { file = \"no.key\" }",
            "private_key of key service 1 (k.example): ",
        ),
        (
            "private_key = { file = \"other.key\" }",
            "are no pair in PEM form",
        ),
    ] {
        let mut table: toml::Table = settings.parse().unwrap();
        for (name, value) in [
            ("url", "\"https://k.example\""),
            ("certificate", "\"good.pem\""),
            ("private_key", "{ file = \"good.key\" }"),
        ] {
            let given: toml::Table = format!("value = {value}").parse().unwrap();
            table.entry(name).or_insert(given["value"].clone());
        }
        let pins: toml::Table = format!("pins = [{}]", pin(1, 1, &fresh())).parse().unwrap();
        table.insert("public_keys".to_owned(), pins["pins"].clone());
        let services = toml::Value::Array(vec![toml::Value::Table(table)]);
        let config: KeyServicesConfig = services.try_into().unwrap();
        let mistake = KeyClient::new(&config, folder.path())
            .unwrap_err()
            .to_string();
        assert!(mistake.contains(expected), "{settings}: {mistake}");
    }
}

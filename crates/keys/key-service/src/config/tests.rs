//! Tests of the configuration: the example, and every mistake at its edge.

use std::path::Path;

use super::*;

const EXAMPLE: &str = include_str!("../../../../../config/strong/key-service.toml");

fn parse(text: &str) -> Config {
    settings::parse(text, Path::new("x")).unwrap()
}

/// Example with its commented settings of TLS and metrics switched on.
fn with_everything() -> String {
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.contains(" = ") => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

fn client(name: &str, certificate: Option<&[u8]>) -> ClientConfig {
    ClientConfig {
        name: name.to_owned(),
        certificate_fingerprint: certificate.map(Fingerprint::of_certificate),
        daily_ceiling: LEAST_CEILING,
    }
}

fn with_tls(clients: Vec<ClientConfig>) -> Config {
    let mut config = parse(&with_everything());
    config.clients = clients;
    config
}

fn said(config: &Config) -> String {
    let (what, help) = config.mistake().unwrap_or_default();
    format!("{what}; {help}")
}

#[test]
fn the_example_is_without_mistake_and_shows_the_defaults() {
    let config = parse(EXAMPLE);
    assert_eq!(config.mistake(), None);
    let usual = ServiceConfig::default();
    assert_eq!(config.service.listen, usual.listen);
    assert_eq!(config.service.state, usual.state);
    assert_eq!(config.service.audit, usual.audit);
    assert!(config.service.tls.is_none() && config.listen.is_none());
}

#[test]
fn every_setting_of_the_example_can_be_switched_on() {
    let config = parse(&with_everything());
    assert_eq!(config.mistake(), None, "{}", with_everything());
    assert!(config.service.tls.is_some() && config.listen.is_some());
    assert_eq!(config.keys.len(), 2);
    let known = |client: &ClientConfig| client.certificate_fingerprint.is_some();
    assert!(config.clients.len() == 2 && config.clients.iter().all(known));
}

#[test]
fn keys_have_numbers_of_their_own_and_are_few() {
    let keys = |numbers: &[u16]| {
        let mut config = parse(EXAMPLE);
        let key = |number: &u16| KeyConfig {
            number: *number,
            key: SecretSource::Env("KEY".into()),
            token_use: None,
        };
        config.keys = numbers.iter().map(key).collect();
        said(&config)
    };
    assert_eq!(keys(&[1, 2, 3, 65535]), "; ");
    assert!(keys(&[]).contains("0 [[keys]]"));
    assert!(keys(&[1, 2, 3, 4, 5]).contains("1 to 4"));
    assert!(keys(&[7, 7]).contains("same number"));
    assert!(keys(&[0]).contains("number 0"));
}

#[test]
fn addresses_and_folders_are_not_shared() {
    let mut config = parse(EXAMPLE);
    let address = config.service.listen;
    config.listen = Some(ListenConfig { address });
    let told = said(&config);
    assert!(
        told.contains("listen.address is 127.0.0.1:9480") && told.contains("service.listen"),
        "{told}"
    );
    config.listen = None;
    config.service.audit = "state/".into();
    assert!(said(&config).contains("one folder"), "{}", said(&config));
}

#[test]
fn names_and_ceilings_are_checked_at_their_edges() {
    let longest = "n".repeat(MAX_CLIENT_NAME);
    assert_eq!(said(&with_tls(vec![client(&longest, Some(b"1"))])), "; ");
    for name in ["", "A", "a b", "../a", "ä", &format!("{longest}n")] {
        let told = said(&with_tls(vec![client(name, Some(b"1"))]));
        assert!(told.contains("a-z, 0-9 and -"), "{name}: {told}");
    }
    let mut low = client("low", Some(b"1"));
    low.daily_ceiling -= 1;
    assert!(said(&with_tls(vec![low])).contains("write 256"));
}

#[test]
fn clients_are_told_apart_and_bounded() {
    let many = |count: usize| {
        let one = |at: usize| client(&format!("c-{at}"), Some(&at.to_be_bytes()));
        said(&with_tls((0..count).map(one).collect()))
    };
    assert_eq!(many(MAX_CLIENTS), "; ");
    assert!(many(MAX_CLIENTS + 1).contains("1 to 256"));
    assert!(many(0).contains("0 [[clients]]"));
    let twice = |first, second| said(&with_tls(vec![first, second]));
    let told = twice(client("a", Some(b"1")), client("a", Some(b"2")));
    assert!(told.contains("same name"));
    let told = twice(client("a", Some(b"1")), client("b", Some(b"1")));
    assert!(told.contains("same certificate_fingerprint"));
    let told = twice(client("a", Some(b"1")), client("b", None));
    assert!(told.contains("openssl x509"));
}

#[test]
fn without_tls_there_is_one_client_of_this_machine() {
    let mut config = parse(EXAMPLE);
    config.clients = vec![client("a", None)];
    assert_eq!(said(&config), "; ");
    config.service.listen = "0.0.0.0:9480".parse().unwrap();
    assert!(said(&config).contains("[service.tls]"));
    config.service.listen = "127.0.0.1:9480".parse().unwrap();
    for clients in [
        vec![client("a", Some(b"1"))],
        vec![client("a", None), client("b", None)],
    ] {
        config.clients = clients;
        assert!(said(&config).contains("without certificate_fingerprint"));
    }
}

#[test]
fn a_fingerprint_of_another_form_is_told_without_its_text() {
    let text = with_everything().replacen(
        "certificate_fingerprint = \"",
        "certificate_fingerprint = \"hunter2",
        1,
    );
    let error = settings::parse::<Config>(&text, Path::new("x")).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("64 hexadecimal digits"), "{told}");
}

#[test]
fn a_service_has_keys_of_one_kind() {
    let issuer = include_str!("../../../../../config/strong/token-issuer.toml");
    let tokens = parse(issuer);
    assert_eq!(tokens.mistake(), None);
    let uses: Vec<TokenUseName> = tokens.token_keys.iter().map(|key| key.token_use).collect();
    assert_eq!(uses, [TokenUseName::Batch, TokenUseName::Day]);
    let mut both = parse(EXAMPLE);
    both.token_keys.clone_from(&tokens.token_keys);
    assert!(said(&both).contains("keys of one kind"), "{}", said(&both));
    let mut none = tokens.clone();
    none.token_keys.clear();
    assert!(said(&none).contains("write 1 to 4"), "{}", said(&none));
    let mut same = tokens;
    same.token_keys[1].number = 1;
    assert!(said(&same).contains("the same number"), "{}", said(&same));
    let unknown_use = issuer.replace("use = \"day\"", "use = \"week\"");
    assert!(settings::parse::<Config>(&unknown_use, Path::new("x")).is_err());
}

#[test]
fn the_audit_log_is_not_kept_beside_the_configuration() {
    let mut config = parse(EXAMPLE);
    config.service.audit = ".".into();
    let said = said(&config);
    assert!(
        said.contains("service.audit is the folder of the configuration"),
        "{said}"
    );
}

//! Vectors that other programs depend on.

use contract::Scheme;

use super::*;

/// Computed with Python's hmac and hashlib from the formats in the README. Pinned: other programs
/// depend on them.
#[test]
fn pseudonyms_of_every_scheme_under_hmac() {
    let person = vec![
        id(IdentifierKind::Snils, SNILS),
        id(IdentifierKind::Oms, "7700 0000 0000 0008"),
        id(IdentifierKind::PassportRu, "45 09 123456"),
        Identifier {
            country: Some("cz".into()),
            ..id(IdentifierKind::NationalId, "740104/0020")
        },
        of_country("c01x00t47", "de"),
        id(IdentifierKind::Ehic, "8027 6000 0000 0000 0017"),
        id(IdentifierKind::ResidencePermit, "82 № 1234567"),
        id(IdentifierKind::BirthCertificate, "II-МЮ № 123456"),
    ];
    let expected = [
        (
            Scheme::Snils,
            "0d56ee462290148f42dd1f5dd68037178dcc4ba4a3f3c73befcbedac73abd939",
        ),
        (
            Scheme::Oms,
            "02f3a6f7455ad740260c22e2d9525412127eb7c3b8c0df4fe6e4d5307cc4aaf1",
        ),
        (
            Scheme::PassportRu,
            "669191e132c2b431fa86f688ec57300e6458a95724a6896fa9c6554910576828",
        ),
        (
            Scheme::NationalId,
            "5fbbf939472f025f63488d04aba02b028b2076f0bd05f9386d857916e18c8a06",
        ),
        (
            Scheme::PassportForeign,
            "aa157d5247b6bc08ffffee0474db286bdba8e53c4bf21fda4930011c21dd983b",
        ),
        (
            Scheme::Ehic,
            "a917321f6d6c9189c511178ed5768d50d1d420ebc51235bb01da8a373af7a71f",
        ),
        (
            Scheme::ResidencePermit,
            "49270cba3e9aa0c04ade85b34eea4ebfdcea49db870b2210b9c745186e05d664",
        ),
        (
            Scheme::BirthCertificate,
            "34125bd91378ce6770795e4e7f885151d272cfb03233b771a7f891b10f154b02",
        ),
    ];
    let made = subject(plain().apply(record(person, shot()), today()));
    let made: Vec<(Scheme, String)> = made
        .iter()
        .map(|pseudonym| (pseudonym.scheme, hex::encode(pseudonym.value)))
        .collect();
    assert_eq!(
        made,
        expected.map(|(scheme, value)| (scheme, value.to_owned()))
    );
}

/// Computed with Python's hmac and hashlib; the two under Streebog with an independent GOST
/// library.
#[test]
fn pseudonyms_under_two_epochs_and_under_streebog() {
    let two = with(
        &ring(&(ONE_EPOCH.to_owned() + SECOND_EPOCH)),
        Suite::Hmac,
        &PolicyConfig::default(),
    );
    let made = subject(two.apply(snils_shot(), today()));
    let made: Vec<_> = made
        .iter()
        .map(|pseudonym| (pseudonym.epoch, hex::encode(pseudonym.value)))
        .collect();
    let first = "0d56ee462290148f42dd1f5dd68037178dcc4ba4a3f3c73befcbedac73abd939".to_owned();
    let second = "f336e5e12c95f02767f62daa36a7b51d7b28044a570cfe9a6095bdd9deb46d8d".to_owned();
    assert_eq!(made, [(1, first), (2, second)]);
    let gost = with(
        &ring(ONE_EPOCH),
        Suite::HmacStreebog,
        &PolicyConfig::default(),
    );
    let person = vec![
        id(IdentifierKind::Snils, SNILS),
        of_country("C01X00T47", "DEU"),
    ];
    let made = subject(gost.apply(record(person, shot()), today()));
    assert!(
        made.iter()
            .all(|pseudonym| pseudonym.suite == Suite::HmacStreebog)
    );
    assert_eq!(
        made.iter()
            .map(|pseudonym| hex::encode(pseudonym.value))
            .collect::<Vec<_>>(),
        [
            "ad6185535208d7785a4231f626ccaf75a2ef63d4ab40a2e7bd622b389ea00d4f",
            "4d35c8f8d72b940deabf89080dc790e43a5e823191da0e678dbc5e28d01e3623",
        ]
    );
}

/// Computed with Python's hmac and hashlib. A change here announces every record of every clinic
/// again.
#[test]
fn record_and_content_digests() {
    let (asserted, _) = draft(plain().apply(snils_shot(), today()));
    assert_eq!(
        asserted.record.to_hex(),
        "8638af24b7f77f06540e1cf89ecf3b5fa0a413b5f655e846f8afd58cef99fa75"
    );
    assert_eq!(
        hex::encode(asserted.content.0),
        "0acd5bb2be324177a6261c5bd4c0859d"
    );
    let cancelled = ClinicRecord {
        status: RecordStatus::Cancelled,
        ..snils_shot()
    };
    let (withdrawn, _) = draft(plain().apply(cancelled, today()));
    assert_eq!(withdrawn.record, asserted.record);
    assert_eq!(
        hex::encode(withdrawn.content.0),
        "e67e1e420f484e095e8d26cc99f3027f"
    );
}

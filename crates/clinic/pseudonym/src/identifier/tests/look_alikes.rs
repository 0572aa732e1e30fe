//! Look-alikes: what clinics type in the place of a letter or a digit.

use proptest::prelude::*;

use super::*;

/// Spellings of one certificate, and of one permit, that clinics use.
#[test]
fn a_series_typed_with_look_alikes_is_the_same_series() {
    let birth = |value: &str| form(IdentifierKind::BirthCertificate, value, None);
    for same in [
        "II-МЮ № 123456",
        "ii-мю 123456",
        "ІІ-МЮ 123456",
        "іі-мю 123456",
        "11-МЮ 123456",
        "II-MЮ 123456",
        "1I-mю 123456",
        "П-МЮ 123456",
        "п-мю № 123456",
        "Ⅱ-МЮ 123456",
        "ⅱ-МЮ 123456",
        "II–МЮ–123456",
        "II—МЮ 123456",
        "II⁃МЮ 123456",
        "ＩＩ－МЮ　１２３４５６",
        "II-МЮ N 123456",
        "II-МЮ No123456",
        "II-МЮ NО 123456",
        "||-МЮ 123456",
        "IIМЮІ2З456",
    ] {
        assert_eq!(birth(same).as_deref(), Ok("RUS:IIMЮ123456"), "{same}");
    }
    for (value, expected) in [
        ("IV-АО 000123", "RUS:IVAO000123"),
        ("1У-АО 000123", "RUS:IVAO000123"),
        ("IV-A0 ООО123", "RUS:IVAO000123"),
        ("ХIV-ЗЕ 123450", "RUS:XIVЗE123450"),
        ("X1V-3E 12345О", "RUS:XIVЗE123450"),
        ("Ш-СТ 700000", "RUS:IIICT700000"),
        ("111-CT 700000", "RUS:IIICT700000"),
        ("ЛХ-АА 123456", "RUS:LXAA123456"),
        ("ХХС-АА 123456", "RUS:XXCAA123456"),
        ("V-ШЁ 123456", "RUS:VШЁ123456"),
        // Well written, though a sloppy reading would find another number.
        ("I-УА 012345", "RUS:IYA012345"),
        ("I-УА 312345", "RUS:IYA312345"),
    ] {
        assert_eq!(birth(value).as_deref(), Ok(expected), "{value}");
    }
}

#[test]
fn what_is_no_russian_series_is_left_as_it_is() {
    let birth = |value: &str, country| form(IdentifierKind::BirthCertificate, value, country);
    for (value, country, expected) in [
        // Zero of the number, or letter of the series.
        ("1У-АО 12345", None, "RUS:1YAO12345"),
        ("1У-А 0123456", None, "RUS:1YA0123456"),
        // Another country's, another number of digits, no Roman numeral, digits only.
        ("1У-АО 123456", Some("KZ"), "KAZ:1YAO123456"),
        ("1У-АО 1234", None, "RUS:1YAO1234"),
        ("АО 123456", None, "RUS:AO123456"),
        ("2-АО 123456", None, "RUS:2AO123456"),
        ("ХХХХХХХХ-АО 123456", None, "RUS:XXXXXXXXAO123456"),
        ("103 123456", None, "RUS:103123456"),
        ("I-ДZ 123456", None, "RUS:IДZ123456"),
    ] {
        assert_eq!(birth(value, country).as_deref(), Ok(expected), "{value}");
    }
    let none = Err(IdentifierFault::Placeholder);
    assert_eq!(birth("1-АА ООО000", None), none);
    let digits_only = rules(IdentifiersConfig {
        birth_certificate: LimitsConfig {
            digits_only: Some(true),
            ..LimitsConfig::default()
        },
        ..IdentifiersConfig::default()
    });
    let kind = IdentifierKind::BirthCertificate;
    let refused = form_with(&digits_only, kind, "II-МЮ 123456", None);
    assert_eq!(refused, Err(IdentifierFault::Malformed));
}

#[test]
fn an_o_is_a_zero_where_only_a_digit_can_stand() {
    let permit = |value: &str, country| form(IdentifierKind::ResidencePermit, value, country);
    for same in ["82 № 1234560", "82 N 123456О", "82NO123456O", "82–І2З456o"] {
        assert_eq!(permit(same, None).as_deref(), Ok("RUS:821234560"), "{same}");
    }
    assert_eq!(
        permit("82123456O", Some("FI")).as_deref(),
        Ok("FIN:82123456O")
    );
    assert_eq!(permit("8212345O", None).as_deref(), Ok("RUS:8212345O"));
    let passport =
        |value: &str, country| form(IdentifierKind::PassportForeign, value, Some(country));
    for same in ["C01X00T47", "CO1XOOT47", "сО1хоОт47"] {
        assert_eq!(
            passport(same, "DE").as_deref(),
            Ok("DEU:C01X00T47"),
            "{same}"
        );
    }
    assert_eq!(passport("AO123456", "FR").as_deref(), Ok("FRA:AO123456"));
}

proptest! {
    #[test]
    fn russian_series_are_stable(value in "[IVXІ1УХПШ]{1,3}[-–]?[А-ЯABEKMHOPCTYX03]{2} ?[N№]?[0-9OОЗІ]{5,7}") {
        for kind in [IdentifierKind::BirthCertificate, IdentifierKind::ResidencePermit] {
            if let Ok(once) = form(kind, &value, None) {
                let number = once.strip_prefix("RUS:").unwrap();
                prop_assert_eq!(form(kind, number, Some("ru")), Ok(once.clone()));
                prop_assert_eq!(form(kind, &number.to_lowercase(), None), Ok(once.clone()));
            }
        }
    }
}

//! Normal forms and checks of every scheme.

mod look_alikes;

use proptest::prelude::*;

use super::*;
use crate::{IdentifiersConfig, LimitsConfig, OmsCheck, Policy, PolicyConfig};

fn rules(config: IdentifiersConfig) -> IdentifierRules {
    Policy::new(&PolicyConfig {
        identifiers: config,
        ..PolicyConfig::default()
    })
    .unwrap()
    .identifiers
}

/// The normal form as text; `Err` is the fault.
fn form_with(
    rules: &IdentifierRules,
    kind: IdentifierKind,
    value: &str,
    country: Option<&str>,
) -> Result<(String, Soundness), IdentifierFault> {
    let identifier = Identifier {
        kind,
        value: value.into(),
        country: country.map(Into::into),
    };
    let mut out = NormalForm::new();
    let soundness = normalise(&identifier, rules, &mut out)?;
    Ok((
        String::from_utf8(out.as_bytes().to_vec()).unwrap(),
        soundness,
    ))
}

fn form(
    kind: IdentifierKind,
    value: &str,
    country: Option<&str>,
) -> Result<String, IdentifierFault> {
    form_with(&rules(IdentifiersConfig::default()), kind, value, country).map(|(form, _)| form)
}

/// Returns whether a text was taken for something that stands for "none".
fn is_none(made: &Result<String, IdentifierFault>) -> bool {
    matches!(
        made,
        Err(IdentifierFault::Placeholder | IdentifierFault::Absent)
    )
}

#[test]
fn what_is_certainly_no_number_is_missing_in_every_scheme() {
    let kinds = [
        IdentifierKind::Snils,
        IdentifierKind::Oms,
        IdentifierKind::PassportRu,
        IdentifierKind::NationalId,
        IdentifierKind::PassportForeign,
        IdentifierKind::Ehic,
        IdentifierKind::ResidencePermit,
        IdentifierKind::BirthCertificate,
    ];
    for kind in kinds {
        for value in [
            "нет",
            "НЕТ",
            "отсутствует",
            "не указан",
            "Не указано",
            "n/a",
            "N/A",
            "none",
            "unknown",
            "б/н",
            "0",
            "000-000-000 00",
            "99999999999",
            "9999",
            "123456",
            "0123456789",
            "1234567890123456",
        ] {
            assert_eq!(
                form(kind, value, None),
                Err(IdentifierFault::Absent),
                "{kind:?} {value}"
            );
        }
        for value in ["12345", "999", "1111111", "654321", "нет номера 4509"] {
            assert_ne!(
                form(kind, value, Some("FR")),
                Err(IdentifierFault::Absent),
                "{kind:?} {value}"
            );
        }
    }
}

#[test]
fn an_issuing_country_is_what_configuration_says_before_the_lists() {
    let countries = [("СССР", "RU"), ("Берлин*", "de"), ("дипломат", "ignore")];
    let policy = Policy::new(&PolicyConfig {
        codes: crate::CodesConfig {
            countries: countries
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            ..crate::CodesConfig::default()
        },
        ..PolicyConfig::default()
    })
    .unwrap();
    let of = |country| {
        form_with(
            &policy.identifiers,
            IdentifierKind::PassportForeign,
            "C01X00T47",
            Some(country),
        )
        .map(|(form, _)| form)
    };
    for (country, expected) in [
        ("ссср", "RUS:C01X00T47"),
        ("Берлин (Западный)", "DEU:C01X00T47"),
        ("Французская Республика", "FRA:C01X00T47"),
        ("276", "DEU:C01X00T47"),
        ("xxa", "XXA:C01X00T47"),
    ] {
        assert_eq!(of(country).as_deref(), Ok(expected), "{country}");
    }
    assert_eq!(of("Дипломат"), Err(IdentifierFault::Ignored));
    assert_eq!(of("Атлантида"), Err(IdentifierFault::CountryUnknown));
    assert_eq!(of("XXX"), Err(IdentifierFault::CountryMissing));
}

fn snils(value: &str) -> Result<String, IdentifierFault> {
    form(IdentifierKind::Snils, value, None)
}

/// A SNILS with the control number computed the long way round.
fn valid_snils(number: u32) -> String {
    let digits = format!("{number:09}");
    let sum: u32 = digits
        .chars()
        .enumerate()
        .map(|(place, digit)| digit.to_digit(10).unwrap() * (9 - u32::try_from(place).unwrap()))
        .sum();
    let control = match sum % 101 {
        100 => 0,
        rest => rest,
    };
    format!("{digits}{control:02}")
}

#[test]
fn snils_in_every_spelling() {
    for value in [
        "112-233-445 95",
        "11223344595",
        " 112 233 445 95\n",
        "112\u{a0}233\u{a0}445\u{202f}95",
        "112–233—445‑95",
        "１１２－２３３－４４５　９５",
        "№ 112-233-445 95",
        "\u{feff}112-233-445\u{200b}95",
    ] {
        assert_eq!(snils(value).as_deref(), Ok("11223344595"), "{value:?}");
    }
}

#[test]
fn snils_faults() {
    assert_eq!(snils("112-233-445 96"), Err(IdentifierFault::CheckDigit));
    assert_eq!(snils("112-233-445 9"), Err(IdentifierFault::Malformed));
    assert_eq!(snils("112-233-445 950"), Err(IdentifierFault::Malformed));
    assert_eq!(
        snils("112-233-445 9O"),
        Err(IdentifierFault::Malformed),
        "a letter O is no zero"
    );
    assert_eq!(snils("000-000-000 00"), Err(IdentifierFault::Absent));
    assert_eq!(snils("000-000-000 01"), Err(IdentifierFault::Absent));
    assert_eq!(snils("123-456-789 64"), Err(IdentifierFault::Absent));
    assert_eq!(snils("111-111-111 45"), Err(IdentifierFault::Placeholder));
    assert_eq!(snils("123-456-789 65"), Err(IdentifierFault::Absent));
    assert_eq!(snils(" - "), Err(IdentifierFault::Empty));
    assert_eq!(snils(""), Err(IdentifierFault::Empty));
    assert_eq!(
        snils("٠١٢٣٤٥٦٧٨٩٠"),
        Err(IdentifierFault::Malformed),
        "only ASCII and full-width digits"
    );
    assert_eq!(
        snils(&format!("11223344595{}", " ".repeat(246))),
        Err(IdentifierFault::Malformed),
        "257 bytes"
    );
    assert!(
        snils(&format!("11223344595{}", " ".repeat(245))).is_ok(),
        "256 bytes"
    );
}

#[test]
fn snils_control_numbers_begin_after_001_001_998() {
    for control in ["00", "41", "99"] {
        assert!(snils(&format!("001001998{control}")).is_ok(), "{control}");
        assert!(snils(&format!("000000001{control}")).is_ok(), "{control}");
    }
    let good = valid_snils(1_001_999);
    assert!(snils(&good).is_ok());
    let passing = (0..100)
        .filter(|control| snils(&format!("001001999{control:02}")).is_ok())
        .count();
    assert_eq!(passing, 1);
}

#[test]
fn snils_remainders_100_and_101_are_written_00() {
    let with_remainder = |remainder| {
        (2_000_000..3_000_000u32)
            .find(|number| {
                let sum: u32 = (0..9)
                    .map(|place| number / 10u32.pow(place) % 10 * (place + 1))
                    .sum();
                sum % 101 == remainder && sum > 0
            })
            .unwrap()
    };
    for remainder in [0, 100] {
        assert!(
            snils(&format!("{:09}00", with_remainder(remainder))).is_ok(),
            "{remainder}"
        );
    }
}

#[test]
fn oms_check_digit_warns_or_refuses() {
    let warn = rules(IdentifiersConfig::default());
    let refuse = rules(IdentifiersConfig {
        oms_check: OmsCheck::Refuse,
        ..IdentifiersConfig::default()
    });
    let oms = |rules, value| form_with(rules, IdentifierKind::Oms, value, None);
    let good = Ok(("7700000000000008".to_owned(), Soundness::Sound));
    assert_eq!(oms(&warn, "7700 0000 0000 0008"), good);
    assert_eq!(oms(&refuse, "7700-0000-0000-0008"), good);
    let doubtful = Ok(("7700000000000009".to_owned(), Soundness::WrongCheckDigit));
    assert_eq!(oms(&warn, "7700000000000009"), doubtful);
    assert_eq!(
        oms(&refuse, "7700000000000009"),
        Err(IdentifierFault::CheckDigit)
    );
    for wrong in ["770000000000000", "77000000000000080", "770000000000000X"] {
        assert_eq!(
            oms(&warn, wrong),
            Err(IdentifierFault::Malformed),
            "{wrong}"
        );
    }
}

#[test]
fn passport_ru_is_ten_digits() {
    let passport = |value| form(IdentifierKind::PassportRu, value, None);
    for value in ["45 09 123456", "4509 № 123456", "4509-123456"] {
        assert_eq!(passport(value).as_deref(), Ok("4509123456"), "{value}");
    }
    for value in ["450912345", "45091234567", "серия 4509 123456"] {
        assert_eq!(passport(value), Err(IdentifierFault::Malformed), "{value}");
    }
}

#[test]
fn placeholders_are_no_numbers_in_any_scheme() {
    let passports = [
        "0000 000000",
        "1111 111111",
        "9999-999999",
        "1234 567890",
        "0123456789",
        "9876543210",
        "0987654321",
        "4509 000000",
        "0000 123456",
    ];
    for value in passports {
        assert!(
            is_none(&form(IdentifierKind::PassportRu, value, None)),
            "{value}"
        );
    }
    for value in ["0000000000000000", "1111111111111111", "1234567890123456"] {
        assert!(is_none(&form(IdentifierKind::Oms, value, None)), "{value}");
    }
    for value in [
        "0000000",
        "111111111",
        "123456789",
        "987654321",
        "XXXXXXXX",
        "ХХХХХХ",
        "AA0000000",
        "-",
    ] {
        let expected = if value == "-" {
            IdentifierFault::Empty
        } else {
            IdentifierFault::Placeholder
        };
        for kind in [
            IdentifierKind::PassportForeign,
            IdentifierKind::ResidencePermit,
        ] {
            let made = form(kind, value, Some("FR"));
            assert!(
                made == Err(expected) || (value != "-" && is_none(&made)),
                "{value}"
            );
        }
    }
    assert_eq!(
        form(IdentifierKind::Ehic, &"1".repeat(20), None),
        Err(IdentifierFault::Placeholder)
    );
    assert_eq!(
        form(IdentifierKind::BirthCertificate, "ЮЮЮЮЮЮ", None),
        Err(IdentifierFault::Placeholder)
    );
    assert_eq!(
        form(IdentifierKind::BirthCertificate, "I-АА 000000", None),
        Err(IdentifierFault::Placeholder)
    );
    for (kind, value) in [
        (IdentifierKind::PassportRu, "1111 111112"),
        (IdentifierKind::PassportRu, "4500 000101"),
        (IdentifierKind::PassportForeign, "123456788"),
        (IdentifierKind::PassportForeign, "AB123456"),
        (IdentifierKind::PassportForeign, "A000"),
        (IdentifierKind::PassportForeign, "ABCDEF"),
        (IdentifierKind::Oms, "1234567890123457"),
    ] {
        assert!(form(kind, value, Some("FR")).is_ok(), "{value}");
    }
}

#[test]
fn foreign_passports_carry_their_country() {
    let passport = |value, country| form(IdentifierKind::PassportForeign, value, country);
    for (value, country) in [
        ("C01X00T47", "DEU"),
        ("c01x 00t-47", "de"),
        ("С01Х00Т47", "D"),
        ("ｃ０１ｘ００ｔ４７", " deu "),
    ] {
        assert_eq!(
            passport(value, Some(country)).as_deref(),
            Ok("DEU:C01X00T47"),
            "{value} {country}"
        );
    }
    assert_eq!(
        passport("АВЕКМНОРСТУХ", Some("ru")).as_deref(),
        Ok("RUS:ABEKMHOPCTYX")
    );
    assert_eq!(
        passport("C01X00T47", None),
        Err(IdentifierFault::CountryMissing)
    );
    assert_eq!(
        passport("C01X00T47", Some("  ")),
        Err(IdentifierFault::CountryMissing)
    );
    assert_eq!(
        passport("C01X00T47", Some("Германия")).as_deref(),
        Ok("DEU:C01X00T47")
    );
    assert_eq!(
        passport("C01X00T47", Some("Атлантида")),
        Err(IdentifierFault::CountryUnknown)
    );
    assert_eq!(
        passport("", None),
        Err(IdentifierFault::Empty),
        "no number, no fault"
    );
    assert_eq!(
        passport("Ж1234567", Some("RU")),
        Err(IdentifierFault::Malformed),
        "no Latin twin"
    );
    assert_eq!(
        passport("ß1234567", Some("DE")),
        Err(IdentifierFault::Malformed)
    );
}

#[test]
fn document_lengths_hold_at_their_edges() {
    let passport = |length: usize| {
        form(
            IdentifierKind::PassportForeign,
            &"AB".repeat(length)[..length],
            Some("DE"),
        )
        .is_ok()
    };
    assert_eq!([3, 4, 20, 21].map(passport), [false, true, true, false]);
    let ehic =
        |length: usize| form(IdentifierKind::Ehic, &"80".repeat(length)[..length], None).is_ok();
    assert_eq!([19, 20, 21].map(ehic), [false, true, false]);
    let birth = |length: usize| {
        form(
            IdentifierKind::BirthCertificate,
            &"Ю1".repeat(length).chars().take(length).collect::<String>(),
            None,
        )
        .is_ok()
    };
    assert_eq!([4, 5, 20, 21].map(birth), [false, true, true, false]);
}

#[test]
fn the_longest_allowed_document_fits_the_buffer() {
    let limits = LimitsConfig {
        max_length: Some(30),
        ..LimitsConfig::default()
    };
    let rules = rules(IdentifiersConfig {
        birth_certificate: limits,
        ..IdentifiersConfig::default()
    });
    let birth = |length: usize| {
        let number = format!("{}я", "ю".repeat(length - 1));
        form_with(
            &rules,
            IdentifierKind::BirthCertificate,
            &number,
            Some("KZ"),
        )
        .is_ok()
    };
    assert_eq!([30, 31].map(birth), [true, false]);
}

#[test]
fn other_documents() {
    assert_eq!(
        form(IdentifierKind::Ehic, "8027 6000 0000 0000 0017", None).as_deref(),
        Ok("80276000000000000017")
    );
    assert_eq!(
        form(IdentifierKind::Ehic, "A0276000000000000017", None),
        Err(IdentifierFault::Malformed)
    );
    let permit = |value, country| form(IdentifierKind::ResidencePermit, value, country);
    assert_eq!(permit("82 № 1234567", None).as_deref(), Ok("RUS:821234567"));
    assert_eq!(
        permit("82 № 1234567", Some("RU")).as_deref(),
        Ok("RUS:821234567")
    );
    assert_eq!(
        permit("821234567", Some("FI")).as_deref(),
        Ok("FIN:821234567")
    );
    assert_eq!(
        permit("821234567", Some("??")),
        Err(IdentifierFault::CountryUnknown)
    );
    let birth = |value| form(IdentifierKind::BirthCertificate, value, None);
    assert_eq!(birth("II-МЮ № 123456").as_deref(), Ok("RUS:IIMЮ123456"));
    assert_eq!(birth("ii-мю 123456").as_deref(), Ok("RUS:IIMЮ123456"));
}

#[test]
fn a_national_number_stands_with_its_country() {
    let national = |value: &str, country| form(IdentifierKind::NationalId, value, country);
    for (value, country, expected) in [
        ("756.1234.5678.97", "CH", "CHE:7561234567897"),
        ("740104/0020", "cz", "CZE:7401040020"),
        ("740104 0020", "CZE", "CZE:7401040020"),
        ("УБ 92030211", "MN", "MNG:YБ92030211"),
        ("010190-123a", "FI", "FIN:010190123A"),
        ("330106199001011234", "CN", "CHN:330106199001011234"),
    ] {
        assert_eq!(
            national(value, Some(country)).as_deref(),
            Ok(expected),
            "{value}"
        );
    }
    assert_eq!(
        national("7401040020", None),
        Err(IdentifierFault::CountryMissing)
    );
    assert_eq!(
        national("7401040020", Some("??")),
        Err(IdentifierFault::CountryUnknown)
    );
    assert_eq!(national(" ./ ", None), Err(IdentifierFault::Empty));
    assert_eq!(
        national("0000.0000", Some("CH")),
        Err(IdentifierFault::Absent)
    );
    let digits = |length: usize| "1472583690".repeat(3)[..length].to_owned();
    let fits = |length| national(&digits(length), Some("KZ")).is_ok();
    assert_eq!([3, 4, 20, 21].map(fits), [false, true, true, false]);
}

#[test]
fn lengths_of_national_numbers_are_configured() {
    let exactly = LimitsConfig {
        min_length: Some(12),
        max_length: Some(12),
        digits_only: Some(true),
    };
    let rules = rules(IdentifiersConfig {
        national_id: exactly,
        ..IdentifiersConfig::default()
    });
    let fits = |value| form_with(&rules, IdentifierKind::NationalId, value, Some("KZ")).is_ok();
    let numbers = [
        "14725836901",
        "147258369014",
        "1472583690147",
        "14725836901A",
    ];
    assert_eq!(numbers.map(fits), [false, true, false, false]);
}

/// Puts separators between the characters of a value.
fn spread(value: &str, separators: &[String]) -> String {
    let mut between = separators.iter().cycle();
    value
        .chars()
        .map(|char| format!("{char}{}", between.next().map_or("", String::as_str)))
        .collect()
}

prop_compose! {
    fn any_snils()(number in 1_001_999u32..1_000_000_000) -> String { valid_snils(number) }
}

proptest! {
    #[test]
    fn every_computed_snils_is_accepted(value in any_snils()) {
        prop_assert_eq!(snils(&value), Ok(value.clone()));
    }

    /// The scheme itself cannot tell remainder 100 from 0 (both are written 00): those pairs are
    /// left out.
    #[test]
    fn a_wrong_digit_in_a_snils_is_refused(value in any_snils(), place in 0usize..11, shift in 1u32..10) {
        let mut digits: Vec<u32> = value.chars().map(|char| char.to_digit(10).unwrap()).collect();
        digits[place] = (digits[place] + shift) % 10;
        let number = digits[..9].iter().fold(0, |number, digit| number * 10 + digit);
        let wrong: String = digits.iter().map(u32::to_string).collect();
        prop_assume!(number > 1_001_998 && !(place < 9 && value.ends_with("00")));
        prop_assert_eq!(snils(&wrong), Err(IdentifierFault::CheckDigit));
    }

    #[test]
    fn separators_change_nothing(
        value in any_snils(),
        separators in prop::collection::vec("[ \t\u{a0}\u{202f}\u{2010}-\u{2015}№-]{0,2}", 1..5),
    ) {
        prop_assert_eq!(snils(&spread(&value, &separators)), Ok(value.clone()));
        let country = Some("UZ");
        prop_assert_eq!(
            form(IdentifierKind::PassportForeign, &spread(&value, &separators), country),
            form(IdentifierKind::PassportForeign, &value, country)
        );
    }

    #[test]
    fn normal_forms_are_stable(value in "\\PC{0,24}", country in prop::sample::select(vec!["DE", "rus", "VN"])) {
        for kind in [IdentifierKind::Snils, IdentifierKind::Oms, IdentifierKind::PassportRu,
            IdentifierKind::NationalId, IdentifierKind::PassportForeign, IdentifierKind::Ehic, IdentifierKind::ResidencePermit,
            IdentifierKind::BirthCertificate]
        {
            if let Ok(once) = form(kind, &value, Some(country)) {
                let number = once.rsplit_once(':').map_or(once.as_str(), |(_, number)| number);
                prop_assert_eq!(form(kind, number, Some(country)), Ok(once.clone()));
            }
        }
    }

    #[test]
    fn document_numbers_are_stable(value in "[A-Za-zА-Яа-яЁё0-9 №-]{4,24}") {
        for kind in [IdentifierKind::NationalId, IdentifierKind::PassportForeign,
            IdentifierKind::BirthCertificate]
        {
            if let Ok(once) = form(kind, &value, Some("KZ")) {
                let number = once.strip_prefix("KAZ:").unwrap();
                prop_assert_eq!(form(kind, number, Some("kaz")), Ok(once.clone()));
                prop_assert_eq!(form(kind, &number.to_lowercase(), Some("kz")), Ok(once.clone()));
            }
        }
    }

    #[test]
    fn nothing_panics(value in "\\PC*", country in prop::option::of("\\PC{0,4}")) {
        for kind in [IdentifierKind::Snils, IdentifierKind::Oms, IdentifierKind::PassportForeign] {
            let _ = form(kind, &value, country.as_deref());
        }
    }
}

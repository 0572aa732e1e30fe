//! Tests of verdicts: every edge to the second, every reason, and what no change of a byte does.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Europe::Moscow;
use proptest::prelude::*;

use super::*;
use crate::claims::CityClaims;
use crate::container::{ToSign, to_text};
use crate::hcert::{Certificate, Entry, HcertClaims, Recovery, Vaccination};
use crate::holder::{BirthDate, Initial};
use crate::keys::SigningKey;
use crate::pass_id::PassId;
use crate::product::Product;
use crate::revocation::{Edition, RevocationList, Tag, TagSet};
use crate::strip::{issue_certificate, issue_strip};
use crate::trust::{CLOCK_TOLERANCE, TrustBundle, TrustedKey};
use crate::window::{Coverage, Window, day_windows};

const ISSUER: &str = "RU-MOW";
const ID: PassId = PassId([1, 2, 3, 4, 5, 6, 7, 8]);
const SECOND: TimeDelta = TimeDelta::seconds(1);

/// Noon of the city on 29 November 2026, which strips of the tests are checked at.
fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 29, 9, 0, 0).unwrap()
}

/// First second of the city's 29 November 2026.
fn midnight() -> DateTime<Utc> {
    noon() - TimeDelta::hours(12)
}

fn holder() -> HolderAttributes {
    let birth = BirthDate::new(Some(14), Some(3)).unwrap();
    HolderAttributes::new(Initial::try_from('A').ok(), None, birth)
}

/// A city: one key that signs passes, a bundle and a list that were issued at noon.
struct City {
    key: SigningKey,
    trust: TrustBundle,
    revocations: RevocationList,
}

impl City {
    fn new() -> Self {
        let key = SigningKey::generate();
        let trusted = TrustedKey {
            key: *key.public(),
            from: noon() - TimeDelta::days(30),
            until: noon() + TimeDelta::days(30),
            products: vec![Product::City, Product::Hcert],
        };
        let trust = TrustBundle {
            sequence: 1,
            issued_at: noon(),
            keys: vec![trusted],
            lowest_revocations: 1,
            issuer: ISSUER.into(),
        };
        Self {
            key,
            trust,
            revocations: list(1, noon(), &[]),
        }
    }

    fn issued(self, trust: DateTime<Utc>, revocations: DateTime<Utc>) -> Self {
        Self {
            trust: TrustBundle {
                issued_at: trust,
                ..self.trust
            },
            revocations: list(1, revocations, &[]),
            key: self.key,
        }
    }

    fn strip(&self) -> String {
        let always = Window::new(midnight(), noon() + TimeDelta::days(9)).unwrap();
        let always = Coverage::new([always]);
        let windows = day_windows(Moscow, noon(), 0, &always).unwrap();
        issue_strip(&self.key, ISSUER, windows[0], ID, holder())
    }

    fn claims(&self) -> CityClaims {
        CityClaims {
            issuer: ISSUER.into(),
            not_before: midnight(),
            expires: midnight() + TimeDelta::days(1),
            id: ID,
            holder: holder(),
        }
    }

    fn sealed(&self, claims: &CityClaims) -> String {
        to_text(&self.key.seal(claims.encode()))
    }

    fn certificate(&self, issued_at: DateTime<Utc>, expires: DateTime<Utc>) -> String {
        let day = |text: &str| text.parse().unwrap();
        let recovery = Entry::Recovery(Recovery {
            first_positive: day("2026-10-01"),
            from: day("2026-10-12"),
            until: day("2027-03-30"),
            country: "RU".into(),
        });
        self.certificate_of(recovery, issued_at, expires)
    }

    fn certificate_of(
        &self,
        entry: Entry,
        issued_at: DateTime<Utc>,
        expires: DateTime<Utc>,
    ) -> String {
        let claims = HcertClaims {
            issuer: ISSUER.into(),
            issued_at,
            expires,
            id: ID,
            certificate: Certificate {
                given_initial: Initial::try_from('A').ok(),
                family_initial: None,
                entry,
            },
        };
        issue_certificate(&self.key, &claims).unwrap()
    }

    fn verdict(&self, text: &str, now: DateTime<Utc>) -> Verdict {
        let held = Held {
            trust: &self.trust,
            revocations: &self.revocations,
        };
        verify(text, Some(held), now)
    }
}

fn list(sequence: u64, issued_at: DateTime<Utc>, ids: &[PassId]) -> RevocationList {
    let tags = ids.iter().map(|id| Tag::of_pass(id.0)).collect();
    let edition = Edition::new(sequence, issued_at).unwrap();
    RevocationList::new(edition, TagSet::new(tags).unwrap())
}

fn invalid(reason: Reason) -> Verdict {
    Verdict::Invalid(reason)
}

#[test]
fn a_strip_holds_from_the_first_to_the_last_second_of_the_citys_day() {
    let city = City::new().issued(midnight(), midnight());
    let strip = city.strip();
    let next = midnight() + TimeDelta::days(1);
    let cases = [
        (midnight() - SECOND, invalid(Reason::NotYet)),
        (midnight(), Verdict::Valid(holder())),
        (noon(), Verdict::Valid(holder())),
        (next - SECOND, Verdict::Valid(holder())),
        (next, invalid(Reason::Expired)),
        (next + SECOND, invalid(Reason::Expired)),
    ];
    for (now, verdict) in cases {
        assert_eq!(city.verdict(&strip, now), verdict, "{now}");
    }
}

#[test]
fn a_certificate_holds_from_its_issue_to_the_second_before_its_expiry() {
    let city = City::new();
    let text = city.certificate(noon(), noon() + TimeDelta::hours(10));
    let shown = HolderAttributes::new(Initial::try_from('A').ok(), None, BirthDate::default());
    let cases = [
        (noon() - SECOND, invalid(Reason::NotYet)),
        (noon(), Verdict::Valid(shown)),
        (
            noon() + TimeDelta::hours(10) - SECOND,
            Verdict::Valid(shown),
        ),
        (noon() + TimeDelta::hours(10), invalid(Reason::Expired)),
    ];
    for (now, verdict) in cases {
        assert_eq!(city.verdict(&text, now), verdict, "{now}");
    }
}

#[test]
fn the_age_of_the_older_of_bundle_and_list_decides_to_the_second() {
    let cases = [
        (TimeDelta::zero(), Data::Fresh),
        (TimeDelta::hours(24), Data::Fresh),
        (TimeDelta::hours(24) + SECOND, Data::Stale),
        (TimeDelta::hours(72), Data::Stale),
        (TimeDelta::hours(72) + SECOND, Data::CannotTell),
    ];
    for (age, data) in cases {
        let old = noon() - age;
        for (trust, revocations) in [(old, noon()), (noon(), old), (old, old)] {
            let city = City::new().issued(trust, revocations);
            let expected = match data {
                Data::Fresh => Verdict::Valid(holder()),
                Data::Stale => Verdict::Stale(holder()),
                Data::CannotTell => Verdict::CannotTell,
                Data::ClockWrong => Verdict::ClockWrong,
            };
            assert_eq!(city.verdict(&city.strip(), noon()), expected, "{age}");
        }
    }
}

#[test]
fn a_clock_behind_the_bundle_by_more_than_five_minutes_is_wrong() {
    let edge = noon() + CLOCK_TOLERANCE;
    let at_edge = City::new().issued(edge, noon());
    assert_eq!(
        at_edge.verdict(&at_edge.strip(), noon()),
        Verdict::Valid(holder())
    );
    for (trust, list) in [(edge + SECOND, noon()), (noon(), edge + SECOND)] {
        let beyond = City::new().issued(trust, list);
        for text in [beyond.strip(), String::new()] {
            assert_eq!(beyond.verdict(&text, noon()), Verdict::ClockWrong);
        }
    }
}

#[test]
fn a_strip_of_a_longer_window_than_a_week_is_invalid() {
    let city = City::new();
    let lasting = |window: TimeDelta| {
        let claims = CityClaims {
            expires: midnight() + window,
            ..city.claims()
        };
        city.verdict(&city.sealed(&claims), noon())
    };
    assert_eq!(lasting(LONGEST_WINDOW), Verdict::Valid(holder()));
    assert_eq!(lasting(LONGEST_WINDOW + SECOND), invalid(Reason::Claims));
}

#[test]
fn blanks_and_line_ends_around_a_text_do_not_matter() {
    let city = City::new();
    let strip = city.strip();
    for text in [format!(" \t{strip}"), format!("{strip} \t\r\n  ")] {
        assert_eq!(city.verdict(&text, noon()), Verdict::Valid(holder()));
    }
}

#[test]
fn without_data_or_with_an_older_list_than_is_known_nothing_is_said() {
    let mut city = City::new();
    assert_eq!(verify(&city.strip(), None, noon()), Verdict::CannotTell);
    city.trust.lowest_revocations = 2;
    assert_eq!(city.verdict(&city.strip(), noon()), Verdict::CannotTell);
    city.revocations = list(2, noon(), &[]);
    assert_eq!(
        city.verdict(&city.strip(), noon()),
        Verdict::Valid(holder())
    );
}

#[test]
fn a_pass_that_is_plainly_wrong_is_invalid_on_stale_data_and_nothing_beyond() {
    for (age, answers) in [(25, true), (72, true), (73, false)] {
        let then = noon() - TimeDelta::hours(age);
        let mut city = City::new().issued(then, then);
        city.revocations = list(1, then, &[ID]);
        let yesterday = CityClaims {
            not_before: midnight() - TimeDelta::days(1),
            expires: midnight(),
            ..city.claims()
        };
        let cases = [
            (String::new(), Reason::NotAPass),
            (city.sealed(&yesterday), Reason::Expired),
            (city.strip(), Reason::Revoked),
        ];
        for (text, reason) in cases {
            let expected = if answers {
                invalid(reason)
            } else {
                Verdict::CannotTell
            };
            assert_eq!(city.verdict(&text, noon()), expected, "{age}");
        }
    }
}

#[test]
fn a_revoked_pass_is_invalid_and_others_are_not() {
    let mut city = City::new();
    city.revocations = list(1, noon(), &[ID]);
    assert_eq!(
        city.verdict(&city.strip(), noon()),
        invalid(Reason::Revoked)
    );
    let certificate = city.certificate(noon(), noon() + SECOND);
    assert_eq!(city.verdict(&certificate, noon()), invalid(Reason::Revoked));
    city.revocations = list(1, noon(), &[PassId([1, 2, 3, 4, 5, 7, 7, 8])]);
    assert_eq!(
        city.verdict(&city.strip(), noon()),
        Verdict::Valid(holder())
    );
}

#[test]
fn a_certificate_of_one_of_two_doses_is_not_green() {
    let city = City::new();
    for (dose, doses, is_complete) in [(1, 2, false), (2, 2, true), (3, 3, true), (2, 1, true)] {
        let entry = Entry::Vaccination(Vaccination {
            prophylaxis: "J07BX03".into(),
            product: "Sputnik-V".into(),
            manufacturer: "Gamaleya-Research-Institute".into(),
            dose,
            doses,
            date: noon().date_naive(),
            country: "RU".into(),
        });
        let text = city.certificate_of(entry, noon(), noon() + SECOND);
        match city.verdict(&text, noon()) {
            Verdict::Valid(_) => assert!(is_complete, "{dose}/{doses}"),
            other => assert_eq!(
                (other, is_complete),
                (invalid(Reason::SeriesIncomplete), false)
            ),
        }
    }
}

#[test]
fn the_key_decides_by_its_time_its_products_and_its_id() {
    let mut city = City::new();
    let strip = city.strip();
    let certificate = city.certificate(noon(), noon() + TimeDelta::days(1));
    city.trust.keys[0].from = noon();
    city.trust.keys[0].until = noon() + SECOND;
    let cases = [
        (noon() - SECOND, invalid(Reason::KeyNotValidNow)),
        (noon(), Verdict::Valid(holder())),
        (noon() + SECOND, invalid(Reason::KeyNotValidNow)),
    ];
    for (now, verdict) in cases {
        assert_eq!(city.verdict(&strip, now), verdict);
    }
    city.trust.keys[0].products = vec![Product::Hcert, Product::Revocations];
    assert_eq!(city.verdict(&strip, noon()), invalid(Reason::KeyNotForThis));
    city.trust.keys[0].products = vec![Product::City];
    let verdict = city.verdict(&certificate, noon());
    assert_eq!(verdict, invalid(Reason::KeyNotForThis));
    city.trust.keys.clear();
    assert_eq!(city.verdict(&strip, noon()), invalid(Reason::KeyUnknown));
}

#[test]
fn what_is_signed_wrongly_or_says_another_thing_is_invalid() {
    let city = City::new();
    let other = SigningKey::generate();
    let payload = city.claims().encode();
    // The key id of the city, and a signature of another key.
    let forged = ToSign::new(payload.clone(), &city.key.kid().0);
    let signature = Envelope::open(&other.seal(payload.clone()))
        .unwrap()
        .signature;
    let forged = forged.with_signature(&signature.try_into().unwrap());
    let foreign = CityClaims {
        issuer: "RU-SPE".into(),
        ..city.claims()
    };
    let cases = [
        (to_text(&forged), Reason::Signature),
        (to_text(&other.seal(payload)), Reason::KeyUnknown),
        (city.sealed(&foreign), Reason::Issuer),
        (to_text(&city.key.seal(vec![0xa0])), Reason::Claims),
        (to_text(&city.key.seal(vec![0xbf, 0xff])), Reason::Cbor),
    ];
    for (text, reason) in cases {
        assert_eq!(city.verdict(&text, noon()), invalid(reason));
    }
}

#[test]
fn faults_of_the_container_have_their_reasons() {
    let city = City::new();
    let sealed = city.key.seal(city.claims().encode());
    let mut longer_head = vec![0xd8, 18];
    longer_head.extend_from_slice(&sealed[1..]);
    let ps256 = [
        &[0xd2, 0x84, 0x44, 0xa1, 0x01, 0x38, 0x24][..],
        &[0xa1, 4, 0x41, 1, 0x40, 0x40],
    ];
    let cases = [
        ("HC2:".to_owned(), Reason::NotAPass),
        ("HC1:abc".to_owned(), Reason::Base45),
        (format!("HC1:{}", base45::encode(&sealed)), Reason::Zlib),
        (to_text(&longer_head), Reason::Cbor),
        (to_text(&sealed[..50]), Reason::Cbor),
        (to_text(&[0x01]), Reason::Cose),
        (to_text(&ps256.concat()), Reason::Algorithm),
    ];
    for (text, reason) in cases {
        assert_eq!(city.verdict(&text, noon()), invalid(reason), "{text}");
    }
}

/// A key is published three days before it signs, and the old one stays until its last pass ends.
#[test]
fn a_verifier_that_was_offline_through_a_roll_of_keys_accepts_old_and_new_passes() {
    let then = noon() - TimeDelta::hours(72);
    let mut city = City::new().issued(then, then);
    let next = SigningKey::generate();
    let published = TrustedKey {
        key: *next.public(),
        from: midnight(),
        until: noon() + TimeDelta::days(60),
        products: vec![Product::City],
    };
    city.trust.keys.push(published);
    city.trust.keys[0].until = midnight() + TimeDelta::days(1);
    let by_old = city.strip();
    let by_new = to_text(&next.seal(city.claims().encode()));
    for text in [&by_old, &by_new] {
        assert_eq!(city.verdict(text, noon()), Verdict::Stale(holder()));
    }
    let before = midnight() - SECOND;
    assert_eq!(
        city.verdict(&by_new, before),
        invalid(Reason::KeyNotValidNow)
    );
}

#[test]
fn no_changed_bit_of_a_pass_is_ever_valid() {
    let city = City::new();
    let sealed = city.key.seal(city.claims().encode());
    assert_eq!(
        city.verdict(&to_text(&sealed), noon()),
        Verdict::Valid(holder())
    );
    for place in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[place] ^= 1 << bit;
            let verdict = city.verdict(&to_text(&changed), noon());
            assert!(matches!(verdict, Verdict::Invalid(_)), "{place} {bit}");
        }
    }
}

#[test]
fn names_are_stable_and_each_is_one() {
    let names: Vec<&str> = Reason::ALL.into_iter().map(Reason::as_str).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), names.len());
    assert_eq!(names[0], "not-a-pass");
    assert_eq!(names[15], "revoked");
    let verdicts = [
        Verdict::Valid(holder()),
        Verdict::Invalid(Reason::Zlib),
        Verdict::Stale(holder()),
        Verdict::CannotTell,
        Verdict::ClockWrong,
    ];
    let names = verdicts.map(|verdict| verdict.as_str());
    let expected = ["valid", "invalid", "stale", "cannot-tell", "clock-wrong"];
    assert_eq!(names, expected);
}

proptest! {
    #[test]
    fn any_changed_byte_of_a_pass_is_invalid(place in 0_usize..132, change in 1_u8..) {
        let city = City::new();
        let mut sealed = city.key.seal(city.claims().encode());
        prop_assume!(place < sealed.len());
        sealed[place] ^= change;
        let verdict = city.verdict(&to_text(&sealed), noon());
        prop_assert!(matches!(verdict, Verdict::Invalid(_)));
    }

    #[test]
    fn any_text_gets_a_verdict(text in ".{0,200}", body in "[0-9A-Z $%*+./:-]{0,300}") {
        let city = City::new();
        for text in [text, format!("HC1:{body}")] {
            let verdict = city.verdict(&text, noon());
            prop_assert!(matches!(verdict, Verdict::Invalid(_)));
        }
    }

    #[test]
    fn any_signed_payload_gets_a_verdict(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let city = City::new();
        let verdict = city.verdict(&to_text(&city.key.seal(payload)), noon());
        let expected = [invalid(Reason::Cbor), invalid(Reason::Claims)];
        prop_assert!(expected.contains(&verdict));
    }

    #[test]
    fn any_cose_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let city = City::new();
        let verdict = city.verdict(&to_text(&bytes), noon());
        prop_assert!(matches!(verdict, Verdict::Invalid(_)));
    }
}

//! What holds for every person and key.

use proptest::prelude::*;

use super::*;

prop_compose! {
    // A series of zeros would be refused as a placeholder.
    fn passport()(number in "[1-9][0-9]{8}[1-9]") -> String { number }
}

proptest! {
    // Streebog takes its time without optimisation.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn different_people_have_different_pseudonyms(one in passport(), other in passport()) {
        prop_assume!(one != other);
        let made = |value: &str| {
            subject(plain().apply(record(vec![id(IdentifierKind::PassportRu, value)], shot()), today()))
        };
        prop_assert_ne!(made(&one), made(&other));
        let spaced = format!("{} {} № {}", &one[..2], &one[2..4], &one[4..]);
        prop_assert_eq!(made(&one), made(&spaced));
    }

    #[test]
    fn keys_epochs_schemes_and_suites_separate_pseudonyms(value in passport()) {
        let fresh = KeyRing::generate();
        let rings = [ring(ONE_EPOCH), fresh.with_new_pseudonym_epoch().unwrap()];
        let mut values = std::collections::HashSet::new();
        let suites = [Suite::Hmac, Suite::HmacStreebog];
        for (ring, suite) in rings.iter().flat_map(|ring| suites.map(|suite| (ring, suite))) {
            let one = with(ring, suite, &PolicyConfig::default());
            let person = vec![
                id(IdentifierKind::PassportRu, &value),
                of_country(&value, "FR"),
                of_country(&value, "DE"),
                id(IdentifierKind::ResidencePermit, &value),
            ];
            values.extend(subject(one.apply(record(person, shot()), today())).iter().map(|made| made.value));
        }
        prop_assert_eq!(values.len(), 2 * (1 + 2) * 4);
    }

    #[test]
    fn the_same_record_always_makes_the_same_draft(seed in "[a-z0-9]{1,20}") {
        let make = || plain().apply(ClinicRecord { record_id: seed.clone(), ..snils_shot() }, today());
        prop_assert_eq!(make(), make());
    }
}

//! Tests over generated histories, on SQLite.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn order_and_repetition_change_no_fact(
        (first, shuffled) in history(false),
        group in 1..6_usize,
    ) {
        runtime().block_on(async {
            let (_folder, store) = sqlite().await;
            let content = apply_all(&store, &shuffled, group).await;
            assert_facts(&content, &first);
            assert!(refines(&joined(newest(&first)), &content.1), "the newest versions always \
                link");
            assert!(refines(&content.1, &joined(first.iter())), "nothing else than versions ever \
                does");
            assert_eq!(content, apply_all(&store, &first, group).await, "once more, on top");
            let newest = newest(&first).map(|event| (event.record, event.content)).collect();
            assert_eq!(said(&store, &first).await, newest);
        });
    }

    #[test]
    fn where_no_version_drops_a_name_order_changes_nothing(
        (first, shuffled) in history(false),
        group in 1..6_usize,
    ) {
        let first = steady(&first);
        let shuffled = steady(&shuffled);
        runtime().block_on(async {
            let (_a, a) = sqlite().await;
            let (_b, b) = sqlite().await;
            let straight = apply_all(&a, &first, 100).await;
            assert_facts(&straight, &first);
            assert_eq!(straight.1, joined(newest(&first)));
            assert_eq!(straight, apply_all(&b, &shuffled, group).await);
        });
    }

    #[test]
    fn contradictions_never_share_a_subject((_, shuffled) in history(true), group in 1..6_usize) {
        runtime().block_on(async {
            let (_folder, store) = sqlite().await;
            let content = apply_all(&store, &shuffled, group).await;
            assert_facts(&content, &shuffled);
            for person in &content.1 {
                let snils = person.iter().filter(|value| value[0] == Scheme::Snils as u8).count();
                assert!(snils <= 1, "two SNILS under one subject");
            }
            for fact in content.0.iter().filter(|fact| fact.fact.is_some()) {
                let newest = shuffled
                    .iter()
                    .filter(|event| event.record == fact.record.0)
                    .max_by_key(|event| event.version);
                let named = &newest.unwrap().asserted.as_ref().unwrap().pseudonyms;
                assert!(fact.subject.contains(&named[0]), "a fact left its strongest name");
            }
        });
    }
}

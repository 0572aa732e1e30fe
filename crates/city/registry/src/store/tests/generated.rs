//! Tests over generated histories, on SQLite.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn order_and_repetition_change_nothing(
        (first, shuffled) in any::<bool>().prop_flat_map(history),
        group in 1..6_usize,
    ) {
        runtime().block_on(async {
            let (_folder, store) = sqlite().await;
            let content = apply_all(&store, &shuffled, group).await;
            assert_facts(&content, &first);
            assert_eq!(content.1, expected_persons(&first));
            assert_eq!(content, apply_all(&store, &first, group).await, "once more, on top");
            let newest = newest(&first).map(|event| (event.record.stored, Some(event.content)));
            assert_eq!(said(&store, &first).await, newest.collect());
        });
    }

    #[test]
    fn contradictions_never_share_a_subject((_, shuffled) in history(true), group in 1..6_usize) {
        runtime().block_on(async {
            let (_folder, store) = sqlite().await;
            let content = apply_all(&store, &shuffled, group).await;
            for person in &content.1 {
                let snils = person.iter().filter(|value| value[0] == Scheme::Snils as u8).count();
                assert!(snils <= 1, "two SNILS under one subject");
            }
            for fact in content.0.iter().filter(|fact| fact.fact.is_some()) {
                let newest = newest(&shuffled).find(|event| event.record.stored == fact.record);
                let named = &newest.unwrap().asserted.as_ref().unwrap().pseudonyms;
                assert!(fact.subject.contains(&named[0]), "a fact left its strongest name");
            }
        });
    }

    #[test]
    fn what_is_withdrawn_leaves_nothing_behind(
        (first, shuffled) in history(true),
        group in 1..6_usize,
    ) {
        runtime().block_on(async {
            let (_folder, store) = sqlite().await;
            apply_all(&store, &shuffled, group).await;
            let withdrawn: Vec<IncomingEvent> =
                newest(&first).map(|held| event(held.record.stored[0], 100, None)).collect();
            let content = apply_all(&store, &withdrawn, group).await;
            assert_eq!(content.1, BTreeSet::new());
            let stats = store.stats().await.unwrap();
            assert_eq!((stats.subjects, stats.conflicts), (0, 0));
            assert!(stats.pseudonyms.is_empty() && stats.asserted.is_empty());
        });
    }
}

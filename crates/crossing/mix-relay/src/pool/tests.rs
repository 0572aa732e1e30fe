//! Promises of the pool, over any course of arrivals, slots, failures and lost connections.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::random::tests::Seeded;

const ACCOUNTS: usize = 4;
const MOST: usize = 8;
const SLOT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
enum Step {
    Arrive(usize),
    LinkLost(usize),
    /// A slot; every batch whose place in it is divisible by this number is not confirmed.
    Slot(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..ACCOUNTS).prop_map(Step::Arrive),
        1 => (0..ACCOUNTS).prop_map(Step::LinkLost),
        3 => (1..6_usize).prop_map(Step::Slot),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let delays = 1..6_u32;
    (1..12_usize, 1..12_usize, 1..=ACCOUNTS, delays).prop_map(
        |(batches_per_slot, minimum_pool, minimum_accounts, delay)| Rules {
            batches_per_slot,
            minimum_pool,
            minimum_accounts,
            maximum_delay: SLOT * delay,
        },
    )
}

/// Numbers of batches as an account's queue at the broker would know them.
#[derive(Default)]
struct Seen {
    /// Waiting, with the time of arrival.
    waiting: Vec<(usize, u32, Duration)>,
    published: BTreeSet<u32>,
}

proptest! {
    #[test]
    fn nothing_is_lost_or_published_twice_or_waits_too_long(
        steps in prop::collection::vec(step(), 0..200),
        rules in rules(),
        seed in any::<u64>(),
    ) {
        let mut random = Seeded(seed);
        let mut pool: Pool<u32> = Pool::new(ACCOUNTS, MOST);
        let mut seen = Seen::default();
        let mut now = Duration::ZERO;
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Arrive(account) => {
                    let of_account = seen.waiting.iter().filter(|it| it.0 == account).count();
                    let added = pool.add(account, number, now);
                    prop_assert_eq!(added.is_ok(), of_account < MOST, "bounded, and no less");
                    if added.is_ok() {
                        seen.waiting.push((account, number, now));
                    }
                }
                Step::LinkLost(account) => {
                    pool.forget(account);
                    seen.waiting.retain(|it| it.0 != account);
                }
                Step::Slot(fails) => {
                    now += SLOT;
                    let overdue = |it: &&(usize, u32, Duration)| now - it.2 >= rules.maximum_delay;
                    let due = seen.waiting.iter().filter(overdue).count();
                    let taken = pool.take(now, &rules, &mut random);
                    prop_assert!(taken.len() <= due + rules.batches_per_slot);
                    let named: BTreeSet<u32> = taken.iter().map(|it| it.batch).collect();
                    prop_assert_eq!(named.len(), taken.len(), "each once");
                    for it in seen.waiting.iter().filter(overdue) {
                        prop_assert!(named.contains(&it.1), "what is overdue leaves");
                    }
                    for (place, taken) in taken.into_iter().enumerate() {
                        if place % fails == 0 {
                            pool.put_back(taken);
                        } else {
                            let number = pool.confirm(taken);
                            prop_assert!(seen.published.insert(number), "published once");
                            seen.waiting.retain(|it| it.1 != number);
                        }
                    }
                }
            }
            prop_assert_eq!(pool.waiting(), seen.waiting.len());
            for account in 0..ACCOUNTS {
                let of_account = seen.waiting.iter().filter(|it| it.0 == account).count();
                prop_assert_eq!(pool.held(account), of_account);
            }
        }
        // Whatever is left leaves once it is overdue.
        let left: BTreeSet<u32> = seen.waiting.iter().map(|it| it.1).collect();
        let last = pool.take(now + rules.maximum_delay, &rules, &mut random);
        prop_assert_eq!(last.iter().map(|it| it.batch).collect::<BTreeSet<_>>(), left);
    }
}

/// Rules under which every slot publishes.
fn open(batches_per_slot: usize) -> Rules {
    Rules {
        batches_per_slot,
        minimum_pool: 1,
        minimum_accounts: 1,
        maximum_delay: SLOT * 100,
    }
}

/// Accounts that the batches of a slot are from.
fn accounts(taken: &[Taken<u32>]) -> Vec<usize> {
    taken.iter().map(|it| it.account).collect()
}

#[test]
fn an_account_that_floods_gets_one_turn_like_the_others() {
    let mut pool = Pool::new(3, 100);
    for number in 0..100 {
        pool.add(0, number, Duration::ZERO).unwrap();
    }
    for account in [1, 2] {
        pool.add(account, 1000, Duration::ZERO).unwrap();
        pool.add(account, 1001, Duration::ZERO).unwrap();
    }
    let mut random = Seeded(3);
    for _ in 0..2 {
        let mut from = accounts(&pool.take(SLOT, &open(3), &mut random));
        from.sort_unstable();
        assert_eq!(from, [0, 1, 2]);
    }
    assert_eq!(accounts(&pool.take(SLOT, &open(3), &mut random)), [0, 0, 0]);
}

#[test]
fn whose_turn_it_is_and_which_batch_leaves_is_random() {
    let mut random = Seeded(5);
    let mut first = [0_u32; 3];
    let mut chosen = [0_u32; 4];
    for _ in 0..4000 {
        let mut pool = Pool::new(3, 4);
        for account in 0..3 {
            for number in 0..4_usize {
                pool.add(account, number, Duration::ZERO).unwrap();
            }
        }
        let taken = pool.take(SLOT, &open(1), &mut random);
        first[taken[0].account] += 1;
        chosen[taken[0].batch] += 1;
    }
    // 1333 and 1000 each, with standard deviations of 30 and 27.
    assert!(
        first.iter().all(|count| (1180..1480).contains(count)),
        "{first:?}"
    );
    assert!(
        chosen.iter().all(|count| (860..1140).contains(count)),
        "{chosen:?}"
    );
}

#[test]
fn too_few_batches_or_accounts_wait_until_they_are_overdue() {
    let rules = Rules {
        batches_per_slot: 10,
        minimum_pool: 3,
        minimum_accounts: 2,
        maximum_delay: SLOT * 4,
    };
    let taken = |arrivals: &[usize], now| {
        let mut pool = Pool::new(2, 10);
        for account in arrivals {
            pool.add(*account, 0, Duration::ZERO).unwrap();
        }
        pool.take(now, &rules, &mut Seeded(7)).len()
    };
    assert_eq!(taken(&[0, 1], SLOT), 0, "two batches");
    assert_eq!(taken(&[0, 0, 0, 0], SLOT), 0, "one account");
    assert_eq!(taken(&[0, 0, 1], SLOT), 3, "both at their edge");
    assert_eq!(taken(&[0], SLOT * 4 - Duration::from_nanos(1)), 0);
    assert_eq!(taken(&[0], SLOT * 4), 1);
}

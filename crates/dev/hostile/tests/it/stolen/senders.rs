//! Who can tell which account a fact came from: every set of stolen parts tries.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use escrow::BatchName;

use super::part::{Part, Stolen, least_sets, listed};
use super::table::is_in_the_docs;
use super::thief::{Contents, PIECE_BYTES, Thief, Told, pieces, values};
use super::tokens::{Values, encoded};
use crate::recorded::recorded;

/// Length of an answer of 16 elements.
const ANSWER_BYTES: usize = 579;

/// What a set of parts tells.
fn told(contents: &Contents<'_>, stolen: &[Part]) -> Told {
    let stolen = stolen.iter().copied().collect();
    Thief::new(contents, &stolen).told()
}

#[test]
fn the_sets_of_parts_that_tell_accounts_are_those_of_the_docs() {
    let contents = Contents::of(&recorded().strong);
    let least = least_sets(
        &Part::OF_SENDERS,
        Told::Nothing,
        Told::BySameBytes,
        |stolen| Thief::new(&contents, stolen).told(),
    );
    let mut table = String::from("| stolen together | what is told |\n| --- | --- |\n");
    for (stolen, told) in least {
        let told = match told {
            Told::Nothing => "nothing",
            Told::OfRefused => "accounts of refused events, by the ids of their batches",
            Told::ByOrder => "accounts of facts, by the order of entries and rows",
            Told::BySameBytes => "accounts of facts, by the batches' bytes or names",
        };
        writeln!(table, "| {} | {told} |", listed(&stolen)).unwrap();
    }
    is_in_the_docs("senders", &table);
}

/// The relay's state and configuration name accounts, and nothing of a batch stands there.
#[test]
fn the_relays_state_and_configuration_hold_nothing_of_a_batch() {
    let loot = &recorded().strong;
    let disk = loot.relay_disk();
    let windows = disk.iter().flat_map(|bytes| bytes.windows(PIECE_BYTES));
    let disk: HashSet<&[u8]> = windows.collect();
    assert!(disk.contains(&b"[[accounts]]\nname"[..PIECE_BYTES]));
    for outer in &loot.passed.outer {
        let name = BatchName::of(&outer.batch.bytes);
        let digits = outer.batch.id.to_hex();
        let of_batch = [
            &outer.message.bytes[..],
            &outer.batch.bytes,
            name.as_bytes(),
        ];
        let ids = [
            &outer.message.id.0[..],
            &outer.batch.id.0,
            digits.as_bytes(),
        ];
        let mut all = of_batch.iter().chain(&ids).flat_map(|bytes| pieces(bytes));
        assert!(!all.any(|piece| disk.contains(&piece[..])));
    }
}

/// The attack finds what is there: without the outer seal the two brokers' messages are the same.
#[test]
fn without_the_outer_seal_the_clinics_messages_and_the_registrys_keys_would_be_enough() {
    let contents = Contents::of(&recorded().strong);
    let loot = contents.loot;
    let stolen = Stolen::from([Part::ClinicsMessages, Part::RegistryKeys]);
    let mut thief = Thief::new(&contents, &stolen);
    assert_eq!(thief.told(), Told::Nothing);
    for outer in &loot.passed.outer {
        thief.tag_batch(outer.account, &outer.batch.bytes);
    }
    assert_eq!(thief.told(), Told::BySameBytes);

    // And it lays orders side by side: a database that kept the order of messages would tell.
    let stolen = Stolen::from([
        Part::ClinicsMessages,
        Part::RelayKey,
        Part::RegistryMessages,
        Part::RegistryDatabase,
    ]);
    let mut thief = Thief::new(&contents, &stolen);
    assert_eq!(thief.told(), Told::OfRefused);
    let inner = loot.passed.inner.iter();
    let in_order = inner.map(|inner| contents.opened[&inner.bytes].records[0]);
    thief.records.push(in_order.collect());
    assert_eq!(thief.told(), Told::ByOrder);

    // And it follows a message from one broker to the other by its bytes alone.
    let stolen = Stolen::from([Part::RegistryMessages]);
    let mut thief = Thief::new(&contents, &stolen);
    assert_eq!(thief.accounts, [Vec::<usize>::new()]);
    for outer in &loot.passed.outer {
        thief.tag(outer.account, &outer.batch.bytes);
    }
    thief.read_registry_messages();
    assert_eq!(thief.accounts[1].len(), loot.passed.inner.len());
}

/// The issuer has asked and answered for every token, and none of what it saw or kept stands in a
/// token that was spent.
#[test]
fn the_token_issuer_and_the_registrys_side_tell_no_account() {
    let contents = Contents::of(&recorded().strong);
    let loot = contents.loot;
    for account in 0..loot.accounts.len() {
        let disk = loot.issuer.left[account].audit.concat();
        let name = format!("\"client\":\"{}\"", loot.accounts[account]);
        assert!(
            disk.windows(name.len())
                .any(|window| window == name.as_bytes())
        );
        let answers = loot.issuer.left[account].seen.iter().skip(1).step_by(2);
        assert_eq!(answers.map(Vec::len).max(), Some(ANSWER_BYTES));
    }
    let all = loot.sent.len() + loot.day_nonces.len();
    assert_eq!(contents.spent.len(), all, "every token was spent");
    // What the attack works out of the database is the token that the batch carried.
    let by_nonce = values(loot);
    for opened in contents.opened.values() {
        let mut of_batch = by_nonce.iter().filter(|it| it.nonce == opened.nonce());
        assert_eq!(
            of_batch.next().map(|it| &it.token[..]),
            Some(&opened.token[..])
        );
    }
    let everything = [
        Part::TokenIssuer,
        Part::RegistryDatabase,
        Part::RegistryMessages,
        Part::RegistryKeys,
    ];
    assert_eq!(told(&contents, &everything), Told::Nothing);
}

/// The same attack finds an issuer that is asked without a blind, whatever it keeps of that, and one
/// that has a key for each clinic.
#[test]
fn an_issuer_that_could_recognise_its_tokens_would_be_found() {
    let loot = &recorded().strong;
    let values = values(loot);
    let stolen = [Part::TokenIssuer, Part::RegistryDatabase];
    type Seen = fn(&Values) -> Vec<u8>;
    let plants: [Seen; 4] = [
        |values| [&[1, 0, 1][..], &values.element].concat(),
        |values| [&[1, 0, 1][..], &values.evaluated].concat(),
        |values| encoded(&values.nonce)[2].clone(),
        |values| encoded(&values.token[98..])[3].clone(),
    ];
    for plant in plants {
        let mut contents = Contents::of(loot);
        for sent in &loot.sent {
            let mut of_batch = values.iter().filter(|it| it.nonce == sent.nonce);
            contents.issue(sent.account, &plant(of_batch.next().unwrap()));
        }
        assert_eq!(told(&contents, &stolen), Told::BySameBytes);
    }

    let mut contents = Contents::of(loot);
    let key_id = |account: usize| [u8::try_from(account).unwrap(); 32];
    for sent in &loot.sent {
        let mut spent = contents.spent.iter_mut();
        let spent = spent.find(|spent| spent.nonce == sent.nonce).unwrap();
        spent.key_id = key_id(sent.account).to_vec();
        contents.issue(sent.account, &key_id(sent.account));
    }
    assert_eq!(told(&contents, &stolen), Told::BySameBytes);
}

/// A registry that kept with a token the name of its batch, as the escrow has it, would let whoever
/// knows whose batches are whose tell whose tokens were spent.
#[test]
fn a_registry_that_named_the_batch_of_a_token_would_be_found() {
    let loot = &recorded().strong;
    let mut contents = Contents::of(loot);
    let sets = [
        [
            Part::ClinicsMessages,
            Part::RelayKey,
            Part::RegistryDatabase,
        ],
        [Part::RelayEscrow, Part::AuditorKey, Part::RegistryDatabase],
    ];
    let before = sets.map(|stolen| told(&contents, &stolen));
    assert_eq!(before, [Told::OfRefused, Told::Nothing]);
    let by_nonce: HashMap<[u8; 32], BatchName> = contents
        .opened
        .iter()
        .map(|(bytes, opened)| (opened.nonce(), BatchName::of(bytes)))
        .collect();
    for spent in &mut contents.spent {
        if let Some(name) = by_nonce.get(&spent.nonce) {
            spent.sealed = name.as_bytes().to_vec();
        }
    }
    let after = sets.map(|stolen| told(&contents, &stolen));
    assert_eq!(after, [Told::BySameBytes; 2]);
}

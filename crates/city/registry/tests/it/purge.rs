//! Tests of undoing a compromised account: what it stated goes, and nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use auditor::{Asked, Joined, join};
use chrono::NaiveDate;
use clock::Clock as _;
use contract::{Event, OwnerToken, Pseudonym, RefusalReason, Scheme, SealedBatch, Subject};
use escrow::{Account, AuditorKey, BatchName, Entry, RecordList, Writer};
use registry::passes::Publication;
use registry::{EscrowConfig, Purged, SqliteConfig, StoreConfig, StoredFact};
use testbed::postgres::Postgres;

use crate::installed::{public_key, run, send, words};
use crate::passes::{is_valid, long, now, passes, snils, strips, verdict};
use crate::world::{World, asserted, dose, negative, postgres_store, pseudonym, recovery};

const ROOMY: u64 = 1 << 30;

/// City whose relay and registry lay down for an auditor.
struct City {
    world: World,
    relay: Writer,
    folders: tempfile::TempDir,
    key: AuditorKey,
}

impl City {
    async fn new(store: &StoreConfig) -> Self {
        let folders = tempfile::tempdir().unwrap();
        let key = AuditorKey::generate();
        let escrow = EscrowConfig {
            folder: folders.path().join("registry"),
            public_key: key.public().to_text(),
            max_mib: 10.try_into().unwrap(),
        };
        let relay = folders.path().join("relay");
        Self {
            world: World::escrowed(store, &escrow).await,
            relay: Writer::open(&relay, &key.public(), ROOMY).unwrap(),
            folders,
            key,
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.folders.path().join(name)
    }

    /// Sends a batch through the relay, and has it stored.
    async fn send(&mut self, account: &str, events: &[Event]) -> SealedBatch {
        let (batch, _) = self.world.send(events).await;
        self.note_sent(account, &batch);
        self.world.registry.drain().await.unwrap();
        batch
    }

    /// What the relay lays down.
    fn note_sent(&mut self, account: &str, batch: &SealedBatch) {
        let entry = Entry::SentBy {
            account: Account::new(account).unwrap(),
            batch: BatchName::of(&batch.bytes),
        };
        self.relay.append(now(), &[entry]).unwrap();
    }

    fn opened(&self, accounts: &[&str]) -> Joined {
        let day: NaiveDate = now().date_naive();
        let accounts = accounts.iter().map(|name| Account::new(name).unwrap());
        let asked = Asked {
            accounts: accounts.collect(),
            from: day,
            to: day,
        };
        let relay = [self.folder("relay")];
        let registry = [self.folder("registry")];
        let joined = join(&self.key, &relay, &registry, &asked).unwrap();
        assert_eq!(joined.unreadable, []);
        joined
    }

    async fn purge(&self, list: &RecordList, is_dry_run: bool) -> Purged {
        let reader = self.world.registry.reader();
        let purged = reader.purge(list, is_dry_run, now(), |_| ()).await;
        purged.unwrap()
    }

    /// Facts that hold, with the names of their persons.
    async fn facts(&self) -> Vec<StoredFact> {
        let facts = self.world.registry.reader().facts().await.unwrap();
        facts
            .into_iter()
            .filter(|stored| stored.fact.is_some())
            .collect()
    }

    /// Names that are one person with the first of these.
    async fn person(&self, name: Pseudonym) -> usize {
        let reader = self.world.registry.reader();
        let subjects = reader.subjects_by(&[name]).await.unwrap();
        subjects.first().map_or(0, |one| one.pseudonyms.len())
    }

    async fn refused(&self, reason: RefusalReason) -> u64 {
        let stats = self.world.registry.reader().stats().await.unwrap();
        stats.refusals.get(reason.as_str()).copied().unwrap_or(0)
    }
}

async fn cities() -> (Postgres, [City; 2]) {
    let postgres = Postgres::start().await.unwrap();
    let large = postgres_store(&postgres, "purge").await;
    let small = StoreConfig::Sqlite(SqliteConfig {
        path: "registry.sqlite".into(),
    });
    let cities = [City::new(&small).await, City::new(&large).await];
    (postgres, cities)
}

/// Event of a person of whom the record states these names.
fn of_names(number: u16, count: u32, names: &[Pseudonym], event_of: u16) -> Event {
    let event = asserted(number, count, event_of, negative("2021-06-30"));
    let contract::Body::Asserted { fact, .. } = event.body else {
        unreachable!("asserted");
    };
    Event {
        body: contract::Body::Asserted {
            subject: Subject::new(names.to_vec()).unwrap(),
            fact,
        },
        ..event
    }
}

/// Honest facts of persons 1 and 2, of whom 1 is known by a SNILS alone and 2 by a passport alone.
fn honest() -> Vec<Event> {
    vec![
        of_names(1, 1, &snils(1), 1),
        of_names(2, 1, &[pseudonym(Scheme::PassportRu, 2)], 2),
        asserted(3, 1, 3, recovery(None, "2021-06-01")),
    ]
}

/// Forged facts: one that joins persons 1 and 2, one of person 4, who has nothing else, one more of
/// person 3, and a version of an honest record, which is not the forger's.
fn forged() -> Vec<Event> {
    let joining = [
        pseudonym(Scheme::Snils, 1),
        pseudonym(Scheme::PassportRu, 2),
    ];
    let stolen = Event {
        owner: OwnerToken([9; 16]),
        ..of_names(1, 9, &snils(7), 7)
    };
    vec![
        of_names(101, 1, &joining, 1),
        asserted(102, 1, 4, recovery(None, "2021-06-01")),
        asserted(103, 1, 3, dose(contract::Vaccine::SputnikV, "2021-06-01")),
        stolen,
    ]
}

#[tokio::test]
async fn every_forged_fact_goes_and_not_one_honest() {
    let (_postgres, cities) = cities().await;
    for mut city in cities {
        city.send("honest", &honest()).await;
        let before = city.facts().await;
        let passes = passes(&city.world, long());
        let honest_strips = strips(&passes, &snils(3)).await;
        let forgery = city.send("forger", &forged()).await;
        assert_eq!(city.refused(RefusalReason::NotTheOwner).await, 1);
        assert_eq!(city.person(pseudonym(Scheme::Snils, 1)).await, 2, "joined");
        let forged_strips = strips(&passes, &snils(4)).await;
        assert_eq!(passes.publish(now()).await.unwrap().newly_ended, 0);

        // A batch of the honest one's that the forger has copied is not undone, and one that is sent
        // twice has one name.
        city.note_sent("forger", &forgery);
        let copied = city
            .send("honest", &[asserted(5, 1, 5, negative("2021-06-30"))])
            .await;
        city.note_sent("forger", &copied);
        let with_copied = city.facts().await;
        let joined = city.opened(&["forger"]);
        let counts = joined.counts;
        assert_eq!((counts.batches, counts.records), (1, 3));
        assert_eq!((counts.not_at_registry, counts.sent_by_others), (0, 1));
        let list = RecordList::from_text(&joined.list.to_text()).unwrap();

        let counted = city.purge(&list, true).await;
        assert_eq!(city.facts().await, with_copied, "a dry run changes nothing");
        let purged = city.purge(&list, false).await;
        assert_eq!(purged, counted);
        assert_eq!(purged.withdrawn.values().sum::<usize>(), 3);
        assert_eq!((purged.other_version, purged.unknown), (0, 0));
        // Persons 1 and 2 as one, 3, 4; and the passes of 3 and 4.
        assert_eq!(purged.persons, 3);
        let strips = honest_strips.len() + forged_strips.len();
        assert_eq!(purged.passes, strips as u64);

        let after = city.facts().await;
        let of_others = after.iter().filter(|stored| before.contains(stored));
        assert_eq!(
            of_others.count(),
            before.len(),
            "every honest fact, as it was"
        );
        assert_eq!(
            after.len(),
            before.len() + 1,
            "and nothing but these and the copied one"
        );
        assert_eq!(city.person(pseudonym(Scheme::Snils, 1)).await, 1, "parted");
        let published = passes.publish(now()).await.unwrap();
        assert_eq!(published.newly_ended, forged_strips.len() as u64);
        let holds =
            |published: &Publication, strip| is_valid(&verdict(&passes, published, strip, now()));
        assert!(!holds(&published, &forged_strips[0]));
        assert!(holds(&published, &honest_strips[0]));

        let again = city.purge(&list, false).await;
        assert_eq!((again.already_purged, again.persons), (3, 0));
        assert_eq!(city.facts().await, after);
    }
}

#[tokio::test]
async fn no_permission_brings_the_records_of_a_deleted_person_back() {
    let (_postgres, cities) = cities().await;
    for mut city in cities {
        let stated = [
            asserted(1, 1, 1, negative("2021-06-30")),
            asserted(2, 1, 2, negative("2021-06-30")),
        ];
        city.send("clinic", &stated).await;
        let list = city.opened(&["clinic"]).list;
        let now = city.world.clock.now();
        let reader = city.world.registry.reader().clone();
        let person = [pseudonym(Scheme::Snils, 1)];
        let deleted = reader.delete_persons(&person, false, now).await.unwrap();
        assert_eq!(deleted.facts(), 1);
        // The account that stated them turns out to be compromised, and is mended.
        let purged = city.purge(&list, false).await;
        assert_eq!(purged.withdrawn.values().sum::<usize>(), 1);
        assert_eq!(purged.already_purged, 1, "the deleted one");
        assert_eq!(
            reader.permit(&list).await.unwrap(),
            1,
            "of the other person"
        );
        let again = [
            asserted(1, 2, 1, negative("2021-06-30")),
            asserted(2, 2, 2, negative("2021-06-30")),
        ];
        city.send("mended", &again).await;
        assert_eq!(city.facts().await.len(), 1);
        assert_eq!(city.refused(RefusalReason::Purged).await, 1);
        let stats = reader.stats().await.unwrap();
        assert_eq!(stats.deleted["test"], 1);
        assert!(stats.purged.is_empty() && stats.withdrawn.is_empty());
    }
}

#[tokio::test]
async fn a_purged_record_comes_back_only_where_an_operator_permits_it() {
    let (_postgres, cities) = cities().await;
    for mut city in cities {
        city.send("forger", &[asserted(1, 1, 1, negative("2021-06-30"))])
            .await;
        let list = city.opened(&["forger"]).list;
        city.purge(&list, false).await;
        city.send("forger", &[asserted(1, 2, 1, negative("2021-06-30"))])
            .await;
        city.send("forger", &[asserted(1, 1, 1, negative("2021-06-30"))])
            .await;
        assert_eq!(city.facts().await, []);
        assert_eq!(city.refused(RefusalReason::Purged).await, 2);

        let reader = city.world.registry.reader();
        assert_eq!(reader.permit(&list).await.unwrap(), 1);
        assert_eq!(reader.permit(&list).await.unwrap(), 0);
        city.send("mended", &[asserted(1, 3, 1, negative("2021-06-30"))])
            .await;
        assert_eq!(city.facts().await.len(), 1);
        // What was stated since is not what the list names.
        let purged = city.purge(&list, false).await;
        assert_eq!((purged.other_version, purged.withdrawn.len()), (1, 0));
        assert_eq!(city.facts().await.len(), 1);
    }
}

/// What an account restates unchanged was not stated by it.
#[tokio::test]
async fn facts_of_before_that_are_only_sent_again_stay() {
    let (_postgres, [mut city, _]) = cities().await;
    let events = [asserted(1, 1, 1, negative("2021-06-30"))];
    city.send("clinic", &events).await;
    city.send(
        "forger",
        &[
            events.as_slice(),
            &[asserted(2, 1, 2, negative("2021-06-30"))],
        ]
        .concat(),
    )
    .await;
    let joined = city.opened(&["forger"]);
    assert_eq!(joined.counts.records, 1);
    city.purge(&joined.list, false).await;
    assert_eq!(city.facts().await.len(), 1);
}

#[tokio::test]
async fn nothing_is_stored_while_nothing_can_be_laid_down_and_nothing_is_lost() {
    let (_postgres, [city, other]) = cities().await;
    for mut city in [city, other] {
        let aside = city.folder("aside");
        std::fs::rename(city.folder("registry"), &aside).unwrap();
        let (batch, _) = city.world.send(&honest()).await;
        city.note_sent("clinic", &batch);
        let stopped = city.world.registry.drain().await.unwrap_err();
        assert!(
            stopped.to_string().contains("laid down for the auditor"),
            "{stopped}"
        );
        assert_eq!(city.facts().await, []);
        std::fs::rename(&aside, city.folder("registry")).unwrap();
        let (outcome, dead) = city.world.registry.drain().await.unwrap();
        assert_eq!((outcome.applied, dead), (3, 0));
        assert_eq!(city.opened(&["clinic"]).counts.records, 3);
    }
}

/// Every hexadecimal and binary form of digests that a thief would look for.
fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    vec![
        bytes.to_vec(),
        hex::encode(bytes).into_bytes(),
        hex::encode_upper(bytes).into_bytes(),
        STANDARD_NO_PAD.encode(bytes).into_bytes(),
        URL_SAFE_NO_PAD.encode(bytes).into_bytes(),
    ]
}

/// All bytes of the files in a folder, and in those below it.
fn bytes_in(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(bytes_in(&path));
        } else {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    bytes
}

/// Pieces of 12 bytes that stand in both, without those of one repeated byte.
fn in_common(one: &[u8], other: &[u8]) -> usize {
    let pieces = |bytes: &[u8]| -> BTreeSet<[u8; 12]> {
        let all = bytes.windows(12).map(|piece| piece.try_into().unwrap());
        all.filter(|piece: &[u8; 12]| piece.iter().any(|byte| *byte != piece[0]))
            .collect()
    };
    pieces(one).intersection(&pieces(other)).count()
}

/// The relay's folder, and the registry with its folder, database and the broker's messages: without
/// the auditor's key nothing of the one stands in the other.
#[tokio::test]
async fn without_the_auditors_key_account_and_records_are_not_joined() {
    let store = StoreConfig::Sqlite(SqliteConfig {
        path: "registry.sqlite".into(),
    });
    let mut city = City::new(&store).await;
    let first = city.send("city-hospital-12", &honest()).await;
    let second = city
        .send("a", &[asserted(50, 1, 50, negative("2021-06-30"))])
        .await;
    let relay = bytes_in(&city.folder("relay"));
    let registry = bytes_in(&city.folder("registry"));
    let database = bytes_in(city.world.base());
    let messages = [first.bytes.as_slice(), &second.bytes].concat();

    let stored = city
        .world
        .registry
        .reader()
        .stored_record(&crate::world::record(1));
    assert!(
        aho(&database, &forms(&stored)),
        "the search finds what is there"
    );
    let name = BatchName::of(&first.bytes);
    let mut secrets = forms(&stored);
    secrets.extend(forms(&crate::world::record(1).0));
    secrets.extend(forms(&first.id.0));
    secrets.extend(forms(name.as_bytes()));
    secrets.push(b"city-hospital".to_vec());
    for (what, bytes) in [("relay", &relay), ("registry", &registry)] {
        assert!(!aho(bytes, &secrets), "{what}");
    }
    for bytes in [&database, &messages] {
        assert!(!aho(bytes, &forms(name.as_bytes())));
        assert!(!aho(bytes, &[b"city-hospital".to_vec()]));
    }
    // The header of a block (a mark and the public key's first bytes) is in all; nothing else.
    let blocks = |bytes: &[u8]| -> Vec<u8> {
        let contents = bytes.chunks(escrow::BLOCK_BYTES).map(|block| &block[12..]);
        contents.collect::<Vec<_>>().concat()
    };
    assert_eq!(in_common(&blocks(&relay), &blocks(&registry)), 0);
    for bytes in [&database, &messages] {
        assert_eq!(in_common(&blocks(&relay), bytes), 0);
        assert_eq!(in_common(&blocks(&registry), bytes), 0);
    }
    // A long and a short name, one record and three: sizes are equal.
    assert_eq!(relay.len(), 2 * escrow::BLOCK_BYTES);
    assert_eq!(registry.len(), 2 * escrow::BLOCK_BYTES);

    // Another key opens nothing, and the auditor's joins the two.
    let day = now().date_naive();
    let asked = Asked {
        accounts: BTreeSet::from([Account::new("city-hospital-12").unwrap()]),
        from: day,
        to: day,
    };
    let folders = [[city.folder("relay")], [city.folder("registry")]];
    let strange = join(&AuditorKey::generate(), &folders[0], &folders[1], &asked).unwrap();
    assert_eq!((strange.counts.batches, strange.counts.records), (0, 0));
    assert_eq!(strange.unreadable.len(), 4);
    let joined = join(&city.key, &folders[0], &folders[1], &asked).unwrap();
    assert_eq!((joined.counts.batches, joined.counts.records), (1, 3));
    let records: BTreeSet<[u8; 32]> = joined
        .list
        .records()
        .iter()
        .map(|stated| stated.record)
        .collect();
    assert!(records.contains(&stored));
}

/// True if one of the needles stands in the bytes.
fn aho(bytes: &[u8], needles: &[Vec<u8>]) -> bool {
    let any = aho_corasick::AhoCorasick::new(needles).unwrap();
    any.is_match(bytes)
}

#[tokio::test]
async fn the_program_lays_down_purges_and_permits() {
    let folders = tempfile::tempdir().unwrap();
    let folder = folders.path().join("registry");
    std::fs::create_dir(&folder).unwrap();
    let (_, printed, _) = words(&run(&folder, &["init", "."]));
    send(&folder, &public_key(&printed)).await;
    let key = AuditorKey::generate();
    let config = std::fs::read_to_string(folder.join("city-registry.toml")).unwrap();
    let write = |escrow: &str| {
        let public = key.public().to_text();
        let section = format!("[escrow]\nfolder = \"{escrow}\"\npublic_key = \"{public}\"\n");
        std::fs::write(
            folder.join("city-registry.toml"),
            format!("{config}\n{section}"),
        )
        .unwrap();
    };
    write("escrow");
    let (code, _, said) = words(&run(&folder, &["run", "--drain"]));
    assert!(code == Some(78) && said.contains("not apart"), "{said}");
    write("../escrow");
    let (code, printed, said) = words(&run(&folder, &["run", "--drain"]));
    assert!(
        code == Some(0) && printed.contains("1 applied"),
        "{printed}{said}"
    );

    let mut records = Vec::new();
    let laid = escrow::Reader::new(&folders.path().join("escrow"), &key);
    laid.read(|_, entry| {
        if let Entry::Stated {
            records: stated, ..
        } = entry
        {
            records.extend(stated);
        }
    })
    .unwrap();
    let list = RecordList::new(records).unwrap().to_text();
    std::fs::write(folder.join("list"), &list).unwrap();
    std::fs::write(folder.join("cut"), &list[..list.len() - 9]).unwrap();
    std::fs::write(folder.join("blank"), "\n").unwrap();
    for (list, told) in [
        ("nofile", "nofile cannot be read: there is no such file"),
        (".", "it is a folder, and must be a regular file"),
        ("blank", "blank is empty"),
    ] {
        let (code, _, said) = words(&run(&folder, &["purge", list]));
        assert_eq!(code, Some(78), "{said}");
        assert!(
            said.contains(told) && said.contains("`auditor open`"),
            "{said}"
        );
    }
    let (code, _, said) = words(&run(&folder, &["purge", "cut"]));
    assert!(code == Some(78) && said.contains("cut off"), "{said}");
    for (arguments, expected) in [
        (
            vec!["purge", "list", "--dry-run"],
            "would be withdrawn (nothing was changed): 1",
        ),
        (vec!["purge", "list"], "facts withdrawn: 1"),
        (
            vec!["purge", "list"],
            "records purged before, or of a deleted person: 1",
        ),
        (vec!["purge", "list", "--json"], "\"already_purged\": 1"),
        (
            vec!["purge", "list", "--permit"],
            "newer versions are taken again: 1",
        ),
    ] {
        let (code, printed, said) = words(&run(&folder, &arguments));
        assert_eq!(code, Some(0), "{said}");
        assert!(printed.contains(expected), "{arguments:?}: {printed}");
    }
}

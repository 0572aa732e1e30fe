//! Tests of names of suite `voprf`: elements that come are stored as other elements, and link.

use contract::{Body, Epoch, Event, Pseudonym, RefusalReason, Scheme, Subject, Suite, Vaccine};
use oprf::{Element, Factor};
use registry::{
    Keys, PostgresConfig, Reader, Rekeying, SecondLayerKey, SqliteConfig, StoreConfig, TlsMode,
};
use testbed::postgres::Postgres;

use crate::installed::{public_key, run, words};
use crate::world::{World, WorldKeys, asserted, dose, negative, pseudonym};

/// Compressed generator of ristretto255 (RFC 9496, appendix A.1).
const GENERATOR: &str = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";

/// Name of the person of this number, as key services would evaluate it.
pub(crate) fn element(scheme: Scheme, epoch: Epoch, person: u16) -> Pseudonym {
    let mut generator = [0; 32];
    hex::decode_to_slice(GENERATOR, &mut generator).unwrap();
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&person.to_be_bytes());
    let domain = format!("element of a test {} {epoch}", scheme.as_str());
    let factor = Factor::derive(domain.as_bytes(), &seed);
    let value = Element::from_bytes(generator).unwrap().times(&factor);
    Pseudonym {
        scheme,
        suite: Suite::Voprf,
        epoch,
        value: value.to_bytes(),
    }
}

/// Event that states these names together.
pub(crate) fn stating(number: u16, names: Vec<Pseudonym>) -> Event {
    let fact = dose(Vaccine::SputnikV, "2021-06-01");
    Event {
        body: Body::Asserted {
            subject: Subject::new(names).unwrap(),
            fact,
        },
        ..asserted(number, 1, number, negative("2021-06-01"))
    }
}

/// World whose registry has the epochs 1 and 2 open.
async fn world_over(store: &StoreConfig) -> World {
    world_with(store, SecondLayerKey::generate(), Vec::new()).await
}

/// World with the epochs 1 and 2 open, this key of the second layer, and these changes of the key
/// services' keys.
pub(crate) async fn world_with(
    store: &StoreConfig,
    second_layer: SecondLayerKey,
    rekeyings: Vec<Rekeying>,
) -> World {
    let private = contract::PrivateKey::generate();
    let signer = contract::ReceiptSigner::generate();
    let keys = WorldKeys {
        public: private.public(),
        verifier: signer.verifier(),
        keys: Keys::new(private, Vec::new(), second_layer)
            .with_receipt_key(signer)
            .with_open_epochs(vec![1, 2])
            .with_rekeyings(rekeyings),
    };
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    World::with_keys(store, queue, keys, tempfile::tempdir().unwrap()).await
}

pub(crate) fn sqlite() -> StoreConfig {
    StoreConfig::Sqlite(SqliteConfig {
        path: "registry.sqlite".into(),
    })
}

/// Numbers of facts of each subject that the names lead to.
pub(crate) async fn found(reader: &Reader, names: &[Pseudonym]) -> Vec<usize> {
    let subjects = reader.subjects_by(names).await.unwrap();
    subjects.iter().map(|one| one.facts.len()).collect()
}

async fn elements_rest_as_other_elements_and_link(world: &mut World) -> Vec<Pseudonym> {
    let snils = element(Scheme::Snils, 1, 7);
    let oms = element(Scheme::Oms, 1, 7);
    let passport = element(Scheme::PassportRu, 1, 7);
    let mut broken = element(Scheme::Oms, 1, 8);
    broken.value[0] |= 1;
    // One clinic knows number and policy, another one policy and passport.
    world
        .send(&[
            stating(1, vec![snils, oms]),
            stating(2, vec![element(Scheme::Snils, 1, 8), broken]),
            stating(3, vec![element(Scheme::Snils, 1, 9)]),
        ])
        .await;
    world.send(&[stating(4, vec![oms, passport])]).await;
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((outcome.applied, outcome.refused, dead), (3, 1, 0));
    let reader = world.registry.reader();
    let stats = reader.stats().await.unwrap();
    assert_eq!(stats.refusals[RefusalReason::BadSubject.as_str()], 1);
    for name in [snils, oms, passport] {
        assert_eq!(found(reader, &[name]).await, [2]);
    }
    assert_eq!(found(reader, &[element(Scheme::Snils, 1, 9)]).await, [1]);
    assert_eq!(
        found(reader, &[broken]).await,
        [0; 0],
        "it names nobody, and is no error"
    );
    for fact in reader.facts().await.unwrap() {
        for name in &fact.subject {
            assert_eq!(name.suite, Suite::Voprf);
            assert!(Element::from_bytes(name.value).is_some());
        }
    }
    vec![snils, oms, passport]
}

#[tokio::test]
async fn elements_rest_as_other_elements_and_link_in_sqlite() {
    let mut world = world_over(&sqlite()).await;
    let sent = elements_rest_as_other_elements_and_link(&mut world).await;
    let stored = world.registry.reader().second_layer(&sent[0]).unwrap();
    let mut whole = Vec::new();
    for file in ["registry.sqlite", "registry.sqlite-wal"] {
        whole.extend(std::fs::read(world.base().join(file)).unwrap());
    }
    let holds = |value: &[u8; 32]| whole.windows(32).any(|window| window == value);
    assert!(holds(&stored.value), "the scan finds what is there");
    for name in sent {
        assert!(!holds(&name.value), "what a clinic sent is in the database");
    }
}

#[tokio::test]
async fn elements_rest_as_other_elements_and_link_in_postgresql() {
    let postgres = Postgres::start().await.unwrap();
    let url = Some(postgres.create_database("registry").await.unwrap());
    let store = StoreConfig::Postgres(Box::new(PostgresConfig {
        url,
        tls: Some(TlsMode::Off),
        ..PostgresConfig::default()
    }));
    let mut world = world_over(&store).await;
    let sent = elements_rest_as_other_elements_and_link(&mut world).await;
    let stored = world.registry.reader().second_layer(&sent[0]).unwrap();
    let tables = "SELECT relname FROM pg_stat_user_tables";
    let mut whole = String::new();
    for table in postgres.psql("registry", tables).await.unwrap().lines() {
        let rows = format!("COPY \"{}\" TO STDOUT", table.trim());
        whole.push_str(&postgres.psql("registry", &rows).await.unwrap());
    }
    let holds = |value: &[u8; 32]| whole.contains(&hex::encode(value));
    assert!(holds(&stored.value), "the scan finds what is there");
    for name in sent {
        assert!(!holds(&name.value), "what a clinic sent is in the database");
    }
}

#[tokio::test]
async fn names_of_two_suites_are_one_persons_only_where_a_record_states_both() {
    let mut world = world_over(&sqlite()).await;
    let digest = pseudonym(Scheme::Snils, 7);
    let element = element(Scheme::Snils, 2, 7);
    world
        .send(&[stating(1, vec![digest]), stating(2, vec![element])])
        .await;
    world.registry.drain().await.unwrap();
    assert_eq!(
        found(world.registry.reader(), &[digest, element]).await,
        [1, 1],
        "two persons as long as nobody says they are one"
    );
    world.send(&[stating(3, vec![digest, element])]).await;
    world.registry.drain().await.unwrap();
    let reader = world.registry.reader();
    assert_eq!(found(reader, &[digest]).await, [3]);
    assert_eq!(found(reader, &[element]).await, [3]);
}

#[tokio::test]
async fn one_element_under_two_schemes_or_epochs_is_as_many_names() {
    let mut world = world_over(&sqlite()).await;
    let snils = element(Scheme::Snils, 1, 7);
    let others = [
        Pseudonym {
            scheme: Scheme::Oms,
            ..snils
        },
        Pseudonym { epoch: 2, ..snils },
        Pseudonym {
            suite: Suite::Hmac,
            ..snils
        },
    ];
    let others = others.map(|other| vec![other]).into_iter();
    let all = [vec![snils]].into_iter().chain(others);
    let events: Vec<Event> = (1..)
        .zip(all)
        .map(|(number, name)| stating(number, name))
        .collect();
    world.send(&events).await;
    let (outcome, _) = world.registry.drain().await.unwrap();
    assert_eq!(outcome.applied, 4);
    let stats = world.registry.reader().stats().await.unwrap();
    assert_eq!(stats.subjects, 4);
}

#[tokio::test]
async fn commands_take_and_print_names_of_elements() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, printed, _) = words(&run(folder, &["init", "."]));
    let public = contract::PublicKey::from_text(&public_key(&printed)).unwrap();
    let name = element(Scheme::Snils, 1, 7);
    let events = [stating(1, vec![name, element(Scheme::Oms, 1, 7)])];
    let (batch, _) = public.seal(&contract::wire::encode(&events)).unwrap();
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let publisher = broker::publisher(&queue, folder).unwrap();
    publisher.publish(&batch).await.unwrap();
    let (code, printed, said) = words(&run(folder, &["run", "--drain"]));
    assert_eq!(code, Some(0), "{printed}{said}");

    let portal = format!("voprf/snils/1/{}", hex::encode(name.value));
    let (code, shown, said) = words(&run(folder, &["persons", "show", &portal]));
    assert_eq!(code, Some(0), "{said}");
    let stored = shown
        .split_whitespace()
        .find(|word| word.starts_with("stored:voprf/snils/1/"))
        .unwrap();
    for argument in [portal.as_str(), stored] {
        let (code, shown, said) = words(&run(folder, &["show", "--subject", argument]));
        assert_eq!(code, Some(0), "{said}");
        assert!(shown.contains(stored), "{shown}");
    }
    let none = format!("voprf/snils/1/{}", "00".repeat(32));
    let (code, _, said) = words(&run(folder, &["rules", "apply", "--subject", &none]));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("element of ristretto255"), "{said}");
}

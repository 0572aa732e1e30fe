//! Tests of stored names that follow a new key of the key services, with the passes issued for
//! them, and of the command.

use std::path::Path;

use contract::{Body, Event, FactKind, Pseudonym, Scheme, Subject, Suite};
use oprf::{Element, Factor, ServiceKey};
use pass::holder::HolderAttributes;
use pass::verify::{Reason as Fault, Verdict};
use registry::passes::{Certified, Issued};
use registry::{Rekeyed, Rekeying, SecondLayerKey, StoreConfig};
use secrecy::ExposeSecret;
use testbed::postgres::Postgres;

use crate::installed::{public_key, run, words};
use crate::passes::{is_valid, long, now, passes, store, strips, verdict};
use crate::voprf::{element, found, sqlite, stating, world_with};
use crate::world::{World, asserted, negative, postgres_store, recovery, withdrawn};

/// Change of the key services' keys.
fn change() -> Factor {
    Factor::derive(b"change of a test", &[3; 32])
}

/// Name under the new key.
fn renamed(name: Pseudonym) -> Pseudonym {
    assert_eq!((name.suite, name.epoch), (Suite::Voprf, 1));
    let value = Element::from_bytes(name.value).unwrap();
    Pseudonym {
        epoch: 2,
        value: value.times(&change()).to_bytes(),
        ..name
    }
}

async fn world_over(store: &StoreConfig) -> World {
    let key = SecondLayerKey::generate();
    let rekeying = Rekeying::new(&key, 1, 2, &change());
    world_with(store, key, vec![rekeying]).await
}

async fn worlds() -> (Postgres, [World; 2]) {
    let postgres = Postgres::start().await.unwrap();
    let large = world_over(&postgres_store(&postgres, "rekey").await).await;
    let small = world_over(&sqlite()).await;
    (postgres, [small, large])
}

/// The event, of the person with these names.
fn of(names: Vec<Pseudonym>, event: &Event) -> Event {
    let Body::Asserted { fact, .. } = &event.body else {
        panic!("a withdrawal has no names");
    };
    let subject = Subject::new(names).unwrap();
    let fact = fact.clone();
    Event {
        body: Body::Asserted { subject, fact },
        ..event.clone()
    }
}

fn names(person: u16) -> Vec<Pseudonym> {
    [Scheme::Snils, Scheme::Oms]
        .map(|scheme| element(scheme, 1, person))
        .to_vec()
}

#[tokio::test]
async fn passes_stay_valid_are_counted_on_and_end_with_their_facts() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let passes = passes(&world, long());
        let tested = of(names(1), &asserted(1, 1, 1, negative("2021-06-30")));
        let recovered = of(names(2), &asserted(2, 1, 2, recovery(None, "2021-06-01")));
        store(&mut world, &[tested, recovered]).await;
        let before = strips(&passes, &names(1)).await;
        let certify = async |names: &[Pseudonym]| {
            let kind = FactKind::Recovery;
            let asked = passes.issue_certificate(names, kind, HolderAttributes::NONE, now());
            match asked.await.unwrap() {
                Certified::Certificate(certificate) => certificate,
                other => panic!("{other:?}"),
            }
        };
        let certificate = certify(&names(2)).await;
        passes.publish(now()).await.unwrap();

        let reader = world.registry.reader().clone();
        let done = reader.rekey(1, 2, now(), |_| {}).await.unwrap();
        assert_eq!(done, Rekeyed::Done(4));
        let published = passes.publish(now()).await.unwrap();
        assert_eq!((published.newly_ended, published.ended), (0, 0));
        assert!(is_valid(&verdict(&passes, &published, &before[0], now())));

        // By either name; the fifth strip of a day is the last, as if nothing had changed.
        let new: Vec<Pseudonym> = names(1).into_iter().map(renamed).collect();
        let after = strips(&passes, &new).await;
        assert_eq!(after.len(), 4);
        assert_eq!(strips(&passes, &names(1)).await.len(), 2);
        let beyond = passes.issue_days(&new, HolderAttributes::NONE, now());
        assert_eq!(beyond.await.unwrap(), Issued::Exhausted);
        let second: Vec<Pseudonym> = names(2).into_iter().map(renamed).collect();
        certify(&second).await;

        let withdrawals = [
            withdrawn(1, 2, FactKind::Test),
            withdrawn(2, 2, FactKind::Recovery),
        ];
        store(&mut world, &withdrawals).await;
        let published = passes.publish(now()).await.unwrap();
        // Four strips of each of two days, with those that were refused, and two certificates.
        assert_eq!((published.newly_ended, published.ended), (18, 18));
        for pass in [&before[0], &after[0], &certificate] {
            let verdict = verdict(&passes, &published, pass, now());
            assert_eq!(verdict, Verdict::Invalid(Fault::Revoked));
        }
    }
}

#[tokio::test]
async fn a_person_is_one_whenever_a_batch_comes_and_under_whichever_key() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let [snils, oms] = [names(7)[0], names(7)[1]];
        let passport = element(Scheme::PassportRu, 1, 7);
        store(&mut world, &[stating(1, vec![snils, oms])]).await;
        // A clinic is ahead of the registry.
        store(&mut world, &[stating(2, vec![renamed(passport)])]).await;
        let reader = world.registry.reader().clone();
        reader.rekey(1, 2, now(), |_| {}).await.unwrap();
        // Another one has the old key still.
        store(&mut world, &[stating(3, vec![oms, passport])]).await;
        store(&mut world, &[stating(4, vec![renamed(snils)])]).await;
        for name in [snils, oms, passport] {
            assert_eq!(found(&reader, &[name]).await, [4]);
            assert_eq!(found(&reader, &[renamed(name)]).await, [4]);
        }
        for fact in reader.facts().await.unwrap() {
            assert!(fact.subject.iter().all(|name| name.epoch == 2));
        }
    }
}

/// Section of the configuration for a service whose factor lies in this file.
fn section(file: &str, old: &ServiceKey, new: &ServiceKey) -> String {
    format!(
        "[[keys.rekeyed.services]]\nfactor = {{ file = '{file}' }}\nold_public_key = '{}'\n\
         new_public_key = '{}'\n",
        old.public_key(),
        new.public_key()
    )
}

fn write_private(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(0o600);
    let mut file = file.open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn the_command_verifies_the_factors_and_changes_names_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, printed, _) = words(&run(folder, &["init", "."]));
    let public = contract::PublicKey::from_text(&public_key(&printed)).unwrap();
    let events = [stating(1, names(7)), stating(2, names(8))];
    let (batch, _) = public.seal(&contract::wire::encode(&events)).unwrap();
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let publisher = broker::publisher(&queue, folder).unwrap();
    publisher.publish(&batch).await.unwrap();
    let (code, printed, said) = words(&run(folder, &["run", "--drain"]));
    assert_eq!(code, Some(0), "{printed}{said}");

    let [one, other] = [(), ()].map(|()| [ServiceKey::generate(), ServiceKey::generate()]);
    let factor = |[old, new]: &[ServiceKey; 2]| new.factor_from(old).to_text();
    write_private(&folder.join("one"), factor(&one).expose_secret());
    write_private(&folder.join("other"), factor(&other).expose_secret());
    let config = folder.join("city-registry.toml");
    let written = std::fs::read_to_string(&config).unwrap();
    let configure = |epochs: &str, sections: &str| {
        let keys = format!("[keys]\npseudonym_epochs = {epochs}\n");
        let text = written.replacen("[keys]\n", &keys, 1);
        let rekeyed = "[[keys.rekeyed]]\nfrom_epoch = 1\nto_epoch = 2\n";
        std::fs::write(&config, format!("{text}\n{rekeyed}{sections}")).unwrap();
    };
    let sections = |file| section(file, &one[0], &one[1]) + &section("other", &other[0], &other[1]);
    let rekey = || words(&run(folder, &["rekey", "1", "2"]));

    configure("[1, 2]", &sections("other"));
    let (code, _, said) = rekey();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("does not lead"), "{said}");
    configure("[1]", &sections("one"));
    let (code, _, said) = rekey();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("epoch 2 is not open"), "{said}");
    configure("[1, 2]", &sections("one"));
    let (code, _, said) = words(&run(folder, &["rekey", "2", "1"]));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("no change from key epoch 2 to 1"), "{said}");

    let (code, printed, said) = rekey();
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.contains("4 names multiplied"), "{printed}");
    assert!(
        printed.contains("they are names of epoch 2 now"),
        "{printed}"
    );
    let (code, printed, _) = rekey();
    assert_eq!(code, Some(0));
    assert!(printed.contains("have changed before"), "{printed}");
    let old = format!("voprf/snils/1/{}", hex::encode(names(7)[0].value));
    let (code, shown, said) = words(&run(folder, &["show", "--subject", &old]));
    assert_eq!(code, Some(0), "{said}");
    assert!(shown.contains("stored:voprf/snils/2/"), "{shown}");

    // Without the section old names are refused, by a portal's question as by a batch.
    std::fs::write(&config, &written).unwrap();
    let (code, _, said) = words(&run(folder, &["show", "--subject", &old]));
    assert_ne!(code, Some(0), "{said}");
    let (code, _, said) = words(&run(folder, &["rules", "apply", "--subject", &old]));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("keys.rekeyed"), "{said}");
}

//! Who can name the persons of a city: every set of stolen parts tries all numbers with what it
//! has, in everything that it can read.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use contract::{Pseudonym, Suite};
use escrow::{Entry, Reader};

use super::keys::{CEILING, NUMBERS, persons};
use super::loot::{Loot, files};
use super::part::{Part, Stolen, all_sets, least_sets, listed};
use super::table::is_in_the_docs;
use super::tokens::as_service_key;
use crate::recorded::recorded;

/// Extent to which a set of parts names persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Names {
    Nobody,
    AsManyAsCeilingsPermit,
    Everybody,
}

/// Values that name a person, as bytes: the pseudonym, and the same under the second layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Values {
    plain: [u8; 32],
    second: [u8; 32],
}

/// Key that opens what others cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opener {
    Relay,
    Registry,
    Auditor,
}

impl Opener {
    const ALL: [Self; 3] = [Self::Relay, Self::Registry, Self::Auditor];

    const fn part(self) -> Part {
        match self {
            Self::Relay => Part::RelayKey,
            Self::Registry => Part::RegistryKeys,
            Self::Auditor => Part::AuditorKey,
        }
    }
}

/// Bytes that one part holds, or that a key has made of those.
struct Hoard {
    /// Part that holds them; `None` where a key was needed.
    part: Option<Part>,
    blobs: Vec<Vec<u8>>,
    /// Folder of entries for the auditor.
    folder: Option<PathBuf>,
    /// Place of the hoard that each key of [`Opener::ALL`] makes of it.
    opened: [Option<usize>; 3],
    /// Values of persons that were found in it.
    found: HashSet<[u8; 32]>,
}

/// A city, and everything that can be read of it with any keys.
struct Hoards<'a> {
    loot: &'a Loot,
    all: Vec<Hoard>,
    /// Values that were computed, by number and by which key services answered.
    computed: RefCell<HashMap<Asked, Option<Values>>>,
    /// Persons whom sets of parts have named that read the same and compute the same.
    named: RefCell<HashMap<Reach, BTreeSet<u32>>>,
}

/// Number whose pseudonym is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Asked {
    number: u32,
    /// Key services that answer.
    services: [bool; 2],
}

/// Form in which a person's value may stand somewhere.
struct Form {
    bytes: Vec<u8>,
    value: [u8; 32],
}

/// Forms of values, as bytes and as hexadecimal digits, by their beginnings.
type Patterns = HashMap<[u8; 8], Vec<Form>>;

fn patterns(values: impl Iterator<Item = [u8; 32]>) -> Patterns {
    let mut patterns = Patterns::new();
    for value in values {
        let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        for bytes in [value.to_vec(), digits.into_bytes()] {
            let start = *bytes.first_chunk().unwrap();
            let forms = patterns.entry(start).or_default();
            forms.push(Form { bytes, value });
        }
    }
    patterns
}

/// Values whose forms stand in these bytes.
fn found(blob: &[u8], patterns: &Patterns) -> HashSet<[u8; 32]> {
    let mut found = HashSet::new();
    for at in 0..blob.len().saturating_sub(7) {
        let start: &[u8; 8] = blob[at..].first_chunk().unwrap();
        let forms = patterns.get(start).into_iter().flatten();
        let forms = forms.filter(|form| blob[at..].starts_with(&form.bytes));
        found.extend(forms.map(|form| form.value));
    }
    found
}

/// What a set of parts reads and computes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Reach {
    /// Places of the hoards that it reads.
    readable: Vec<usize>,
    /// Number of clients in whose name it may ask the key services.
    credentials: u32,
    /// Key services whose keys it has.
    services: [bool; 2],
    has_registry_keys: bool,
}

impl<'a> Hoards<'a> {
    fn new(loot: &'a Loot) -> Self {
        let mut hoards = Self {
            loot,
            all: Vec::new(),
            computed: RefCell::default(),
            named: RefCell::default(),
        };
        let outer = loot.passed.outer.iter();
        let outer = outer.map(|outer| outer.message.bytes.clone()).collect();
        hoards.add(Some(Part::ClinicsMessages), outer, None);
        let inner = loot.passed.inner.iter();
        let inner = inner.flat_map(|inner| [inner.bytes.clone(), inner.properties.clone()]);
        hoards.add(Some(Part::RegistryMessages), inner.collect(), None);
        hoards.add(Some(Part::RegistryDatabase), loot.database(), None);
        hoards.add(Some(Part::RelayDisk), loot.relay_disk(), None);
        let issuer = loot.issuer.left.iter().flat_map(|left| left.all().cloned());
        hoards.add(Some(Part::TokenIssuer), issuer.collect(), None);
        for (part, folder) in [
            (Part::RelayEscrow, loot.relay_escrow()),
            (Part::RegistryEscrow, loot.registry_escrow()),
        ] {
            let blobs = files(&folder);
            assert!(!blobs.is_empty(), "something was laid down");
            hoards.add(Some(part), blobs, Some(folder));
        }
        // Every key tries everything, and what it has made of it.
        let mut place = 0;
        while place < hoards.all.len() {
            for (number, opener) in Opener::ALL.into_iter().enumerate() {
                let opened = hoards.open(opener, place);
                if !opened.is_empty() {
                    let made = hoards.add(None, opened, None);
                    hoards.all[place].opened[number] = Some(made);
                }
            }
            place += 1;
        }
        hoards.search();
        hoards
    }

    fn add(&mut self, part: Option<Part>, blobs: Vec<Vec<u8>>, folder: Option<PathBuf>) -> usize {
        self.all.push(Hoard {
            part,
            blobs,
            folder,
            opened: [None; 3],
            found: HashSet::new(),
        });
        self.all.len() - 1
    }

    /// What a key makes of a hoard.
    fn open(&self, opener: Opener, place: usize) -> Vec<Vec<u8>> {
        let passed = &self.loot.passed;
        let hoard = &self.all[place];
        let blobs = hoard.blobs.iter();
        match opener {
            Opener::Relay => {
                let opened = blobs.filter_map(|blob| passed.key.open(blob).ok());
                opened.map(|batch| batch.bytes).collect()
            }
            Opener::Registry => {
                let opened = blobs.filter_map(|blob| self.loot.private.open(blob).ok());
                opened.map(|opened| opened.encoded.to_vec()).collect()
            }
            Opener::Auditor => {
                let mut entries = Vec::new();
                if let Some(folder) = &hoard.folder {
                    let reader = Reader::new(folder, &passed.auditor);
                    let read = reader.read(|_, entry| entries.push(bytes_of(&entry)));
                    assert_eq!(read.unwrap().unreadable, []);
                }
                entries
            }
        }
    }

    /// Looks for the values of all persons in all hoards.
    fn search(&mut self) {
        let values = (0..NUMBERS).map(|number| self.values(number, [true; 2]).unwrap());
        let patterns = patterns(values.flat_map(|it| [it.plain, it.second]));
        for hoard in &mut self.all {
            for blob in &hoard.blobs {
                hoard.found.extend(found(blob, &patterns));
            }
        }
    }

    /// Values of a number, if these key services answer.
    fn values(&self, number: u32, services: [bool; 2]) -> Option<Values> {
        let mut computed = self.computed.borrow_mut();
        let compute = || {
            let name: Pseudonym = self.loot.keys.pseudonym(number, |place| services[place])?;
            let second = self.loot.second_layer.apply(&name).unwrap();
            Some(Values {
                plain: name.value,
                second: second.value,
            })
        };
        *computed
            .entry(Asked { number, services })
            .or_insert_with(compute)
    }

    /// What a set of parts reads and computes.
    fn reach(&self, stolen: &Stolen) -> Reach {
        let has = |part| stolen.contains(&part);
        let held = |hoard: &Hoard| hoard.part.is_some_and(has);
        let readable = (0..self.all.len()).filter(|place| held(&self.all[*place]));
        let mut readable: Vec<usize> = readable.collect();
        let mut next = 0;
        while let Some(place) = readable.get(next).copied() {
            let openers = Opener::ALL.iter().zip(self.all[place].opened);
            let usable = openers.filter(|(opener, _)| has(opener.part()));
            readable.extend(usable.filter_map(|(_, made)| made));
            next += 1;
        }
        Reach {
            readable,
            credentials: u32::from(has(Part::Gateway)) + u32::from(has(Part::Portal)),
            services: [Part::KeyService1, Part::KeyService2].map(has),
            has_registry_keys: has(Part::RegistryKeys),
        }
    }

    /// Persons whom somebody names who tries every number.
    fn brute_force(&self, reach: &Reach) -> BTreeSet<u32> {
        let values = |number| {
            if self.loot.keys.suite == Suite::Voprf {
                let permitted = number < reach.credentials * CEILING;
                self.values(number, reach.services.map(|has| has || permitted))
            } else {
                // A ring is at every clinic and at the portal.
                (reach.credentials > 0).then(|| self.values(number, [true; 2]))?
            }
        };
        let is_found = |number: &u32| {
            let Some(values) = values(*number) else {
                return false;
            };
            let mut readable = reach.readable.iter().map(|place| &self.all[*place].found);
            readable.any(|found| {
                let second = reach.has_registry_keys && found.contains(&values.second);
                second || found.contains(&values.plain)
            })
        };
        (0..NUMBERS).filter(is_found).collect()
    }

    fn names(&self, stolen: &Stolen) -> Names {
        let reach = self.reach(stolen);
        let mut named = self.named.borrow_mut();
        let named = named
            .entry(reach)
            .or_insert_with_key(|reach| self.brute_force(reach));
        let persons: BTreeSet<u32> = persons().collect();
        assert!(named.is_subset(&persons), "nobody else has facts");
        match named.len() {
            0 => Names::Nobody,
            all if all == persons.len() => Names::Everybody,
            _ => Names::AsManyAsCeilingsPermit,
        }
    }
}

/// Bytes of an entry that the auditor's key has opened.
fn bytes_of(entry: &Entry) -> Vec<u8> {
    match entry {
        Entry::SentBy { account, batch } => {
            [account.as_str().as_bytes(), batch.as_bytes()].concat()
        }
        Entry::Stated { batch, records } => {
            let records = records.iter().flat_map(|stated| stated.record);
            batch.as_bytes().iter().copied().chain(records).collect()
        }
    }
}

fn add_rows(out: &mut String, suite: &str, hoards: &Hoards<'_>) {
    let least = least_sets(&Part::ALL, Names::Nobody, Names::Everybody, |stolen| {
        hoards.names(stolen)
    });
    for (stolen, names) in least {
        let names = match names {
            Names::Nobody => "nobody",
            Names::AsManyAsCeilingsPermit => "as many guesses a day as the ceilings permit",
            Names::Everybody => "everybody",
        };
        writeln!(out, "| {suite} | {} | {names} |", listed(&stolen)).unwrap();
    }
}

#[test]
fn the_sets_of_parts_that_name_persons_are_those_of_the_docs() {
    let cities = recorded();
    let strong = Hoards::new(&cities.strong);
    let mut table = String::from("| suite | stolen together | can name |\n| --- | --- | --- |\n");
    add_rows(&mut table, "`voprf`", &strong);
    add_rows(&mut table, "`hmac`", &Hoards::new(&cities.keyed));
    is_in_the_docs("sets", &table);

    // The table says it; this says it in one sentence, so that no new row goes unnoticed.
    for stolen in all_sets(&Part::ALL) {
        let has = |part| stolen.contains(&part);
        let facts = has(Part::RegistryDatabase)
            || has(Part::RegistryMessages)
            || has(Part::ClinicsMessages) && has(Part::RelayKey);
        let keys = [Part::KeyService1, Part::KeyService2, Part::RegistryKeys];
        let expected = facts && keys.into_iter().all(has);
        let names = strong.names(&stolen);
        assert_eq!(names == Names::Everybody, expected, "{stolen:?}");
    }
}

/// The issuer's keys are of the same kind of number as those of the key services, and of no use in
/// their place.
#[test]
fn the_token_issuers_keys_stand_in_for_no_key_service() {
    let loot = &recorded().strong;
    let hoards = Hoards::new(loot);
    let values = |name: &Pseudonym| {
        let second = loot.second_layer.apply(name).unwrap();
        [name.value, second.value]
    };
    let numbers = || persons().take(4);
    let names = numbers().map(|number| loot.keys.pseudonym(number, |_| true).unwrap());
    let names = patterns(names.flat_map(|name| values(&name)));
    let issuer = &loot.issuer.keys;
    let stand_ins = numbers().flat_map(|number| {
        let keys = [&issuer.batch, &issuer.day].map(as_service_key);
        keys.map(|key| loot.keys.with_another_key(number, &key))
    });
    let stand_ins = patterns(stand_ins.flatten().flat_map(|name| values(&name)));
    let mut of_services = HashSet::new();
    for blob in hoards.all.iter().flat_map(|hoard| &hoard.blobs) {
        assert_eq!(found(blob, &stand_ins), HashSet::new());
        of_services.extend(found(blob, &names));
    }
    assert_eq!(of_services.len(), 2 * numbers().count());
}

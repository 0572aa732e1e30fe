//! References between tables: the declared ones, and those that names show where none is declared.

use super::names::{Name, Words};
use super::words;
use crate::catalog::{Catalog, Column, Shape, Table};

/// Reference of a table's columns to those of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub columns: Vec<String>,
    /// Place of the other table in the catalogue.
    pub to: usize,
    pub to_columns: Vec<String>,
    /// False where only names show it.
    pub is_declared: bool,
    /// True where a row may refer to nothing.
    pub is_optional: bool,
    /// True where the row is part of what it refers to.
    pub is_owner: bool,
}

/// References of each table of a catalogue, in its order.
pub(super) struct References(Vec<Vec<Reference>>);

/// Shortest name of a key that tells its table wherever it stands.
const MIN_DISTINCT_KEY: usize = 5;
/// Letters that a reference and its table's name have in common at least, where endings differ.
const MIN_STEM: usize = 5;

/// Words around the name of a table in the name of a reference.
const AROUND: [&str; 12] = [
    "id", "uid", "uuid", "fk", "ref", "no", "kod", "code", "key", "num", "nomer", "guid",
];

/// Columns that lead to persons whom the row is not about.
const OTHERS: Words = Words {
    whole: "creator author provider",
    words: "by par user users create created modify modified change changed update updated insert \
    inserted write edit edited author set sign signed exec assistant curator head operator \
    registrar \
    validate validated validator verified verifier approved approver entered reviewer \
    avtor sozdal izmenil sotrudnik lechaschiy naznachil doctor provider creator author nurse vrach \
    medecin staff officer technician \
    vaccinator \
  mother father parent guardian physician clinician practitioner recorder performer vvel agent",
    parts: "user doctor creator officer vaccinator practitioner duplicateof mergedinto mergedto \
    survivor healthprof",
    never: "",
};

/// Tables that keep something about another one, and join it with nothing.
const NO_LINKS: Words = Words {
    whole: "",
    words: "",
    parts: "audit history histor archiv log backup note comment",
    never: "",
};

/// Tables of those who work at the clinic: whom they stand for is not whom a fact is about.
const STAFF: Words = Words {
    whole: "author authors",
    words: "user users account accounts doctor doctors staff physician physicians provider \
    providers practitioner practitioners clinician clinicians nurse nurses operator operators \
    vrach vrachi medecin medecins utilisateur utilisateurs polzovatel polzovateli medrabotnik \
    personnel employee employees employe employes worker workers sotrudnik sotrudniki",
    parts: "healthprofessional medrabotnik",
    never: "patient pacient client person",
};

/// What is no person: where something took place, who pays for it, or whom it belongs to.
const BODIES: &str = "institution institutions organization organizations organisation \
    organisations company companies facility facilities location locations insurer insurers \
    insurance insurances hospital hospitals clinic clinics department departments ward wards site \
    sites employer employers pharmacy pharmacies organizaciya organizacii \
    organizacia uchrezhdenie uchrezhdeniya lpu smo strahovaya strahovschik bolnica bolnicy \
    otdelenie otdeleniya etablissement etablissements organisme organismes hopital hopitaux \
    clinique cliniques lieu lieux assureur assureurs assurance assurances employeur employeurs \
    entreprise entreprises";

impl References {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let tables = catalog.tables.iter().enumerate();
        Self(
            tables
                .map(|(place, table)| references(catalog, place, table))
                .collect(),
        )
    }

    pub(super) fn from(&self, table: usize) -> &[Reference] {
        &self.0[table]
    }

    /// Tables that refer to this one by one column each, with the reference.
    pub(super) fn to(&self, table: usize) -> impl Iterator<Item = (usize, &Reference)> {
        let all = self.0.iter().enumerate();
        let each = all.flat_map(|(from, list)| list.iter().map(move |one| (from, one)));
        each.filter(move |(_, one)| one.to == table && one.columns.len() == 1)
    }

    /// Tables that join this one with something else, such as `sample_patient` beside `sample`,
    /// with the way back along their references.
    pub(super) fn links(&self, catalog: &Catalog, table: usize) -> Vec<Reference> {
        let own = Name::new(&catalog.tables[table].name).words;
        let is_link = |from: usize| {
            let name = &catalog.tables[from].name;
            let words = Name::new(name).words;
            words.len() > own.len() && words.starts_with(&own) && !NO_LINKS.fits(name)
        };
        let of_subject = self.to(table).filter(|(_, one)| one.is_of_subject());
        let links = of_subject.filter(|(from, _)| is_link(*from));
        links
            .map(|(from, one)| Reference {
                columns: one.to_columns.clone(),
                to: from,
                to_columns: one.columns.clone(),
                is_declared: one.is_declared,
                is_optional: true,
                is_owner: false,
            })
            .collect()
    }

    /// The reference that begins at this one column.
    pub(super) fn at(&self, table: usize, column: &str) -> Option<&Reference> {
        self.0[table].iter().find(|one| one.columns == [column])
    }
}

impl Reference {
    /// True for the name of a column that leads to whom the row is not about.
    pub(super) fn is_of_others(column: &str) -> bool {
        OTHERS.fits(column)
    }

    /// True for a reference to the person or thing that a row is about.
    pub(super) fn is_of_subject(&self) -> bool {
        let is_other = |column: &String| OTHERS.fits(column) || names_body(column);
        self.is_owner || !self.columns.iter().any(is_other)
    }
}

/// True for a table of those who work at the clinic, or of institutions.
pub(super) fn is_of_staff(table: &Table) -> bool {
    STAFF.fits(&table.name) || names_body(&table.name)
}

/// True where the last word of a name is that of an institution: `health_facility`, `company_id`.
fn names_body(name: &str) -> bool {
    let words = Name::new(name).words;
    let mut words = words.iter().filter(|word| !AROUND.contains(&word.as_str()));
    let last = words.next_back();
    last.is_some_and(|last| BODIES.split_whitespace().any(|body| body == last))
}

/// True for a column whose name is that of a table.
pub(super) fn names_table(column: &str, table: &Table) -> bool {
    let stem = stem(&Name::new(column));
    stem.is_some_and(|stem| likeness(&stem, table) > 0)
}

/// True where a column names the person that the record is about: a patient or a client.
pub(super) fn names_patient(column: &str) -> bool {
    let name = Name::new(column);
    let is_patient = |word: &String| {
        ["patient", "client", "pacient", "patsient", "beneficiary"].contains(&word.as_str())
    };
    name.words.iter().any(is_patient) || words::PATIENT_REFERENCE.score(&name) > 0
}

fn references(catalog: &Catalog, place: usize, table: &Table) -> Vec<Reference> {
    let optional = |names: &[String]| {
        let column = |name: &String| table.column(name).is_none_or(|column| column.is_nullable);
        names.iter().any(column)
    };
    let mut found: Vec<Reference> = table
        .foreign_keys
        .iter()
        .filter(|key| key.table != place && catalog.tables[key.table].is_readable)
        .map(|key| Reference {
            columns: key.columns.clone(),
            to: key.table,
            to_columns: key.to.clone(),
            is_declared: true,
            is_optional: optional(&key.columns),
            is_owner: key.is_owner,
        })
        .collect();
    for column in &table.columns {
        let is_known = |one: &Reference| one.columns.contains(&column.name);
        if !found.iter().any(is_known) {
            found.extend(by_name(catalog, place, column));
        }
    }
    found
}

/// The reference that a column's name shows.
fn by_name(catalog: &Catalog, place: usize, column: &Column) -> Option<Reference> {
    if !matches!(
        column.shape,
        Shape::Whole | Shape::Number | Shape::Text | Shape::Uuid
    ) {
        return None;
    }
    let is_own_key = catalog.tables[place].single_key() == Some(column.name.as_str());
    let name = Name::new(&column.plain);
    let stem = stem(&name);
    let others = catalog.tables.iter().enumerate();
    let candidates = others.filter(|(other, table)| *other != place && table.is_readable);
    let mut best: Option<(u32, usize, &str)> = None;
    for (other, table) in candidates {
        let Some(target) = target(table, column) else {
            continue;
        };
        let same_key = [&column.name, &column.plain].contains(&&target.to_owned())
            && target.len() >= MIN_DISTINCT_KEY;
        let by_table = stem.as_deref().map_or(0, |stem| likeness(stem, table));
        let score = by_table + if same_key { 60 } else { 0 } + of_person(&name, table);
        // A key that two tables share is a reference only to the table of its name.
        let least = if is_own_key { 100 } else { 50 };
        if score >= least && best.is_none_or(|(most, ..)| score > most) {
            best = Some((score, other, target));
        }
    }
    let (_, to, target) = best?;
    Some(Reference {
        columns: vec![column.name.clone()],
        to,
        to_columns: vec![target.to_owned()],
        is_declared: false,
        is_optional: true,
        is_owner: false,
    })
}

/// What speaks for a table of persons, where a column's name is a usual one of a person's number.
fn of_person(name: &Name, table: &Table) -> u32 {
    let is_whole = |words: &Words, name: &Name| words.score(name) > 150;
    let is_person = is_whole(&words::PERSON_TABLE, &Name::new(&table.name));
    if is_person && is_whole(&words::PERSON_REFERENCE, name) {
        70
    } else {
        0
    }
}

/// Name of what a column refers to: without the words around it.
fn stem(name: &Name) -> Option<String> {
    let words: Vec<&str> = name.words.iter().map(String::as_str).collect();
    let kept: Vec<&str> = words
        .iter()
        .copied()
        .filter(|word| !AROUND.contains(word))
        .collect();
    let joined = kept.concat();
    let cut = AROUND
        .iter()
        .find_map(|end| joined.strip_suffix(end))
        .filter(|rest| kept.len() == words.len() && rest.len() >= 3);
    let stem = cut.map_or_else(|| joined.clone(), str::to_owned);
    (stem.len() >= 3).then_some(stem)
}

/// How surely a stem names a table: 0 for not at all.
fn likeness(stem: &str, table: &Table) -> u32 {
    let name = Name::new(&table.name);
    let ends = (0..name.words.len()).map(|from| name.words[from..].concat());
    let of = |end: String| match () {
        () if end == stem => 100,
        () if end
            .strip_prefix(stem)
            .is_some_and(|rest| matches!(rest, "s" | "es" | "e")) =>
        {
            95
        }
        () if stem.ends_with('y') && end == format!("{}ies", &stem[..stem.len() - 1]) => 95,
        () if is_inflected(stem, &end) => 70,
        () => 0,
    };
    let whole = u32::from(name.joined == stem) * 10;
    let begins = u32::from(name.joined.starts_with(stem) && stem.len() >= MIN_STEM) * 55;
    ends.map(of).max().unwrap_or(0).max(begins) + whole
}

/// True for two forms of one word, which differ in at most their last two letters.
fn is_inflected(one: &str, other: &str) -> bool {
    let same = one
        .chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count();
    let longest = one.chars().count().max(other.chars().count());
    same >= MIN_STEM && longest - same <= 2
}

/// Column of a table that a column of this name and type may refer to.
fn target<'t>(table: &'t Table, column: &Column) -> Option<&'t str> {
    let fits = |name: &str| {
        table
            .column(name)
            .is_some_and(|found| family(found.shape) == family(column.shape))
    };
    let same = table.columns.iter().find(|own| {
        let is_same = |name: &String| own.name.eq_ignore_ascii_case(name);
        (is_same(&column.name) || is_same(&column.plain)) && table.has_index_on(&own.name)
    });
    // Systems that number persons a second time refer by that number.
    let own_number = (Name::new(&column.name).joined == "patientid")
        .then(|| table.column("pid"))
        .flatten()
        .filter(|own| table.has_index_on(&own.name));
    let key = || {
        table
            .single_key()
            .or_else(|| Some("id").filter(|id| table.column(id).is_some()))
    };
    same.or(own_number)
        .map(|own| own.name.as_str())
        .or_else(key)
        .filter(|name| fits(name))
}

/// Types whose values may be equal.
const fn family(shape: Shape) -> u8 {
    match shape {
        Shape::Whole | Shape::Number => 1,
        Shape::Uuid => 2,
        _ => 3,
    }
}

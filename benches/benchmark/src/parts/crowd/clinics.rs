//! Clinics of a city: their databases, and the gateways' configurations beside them.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use chrono::NaiveDate;
use pseudonym::KeyRing;
use secrecy::ExposeSecret;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use testbed::postgres::Postgres;

use crate::clinics::expected::ExpectedFacts;
use crate::clinics::keys::{ClinicKeys, read_ring};
use crate::clinics::people::{self, CopyLines};
use crate::clinics::postgres::copy_in;
use crate::clinics::{INDEXES, SCHEMA};
use crate::error::Error;
use crate::parts::crowd::CitySize;
use crate::processes::config::{ClinicServer, ProgramFolder};
use crate::session::BenchSession;

/// Each clinic shares one of so many of its persons with the next one.
const SHARED_ONE_OF: u64 = 10;

/// Clinics of a city that are filled, each with a gateway.
pub(crate) struct FilledClinics {
    /// Gateways, one for each clinic.
    pub gateways: Vec<ProgramFolder>,
    /// Facts of all clinics.
    pub expected: ExpectedFacts,
}

/// Makes and fills a city's clinics, and a gateway for each.
pub(crate) async fn create(
    session: &BenchSession<'_>,
    postgres: &Postgres,
    size: &CitySize,
) -> Result<FilledClinics, Error> {
    let mut expected = ExpectedFacts::default();
    let mut gateways = Vec::new();
    let shared_keys = read_ring(&session.folder.join("keys"))?;
    let today = session.clock.now().date_naive();
    for number in 0..size.gateways {
        let keys = KeyRing::from_shared(shared_keys.shared());
        let database = format!("{}-{number}", size.name);
        let lines = clinic_lines(number.into(), size.records_each);
        expect(&lines, &ClinicKeys::new(&keys)?, today, &mut expected)?;
        fill(&postgres.create_database(&database).await?, &lines).await?;
        let source = ClinicServer::postgres(postgres.port(), &database);
        let gateway = session
            .programs
            .gateway(&database, &source, session.queue(), None)?;
        write_ring(&gateway, &keys)?;
        gateways.push(gateway);
    }
    Ok(FilledClinics { gateways, expected })
}

/// Records about one person.
struct PersonLines {
    person: u64,
    lines: CopyLines,
}

/// Records of a clinic. A clinic's last persons are the next one's first; every second clinic knows
/// half of its persons by their OMS policy alone, so that only another clinic's record shows that
/// this is the person with that SNILS.
fn clinic_lines(number: u64, records: u64) -> Vec<PersonLines> {
    let persons = records / 3;
    let first = number * (persons - persons / SHARED_ONE_OF) * 3;
    let of_index = |index: u64| {
        let person = index / 3;
        let mut lines = people::lines(index..index + 1);
        if number % 2 == 1 && person % 2 == 1 {
            lines.vaccinations = without_snils(&lines.vaccinations);
            lines.tests = without_snils(&lines.tests);
        }
        PersonLines { person, lines }
    };
    (first..first + records).map(of_index).collect()
}

fn expect(
    lines: &[PersonLines],
    keys: &ClinicKeys,
    today: NaiveDate,
    expected: &mut ExpectedFacts,
) -> Result<(), Error> {
    for PersonLines { person, lines } in lines {
        for line in lines.vaccinations.lines().chain(lines.tests.lines()) {
            expected.add(keys, *person, line, today)?;
        }
    }
    Ok(())
}

async fn fill(url: &str, lines: &[PersonLines]) -> Result<(), Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
    let vaccinations: String = lines.iter().map(|of| &*of.lines.vaccinations).collect();
    let statement = "COPY mis.vaccination FROM STDIN";
    copy_in(&mut connection, statement, &vaccinations).await?;
    let tests: String = lines.iter().map(|of| &*of.lines.tests).collect();
    copy_in(&mut connection, "COPY mis.test FROM STDIN", &tests).await?;
    sqlx::raw_sql(INDEXES).execute(&mut connection).await?;
    sqlx::raw_sql("ANALYZE").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Takes the SNILS out of a line where there is an OMS number beside it.
fn without_snils(line: &str) -> String {
    let mut fields: Vec<&str> = line.split('\t').collect();
    if let [_, _, snils, oms, ..] = fields.as_mut_slice()
        && *oms != "\\N"
    {
        *snils = "\\N";
    }
    fields.join("\t")
}

/// Writes a ring of its own for a gateway: the city's pseudonym keys and another record key.
fn write_ring(gateway: &ProgramFolder, keys: &KeyRing) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    let opened = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(gateway.path().join("keys"));
    let written =
        opened.and_then(|mut file| file.write_all(keys.to_text().expose_secret().as_bytes()));
    written.map_err(Error::io("write a key ring"))?;
    gateway.change_line(
        "ring = { file = \"../keys\" }",
        "ring = { file = \"keys\" }",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weaker_identity_keeps_the_policy_number_and_a_passport() {
        let citizen = "1\t2021\t100-000-001 00\t7701\t\\N\t\\N\tpcr\n";
        assert_eq!(
            without_snils(citizen),
            "1\t2021\t\\N\t7701\t\\N\t\\N\tpcr\n"
        );
        let foreigner = "1\t2021\t\\N\t\\N\t10FR00000\tFRA\tpcr\n";
        assert_eq!(without_snils(foreigner), foreigner);
    }
}

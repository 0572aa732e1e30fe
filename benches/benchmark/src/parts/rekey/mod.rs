//! The part `rekey`: a change of stored names to a new key of the key services, beside bare
//! multiplications of as many elements, and beside bare statements that rewrite as many rows.

mod city;

use crate::error::Error;
use crate::limits::multiplication;
use crate::parts::pairs;
use crate::parts::table::{ColumnRow, columns};
use crate::results::{Figures, PartResult, Samples, name, single};
use crate::session::Servers;
use city::{City, NAMES, StoreKind};

/// Stores, with the name of their figures and words for the table.
const STORES: [(StoreKind, &str, &str); 2] = [
    (StoreKind::Postgres, "postgres", "PostgreSQL"),
    (StoreKind::Sqlite, "sqlite", "SQLite"),
];

/// Measures each store, the change and the bare work in turn.
pub(crate) async fn measure(servers: &Servers<'_>, result: &mut PartResult) -> Result<(), Error> {
    let persons = servers.options.rekey_names / NAMES as u64;
    let names = persons * NAMES as u64;
    let elements = multiplication::elements(names)?;
    let city = City::fill(&servers.postgres, servers.folder, &elements, &servers.clock);
    let city = city.await?;
    for (kind, store, title) in STORES {
        for turn in pairs::turns(servers.options.pairs) {
            let figure = |of| name::of_way(store, of);
            let what = format!("{title}, {turn}");
            result
                .step(names, &what, async |figures| {
                    city.copy(kind).await?;
                    servers.wait_for_idle_servers().await?;
                    let before = servers.processor_seconds()?;
                    if !turn.is_bare {
                        let times = city.rekey(kind, &*servers.clock).await?;
                        let seconds = servers.processor_seconds()? - before;
                        let processor = name::processor(&figure(name::REKEYED));
                        figures.push_each(&processor, names, seconds * 1e6);
                        figures.push_rate(&figure(name::REKEYED), names, times.whole);
                        let seconds = times.multiplied.as_secs_f64();
                        figures.push(&figure(name::MULTIPLIED_SECONDS), seconds);
                        let seconds = times.whole.as_secs_f64() - seconds;
                        figures.push(&figure(name::RENAMED_SECONDS), seconds);
                        return Ok(());
                    }
                    let clock = &*servers.clock;
                    let took = multiplication::multiply_all(&elements, &city::change(), clock);
                    figures.push_rate(&figure(name::MULTIPLIED), names, took);
                    let took = city.rewrite(kind, clock).await?;
                    figures.push_rate(&figure(name::REWRITTEN), names, took);
                    let seconds = servers.processor_seconds()? - before;
                    let processor = name::processor(&figure(name::MULTIPLIED));
                    figures.push_each(&processor, names, seconds * 1e6);
                    Ok(())
                })
                .await;
        }
    }
    city.remove().await?;
    if let Some(figures) = result.sizes.get(&names).cloned() {
        note(names, &figures, result);
    }
    Ok(())
}

/// A store's figures as a column of the table.
struct Column<'a> {
    figures: &'a Figures,
    store: &'static str,
    names: u64,
}

impl Column<'_> {
    fn of(&self, figure: &str) -> Samples {
        self.figures.of(&name::of_way(self.store, figure))
    }

    /// Ratio of the change to the bare multiplications of the same pair.
    fn of_multiplied(&self) -> Samples {
        self.of(name::REKEYED).over(&self.of(name::MULTIPLIED))
    }

    /// Seconds of the bare multiplications, and of the bare statements after them.
    fn both_seconds(&self) -> Samples {
        let multiplied = self.seconds(name::MULTIPLIED);
        multiplied.plus(&self.seconds(name::REWRITTEN))
    }

    fn seconds(&self, rate: &str) -> Samples {
        self.of(rate).inverse().times(self.names as f64)
    }

    /// Ratio of the change to bare multiplications and then bare statements, of the same pair.
    fn of_both(&self) -> Samples {
        self.both_seconds().over(&self.seconds(name::REKEYED))
    }

    /// Ratio to the bare multiplications of these and the bare statements after them.
    fn bound(&self) -> Samples {
        let multiplied = self.seconds(name::MULTIPLIED);
        multiplied.over(&self.both_seconds())
    }
}

fn note(names: u64, figures: &Figures, result: &mut PartResult) {
    let measured: Vec<Column<'_>> = STORES
        .iter()
        .map(|(_, store, _)| Column {
            figures,
            store,
            names,
        })
        .collect();
    let ratios = measured.iter().map(|column| {
        let bound = column.bound().median();
        (column.of_multiplied().median(), bound)
    });
    if let Some((ratio, bound)) = ratios.min_by(|(one, _), (other, _)| one.total_cmp(other)) {
        result.single.push(single::REKEY_OF_BARE, ratio);
        result.single.push(single::REKEY_BOUND, bound);
    }
    let rows: [ColumnRow<Column<'_>>; 13] = [
        ("names; two a person, and a fact", |of| of.names.to_string()),
        ("pairs", |of| of.of_multiplied().len().to_string()),
        ("bare multiplications on all processors, names/s", |of| {
            of.of(name::MULTIPLIED).to_string()
        }),
        ("bare statements over the same rows, names/s", |of| {
            of.of(name::REWRITTEN).to_string()
        }),
        ("**change of names, names/s**", |of| {
            of.of(name::REKEYED).to_string()
        }),
        ("… until all are multiplied and noted, s", |of| {
            of.of(name::MULTIPLIED_SECONDS).to_string()
        }),
        ("… the transaction that renames them, s", |of| {
            of.of(name::RENAMED_SECONDS).to_string()
        }),
        ("… **/ bare multiplications**", |of| {
            of.of_multiplied().to_string()
        }),
        ("… / bare multiplications, then bare statements", |of| {
            of.of_both().to_string()
        }),
        ("… bound: these two / bare multiplications", |of| {
            of.bound().to_string()
        }),
        (
            "bare multiplications, then bare statements, processor time, µs/name",
            |of| of.of(&name::processor(name::MULTIPLIED)).to_string(),
        ),
        (
            "change of names and its server, processor time, µs/name",
            |of| of.of(&name::processor(name::REKEYED)).to_string(),
        ),
        ("… that of both kinds of bare work / it", |of| {
            let bare = of.of(&name::processor(name::MULTIPLIED));
            bare.over(&of.of(&name::processor(name::REKEYED)))
                .to_string()
        }),
    ];
    let head = STORES.iter().map(|(_, _, title)| (*title).to_owned());
    result.table = columns(head, &rows, &measured.iter().collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::arguments::Part;

    #[test]
    fn the_slower_store_is_judged_by_both_peers() {
        let mut figures = Figures::default();
        for (store, rekeyed) in [("postgres", 25.0), ("sqlite", 40.0)] {
            for speed in [1.0, 2.0] {
                let figure = |of| name::of_way(store, of);
                figures.push(&figure(name::MULTIPLIED), 100.0 * speed);
                figures.push(&figure(name::REWRITTEN), 100.0 * speed);
                figures.push(&figure(name::REKEYED), rekeyed * speed);
            }
        }
        let began_at = DateTime::from_timestamp(1, 0).unwrap();
        let mut result = PartResult::new(Part::Rekey, began_at, Vec::new());
        note(1000, &figures, &mut result);
        assert_eq!(result.single.of(single::REKEY_OF_BARE).median(), 0.25);
        // Both kinds of bare work together would take half as long.
        assert_eq!(result.single.of(single::REKEY_BOUND).median(), 0.5);
        assert_eq!(result.table.rows[8][1], "0.500 (0.500–0.500)");
    }
}

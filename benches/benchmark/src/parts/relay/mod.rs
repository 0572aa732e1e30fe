//! The part `relay`: the mix relay beside a bare loop that takes the same batches out of the same
//! queues and publishes them to the same exchange.

mod crossing;

use crate::error::Error;
use crate::parts::pairs;
use crate::parts::table::{ColumnRow, columns};
use crate::results::{Figures, PartResult, Samples, name, single};
use crate::session::Servers;
use crossing::Crossing;

/// Batches of one size.
struct BatchSize {
    /// Name of its figures.
    name: &'static str,
    /// Words for it in the table.
    title: &'static str,
    /// Random bytes in a batch, so many that it is padded to this size.
    content: usize,
    /// Batches of one measurement.
    batches: usize,
}

/// The sizes that are measured: that of one new fact, and that of a first load.
const SIZES: [BatchSize; 2] = [
    BatchSize {
        name: "4-kib",
        title: "batches of 4 KiB",
        content: 3000,
        batches: 6000,
    },
    BatchSize {
        name: "64-kib",
        title: "batches of 64 KiB",
        content: 60_000,
        batches: 2000,
    },
];

/// Measures each size, relay and bare loop in turn.
pub(crate) async fn measure(servers: &Servers<'_>, result: &mut PartResult) -> Result<(), Error> {
    let crossing = Crossing::new(&servers.rabbitmq, servers.folder).await?;
    for size in &SIZES {
        let batches = crossing.seal(size.batches, size.content)?;
        let records = size.batches as u64;
        for turn in pairs::turns(servers.options.pairs) {
            let what = format!("{}, {turn}", size.title);
            result
                .step(records, &what, async |figures| {
                    crossing.send(&batches).await?;
                    servers.wait_for_idle_servers().await?;
                    let clock = &*servers.clock;
                    let before = servers.processor_seconds()?;
                    let (figure, took) = if turn.is_bare {
                        let took = crossing.forward(size.batches, clock).await?;
                        (name::FORWARDED, took)
                    } else {
                        let took = crossing.relay(size.batches, &servers.clock).await?;
                        (name::RELAYED, took)
                    };
                    let seconds = servers.processor_seconds()? - before;
                    let of = name::of_way(size.name, figure);
                    figures.push_rate(&of, records, took);
                    figures.push_each(&name::processor(&of), records, seconds * 1e6);
                    if turn.is_bare {
                        let before = servers.processor_seconds()?;
                        let took = crossing.take_seals_off(&batches, clock)?;
                        let seconds = servers.processor_seconds()? - before;
                        let of = name::of_way(size.name, name::UNSEALED);
                        figures.push_rate(&of, records, took);
                        figures.push_each(&name::processor(&of), records, seconds * 1e6);
                    }
                    Ok(())
                })
                .await;
        }
    }
    note(result);
    Ok(())
}

/// A size's figures as a column of the table.
struct Column<'a> {
    size: &'a BatchSize,
    figures: &'a Figures,
}

impl Column<'_> {
    fn of(&self, figure: &str) -> Samples {
        self.figures.of(&name::of_way(self.size.name, figure))
    }

    /// Ratio of the relay to the bare loop of the same pair.
    fn ratio(&self) -> Samples {
        self.of(name::RELAYED).over(&self.of(name::FORWARDED))
    }

    /// Ratio of the processor time of the bare loop and of the outer seals to the relay's.
    fn by_processor_time(&self) -> Samples {
        let forwarding = self.of(&name::processor(name::FORWARDED));
        let both = forwarding.plus(&self.of(&name::processor(name::UNSEALED)));
        both.over(&self.of(&name::processor(name::RELAYED)))
    }

    /// Ratio to the bare loop that one would have which takes the outer seal off, too, on
    /// processors that the bare loop keeps busy.
    fn bound(&self) -> Samples {
        let forwarding = self.of(name::FORWARDED).inverse();
        let both = forwarding.plus(&self.of(name::UNSEALED).inverse());
        forwarding.over(&both)
    }
}

fn note(result: &mut PartResult) {
    let sizes = SIZES.iter().filter_map(|size| {
        let figures = result.sizes.get(&(size.batches as u64))?.clone();
        Some((size, figures))
    });
    let sizes: Vec<(&BatchSize, Figures)> = sizes.collect();
    let measured: Vec<Column<'_>> = sizes
        .iter()
        .map(|(size, figures)| Column { size, figures })
        .collect();
    let ratios = measured.iter().map(|column| {
        let bound = column.bound().median();
        (column.ratio().median(), bound)
    });
    let least = ratios.min_by(|(one, _), (other, _)| one.total_cmp(other));
    let rows: [ColumnRow<Column<'_>>; 11] = [
        ("batches in a measurement", |of| of.size.batches.to_string()),
        ("pairs", |of| of.ratio().len().to_string()),
        ("bare loop, batches/s", |of| {
            of.of(name::FORWARDED).to_string()
        }),
        ("outer seals taken off, all processors, batches/s", |of| {
            of.of(name::UNSEALED).to_string()
        }),
        ("**relay, batches/s**", |of| {
            of.of(name::RELAYED).to_string()
        }),
        ("… **/ bare loop of the same pair**", |of| {
            of.ratio().to_string()
        }),
        ("… bound: bare loop and outer seals / bare loop", |of| {
            of.bound().to_string()
        }),
        ("bare loop and brokers, processor time, µs/batch", |of| {
            of.of(&name::processor(name::FORWARDED)).to_string()
        }),
        ("outer seals taken off, processor time, µs/batch", |of| {
            of.of(&name::processor(name::UNSEALED)).to_string()
        }),
        ("relay and brokers, processor time, µs/batch", |of| {
            of.of(&name::processor(name::RELAYED)).to_string()
        }),
        ("… bare loop's and outer seals' / it", |of| {
            of.by_processor_time().to_string()
        }),
    ];
    let head = measured.iter().map(|of| of.size.title.to_owned());
    result.table = columns(head, &rows, &measured.iter().collect::<Vec<_>>());
    if let Some((ratio, bound)) = least {
        result.single.push(single::RELAY_OF_BARE, ratio);
        result.single.push(single::RELAY_BOUND, bound);
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::arguments::Part;

    #[test]
    fn the_worse_of_both_sizes_is_judged_pair_by_pair() {
        let began_at = DateTime::from_timestamp(1, 0).unwrap();
        let mut result = PartResult::new(Part::Relay, began_at, Vec::new());
        for (size, relayed) in SIZES.iter().zip([90.0, 80.0]) {
            let figures = result.sizes.entry(size.batches as u64).or_default();
            for speed in [1.0, 2.0] {
                let figure = |of: &str| name::of_way(size.name, of);
                figures.push(&figure(name::FORWARDED), 100.0 * speed);
                figures.push(&figure(name::RELAYED), relayed * speed);
                figures.push(&figure(name::UNSEALED), 900.0 * speed);
                let time = |of| figure(&name::processor(of));
                figures.push(&time(name::FORWARDED), 200.0);
                figures.push(&time(name::UNSEALED), 100.0);
                figures.push(&time(name::RELAYED), 400.0);
            }
        }
        note(&mut result);
        assert_eq!(result.single.of(single::RELAY_OF_BARE).median(), 0.8);
        assert_eq!(result.single.of(single::RELAY_BOUND).median(), 0.9);
        let ratios = &result.table.rows[5];
        assert_eq!(ratios[1..], ["0.900 (0.900–0.900)", "0.800 (0.800–0.800)"]);
        assert_eq!(result.table.rows[10][1], "0.750 (0.750–0.750)");
    }
}

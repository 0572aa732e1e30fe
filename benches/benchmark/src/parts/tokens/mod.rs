//! The part `tokens`: a clinic's first load and the registry that stores it, with one-use tokens
//! and without, and the path of the gateway that seals, with tokens in hand and without.

mod sending;

use crate::clinics::postgres::PostgresClinic;
use crate::error::Error;
use crate::parts::pairs::{self, Turn};
use crate::parts::table::{ColumnRow, columns};
use crate::processes::config;
use crate::processes::key_service::KeyService;
use crate::results::{Figures, PartResult, Samples, name, single};
use crate::session::BenchSession;
use sending::Drafts;

/// Name of the figures with tokens, and of those without.
const WITH: &str = "tokens";
const WITHOUT: &str = "no-tokens";
/// Number of times that each turn of the sending path is repeated: it is short.
const SENDINGS: u32 = 3;

/// Measures both sides in turn.
pub(crate) async fn measure(
    session: &BenchSession<'_>,
    result: &mut PartResult,
) -> Result<(), Error> {
    let records = session.options.token_records;
    let drafts = Drafts::new(records)?;
    for turn in pairs::turns(session.options.pairs * SENDINGS) {
        let what = format!("drafts to sealed batches, {turn}");
        result
            .step(records, &what, async |figures| {
                let took = drafts.send(session.folder, !turn.is_bare, &*session.clock);
                let figure = name::of_way(side(turn), name::SENDING);
                figures.push_rate(&figure, records, took.await?);
                Ok(())
            })
            .await;
    }
    drop(drafts);
    let clinic = session.clinic(records).await?;
    let issuer = KeyService::start_issuer(&session.programs, "token-issuer", &*session.clock);
    let issuer = issuer.await?;
    for turn in pairs::turns(session.options.pairs) {
        let what = format!("first load and registry, {turn}");
        let load =
            async |figures: &mut Figures| load(session, &clinic, &issuer, turn, figures).await;
        result.step(records, &what, load).await;
        session.purge_queues().await;
    }
    session.remove(issuer.end().await?)?;
    session.drop_database(&clinic.database).await?;
    if let Some(figures) = result.sizes.get(&records).cloned() {
        note(&figures, result);
    }
    Ok(())
}

const fn side(turn: Turn) -> &'static str {
    if turn.is_bare { WITHOUT } else { WITH }
}

/// Measures a first load, and the registry that stores it.
async fn load(
    session: &BenchSession<'_>,
    clinic: &PostgresClinic,
    issuer: &KeyService,
    turn: Turn,
    figures: &mut Figures,
) -> Result<(), Error> {
    let side = side(turn);
    let label = format!("{side}-{}", turn.pair);
    let gateway = session.gateway(clinic, &label, session.queue())?;
    let mut registry_section = String::new();
    if !turn.is_bare {
        gateway.append_section(&config::gateway_tokens(&issuer.address))?;
        registry_section = config::registry_tokens(&issuer.private_key());
    }
    let records = clinic.records;
    let mut own = Figures::default();
    session
        .first_sync(&gateway, records, name::GATEWAY, &mut own)
        .await?;
    session.remove(gateway)?;
    let registry = session
        .store_with(&registry_section, &label, records, &mut own)
        .await?;
    session.drop_registry(registry).await?;
    let gateway_processor = name::processor(name::GATEWAY);
    let registry_processor = name::processor(name::REGISTRY);
    for figure in [
        name::GATEWAY,
        &gateway_processor,
        name::REGISTRY,
        &registry_processor,
    ] {
        figures.push(&name::of_way(side, figure), own.of(figure).latest());
    }
    Ok(())
}

/// The path of a program as a column of the table, by the name of its figures.
struct Column<'a> {
    figures: &'a Figures,
    path: &'static str,
}

impl Column<'_> {
    fn of(&self, side: &str) -> Samples {
        self.figures.of(&name::of_way(side, self.path))
    }

    /// Ratio of the rate with tokens to that without, pair by pair.
    fn ratio(&self) -> Samples {
        self.of(WITH).over(&self.of(WITHOUT))
    }

    fn processor(&self, side: &str) -> Samples {
        self.figures
            .of(&name::of_way(side, &name::processor(self.path)))
    }
}

fn note(figures: &Figures, result: &mut PartResult) {
    let column = |path| Column { figures, path };
    let sending = column(name::SENDING);
    let gateway = column(name::GATEWAY);
    let registry = column(name::REGISTRY);
    for (figure, of) in [
        (single::TOKENS_SENDING, &sending),
        (single::TOKENS_GATEWAY, &gateway),
        (single::TOKENS_REGISTRY, &registry),
    ] {
        result.single.push(figure, of.ratio().median());
    }
    let rows: [ColumnRow<Column<'_>>; 6] = [
        ("pairs", |of| of.ratio().len().to_string()),
        ("without tokens, records/s", |of| of.of(WITHOUT).to_string()),
        ("**with tokens, records/s**", |of| of.of(WITH).to_string()),
        ("… **/ without, of the same pair**", |of| {
            of.ratio().to_string()
        }),
        ("processor time without tokens, µs/record", |of| {
            of.processor(WITHOUT).to_string()
        }),
        ("processor time with tokens, µs/record", |of| {
            of.processor(WITH).to_string()
        }),
    ];
    let head = [
        "gateway: drafts → sealed and durable, tokens in hand",
        "gateway: a first load, tokens fetched meanwhile",
        "registry: verified, spent and stored",
    ];
    let head = head.map(str::to_owned).into_iter();
    result.table = columns(head, &rows, &[&sending, &gateway, &registry]);
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::arguments::Part;

    #[test]
    fn each_path_is_compared_pair_by_pair() {
        let mut figures = Figures::default();
        for speed in [1.0, 2.0] {
            for (path, with) in [
                (name::SENDING, 99.0),
                (name::GATEWAY, 80.0),
                (name::REGISTRY, 96.0),
            ] {
                figures.push(&name::of_way(WITH, path), with * speed);
                figures.push(&name::of_way(WITHOUT, path), 100.0 * speed);
            }
        }
        let began_at = DateTime::from_timestamp(1, 0).unwrap();
        let mut result = PartResult::new(Part::Tokens, began_at, Vec::new());
        note(&figures, &mut result);
        let of = |figure| result.single.of(figure).median();
        assert_eq!(of(single::TOKENS_SENDING), 0.99);
        assert_eq!(of(single::TOKENS_GATEWAY), 0.8);
        assert_eq!(of(single::TOKENS_REGISTRY), 0.96);
        assert_eq!(result.table.rows[0], ["pairs", "2", "2", "2"]);
    }
}

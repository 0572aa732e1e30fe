//! Surprises: things a source should not do. Each is kept for `status`, counted, and logged once.

use connector_kit::Feed;

use crate::gateway::Gateway;
use crate::sources::Source;

/// Code of a sweep that found rows which had changed without their stamps telling the pulls.
pub(crate) const CHANGED_UNNOTICED: &str = "changed-unnoticed";

/// Code of a sweep whose two looks over the keys missed rows that the source has when it is asked
/// for them by their ids.
pub(crate) const KEYS_INCOMPLETE: &str = "keys-incomplete";

/// Code of a sweep that could not learn whether rows are gone which no list names.
pub(crate) const ROWS_UNANSWERED: &str = "rows-unanswered";

/// Code of a sweep that would have withdrawn more than it may.
pub(crate) const WITHDRAWALS_HELD: &str = "withdrawals-held";

/// Code of a codes file that changed, and cannot be used as it is.
pub(crate) const CODES_FILE: &str = outbox::CODES_FILE;

/// Codes of all surprises.
#[cfg(feature = "cli")]
pub(crate) const CODES: [&str; 8] = [
    connector_kit::SourceSurprise::StampsWentBack.as_str(),
    connector_kit::SourceSurprise::IdsRepeat.as_str(),
    CHANGED_UNNOTICED,
    CODES_FILE,
    KEYS_INCOMPLETE,
    ROWS_UNANSWERED,
    WITHDRAWALS_HELD,
    crate::endless::CODE,
];

/// Notes `count` cases of a surprise. Failing to keep it in a full or broken outbox is no reason
/// for the caller to fail as well.
pub(crate) async fn note(
    gateway: &Gateway,
    source: &Source,
    feed: Feed,
    code: &'static str,
    count: u64,
) {
    metrics::counter!(
        "gateway_surprises_total",
        "source" => source.name.clone(),
        "feed" => feed.as_str(),
        "code" => code
    )
    .increment(count);
    let now = gateway.clock.now();
    if let Err(error) = gateway
        .outbox
        .note_surprise(&source.name, feed.as_str(), code, count, now)
        .await
    {
        tracing::debug!(event = "surprise-not-noted", code = error.code());
    }
    if source.is_first_surprise(feed, code) {
        tracing::warn!(event = "source-surprise", code, count, "{}", text(code));
    }
}

/// Meaning of a surprise's code, for the log and `status`.
pub(crate) fn text(code: &str) -> &'static str {
    match code {
        "stamps-went-back" => {
            "change stamps went back, as after a restored backup or a clock set back; all keys \
             are swept"
        }
        "ids-repeat" => {
            "rows bear the same record_id; they are one record, of which only the row that is read \
             last reaches the registry: select a record_id that is different for every row"
        }
        CHANGED_UNNOTICED => {
            "rows had changed without their change stamps telling; the sweep has read them. Where \
             a stamp does not move with its row, only contents show it: `clinic-gateway sweep \
             --contents`"
        }
        KEYS_INCOMPLETE => {
            "lists of all keys lacked rows that the source has when asked for them by id; the \
             sweep has read them"
        }
        ROWS_UNANSWERED => {
            "no list names some rows, and the source fails when asked for them by id; their facts \
             stay at the registry as they are"
        }
        WITHDRAWALS_HELD => {
            "more records are gone than may be withdrawn unasked; see `clinic-gateway \
             confirm-withdrawals`"
        }
        CODES_FILE => {
            "policy.codes_file has changed and cannot be used; the codes read before hold until it \
             is mended: `clinic-gateway check` says where it is wrong"
        }
        crate::endless::CODE => "the source's pages never end",
        _ => "something unusual at the source",
    }
}

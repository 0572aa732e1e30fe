//! Names of the figures without a size of clinic; the goals are computed from them.

/// Ratio of the gateway's rate to that of the fastest script (Python, Node) that sends many
/// records a message.
pub(crate) const BATCHING_SCRIPT: &str = "times-batching-script";
/// Ratio of the gateway's rate to that of the fastest script that sends a record a message.
pub(crate) const SINGLE_SCRIPT: &str = "times-single-script";
/// Ratio of the gateway's rate to that of the fastest general tool.
pub(crate) const TOOL: &str = "times-tool";
/// Longest time that 99 of 100 facts of a listening source take, milliseconds.
pub(crate) const LATENCY_P99: &str = "latency-p99-ms";
/// Time that the slowest fact of a polled source takes, milliseconds.
pub(crate) const POLLED_MAX: &str = "polled-max-ms";
/// Time between two scheduled runs of a source, milliseconds.
pub(crate) const INTERVAL: &str = "interval-ms";
/// Cost of the largest unchanged clinic, percent of a core, gateway and the clinic's server
/// together.
pub(crate) const IDLE_PERCENT: &str = "idle-percent";
/// Records of that clinic.
pub(crate) const IDLE_RECORDS: &str = "idle-records";
/// Ratio of the times within which half of the answers came: eligibility to a read by key.
pub(crate) const ASKED_P50: &str = "asked-p50-times";
/// Ratio of the times within which 99 of 100 answers came: eligibility to a read by key.
pub(crate) const ASKED_P99: &str = "asked-p99-times";
/// Persons of that registry.
pub(crate) const ASKED_SUBJECTS: &str = "asked-subjects";
/// Least ratio, among the schemas, of the first load to one pass over the same queries.
pub(crate) const LOAD_OF_STREAM: &str = "load-of-stream";
/// Greatest ratio, among the schemas, of the gateway's rate at single tables to that at the schema.
pub(crate) const LOAD_BESIDE: &str = "load-beside-times";
/// Most rows that a clinic's server reads for an unchanged run, among the schemas.
pub(crate) const UNCHANGED_ROWS: &str = "unchanged-rows";
/// Ratio of the gateway's first load from FHIR to a bare loop over the same pages.
pub(crate) const LOAD_OF_PAGES: &str = "load-of-pages";
/// The same on a server that somebody else made.
pub(crate) const LOAD_OF_SERVER_PAGES: &str = "load-of-server-pages";
/// Least ratio, among the numbers of key services, of the bare calls' processor time a person to
/// that of a first load in the suite `voprf`, of gateway and key services together.
pub(crate) const LOAD_OF_BARE: &str = "load-of-bare-by-processor-time";
/// Least ratio, among the sizes of batches, of the mix relay to a bare loop that consumes and
/// publishes.
pub(crate) const RELAY_OF_BARE: &str = "relay-of-bare";
/// Ratio of the rates at which drafts become sealed batches: with tokens in hand to without.
pub(crate) const TOKENS_SENDING: &str = "tokens-sending";
/// Ratio of the gateway's first load with tokens, which it fetches meanwhile, to one without.
pub(crate) const TOKENS_GATEWAY: &str = "tokens-gateway";
/// Ratio of the registry's rate with tokens to that without.
pub(crate) const TOKENS_REGISTRY: &str = "tokens-registry";
/// Least ratio, among the stores, of a change of names to bare multiplications.
pub(crate) const REKEY_OF_BARE: &str = "rekey-of-bare";
/// Ratio to bare multiplications of these and then bare statements over the same rows, in the store
/// of [`REKEY_OF_BARE`].
pub(crate) const REKEY_BOUND: &str = "rekey-bound";
/// Ratio to the bare loop of one that takes the outer seal off as well, at the size of
/// [`RELAY_OF_BARE`].
pub(crate) const RELAY_BOUND: &str = "relay-bound";

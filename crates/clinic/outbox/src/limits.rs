//! Limits of the outbox that its callers have to know.

/// Most drafts in one page; a larger page is refused.
pub const MAX_PAGE_DRAFTS: usize = 100_000;

/// Most dead letters listed for one feed and origin, give or take a page; later refusals are only
/// counted.
pub const MAX_DEAD_LETTERS_PER_FEED: u32 = 100_000;

/// Most values that nobody has mapped, of one feed; the rarest leave first.
pub const MAX_UNKNOWN_VALUES_PER_FEED: u32 = 1000;

/// Longest wait of a lease or a retry, in milliseconds; longer ones are cut to it. A batch due
/// later than that from now can only mean that the clock was set back, and is due at once.
pub const MAX_WAIT_MS: i64 = 60 * 60 * 1000;

/// Longest wait for a receipt before a batch is sent again, in milliseconds.
pub const MAX_RESEND_MS: i64 = 24 * 60 * 60 * 1000;

/// Least time between two generations that receipts raise, in milliseconds.
pub const RECEIPT_RAISE_PAUSE_MS: i64 = 24 * 60 * 60 * 1000;

/// Least time between two beacons while batches leave, in milliseconds.
pub const BEACON_PAUSE_MS: i64 = 10 * 1000;

/// Most raises that answers to beacons make within [`RECEIPT_RAISE_PAUSE_MS`].
pub const MAX_BEACON_RAISES: u32 = 8;

/// Most generations by which an answer to a beacon raises at once.
pub const MAX_BEACON_STEP: u32 = 1000;

/// Time after a raise within which a later one by somebody else shows another gateway on a copy of
/// the state, in milliseconds.
pub const OTHER_GATEWAY_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Time after a raise within which rows and feeds that are met for the first time may have been
/// sent by the state that was lost, in milliseconds.
pub const LOST_STATE_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Time over which older versions withdrawn for refused corrections count together, in
/// milliseconds.
pub const CORRECTIONS_WINDOW_MS: i64 = 24 * 60 * 60 * 1000;

/// Least time between two failures to read a row, in milliseconds, for the second to count as one
/// of a later run: what passes within it may be one and the same trouble of the source.
pub const UNREADABLE_AGAIN_MS: i64 = 60 * 1000;

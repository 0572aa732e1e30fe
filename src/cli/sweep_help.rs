//! Help on the table that `sweep` prints.

/// What each column says.
pub(super) const COLUMNS: &str = "\
Columns of the table:
  source           name of the source
  feed             kind of facts that was swept
  reads            rows: every row is read whole; keys: its id and change stamp are
  found            keys or rows that the source has, as the last look over them counted
  looks            looks over all keys that were begun; a second one confirms what the first missed
  read again       rows that were read once more by their id, in all looks
  missed           rows that were new or had changed, and that no pull had noticed
  not listed       records that no look named, and that the source has when asked for their ids
  no answer        records that no look named, and about which the source did not answer; they stay
  withdrawn        records withdrawn, since their rows are gone
  held             records whose rows are gone, and that wait for confirm-withdrawals: too many
  older withdrawn  older versions withdrawn, since their rows cannot be sent as they are now
  older held       older versions that wait for confirm-withdrawals";

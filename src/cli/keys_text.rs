//! Fingerprints of pseudonym keys, as commands print them.

use contract::Epoch;
use program::terminal::print_line;

use crate::ring::fingerprint_list;

/// Prints the keys, and the setting by which they are compared at every start.
pub(super) fn print_keys(keys: &[(Epoch, String)]) {
    for (epoch, fingerprint) in keys {
        print_line(format!("epoch {epoch}: fingerprint {fingerprint}"));
    }
    print_to_compare(keys);
}

/// Prints the setting by which the keys are compared at every start.
pub(super) fn print_to_compare(keys: &[(Epoch, String)]) {
    print_line(format!(
        "to compare at every start, in [registry]: pseudonym_fingerprints = {}",
        fingerprint_list(keys)
    ));
}

//! Everything that parses bytes from outside, one function each.
//!
//! A target must not panic, whatever the bytes, nor take memory without bound; where there is a
//! property, such as "decoding what was encoded gives the same", it asserts that as well. Each
//! returns whether the bytes were accepted, so that the seeds of the corpus can say what they are.
//! `fuzz/` runs them under libFuzzer, `tests/corpus` on stable.

mod batch;
mod fhir;
mod identifiers;
mod keys;
mod passes;
mod queue;
mod receipts;
mod records;
mod rules;
mod settings_files;
mod sql;

pub use batch::{batch_content, batch_frame, sealed_batch};
pub use fhir::{fhir_bundle, fhir_export_file, fhir_folder, fhir_manifest};
pub use identifiers::identifiers;
pub use keys::keys;
pub use passes::{
    hcert_text, hcert_vector, pass_claims, pass_cose, pass_text, picture, revocations, trust_bundle,
};
pub use queue::queue_directory;
pub use receipts::{receipt_answer, receipts_body, receipts_message};
pub use rules::pass_rules;
pub use settings_files::{gateway_settings, registry_settings};
pub use sql::{sql_cells, sql_statement};

/// Fuzz target.
pub struct Target {
    /// Name of the function, of `fuzz/fuzz_targets/NAME.rs` and of `fuzz/corpus/NAME`.
    pub name: &'static str,
    /// Whether the bytes were accepted.
    pub run: fn(&[u8]) -> bool,
    /// Rough cost of one input as a multiple of the quickest target's, from 1.
    pub cost: u32,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "batch_content",
        run: batch_content,
        cost: 1,
    },
    Target {
        name: "batch_frame",
        run: batch_frame,
        cost: 4,
    },
    Target {
        name: "fhir_bundle",
        run: fhir_bundle,
        cost: 1,
    },
    Target {
        name: "fhir_export_file",
        run: fhir_export_file,
        cost: 4,
    },
    Target {
        name: "fhir_folder",
        run: fhir_folder,
        cost: 20,
    },
    Target {
        name: "fhir_manifest",
        run: fhir_manifest,
        cost: 1,
    },
    Target {
        name: "gateway_settings",
        run: gateway_settings,
        cost: 4,
    },
    Target {
        name: "hcert_text",
        run: hcert_text,
        cost: 10,
    },
    Target {
        name: "hcert_vector",
        run: hcert_vector,
        cost: 10,
    },
    Target {
        name: "identifiers",
        run: identifiers,
        cost: 1,
    },
    Target {
        name: "keys",
        run: keys,
        cost: 1,
    },
    Target {
        name: "pass_claims",
        run: pass_claims,
        cost: 4,
    },
    Target {
        name: "pass_cose",
        run: pass_cose,
        cost: 4,
    },
    Target {
        name: "pass_rules",
        run: pass_rules,
        cost: 10,
    },
    Target {
        name: "pass_text",
        run: pass_text,
        cost: 4,
    },
    Target {
        name: "picture",
        run: picture,
        cost: 40,
    },
    Target {
        name: "queue_directory",
        run: queue_directory,
        cost: 20,
    },
    Target {
        name: "receipt_answer",
        run: receipt_answer,
        cost: 2,
    },
    Target {
        name: "receipts_body",
        run: receipts_body,
        cost: 2,
    },
    Target {
        name: "receipts_message",
        run: receipts_message,
        cost: 2,
    },
    Target {
        name: "registry_settings",
        run: registry_settings,
        cost: 1,
    },
    Target {
        name: "revocations",
        run: revocations,
        cost: 4,
    },
    Target {
        name: "sealed_batch",
        run: sealed_batch,
        cost: 2,
    },
    Target {
        name: "sql_cells",
        run: sql_cells,
        cost: 40,
    },
    Target {
        name: "sql_statement",
        run: sql_statement,
        cost: 1,
    },
    Target {
        name: "trust_bundle",
        run: trust_bundle,
        cost: 4,
    },
];

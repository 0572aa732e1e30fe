//! Every target over its corpus and over what a seeded generator makes of it, on stable.
//!
//! `FUZZ_ROUNDS=100000 cargo test -p parsers --test corpus` looks longer (rounds of the quickest
//! targets; the others do fewer), `FUZZ_SEED=7` looks elsewhere, `FUZZ_INPUT=FILE … -- TARGET` runs
//! one input again.

#[cfg(test)]
mod json;
#[cfg(test)]
mod mutate;
#[cfg(test)]
mod pass_seeds;
#[cfg(test)]
mod seeds;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    use parsers::{TARGETS, Target};

    use crate::mutate::Mutator;
    use crate::seeds;

    /// Rounds of the quickest targets.
    const ROUNDS: u64 = 2000;
    /// What one input may add to the most memory this process ever took.
    const MAX_GROWTH_KIB: u64 = 256 * 1024;
    /// How often a failing input is tried in smaller forms.
    const MAX_SHRINKS: usize = 2000;

    /// One target at a time: memory is measured for the process.
    static TURN: Mutex<()> = Mutex::new(());

    macro_rules! targets {
        ($($name:ident)*) => {
            $(#[test] fn $name() { over(stringify!($name)); })*
            const NAMES: &[&str] = &[$(stringify!($name)),*];
        };
    }

    targets! {
        batch_content batch_frame fhir_bundle fhir_export_file fhir_folder fhir_manifest gateway_settings hcert_text
        hcert_vector identifiers keys pass_claims pass_cose pass_rules pass_text picture queue_directory receipt_answer receipts_body receipts_message
        registry_settings revocations sealed_batch sql_cells sql_statement trust_bundle
    }

    #[test]
    fn every_target_has_a_test_a_fuzzer_and_seeds_of_both_kinds() {
        let fuzz = seeds::fuzz_folder();
        assert!(
            TARGETS
                .iter()
                .map(|target| target.name)
                .eq(NAMES.iter().copied())
        );
        let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        for Target { name, .. } in TARGETS {
            let main = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(main.contains(&format!("parsers::{name}(data)")), "{name}");
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            let names: Vec<String> = seeds::of(name).into_iter().map(|(name, _)| name).collect();
            let kinds = ["valid-", "refused-"];
            assert!(
                kinds
                    .iter()
                    .all(|kind| names.iter().any(|name| name.starts_with(kind))),
                "{name}: {names:?}"
            );
        }
    }

    fn over(name: &str) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let target = TARGETS.iter().find(|target| target.name == name).unwrap();
        if let Some(file) = std::env::var_os("FUZZ_INPUT") {
            let accepted = (target.run)(&fs::read(&file).unwrap());
            println!(
                "{name}: {} is {}",
                file.display(),
                if accepted { "accepted" } else { "refused" }
            );
            return;
        }
        let seeds = seeds::of(name);
        for (file, bytes) in &seeds {
            let accepted = attempt(target, bytes);
            assert!(
                accepted || !file.starts_with("valid-"),
                "{name}: {file} is refused"
            );
            assert!(
                !accepted || !file.starts_with("refused-"),
                "{name}: {file} is accepted"
            );
        }
        let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|(_, bytes)| bytes).collect();
        let mut mutator = Mutator::new(name, number("FUZZ_SEED", 1), &seeds, seeds::tokens());
        let rounds = number("FUZZ_ROUNDS", ROUNDS) / u64::from(target.cost);
        let accepted = (0..rounds)
            .filter(|_| attempt(target, &mutator.next()))
            .count();
        println!(
            "{name}: {} seeds, {rounds} mutants, {accepted} of them accepted",
            seeds.len()
        );
    }

    fn number(variable: &str, default: u64) -> u64 {
        std::env::var(variable).map_or(default, |text| text.parse().expect("a whole number"))
    }

    /// Whether the input was accepted; a failing one is shrunk, written to a file, and told with
    /// how to run it again.
    fn attempt(target: &Target, bytes: &[u8]) -> bool {
        // For what takes the whole process with it: a stack overflow, an abort, the kernel's memory
        // killer.
        let running = place(target.name, &format!("{}.running", std::process::id()));
        fs::write(&running, bytes).unwrap();
        let before = most_memory_kib();
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
        let growth = most_memory_kib().saturating_sub(before);
        let (bytes, what) = match outcome {
            Ok(accepted) if growth <= MAX_GROWTH_KIB => {
                fs::remove_file(&running).unwrap();
                return accepted;
            }
            Ok(_) => (bytes.to_vec(), format!("took {growth} KiB of memory")),
            Err(_) => (
                shrink(target, bytes),
                "panicked; see above for its words".to_owned(),
            ),
        };
        let failing = place(target.name, "failing");
        fs::write(&failing, &bytes).unwrap();
        let again = format!(
            "cargo test -p parsers --test corpus -- --exact tests::{}",
            target.name
        );
        panic!(
            "{} {what}\n  input ({} bytes): {}\n  again: FUZZ_INPUT={} {again}\n  then keep it in \
             fuzz/corpus/{}",
            target.name,
            bytes.len(),
            bytes[..bytes.len().min(300)].escape_ascii(),
            failing.display(),
            target.name,
        );
    }

    /// Leaves out whatever can be left out of a panicking input.
    fn shrink(target: &Target, bytes: &[u8]) -> Vec<u8> {
        let panics = |bytes: &[u8]| catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err();
        // Every smaller form panics as the first did: once is enough to read.
        let told = take_hook();
        set_hook(Box::new(|_| {}));
        let mut smallest = bytes.to_vec();
        let mut tries = MAX_SHRINKS / usize::try_from(target.cost).unwrap();
        let mut piece = smallest.len() / 2;
        while piece > 0 && tries > 0 {
            let mut at = 0;
            while at + piece <= smallest.len() && tries > 0 {
                let mut shorter = smallest.clone();
                shorter.drain(at..at + piece);
                tries -= 1;
                if panics(&shorter) {
                    smallest = shorter;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
        set_hook(told);
        smallest
    }

    fn place(target: &str, kind: &str) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}.{kind}"))
    }

    /// The most memory this process ever held.
    fn most_memory_kib() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

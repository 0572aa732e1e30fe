//! Costs of the record index as it grows, and of what plain SQLite would do instead.
//!
//! `cargo bench -p record-index -- 100000 1000000` measures the index at these sizes, with
//! `--peers` plain SQLite tables in turn with it. Every measurement is a process of its own. Linux
//! only: memory, processor time and bytes written are read from /proc, and bytes count only if the
//! temporary folder (`TMPDIR`) is on a disk.

use std::error::Error;
use std::process::{Command, Stdio};
use std::{env, io};

mod digests;
mod figures;
#[path = "../../tests/support/file.rs"]
mod file;
mod report;
mod run;
mod stores;

use report::ComparisonTable;
use stores::StoreKind;

/// Command line.
#[derive(Debug, Clone)]
pub(crate) struct BenchArguments {
    /// Numbers of records, each measured in a file of its own.
    sizes: Vec<u64>,
    /// Plain SQLite is measured in turn with the index.
    peers: bool,
    /// Times that everything is measured; medians are printed.
    rounds: usize,
    /// Records of a page, which is one transaction.
    page: u64,
    /// Memory for SQLite's cache of the writing connection of a peer; that of the index is the
    /// outbox's.
    peer_cache_kib: u32,
    /// Only this store, in this process, its figures to be read by the parent process.
    only: Option<StoreKind>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = BenchArguments::parse()?;
    if let Some(kind) = options.only {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        return runtime.block_on(run::run(kind, &options));
    }
    let kinds = if options.peers {
        StoreKind::ALL
    } else {
        &StoreKind::ALL[..1]
    };
    for size in &options.sizes {
        let mut report = ComparisonTable::default();
        for _ in 0..options.rounds {
            for kind in kinds {
                report.add(*kind, &measure(*kind, *size, &options)?)?;
            }
        }
        report.print(*size, &mut io::stdout())?;
    }
    Ok(())
}

/// Measures one store in a process of its own and returns what that printed.
fn measure(kind: StoreKind, size: u64, options: &BenchArguments) -> Result<String, Box<dyn Error>> {
    let child = Command::new(env::current_exe()?)
        .args(["--only", kind.name(), "--page", &options.page.to_string()])
        .args([
            "--peer-cache-kib",
            &options.peer_cache_kib.to_string(),
            &size.to_string(),
        ])
        .stderr(Stdio::inherit())
        .output()?;
    if !child.status.success() {
        return Err(format!("{} with {size} records: {}", kind.name(), child.status).into());
    }
    Ok(String::from_utf8(child.stdout)?)
}

impl BenchArguments {
    fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options = Self {
            sizes: Vec::new(),
            peers: false,
            rounds: 1,
            page: 3000,
            peer_cache_kib: 4096,
            only: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Value(size) => options.sizes.push(size.parse()?),
                Long("peers") => options.peers = true,
                Long("rounds") => options.rounds = parser.value()?.parse()?,
                Long("page") => options.page = parser.value()?.parse()?,
                Long("peer-cache-kib") => options.peer_cache_kib = parser.value()?.parse()?,
                Long("only") => {
                    options.only = Some(parser.value()?.parse_with(StoreKind::by_name)?)
                }
                // Given by `cargo bench` itself.
                Long("bench") => {}
                _ => return Err(argument.unexpected()),
            }
        }
        if options.sizes.is_empty() {
            options.sizes = vec![100_000, 1_000_000];
        }
        Ok(options)
    }
}

//! Tests of the registry on real queues and stores, as library and as program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ahead;
mod audit;
mod certificates;
mod consume;
mod deletion;
mod dummies;
mod duties;
mod encrypted;
mod hostile;
mod in_the_way;
mod installed;
#[cfg(feature = "inject")]
mod killed;
mod loop_check;
mod many;
mod moving;
mod outage;
mod passes;
mod persons;
mod portal;
mod program;
mod purge;
mod receipts;
mod rekey;
mod retention;
mod rules;
mod stop;
mod tokens;
mod units;
mod voprf;
mod world;

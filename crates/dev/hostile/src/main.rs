//! Benchmark of the honest throughput beside hostile messages.
#![expect(clippy::print_stdout, reason = "its figures are for whoever runs it")]

use hostile::{Outcome, bench};

#[tokio::main]
async fn main() -> Outcome<()> {
    let facts = match std::env::var("HOSTILE_BENCH_FACTS") {
        Ok(text) => text.parse()?,
        Err(_) => 50_000,
    };
    println!("{facts} honest facts a measurement; facts and messages a second");
    println!(
        "{:<14} {:>9} {:>15} {:>16} {:>6}",
        "messages", "a second", "beside honest", "beside hostile", "share"
    );
    bench::measure(facts, |line| {
        println!(
            "{:<14} {:>9} {:>8.0} {:>6.0} {:>9.0} {:>6.0} {:>5.0}%",
            format!("{:?}", line.flood),
            line.a_second,
            line.honest.facts,
            line.honest.messages,
            line.hostile.facts,
            line.hostile.messages,
            line.share() * 100.0
        );
    })
    .await
}

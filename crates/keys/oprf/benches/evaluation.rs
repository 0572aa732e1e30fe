//! Cost of an evaluation of 256 elements at both ends, beside the bare calls of the crate `voprf`,
//! in one run.
//!
//! `cargo bench -p oprf`. The ratios are what counts: what this crate adds for its byte forms, for
//! asking services in turn, and for leaving the element whole.

#![expect(clippy::print_stdout, reason = "the benchmark prints its figures")]

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use clock::{Clock, SystemClock};
use oprf::{Blinding, MAX_ELEMENTS, Request, ServiceKey};
use rand_core::{TryCryptoRng, TryRng};
use voprf::{Ristretto255, VoprfClient, VoprfServer};

/// Rounds; the fastest of each way counts, and the ways take turns.
const ROUNDS: usize = 30;

fn main() {
    let clock = SystemClock::default();
    let inputs: Vec<String> = (0..MAX_ELEMENTS).map(|number| number.to_string()).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(String::as_bytes).collect();
    let mut ours = Fastest::default();
    let mut bare = Fastest::default();
    for _ in 0..ROUNDS {
        ours.take(&whole(&clock, &inputs));
        bare.take(&whole_bare(&clock, &inputs));
    }
    print("client: blind, verify, unblind", ours.client, bare.client);
    print(
        "service: parse, evaluate, prove",
        ours.service,
        bare.service,
    );
}

/// Time that each end needed.
struct Ends {
    client: Duration,
    service: Duration,
}

struct Fastest {
    client: Duration,
    service: Duration,
}

impl Default for Fastest {
    fn default() -> Self {
        Self {
            client: Duration::MAX,
            service: Duration::MAX,
        }
    }
}

impl Fastest {
    fn take(&mut self, ends: &Ends) {
        self.client = self.client.min(ends.client);
        self.service = self.service.min(ends.service);
    }
}

fn whole(clock: &dyn Clock, inputs: &[&[u8]]) -> Ends {
    let key = ServiceKey::generate();
    let public_key = key.public_key();
    let begun = clock.elapsed();
    let mut blinding = Blinding::new(inputs).expect("as many inputs as a request holds");
    let request = blinding.request(1);
    let asked = clock.elapsed();
    let read = Request::parse(&request).expect("our own request");
    let answer = key.evaluate(&read);
    let answered = clock.elapsed();
    blinding
        .accept(&answer, 1, &public_key)
        .expect("our own answer");
    black_box(blinding.unblind());
    let done = clock.elapsed();
    Ends {
        client: (asked - begun) + (done - answered),
        service: answered - asked,
    }
}

/// The same with the crate `voprf` alone: values in memory, and its outputs instead of elements.
fn whole_bare(clock: &dyn Clock, inputs: &[&[u8]]) -> Ends {
    let server = VoprfServer::<Ristretto255>::new(&mut OsRandom).expect("random bytes");
    let begun = clock.elapsed();
    let mut clients = Vec::with_capacity(inputs.len());
    let mut blinded = Vec::with_capacity(inputs.len());
    for input in inputs {
        let both = VoprfClient::blind(input, &mut OsRandom).expect("a good input");
        clients.push(both.state);
        blinded.push(both.message);
    }
    let asked = clock.elapsed();
    let evaluated = server
        .batch_blind_evaluate(&mut OsRandom, &blinded)
        .expect("a good request");
    let answered = clock.elapsed();
    let inputs = inputs.to_vec();
    let outputs = VoprfClient::batch_finalize(
        &inputs,
        &clients,
        &evaluated.messages,
        &evaluated.proof,
        server.get_public_key(),
    );
    for output in outputs.expect("a good answer") {
        let _ = black_box(output);
    }
    let done = clock.elapsed();
    Ends {
        client: (asked - begun) + (done - answered),
        service: answered - asked,
    }
}

fn print(what: &str, ours: Duration, bare: Duration) {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{what:<32} {:>7.2} ms, bare {:>7.2} ms: {:.2} times",
        millis(ours),
        millis(bare),
        ours.as_secs_f64() / bare.as_secs_f64()
    );
}

/// The operating system's random generator as the crate `voprf` asks for it.
struct OsRandom;

impl TryRng for OsRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
        Ok(())
    }
}

impl TryCryptoRng for OsRandom {}

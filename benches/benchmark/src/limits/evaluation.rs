//! Limit of the suite `voprf`: the bare calls of the crate `voprf` for as many identifiers, at both
//! ends, on all processors at once and without a gateway, a service or a network.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use az::SaturatingAs as _;
use clock::Clock;
use hotpath::numbers::snils;
use rand_core::{TryCryptoRng, TryRng};
use voprf::{BlindedElement, Ristretto255, VoprfClient, VoprfServer};

use crate::clinics::people::FIRST_SNILS;
use crate::error::Error;
use crate::machine;

/// Elements of one request: one proof of a service stands for so many.
const REQUEST_ELEMENTS: u64 = 256;

type Server = VoprfServer<Ristretto255>;
type Client = VoprfClient<Ristretto255>;

/// Blinds the identifiers of so many persons, has them evaluated under the key of each of
/// `services` services in turn, verifies every proof, and computes the outputs. Every processor
/// takes the next request that is left. Returns the time from the first call to the last.
pub(crate) fn evaluate_all(
    persons: u64,
    services: usize,
    clock: &dyn Clock,
) -> Result<Duration, Error> {
    let servers: Vec<Server> = (0..services)
        .map(|_| Server::new(&mut OsRandom).map_err(|_| wrong("a key")))
        .collect::<Result<_, _>>()?;
    let next = AtomicU64::new(0);
    let started = clock.elapsed();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..machine::processors().saturating_as::<u64>().max(1))
            .map(|_| scope.spawn(|| take_requests(persons, &servers, &next)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| wrong("a thread"))?)
    })?;
    Ok(clock.elapsed().saturating_sub(started))
}

/// Works on requests until none is left.
fn take_requests(persons: u64, servers: &[Server], next: &AtomicU64) -> Result<(), Error> {
    loop {
        let first = next.fetch_add(REQUEST_ELEMENTS, Ordering::Relaxed);
        if first >= persons {
            return Ok(());
        }
        let inputs: Vec<String> = (first..persons.min(first + REQUEST_ELEMENTS))
            .map(|person| snils(FIRST_SNILS + person))
            .collect();
        let inputs: Vec<&[u8]> = inputs.iter().map(String::as_bytes).collect();
        black_box(evaluate(&inputs, servers)?);
    }
}

/// Outputs of the inputs of one request (RFC 9497, section 3.3.2; under the product of the servers'
/// keys).
fn evaluate(inputs: &[&[u8]], servers: &[Server]) -> Result<Vec<Vec<u8>>, Error> {
    let mut clients = Vec::with_capacity(inputs.len());
    let mut blinded = Vec::with_capacity(inputs.len());
    for input in inputs {
        let both = Client::blind(input, &mut OsRandom).map_err(|_| wrong("a blinding"))?;
        clients.push(both.state);
        blinded.push(both.message);
    }
    let Some((last, others)) = servers.split_last() else {
        return Err(wrong("a limit without a service"));
    };
    for server in others {
        let evaluated = server
            .batch_blind_evaluate(&mut OsRandom, &blinded)
            .map_err(|_| wrong("an evaluation"))?;
        let elements = &evaluated.messages;
        // Outputs are computed for the inputs named here: it only verifies.
        let no_inputs: [&[u8]; 0] = [];
        Client::batch_finalize(
            &no_inputs,
            &clients,
            elements,
            &evaluated.proof,
            server.get_public_key(),
        )
        .map(drop)
        .map_err(|_| wrong("a proof"))?;
        // The crate takes an evaluated element as one to evaluate by its bytes alone.
        blinded.clear();
        for (client, element) in clients.iter_mut().zip(elements) {
            let element = element.serialize();
            let state = client.serialize();
            let blind = &state[..state.len() - element.len()];
            *client = Client::deserialize(&[blind, &element].concat())
                .map_err(|_| wrong("a client's state"))?;
            let element = BlindedElement::deserialize(&element);
            blinded.push(element.map_err(|_| wrong("an element"))?);
        }
    }
    let evaluated = last
        .batch_blind_evaluate(&mut OsRandom, &blinded)
        .map_err(|_| wrong("an evaluation"))?;
    let inputs = inputs.to_vec();
    let outputs = Client::batch_finalize(
        &inputs,
        &clients,
        &evaluated.messages,
        &evaluated.proof,
        last.get_public_key(),
    );
    outputs
        .map_err(|_| wrong("a proof"))?
        .map(|output| output.map(|bytes| bytes.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| wrong("an output"))
}

fn wrong(what: &str) -> Error {
    Error::WrongResult(format!("the bare evaluation: {what} failed"))
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

#[cfg(test)]
mod tests {
    use clock::SystemClock;

    use super::*;

    #[test]
    fn outputs_depend_on_the_input_and_on_every_key_and_on_nothing_else() {
        let servers: Vec<Server> = (0..2)
            .map(|_| Server::new(&mut OsRandom).unwrap())
            .collect();
        let inputs: [&[u8]; 2] = [b"one", b"other"];
        let both = evaluate(&inputs, &servers).unwrap();
        assert_ne!(both[0], both[1]);
        assert_eq!(both, evaluate(&inputs, &servers).unwrap());
        assert_ne!(both, evaluate(&inputs, &servers[1..]).unwrap());
        // With one key it is the RFC's function.
        let alone = evaluate(&inputs, &servers[..1]).unwrap();
        assert_eq!(alone[1], servers[0].evaluate(b"other").unwrap().to_vec());
    }

    #[test]
    fn a_limit_without_a_service_is_refused() {
        let error = evaluate_all(1, 0, &SystemClock::default()).unwrap_err();
        assert!(error.to_string().contains("without a service"), "{error}");
        assert!(evaluate_all(257, 1, &SystemClock::default()).unwrap() > Duration::ZERO);
    }
}

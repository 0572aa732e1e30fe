//! Limit of a change of stored names: as many bare multiplications of elements, on all processors
//! and in memory.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use az::SaturatingAs as _;
use clock::Clock;
use oprf::{Element, Factor};

use crate::error::Error;
use crate::machine;

/// Compressed generator of ristretto255 (RFC 9496, appendix A.1).
const GENERATOR: &str = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";

/// So many different elements.
pub(crate) fn elements(count: u64) -> Result<Vec<Element>, Error> {
    let mut generator = [0; 32];
    hex::decode_to_slice(GENERATOR, &mut generator).map_err(Error::wrong("the generator"))?;
    let mut last = Element::from_bytes(generator)
        .ok_or_else(|| Error::WrongResult("the generator is no element".into()))?;
    let step = Factor::derive(b"elements of the benchmark", &[9; 32]);
    let next = |_| {
        last = last.times(&step);
        last
    };
    Ok((0..count).map(next).collect())
}

/// Multiplies every element by the factor, a share of them on each processor. Returns the time
/// that took.
pub(crate) fn multiply_all(elements: &[Element], factor: &Factor, clock: &dyn Clock) -> Duration {
    let processors = machine::processors().saturating_as::<usize>().max(1);
    let share = elements.len().div_ceil(processors).max(1);
    let started = clock.elapsed();
    thread::scope(|scope| {
        for part in elements.chunks(share) {
            scope.spawn(move || {
                for element in part {
                    black_box(element.times(factor));
                }
            });
        }
    });
    clock.elapsed().saturating_sub(started)
}

#[cfg(test)]
mod tests {
    use clock::SystemClock;

    use super::*;

    #[test]
    fn elements_differ_and_are_multiplied() {
        let elements = elements(3).unwrap();
        assert!(elements[0] != elements[1] && elements[1] != elements[2]);
        let factor = Factor::derive(b"a test", &[1; 32]);
        assert!(multiply_all(&elements, &factor, &SystemClock::default()) > Duration::ZERO);
    }
}

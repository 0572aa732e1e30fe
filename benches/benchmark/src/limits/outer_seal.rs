//! Limit of the mix relay's arithmetic: the outer seal of the same batches taken off, on all
//! processors and in memory.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use az::SaturatingAs as _;
use clock::Clock;
use contract::{RelayPrivateKey, SealedBatch};

use crate::error::Error;
use crate::machine;

/// Takes the outer seal off every batch, a share of them on each processor. Returns the time that
/// took.
pub(crate) fn take_off_all(
    batches: &[SealedBatch],
    key: &RelayPrivateKey,
    clock: &dyn Clock,
) -> Result<Duration, Error> {
    let processors = machine::processors().saturating_as::<usize>().max(1);
    let share = batches.len().div_ceil(processors).max(1);
    let started = clock.elapsed();
    thread::scope(|scope| {
        let parts = batches.chunks(share);
        let running: Vec<_> = parts
            .map(|part| scope.spawn(move || take_off(part, key)))
            .collect();
        running.into_iter().try_for_each(|thread| {
            let done = thread.join();
            done.map_err(|_| Error::WrongResult("a thread has panicked".into()))?
        })
    })?;
    Ok(clock.elapsed().saturating_sub(started))
}

fn take_off(batches: &[SealedBatch], key: &RelayPrivateKey) -> Result<(), Error> {
    for batch in batches {
        let opened = key.open(&batch.bytes);
        black_box(opened.map_err(Error::wrong("an outer seal"))?);
    }
    Ok(())
}

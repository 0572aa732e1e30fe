//! Batches that change who is one person, as much as a batch can.

use contract::{Event, RecordDigest, Version, wire};
use linking::{MAX_COMPONENT_NAMES, MAX_COMPONENT_SETS};

use crate::BenchResult;
use crate::city::{City, Name, WEAK_CLASSES, event, snils, weak};

/// Names of an event, at most.
const EVENT_NAMES: u64 = 16;
/// Name sets of the hub.
const HUB_SETS: u64 = 20_000;
/// Size just below the limits: at the limits, a component is taken for disputed already, and less
/// of it is read.
const NAMES: u64 = MAX_COMPONENT_NAMES as u64 - 1;
const SETS: u64 = MAX_COMPONENT_SETS as u64 - 1;

/// Runs every case with so many events in a worst batch.
pub(crate) async fn run(city: &mut City, events: u64) -> BenchResult<()> {
    city.time_ordinary().await?;
    if city.runs("0") {
        chains_of_new_names(city, events).await?;
    }
    if city.runs("a") {
        joins(city, events).await?;
    }
    if city.runs("b") {
        splits(city, events).await?;
    }
    if city.runs("c") {
        hub(city, events).await?;
    }
    if city.runs("f") {
        contests(city, events).await?;
    }
    Ok(())
}

/// Component at its limits: a chain of names of one class, each linked with the next; names and
/// records have numbers from `start` on.
fn chain(component: u64, start: u64) -> BenchResult<Vec<Event>> {
    let name = |place: u64| chain_name(component, start, place);
    let link = |place: u64| event(start + place, 1, &[name(place), name(place + 1)]);
    let mut events = (0..NAMES - 1).map(link).collect::<BenchResult<Vec<_>>>()?;
    while (events.len() as u64) < SETS {
        let place = events.len() as u64;
        events.push(event(start + place, 1, &[name(place - (NAMES - 1))])?);
    }
    Ok(events)
}

fn chain_name(component: u64, start: u64, place: u64) -> Name {
    let class = usize::try_from(component).unwrap_or(0) % WEAK_CLASSES;
    weak(class, start + place)
}

/// Components in the middle of which an event names them.
const MIDDLE: u64 = NAMES / 2;

/// Events of 16 new names each, of which one is in the next event, too: one component; then its
/// correction, and a new name in every event.
async fn chains_of_new_names(city: &mut City, events: u64) -> BenchResult<()> {
    let start = 1_500_000_000;
    let link = |number: u64, version: u64, more: u64| {
        let names = (0..15).map(|class| {
            let shift = if class == 0 { 0 } else { more };
            weak(class, start + shift + number * 20 + class as u64)
        });
        let next = weak(0, start + (number + 1) * 20);
        event(
            start + number,
            version,
            &names.chain([next]).collect::<Vec<_>>(),
        )
    };
    for (case, version, more) in [
        ("0a chain of new names through all events", 1, 0),
        ("0b all of it corrected to other new names", 2, 100_000_000),
    ] {
        let all = (0..events).map(|number| link(number, version, more));
        let all = all.collect::<BenchResult<Vec<_>>>()?;
        city.report(case, &wire::encode(&all)).await?;
    }
    Ok(())
}

/// Events of 16 names, each of a component at its limits; then their withdrawal.
async fn joins(city: &mut City, events: u64) -> BenchResult<()> {
    let base = 2_000_000_000;
    let start = |component: u64| base + component * 100;
    for component in 0..events * EVENT_NAMES {
        if component % 500 == 0 {
            let some = component..(component + 500).min(events * EVENT_NAMES);
            let chains = some.map(|component| chain(component, start(component)));
            let chains = chains.collect::<BenchResult<Vec<_>>>()?;
            city.store(chains.into_iter().flatten()).await?;
        }
    }
    let joining = |number: u64, version: u64, count: u64| {
        let components = number * EVENT_NAMES..number * EVENT_NAMES + count;
        let names: Vec<Name> = components
            .map(|component| chain_name(component, start(component), MIDDLE))
            .collect();
        event(3_000_000_000 + number, version, &names)
    };
    let batch = |version, count| {
        let all = (0..events).map(|number| joining(number, version, count));
        BenchResult::Ok(wire::encode(&all.collect::<BenchResult<Vec<_>>>()?))
    };
    city.report(
        "a1 joins 16 components at their limits an event",
        &batch(1, EVENT_NAMES)?,
    )
    .await?;
    city.report("a2 corrections that take them apart", &batch(2, 1)?)
        .await?;
    city.report(
        "a3 joins 2 components at their limits an event",
        &batch(3, 2)?,
    )
    .await?;
    city.report("a4 one more record of each of these joins", &{
        let again = (0..events).map(|number| {
            let Event { body, .. } = joining(number, 3, 2)?;
            let mut other = joining(number, 1, 2)?;
            other.record = RecordDigest(crate::city::digest(number, 77));
            other.version = Version::new(1).ok_or("1 is a version")?;
            other.body = body;
            Ok(other)
        });
        wire::encode(&again.collect::<BenchResult<Vec<_>>>()?)
    })
    .await
}

/// Corrections that cut components at their limits in the middle.
async fn splits(city: &mut City, events: u64) -> BenchResult<()> {
    let start = |component: u64| 4_000_000_000 + component * 100;
    for first in (0..events).step_by(500) {
        let some = first..(first + 500).min(events);
        let chains = some.map(|component| chain(component, start(component)));
        let chains = chains.collect::<BenchResult<Vec<_>>>()?;
        city.store(chains.into_iter().flatten()).await?;
    }
    let cut = |component: u64| {
        let name = chain_name(component, start(component), MIDDLE);
        event(start(component) + MIDDLE, 2, &[name])
    };
    let cuts = (0..events).map(cut).collect::<BenchResult<Vec<_>>>()?;
    city.report(
        "b corrections that cut a component in the middle",
        &wire::encode(&cuts),
    )
    .await
}

/// New name sets of a SNILS that has very many, and their correction.
async fn hub(city: &mut City, events: u64) -> BenchResult<()> {
    let base = 5_000_000_000;
    let hub = snils(base);
    let with = |number: u64, version| event(base + number, version, &[hub, weak(1, base + number)]);
    let stored = (0..HUB_SETS).map(|number| with(number, 1));
    city.store(stored.collect::<BenchResult<Vec<_>>>()?.into_iter())
        .await?;
    let more = (HUB_SETS..HUB_SETS + events).map(|number| with(number, 1));
    let more = more.collect::<BenchResult<Vec<_>>>()?;
    city.report(
        "c1 new sets of a SNILS that has very many",
        &wire::encode(&more),
    )
    .await?;
    let less = (0..events).map(|number| event(base + number, 2, &[weak(1, base + number)]));
    let less = less.collect::<BenchResult<Vec<_>>>()?;
    city.report(
        "c2 corrections that take it out of sets",
        &wire::encode(&less),
    )
    .await
}

/// A further record of a set in each of many components in which all contradict each other.
async fn contests(city: &mut City, events: u64) -> BenchResult<()> {
    let half = MAX_COMPONENT_NAMES as u64 / 2;
    let start = |component: u64| 6_000_000_000 + component * 100;
    let ring = |component: u64| {
        let passport = move |place: u64| weak(1, start(component) + place);
        let person = move |place: u64| snils(start(component) + place % half);
        let own = (0..half).map(move |place| {
            event(
                start(component) + place,
                1,
                &[person(place), passport(place)],
            )
        });
        let other = (0..half).map(move |place| {
            let names = [person(place + 1), passport(place)];
            event(start(component) + half + place, 1, &names)
        });
        own.chain(other).collect::<BenchResult<Vec<_>>>()
    };
    for first in (0..events).step_by(500) {
        let some = first..(first + 500).min(events);
        let rings = some.map(ring).collect::<BenchResult<Vec<_>>>()?;
        city.store(rings.into_iter().flatten()).await?;
    }
    let vote = |component: u64| {
        let at = start(component);
        event(at + 90, 1, &[snils(at), weak(1, at)])
    };
    let votes = (0..events).map(vote).collect::<BenchResult<Vec<_>>>()?;
    city.report(
        "f1 one more vote in components of contradictions",
        &wire::encode(&votes),
    )
    .await?;
    let back = |component: u64| {
        let at = start(component);
        event(at + 90, 2, &[weak(2, at)])
    };
    let back = (0..events).map(back).collect::<BenchResult<Vec<_>>>()?;
    city.report(
        "f2 corrections that take these votes back",
        &wire::encode(&back),
    )
    .await
}

//! Tests of the `[release]` section.

use super::*;

fn read(text: &str) -> ReleaseConfig {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn without_the_section_everything_leaves_in_every_size_at_once() {
    for text in ["", "preset = \"embedded\"\n"] {
        let release = read(text);
        assert_eq!(release.facts(), FactRelease::default());
        assert_eq!(release.padded_sizes(), Ok(PaddedSizes::ALL));
        assert_eq!(release.slots(), Ok(None));
    }
}

#[test]
fn strict_is_what_its_description_says_and_can_be_overridden() {
    let strict = read("preset = \"strict\"\n");
    assert_eq!(strict.facts(), strict_facts());
    let kib: Vec<usize> = strict.padded_sizes().unwrap().iter().collect();
    assert_eq!(kib, [64 << 10, 256 << 10]);
    let slots = SlotRules {
        slot_seconds: 900,
        jitter_seconds: 300,
        batches: 8,
        dummies: false,
    };
    assert_eq!(strict.slots(), Ok(Some(slots)));

    let other = read(
        "preset = \"strict\"\nslot_seconds = 0\n[vaccination]\ndates = \"month\"\nfields = \
         [\"dose-number\"]\n[recovery]\nfields = [\"began-on\"]\n",
    );
    let facts = other.facts();
    assert_eq!(facts.vaccination.dates, DatePrecision::Month);
    assert_eq!(
        facts.vaccination.fields,
        [VaccinationField::DoseNumber].into()
    );
    assert_eq!(facts.recovery.dates, DatePrecision::Month, "as the preset");
    assert_eq!(facts.recovery.fields, [RecoveryField::BeganOn].into());
    assert_eq!(other.slots(), Ok(None));
}

#[test]
fn examples_of_the_section_are_strict_and_can_be_read() {
    let strong = include_str!("../../../config/strong/clinic-gateway.toml");
    let strong: toml::Table = strong.parse().expect("a configuration");
    let strong = toml::to_string(&strong["release"]).expect("a section");
    assert_eq!(read(&strong).facts(), strict_facts());

    let example = include_str!("../../../config/clinic-gateway.toml");
    let (_, example) = example.split_once("\n# [release]\n").expect("the example");
    let (example, _) = example.split_once("\n\n").expect("its end");
    let example: Vec<&str> = example.lines().map(|line| &line[2..]).collect();
    let example = example.join("\n").replace("[release.", "[");
    let example = read(&example);
    let mut expected = strict_facts();
    expected.smallest_classes.vaccination = Some(5);
    expected.smallest_classes.recovery = Some(5);
    expected.coarsen_after_days.recovery = Some(7);
    assert_eq!(example.facts(), expected);
    let strict = read("preset = \"strict\"\n");
    assert_eq!(example.slots(), strict.slots());
    assert_eq!(example.padded_sizes(), strict.padded_sizes());
}

#[test]
fn dummies_are_written_and_need_slots() {
    let dummies = |text: &str| {
        let slots = read(text).slots()?;
        Ok(slots.is_some_and(|slots| slots.dummies))
    };
    assert_eq!(dummies("preset = \"strict\"\n"), Ok(false));
    let with_preset = dummies("preset = \"strict\"\ndummies = true\n");
    assert_eq!(with_preset, Ok(true));
    assert_eq!(dummies("slot_seconds = 60\ndummies = true\n"), Ok(true));
    assert_eq!(dummies("dummies = false\n"), Ok(false));
    for without_slots in ["dummies = true\n", "slot_seconds = 0\ndummies = true\n"] {
        let refused = dummies(without_slots);
        assert_eq!(refused, Err(ReleaseMistake::NoSlots("dummies")));
    }
}

#[test]
fn limits_hold_at_their_edges() {
    let slots = |text: &str| read(text).slots();
    for good in [
        "slot_seconds = 10\njitter_seconds = 5\nbatches_per_slot = 2\n",
        "slot_seconds = 86400\njitter_seconds = 43200\nbatches_per_slot = 32\n",
    ] {
        assert!(slots(good).is_ok_and(|slots| slots.is_some()), "{good}");
    }
    for (wrong, mistake) in [
        ("slot_seconds = 9\n", ReleaseMistake::Slot),
        ("slot_seconds = 86401\n", ReleaseMistake::Slot),
        (
            "slot_seconds = 10\njitter_seconds = 6\n",
            ReleaseMistake::Jitter,
        ),
        (
            "slot_seconds = 10\nbatches_per_slot = 1\n",
            ReleaseMistake::Batches,
        ),
        (
            "slot_seconds = 10\nbatches_per_slot = 33\n",
            ReleaseMistake::Batches,
        ),
        (
            "jitter_seconds = 5\n",
            ReleaseMistake::NoSlots("jitter_seconds"),
        ),
        (
            "batches_per_slot = 5\n",
            ReleaseMistake::NoSlots("batches_per_slot"),
        ),
    ] {
        assert_eq!(slots(wrong), Err(mistake), "{wrong}");
    }
    let sizes = |text: &str| read(text).padded_sizes().map(|_| ());
    assert_eq!(sizes("padding_kib = [256]\n"), Ok(()));
    assert_eq!(sizes("padding_kib = [1024, 4]\n"), Ok(()));
    assert_eq!(sizes("padding_kib = []\n"), Err(ReleaseMistake::Padding));
    assert_eq!(
        sizes("padding_kib = [5, 256]\n"),
        Err(ReleaseMistake::Padding)
    );
    let small = sizes("padding_kib = [4, 16, 64]\n");
    assert_eq!(small, Err(ReleaseMistake::PaddingTooSmall));
}

#[test]
fn a_smallest_class_is_of_2_to_100_persons_and_of_one_kind_of_fact() {
    for kind in ["vaccination", "test", "recovery"] {
        let release = |persons: u16| read(&format!("[{kind}]\nsmallest_class = {persons}\n"));
        for wrong in [0, 1, 101, 255] {
            let refused = release(wrong).check_classes();
            assert_eq!(refused, Err(ReleaseMistake::SmallestClass(kind)), "{wrong}");
        }
        for good in [2, 100] {
            let release = release(good);
            assert_eq!(release.check_classes(), Ok(()));
            let of_kinds = FactKind::ALL.map(|kind| release.facts().smallest_class(kind));
            let written = of_kinds.into_iter().flatten().collect::<Vec<_>>();
            assert_eq!(written.iter().map(|one| u16::from(*one)).sum::<u16>(), good);
            assert_eq!(written.len(), 1);
        }
    }
    let strict = read("preset = \"strict\"\n").facts();
    assert_eq!(strict.smallest_classes, SmallestClasses::default());
}

#[test]
fn coarsening_begins_after_0_to_365_days_and_needs_a_smallest_class() {
    for kind in ["vaccination", "test", "recovery"] {
        let checked = |settings: &str| read(&format!("[{kind}]\n{settings}\n")).check_classes();
        for days in [0, 365] {
            let good = format!("smallest_class = 5\ncoarsen_after_days = {days}");
            assert_eq!(checked(&good), Ok(()));
        }
        let long = checked("smallest_class = 5\ncoarsen_after_days = 366");
        assert_eq!(long, Err(ReleaseMistake::CoarsenAfter(kind)));
        let years = checked("dates = \"year\"\nsmallest_class = 5\ncoarsen_after_days = 7");
        assert_eq!(years, Err(ReleaseMistake::NothingCoarser(kind)));
        let alone = checked("coarsen_after_days = 7");
        assert_eq!(alone, Err(ReleaseMistake::NoClass(kind)));
    }
}

#[test]
fn names_that_are_not_known_are_refused() {
    for wrong in [
        "preset = \"loose\"\n",
        "slots = 5\n",
        "[vaccination]\nfields = [\"lot\"]\n",
        "[vaccination]\ndates = \"week\"\n",
        "[test]\nfields = []\n",
        "[tests]\ndates = \"day\"\n",
    ] {
        assert!(toml::from_str::<ReleaseConfig>(wrong).is_err(), "{wrong}");
    }
}

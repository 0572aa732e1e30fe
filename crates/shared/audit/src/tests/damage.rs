//! Every kind of damage, and what of it is found.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::MAX_LINE_BYTES;

#[test]
fn a_log_as_it_was_written_has_no_damage() {
    let (folder, head) = nine_lines();
    let verified = verify(&folder.path().join("log"), Some(head)).unwrap();
    assert_eq!((verified.lines, verified.head), (9, head));
    assert_eq!(verified.torn_bytes, 0);
    assert_eq!(head.sequence, 9);
}

#[test]
fn a_changed_line_is_found_at_the_next_one() {
    let (folder, _) = nine_lines();
    change(folder.path(), OCTOBER, |mut lines| {
        lines[1] = lines[1].replace("\"02\"", "\"07\"");
        lines
    });
    assert_eq!(found(&folder, None), (OCTOBER.into(), 3, Damage::Previous));
}

#[test]
fn a_changed_last_line_of_a_file_is_found_in_the_next_file() {
    let (folder, _) = nine_lines();
    change(folder.path(), OCTOBER, |mut lines| {
        lines[2] = lines[2].replace("\"03\"", "\"07\"");
        lines
    });
    assert_eq!(found(&folder, None), (NOVEMBER.into(), 1, Damage::Previous));
}

#[test]
fn a_changed_newest_line_is_found_by_the_kept_head_alone() {
    let (folder, head) = nine_lines();
    change(folder.path(), DECEMBER, |mut lines| {
        lines[2] = lines[2].replace("\"03\"", "\"07\"");
        lines
    });
    assert_eq!(check(&folder, None).unwrap(), 9);
    let expected = (DECEMBER.into(), 3, Damage::OtherHead);
    assert_eq!(found(&folder, Some(head)), expected);
}

#[test]
fn a_missing_line_is_found() {
    let (folder, _) = nine_lines();
    change(folder.path(), NOVEMBER, |mut lines| {
        lines.remove(1);
        lines
    });
    let damage = Damage::Sequence {
        expected: 5,
        found: 6,
    };
    assert_eq!(found(&folder, None), (NOVEMBER.into(), 2, damage));
}

#[test]
fn an_inserted_line_is_found() {
    let (folder, _) = nine_lines();
    change(folder.path(), NOVEMBER, |mut lines| {
        lines.insert(1, lines[0].clone());
        lines
    });
    let damage = Damage::Sequence {
        expected: 5,
        found: 4,
    };
    assert_eq!(found(&folder, None), (NOVEMBER.into(), 2, damage));
}

#[test]
fn an_inserted_line_with_renumbered_ones_after_it_is_found() {
    let (folder, _) = nine_lines();
    change(folder.path(), DECEMBER, |mut lines| {
        let inserted = lines[1].replace("\"sequence\":8", "\"sequence\":9");
        lines[2] = lines[2].replace("\"sequence\":9", "\"sequence\":10");
        lines.insert(2, inserted);
        lines
    });
    assert_eq!(found(&folder, None), (DECEMBER.into(), 3, Damage::Previous));
}

#[test]
fn reordered_lines_are_found() {
    let (folder, _) = nine_lines();
    change(folder.path(), NOVEMBER, |mut lines| {
        lines.swap(0, 1);
        lines
    });
    let damage = Damage::Sequence {
        expected: 4,
        found: 5,
    };
    assert_eq!(found(&folder, None), (NOVEMBER.into(), 1, damage));
}

#[test]
fn a_missing_first_or_middle_file_is_found() {
    for (missing, seen, expected, number) in [(OCTOBER, NOVEMBER, 1, 4), (NOVEMBER, DECEMBER, 4, 7)]
    {
        let (folder, _) = nine_lines();
        fs::remove_file(folder.path().join("log").join(missing)).unwrap();
        let damage = Damage::Sequence {
            expected,
            found: number,
        };
        assert_eq!(found(&folder, None), (seen.into(), 1, damage));
    }
}

#[test]
fn a_cut_tail_or_missing_newest_file_is_found_by_the_kept_head_alone() {
    let (folder, head) = nine_lines();
    change(folder.path(), DECEMBER, |mut lines| {
        lines.pop();
        lines
    });
    assert_eq!(check(&folder, None).unwrap(), 8);
    let damage = Damage::CutOff { kept: 9, found: 8 };
    assert_eq!(found(&folder, Some(head)), (DECEMBER.into(), 2, damage));

    fs::remove_file(folder.path().join("log").join(DECEMBER)).unwrap();
    assert_eq!(check(&folder, None).unwrap(), 6);
    let damage = Damage::CutOff { kept: 9, found: 6 };
    assert_eq!(found(&folder, Some(head)), (NOVEMBER.into(), 3, damage));

    for name in [OCTOBER, NOVEMBER] {
        fs::remove_file(folder.path().join("log").join(name)).unwrap();
    }
    let damage = Damage::CutOff { kept: 9, found: 0 };
    assert_eq!(found(&folder, Some(head)), ("log".into(), 0, damage));
}

#[test]
fn a_log_written_anew_is_found_by_the_kept_head() {
    let (folder, head) = nine_lines();
    let (other, _) = nine_lines();
    fs::remove_dir_all(other.path().join("log")).unwrap();
    let mut log = Log::open(&other.path().join("log"), at("2026-10-01T00:00:00Z")).unwrap();
    for _ in 0..12 {
        log.append(at("2026-10-01T12:00:00Z"), "test", &json!({}))
            .unwrap();
    }
    let expected = (OCTOBER.into(), 9, Damage::OtherHead);
    assert_eq!(found(&other, Some(head)), expected);
    assert_eq!(check(&folder, Some(head)).unwrap(), 9);
}

#[test]
fn an_older_head_holds_after_further_lines() {
    let (folder, head) = nine_lines();
    let mut log = Log::open(&folder.path().join("log"), at("2027-01-01T00:00:00Z")).unwrap();
    log.append(at("2027-01-01T00:00:00Z"), "test", &json!({}))
        .unwrap();
    assert_eq!(check(&folder, Some(head)).unwrap(), 10);
    assert_eq!(check(&folder, Some(Head::EMPTY)).unwrap(), 10);
}

#[test]
fn a_line_without_end_in_an_older_file_is_damage() {
    let (folder, _) = nine_lines();
    let path = folder.path().join("log").join(OCTOBER);
    let mut bytes = fs::read(&path).unwrap();
    bytes.pop();
    fs::write(&path, bytes).unwrap();
    let expected = (OCTOBER.into(), 3, Damage::Unfinished);
    assert_eq!(found(&folder, None), expected);
}

#[test]
fn the_longest_line_is_damage_beyond_its_limit() {
    let (folder, _) = nine_lines();
    for (bytes, damage) in [
        (MAX_LINE_BYTES, Damage::NotALine),
        (MAX_LINE_BYTES + 1, Damage::TooLong),
    ] {
        change(folder.path(), DECEMBER, |mut lines| {
            lines[0] = "x".repeat(bytes);
            lines
        });
        assert_eq!(found(&folder, None), (DECEMBER.into(), 1, damage));
    }
}

#[test]
fn a_file_with_a_name_like_the_logs_is_named() {
    let (folder, _) = nine_lines();
    fs::write(folder.path().join("log/audit-2026-13.jsonl"), "").unwrap();
    let error = check(&folder, None).unwrap_err().to_string();
    assert!(error.contains("audit-2026-13.jsonl"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_other_byte_anywhere_is_found_with_the_kept_head(
        month in 0_usize..3,
        place in any::<prop::sample::Index>(),
        other in any::<u8>(),
    ) {
        let (folder, head) = nine_lines();
        let path = folder.path().join("log").join([OCTOBER, NOVEMBER, DECEMBER][month]);
        let mut bytes = fs::read(&path).unwrap();
        let at = place.index(bytes.len());
        prop_assume!(bytes[at] != other);
        bytes[at] = other;
        fs::write(&path, bytes).unwrap();
        prop_assert!(check(&folder, Some(head)).is_err());
    }
}

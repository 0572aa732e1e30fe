//! Commands that name what there is not.

use std::fs;

use crate::cli::{World, told};

#[tokio::test(flavor = "multi_thread")]
async fn names_and_numbers_that_there_are_not_are_mistakes() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    // Before there is any state as well.
    for arguments in [
        &["dead-letters", "retry", "--reason", "datum"][..],
        &["confirm-withdrawals", "mos"],
    ] {
        told(
            &clinic.program(arguments),
            2,
            &["no ", "is named", "mis"][..2],
        );
    }
    told(&clinic.program(&["sync"]), 0, &[]);
    for command in ["list", "retry", "discard"] {
        let run =
            |arguments: &[&str]| clinic.program(&[&["dead-letters", command], arguments].concat());
        told(
            &run(&["--reason", "datum"]),
            2,
            &[
                "no reason is named datum",
                "date-future",
                "registry:superseded",
            ],
        );
        told(
            &run(&["--source", "mos"]),
            2,
            &["no source is named mos; there are: mis"],
        );
        told(
            &run(&["4711"]),
            2,
            &["no open dead letter 4711", "dead-letters list"],
        );
        // One that is there does not hide one that is not, and is left alone.
        told(
            &run(&["1", "4711"]),
            2,
            &["no open dead letter 4711 ", "nothing was done"],
        );
        let kept = clinic.program(&["dead-letters", "show", "1"]);
        assert!(!told(&kept, 0, &[]).contains("put aside"));
    }
    told(
        &clinic.program(&["dead-letters", "list", "--reason", "identifier-unreadable"]),
        0,
        &[],
    );
    for command in ["retry", "discard"] {
        let older = ["dead-letters", command, "--older-than", "52w"];
        told(
            &clinic.program(&older),
            1,
            &["no dead letter is meant by that"],
        );
    }
    for arguments in [
        &["confirm-withdrawals", "mos"][..],
        &["confirm-withdrawals", "mos", "--yes", "--json"],
        &["sweep", "mos"],
        &["sync", "mos"],
        &["preview", "mos"],
        &["reconcile", "mos"],
    ] {
        told(
            &clinic.program(arguments),
            2,
            &["no source is named mos; there are: mis"],
        );
    }
    let nothing_held = clinic.program(&["confirm-withdrawals", "mis", "--json"]);
    told(&nothing_held, 0, &[]);
    assert_eq!(crate::cli::json(&nothing_held)["held"], 0);
    let text = fs::read_to_string(clinic.config_path()).expect("text");
    let begin = text
        .find("[source.mis.postgres.recoveries]")
        .expect("it is there");
    let length = text[begin..]
        .find("# The clinic's own words")
        .expect("the next section");
    let without = [&text[..begin], &text[begin + length..]].concat();
    fs::write(clinic.config_path(), without).expect("written");
    told(
        &clinic.program(&["preview", "mis", "--feed", "recoveries"]),
        2,
        &["recoveries; there are: vaccinations, tests"],
    );
    told(
        &clinic.program(&["--help"]),
        0,
        &["Exit codes: 0 done", "65 it is done"],
    );

    let registry = |arguments: &[&str]| world.registry(arguments);
    told(&registry(&["run", "--drain"]), 0, &["applied"]);
    let retry = ["dead-letters", "retry", "--reason", "store-refuse"];
    told(
        &registry(&retry),
        2,
        &["no reason is named store-refuse", "store-refuses"],
    );
    told(
        &registry(&["dead-letters", "list", "--reason", "x"]),
        2,
        &["no reason"],
    );
    told(
        &registry(&["dead-letters", "retry", "abcdef"]),
        1,
        &["begins with abcdef"],
    );
    told(
        &registry(&["dead-letters", "show", "abcdef"]),
        1,
        &["begins so"],
    );
    told(
        &registry(&["dead-letters", "retry", "--all"]),
        1,
        &["no dead letter matches"],
    );
}

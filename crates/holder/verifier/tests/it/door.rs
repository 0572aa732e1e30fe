//! `pass verify`.

use pass::PassId;
use pass::holder::HolderAttributes;
use serde_json::json;

use crate::city::{City, MIDNIGHT, stamp};
use crate::run::{Said, pass};

const HOUR: i64 = 3600;

/// Verifies texts at a time, with further arguments.
fn verify(city: &City, seconds: i64, further: &[&str], input: &[u8]) -> Said {
    let root = city.path("root.jwk");
    let trust = city.path("trust.cose");
    let revocations = city.path("revocations.cose");
    let at = stamp(seconds);
    let mut arguments = vec![
        "verify",
        "--root",
        &root,
        "--trust",
        &trust,
        "--revocations",
        &revocations,
        "--at",
        &at,
    ];
    arguments.extend(further);
    pass(&arguments, input)
}

#[test]
fn a_valid_pass_shows_its_holder_and_ends_with_0() {
    let city = City::new();
    let strip = city.strip(PassId::random());
    let said = verify(&city, MIDNIGHT, &[], strip.as_bytes());
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("VALID"), "{}", said.out);
    for shown in [
        "given initial: A",
        "family initial: Q",
        "birth day: 17",
        "fresh",
    ] {
        assert!(said.out.contains(shown), "{}", said.out);
    }
    let said = verify(&city, MIDNIGHT, &["--json"], strip.as_bytes());
    let json = said.json();
    assert_eq!(json["verdict"], "valid");
    assert_eq!(
        json["passes"][0]["holder"],
        json!({ "given-initial": "A", "family-initial": "Q", "birth-day": "17" })
    );
    assert_eq!(json["data"]["trust"]["sequence"], 1);
}

#[test]
fn an_invalid_pass_ends_with_1_and_shows_nothing_personal() {
    let city = City::new();
    let ended = PassId::random();
    let strip = city.strip(ended);
    city.publish(2, MIDNIGHT, &[ended]);
    let foreign = City::new().strip(PassId::random());
    let valid = city.strip(PassId::random());
    let cases = [
        (MIDNIGHT, strip.clone(), "revoked"),
        (MIDNIGHT - HOUR, valid.clone(), "clock-wrong"),
        (MIDNIGHT - 60, valid.clone(), "not-yet"),
        (MIDNIGHT + 24 * HOUR, valid.clone(), "expired"),
        (MIDNIGHT, foreign, "key-unknown"),
        (MIDNIGHT, strip.replace("HC1:", "HC2:"), "not-a-pass"),
        (
            MIDNIGHT,
            strip.to_lowercase().replace("hc1:", "HC1:"),
            "base45",
        ),
        (MIDNIGHT, valid[..94].to_owned(), "zlib"),
    ];
    for (moment, text, reason) in cases {
        let said = verify(&city, moment, &["--json"], text.as_bytes());
        let json = said.json();
        let expected = if reason == "clock-wrong" { 5 } else { 1 };
        assert_eq!(said.code, expected, "{reason}: {}", said.out);
        if expected == 1 {
            let passes = json!([{ "verdict": "invalid", "reason": reason }]);
            assert_eq!(json["passes"], passes, "{}", said.out);
        }
        let said = verify(&city, moment, &[], text.as_bytes());
        for personal in ["initial", "birth", "17"] {
            let line = said.out.lines().next().unwrap();
            assert!(!line.contains(personal), "{}", said.out);
        }
    }
}

#[test]
fn old_data_are_stale_and_then_tell_nothing() {
    let city = City::new();
    let strip = city.strip(PassId::random());
    let issued = MIDNIGHT - 30 * HOUR;
    city.publish(1, issued, &[]);
    let verdict = |hours: i64| verify(&city, issued + hours * HOUR, &["--json"], strip.as_bytes());
    let stale = verdict(31);
    assert_eq!(stale.code, 3, "{}", stale.out);
    assert_eq!(stale.json()["passes"][0]["holder"]["birth-day"], "17");
    // The window is over by then; even so nothing is told.
    let old = verdict(73);
    assert_eq!(old.code, 4, "{}", old.out);
    assert_eq!(old.json()["passes"], json!([{ "verdict": "cannot-tell" }]));
    let words = verify(&city, issued + 73 * HOUR, &[], strip.as_bytes());
    assert!(words.out.starts_with("CANNOT TELL"), "{}", words.out);
}

#[test]
fn data_of_another_root_or_city_and_replays_tell_nothing_and_say_why() {
    let city = City::new();
    let other = City::new();
    let strip = city.strip(PassId::random());
    let own_trust = std::fs::read(city.path("trust.cose")).unwrap();
    let cases = [
        (
            "trust.cose",
            std::fs::read(other.path("trust.cose")).unwrap(),
        ),
        ("trust.cose", own_trust[..50].to_vec()),
        (
            "revocations.cose",
            std::fs::read(other.path("revocations.cose")).unwrap(),
        ),
        ("revocations.cose", b"x".to_vec()),
    ];
    for (name, bytes) in cases {
        let good = std::fs::read(city.path(name)).unwrap();
        city.write(name, &bytes);
        let said = verify(&city, MIDNIGHT, &[], strip.as_bytes());
        assert_eq!(said.code, 4, "{}", said.out);
        assert!(said.err.contains("note: "), "{}", said.err);
        city.write(name, &good);
    }
    let said = verify(&city, MIDNIGHT, &["--issuer", "RU-SPE"], strip.as_bytes());
    assert_eq!(said.code, 4, "{}", said.out);

    city.write("known.cose", &own_trust);
    city.publish(2, MIDNIGHT, &[]);
    let newer = std::fs::read(city.path("trust.cose")).unwrap();
    let known = city.path("known.cose");
    let further = ["--known-trust", known.as_str()];
    assert_eq!(verify(&city, MIDNIGHT, &further, strip.as_bytes()).code, 0);
    city.write("known.cose", &newer);
    city.publish(1, MIDNIGHT, &[]);
    let said = verify(&city, MIDNIGHT, &further, strip.as_bytes());
    assert_eq!(said.code, 4, "{}", said.out);
    assert!(said.err.contains("a replay"), "{}", said.err);
}

#[test]
fn a_missing_file_is_no_verdict_and_data_that_do_not_verify_are_one() {
    let city = City::new();
    let strip = city.strip(PassId::random());
    for name in ["root.jwk", "trust.cose", "revocations.cose"] {
        let good = std::fs::read(city.path(name)).unwrap();
        std::fs::remove_file(city.path(name)).unwrap();
        let said = verify(&city, MIDNIGHT, &[], strip.as_bytes());
        assert_eq!((said.code, said.out.as_str()), (66, ""), "{name}");
        assert!(said.err.contains("no such file"), "{}", said.err);
        city.write(name, &good);
    }
}

#[test]
fn the_age_of_keys_and_revocations_is_shown_with_every_verdict() {
    let city = City::new();
    let strip = city.strip(PassId::random());
    let root = city.root_shown();
    let shown = |seconds: i64, text: &str| verify(&city, seconds, &[], text.as_bytes()).out;
    let ages = [
        (0, "data: fresh", "0 h 0 min old"),
        (90 * 60, "data: fresh", "1 h 30 min old"),
        (25 * HOUR, "data: stale", "25 h 0 min old"),
        (73 * HOUR, "data: cannot-tell", "73 h 0 min old"),
        (-HOUR, "data: clock-wrong", "1 h 0 min ahead"),
    ];
    for (seconds, state, age) in ages {
        for text in [strip.as_str(), "HC1:%%%"] {
            let said = shown(MIDNIGHT + seconds, text);
            for line in [
                state.to_owned(),
                format!("keys: bundle 1 of 2026-11-28T21:00:00Z, {age}"),
                format!("revocations: list 1 of 2026-11-28T21:00:00Z, {age}"),
                format!("city: RU-MOW, root {root}"),
            ] {
                assert!(said.lines().any(|one| one == line), "{line}: {said}");
            }
        }
    }
    city.write("revocations.cose", b"x");
    let said = shown(MIDNIGHT, &strip);
    assert!(said.contains("keys: bundle 1"), "{said}");
    assert!(
        said.contains("revocations: none that can be used"),
        "{said}"
    );
}

#[test]
fn a_pass_that_names_nothing_of_its_holder_is_valid_and_says_so() {
    let city = City::new();
    let strip = city.strip_of(PassId::random(), HolderAttributes::default());
    let said = verify(&city, MIDNIGHT, &[], strip.as_bytes());
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("VALID: let in\n"), "{}", said.out);
    assert!(said.out.contains("nothing to compare"), "{}", said.out);
    let said = verify(&city, MIDNIGHT, &["--json"], strip.as_bytes());
    assert_eq!(said.json()["passes"][0]["holder"], json!({}));
}

#[test]
fn several_passes_are_told_one_by_one_whatever_the_line_ends() {
    let city = City::new();
    let strip = city.strip(PassId::random());
    let input = format!("\u{feff}{strip}\r\n\r\nHC1:%%%\r\n{strip}\r\n");
    let said = verify(&city, MIDNIGHT, &["--json"], input.as_bytes());
    let json = said.json();
    let verdicts: Vec<&str> = json["passes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["valid", "invalid", "valid"]);
    assert_eq!((said.code, &json["verdict"]), (1, &json!("invalid")));
}

#[test]
fn a_picture_is_read_and_one_without_a_code_is_told() {
    let city = City::new();
    let strip = city.strip(PassId::random());
    let code = fast_qr::QRBuilder::new(strip)
        .ecl(fast_qr::ECL::Q)
        .build()
        .unwrap();
    let width = (code.size + 8) * 4;
    let pixel = |at: usize| {
        let inside = |place: usize| {
            (place / 4)
                .checked_sub(4)
                .filter(|place| *place < code.size)
        };
        match (inside(at % width), inside(at / width)) {
            (Some(x), Some(y)) if code[y][x].value() => 0,
            _ => 255,
        }
    };
    let pixels: Vec<u8> = (0..width * width).map(pixel).collect();
    let picture = city.write("pass.png", &png(width, &pixels));
    let said = verify(&city, MIDNIGHT, &[picture.to_str().unwrap()], b"");
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let blank = city.write("blank.png", &png(50, &[255; 2500]));
    let said = verify(&city, MIDNIGHT, &[blank.to_str().unwrap()], b"");
    assert_eq!(said.code, 66);
    assert!(
        said.err.contains("no QR code in the picture"),
        "{}",
        said.err
    );
}

fn png(width: usize, pixels: &[u8]) -> Vec<u8> {
    let mut png = Vec::new();
    let width = u32::try_from(width).unwrap();
    let mut encoder = png::Encoder::new(&mut png, width, width);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    png
}

#[test]
fn unusable_files_end_with_66_and_wrong_arguments_with_2_and_say_what_to_change() {
    let city = City::new();
    let strip = city.strip(PassId::random());
    let folder = city.path("");
    let nothing = city.path("nothing.txt");
    let file = |name: &str, bytes: &[u8]| city.write(name, bytes).to_str().unwrap().to_owned();
    let empty = file("empty.txt", b"");
    let latin = file("latin.txt", b"HC1:\xe9");
    let cases = [
        (folder.as_str(), "a folder"),
        (nothing.as_str(), "no such file"),
        (empty.as_str(), "empty"),
        (latin.as_str(), "UTF-8"),
    ];
    for (argument, words) in cases {
        let said = verify(&city, MIDNIGHT, &[argument], b"");
        assert_eq!(said.code, 66);
        assert!(said.err.contains(words), "{}", said.err);
        assert_eq!(said.out, "");
    }
    let roots: [(&[u8], &str); 7] = [
        (b"{", "no JSON"),
        (b"{}", "no root key in it"),
        (b"[]", "no root key in it"),
        (b"{\"issuer\": \"RU-MOW\", \"key\": 1}", "no root key in it"),
        (b"{\"keys\": []}", "there are 0 keys"),
        (b"{\"kty\": \"RSA\"}", "the JWK: `kty` must be EC"),
        (b"{\"key\": {\"kty\": \"RSA\"}}", "`key`: `kty` must be EC"),
    ];
    for (root, words) in roots {
        city.write("root.jwk", root);
        let said = verify(&city, MIDNIGHT, &[], strip.as_bytes());
        assert_eq!(said.code, 66);
        let is_said = said.err.contains("root.jwk") && said.err.contains(words);
        assert!(is_said, "{words}: {}", said.err);
    }
    for arguments in [
        &["verify"][..],
        &["verify", "--at", "today"],
        &["hcert", "--vector", "a.json", "b.txt"],
        &[],
    ] {
        assert_eq!(pass(arguments, b"").code, 2);
    }
}

#[test]
fn the_root_may_stand_in_a_set_of_one() {
    let city = City::new();
    let root = std::fs::read_to_string(city.path("root.jwk")).unwrap();
    city.write("root.jwk", format!("{{\"keys\": [{root}]}}").as_bytes());
    let strip = city.strip(PassId::random());
    assert_eq!(verify(&city, MIDNIGHT, &[], strip.as_bytes()).code, 0);
}

#[test]
fn the_root_may_be_the_file_of_the_page_and_is_never_a_private_key() {
    let city = City::new();
    let root = std::fs::read_to_string(city.path("root.jwk")).unwrap();
    let of_page = format!("{{\"key\": {root}, \"issuer\": \"RU-MOW\"}}");
    city.write("root.jwk", of_page.as_bytes());
    let strip = city.strip(PassId::random());
    assert_eq!(verify(&city, MIDNIGHT, &[], strip.as_bytes()).code, 0);
    let of_another = of_page.replace("RU-MOW", "RU-SPE");
    city.write("root.jwk", of_another.as_bytes());
    let said = verify(&city, MIDNIGHT, &[], strip.as_bytes());
    assert_eq!(said.code, 4, "{}", said.out);
    assert!(said.out.contains("city: RU-SPE"), "{}", said.out);
    let further = ["--issuer", "RU-MOW"];
    assert_eq!(verify(&city, MIDNIGHT, &further, strip.as_bytes()).code, 0);
    let private = root.replacen('{', "{\"d\": \"AAAA\",", 1);
    city.write("root.jwk", private.as_bytes());
    let said = verify(&city, MIDNIGHT, &[], strip.as_bytes());
    assert_eq!(said.code, 66);
    assert!(said.err.contains("private key"), "{}", said.err);
    assert!(!said.err.contains("AAAA"), "{}", said.err);
}

#[test]
fn the_help_names_every_exit_code() {
    for arguments in [&["--help"][..], &["verify", "--help"], &["hcert", "--help"]] {
        let said = pass(arguments, b"");
        assert_eq!(said.code, 0);
        for code in [0, 1, 2, 3, 4, 5, 66] {
            let line = format!("\n  {code:>2}  ");
            assert!(said.out.contains(&line), "{}", said.out);
        }
    }
}

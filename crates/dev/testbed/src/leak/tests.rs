//! Tests of the scanner: what is planted is found, in every form.

use super::*;

const PLANTED: &[(&str, &str)] = &[
    ("SNILS", "501-377-201 39"),
    ("surname", "Верещагина-Канарейкина"),
    ("passport", "45 10 700101"),
];

#[test]
fn a_planted_leak_is_found_in_every_form() {
    let scanner = Scanner::new(PLANTED);
    let text = "501-377-201 39";
    let digits = "50137720139";
    let name = "Верещагина-Канарейкина";
    let utf16 = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    let planted: Vec<(&str, Vec<u8>)> = vec![
        ("as written", text.into()),
        ("digits only", digits.into()),
        ("other separators", "501 377 201 39".into()),
        ("UTF-8", name.into()),
        ("upper case", name.to_uppercase().into()),
        ("cp1251", WINDOWS_1251.encode(name).0.into_owned()),
        ("UTF-16LE", utf16(name)),
        ("UTF-16LE digits", utf16(digits)),
        ("hex", hex::encode(digits).into()),
        (
            "hex of cp1251",
            hex::encode_upper(WINDOWS_1251.encode(name).0).into(),
        ),
        (
            "base64",
            STANDARD_NO_PAD.encode(format!("x{digits}y")).into(),
        ),
        (
            "base64, other alignment",
            URL_SAFE_NO_PAD.encode(format!("xy{digits}z")).into(),
        ),
        (
            "JSON escapes",
            serde_json::to_string(name)
                .map(|_| escaped(name))
                .expect("a string is JSON"),
        ),
        ("a passport's usual grouping", "4510 700101".into()),
        ("a passport with its sign", "4510 № 700101".into()),
        ("a SNILS without its blank", "501-377-20139".into()),
        (
            "bytes in a debug line",
            format!("{:?}", digits.as_bytes()).into(),
        ),
        (
            "UTF-16BE",
            name.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        ),
        (
            "percent encoding",
            name.bytes()
                .flat_map(|byte| format!("%{byte:02X}").into_bytes())
                .collect(),
        ),
        (
            "compressed",
            zstd::encode_all(format!("{{\"снилс\":\"{digits}\"}}").as_bytes(), 3)
                .expect("zstd works"),
        ),
        ("MD5", Md5::digest(digits).to_vec()),
        ("SHA-1", Sha1::digest(digits).to_vec()),
        ("SHA-256", Sha256::digest(text).to_vec()),
        ("hex MD5", hex::encode_upper(Md5::digest(text)).into()),
        ("hex SHA-1", hex::encode(Sha1::digest(digits)).into()),
        ("hex SHA-256", hex::encode(Sha256::digest(text)).into()),
        (
            "base64 MD5",
            STANDARD_NO_PAD.encode(Md5::digest(digits)).into(),
        ),
        (
            "base64 SHA-1",
            URL_SAFE_NO_PAD.encode(Sha1::digest(digits)).into(),
        ),
        (
            "base64 SHA-256",
            STANDARD_NO_PAD.encode(Sha256::digest(digits)).into(),
        ),
    ];
    for (form, leak) in planted {
        let mut bytes = b"before ".to_vec();
        bytes.extend(leak);
        bytes.extend(b" after");
        assert!(
            !scanner.scan("planted", &bytes).is_empty(),
            "not found: {form}"
        );
    }
    assert!(
        scanner
            .scan("clean", b"501-377-201 40, nothing else")
            .is_empty()
    );
}

#[test]
fn a_planted_file_is_found_by_content_and_by_name() {
    let scanner = Scanner::new(PLANTED);
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("inner")).expect("a folder is made");
    fs::write(folder.path().join("inner/a"), "… 50137720139 …").expect("a file is written");
    fs::write(folder.path().join("50137720139.batch"), "clean").expect("a file is written");
    let (hits, read) = scanner.scan_folder(folder.path());
    assert!(hits.iter().any(|hit| hit.place.ends_with("inner/a")));
    assert!(hits.iter().any(|hit| hit.place == "a file's name"));
    assert!(read > 5);
}

//! Nothing of a request or an answer rests on the disk.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::world::{World, request};

/// Files below a folder, with their content.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            found.push((path.display().to_string(), content));
        }
    }
    found
}

/// Forms in which 16 bytes of an element might be written. Base64 depends on what stands before, so
/// the bytes are encoded at each of the three places, without the characters at the edges.
fn forms(element: &[u8]) -> Vec<Vec<u8>> {
    let part = &element[8..24];
    let mut forms = vec![part.to_vec(), hex::encode(part).into_bytes()];
    forms.push(hex::encode_upper(part).into_bytes());
    let list: Vec<String> = part.iter().map(u8::to_string).collect();
    forms.push(list.join(",").into_bytes());
    for engine in [STANDARD, URL_SAFE] {
        for before in 0..3 {
            let text = engine.encode([&vec![0; before][..], part].concat());
            forms.push(text.as_bytes()[4..20].to_vec());
        }
    }
    forms
}

fn holds(content: &[u8], form: &[u8]) -> bool {
    content.windows(form.len()).any(|window| window == form)
}

#[tokio::test]
async fn no_element_is_on_the_disk() {
    let world = World::new(512);
    let served = world.serve().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let body = request(256, 1);
        let answer = served.post(&world.one, &body).await;
        seen.extend([body[3..35].to_vec(), body[3 + 255 * 32..].to_vec()]);
        if answer.status == 200 {
            let proof = answer.body.len() - 64;
            seen.extend([answer.body[3..35].to_vec(), answer.body[proof..].to_vec()]);
        }
    }
    assert_eq!(seen.len(), 10);
    served.stop().await;
    let files = files(world.folder.path());
    assert!(files.iter().any(|(path, _)| path.ends_with(".jsonl")));
    assert!(
        files
            .iter()
            .any(|(path, _)| path.ends_with("count-one.json"))
    );
    for element in &seen {
        for form in forms(element) {
            let leak = files.iter().find(|(_, content)| holds(content, &form));
            assert!(leak.is_none(), "{:?}", leak.map(|(path, _)| path));
        }
    }
}

#[test]
fn an_element_would_be_found() {
    let element: Vec<u8> = (100..132).collect();
    for before in 0..3 {
        let text = STANDARD.encode([&vec![7; before][..], &element].concat());
        let found = forms(&element)
            .iter()
            .any(|form| holds(text.as_bytes(), form));
        assert!(found, "{before}");
    }
    let text = hex::encode(&element);
    assert!(
        forms(&element)
            .iter()
            .any(|form| holds(text.as_bytes(), form))
    );
}

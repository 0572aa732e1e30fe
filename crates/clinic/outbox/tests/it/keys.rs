//! Keys: an outbox knows those that it has worked under, and refuses others.

use contract::{Epoch, Suite};
use outbox::{KeyFingerprint, KeyFingerprints, Outbox, OutboxError, OutboxOptions, OutboxReader};

use crate::support::{Place, at};

fn keys(record: &str, pseudonym: &[(Epoch, &str)]) -> KeyFingerprints {
    keys_of(Suite::Hmac, record, pseudonym)
}

fn keys_of(suite: Suite, record: &str, pseudonym: &[(Epoch, &str)]) -> KeyFingerprints {
    let owned = pseudonym.iter().map(|(epoch, fingerprint)| KeyFingerprint {
        suite,
        epoch: *epoch,
        fingerprint: (*fingerprint).to_owned(),
    });
    KeyFingerprints {
        record: record.to_owned(),
        pseudonym: owned.collect(),
    }
}

impl Place {
    async fn open_under(&self, keys: &KeyFingerprints) -> Result<(), OutboxError> {
        let options = OutboxOptions {
            keys: Some(keys.clone()),
            ..self.options()
        };
        let outbox = Outbox::open(&self.path, options, at(0)).await?;
        outbox.close().await
    }

    /// Opens under these keys, which must fail; reading must find the same fault.
    async fn refused_under(&self, keys: &KeyFingerprints) -> OutboxError {
        let error = self.open_under(keys).await.unwrap_err();
        let reader = OutboxReader::open(&self.path).await.unwrap();
        let seen = reader.compare_keys(keys).await.unwrap_err();
        assert_eq!(seen.to_string(), error.to_string());
        assert!(!error.is_retryable(), "{error}");
        error
    }

    async fn accept(&self, keys: &KeyFingerprints) -> Result<(), OutboxError> {
        outbox::accept_pseudonym_keys(&self.path, "keys accept", keys).await
    }
}

#[tokio::test]
async fn another_record_key_is_refused_until_the_old_one_is_back() {
    let place = Place::new();
    let right = keys("aaaa0001", &[(1, "11110001")]);
    let wrong = keys("bbbb0002", &[(1, "11110001")]);
    place.open_under(&right).await.unwrap();
    let error = place.refused_under(&wrong).await;
    let text = error.to_string();
    assert!(
        matches!(error, OutboxError::OtherRecordKey { .. }),
        "{text}"
    );
    assert!(
        text.contains("aaaa0001") && text.contains("bbbb0002"),
        "{text}"
    );
    let accepted = place.accept(&wrong).await;
    assert!(matches!(accepted, Err(OutboxError::OtherRecordKey { .. })));
    place.open_under(&right).await.unwrap();
}

#[tokio::test]
async fn another_pseudonym_key_of_the_same_epoch_is_refused() {
    let place = Place::new();
    let right = keys("aaaa0001", &[(1, "11110001")]);
    place.open_under(&right).await.unwrap();
    for wrong in [
        keys("aaaa0001", &[(1, "22220002")]),
        keys("aaaa0001", &[(1, "22220002"), (2, "33330003")]),
    ] {
        let error = place.refused_under(&wrong).await;
        let text = error.to_string();
        assert!(
            matches!(error, OutboxError::OtherPseudonymKey { epoch: 1, .. }),
            "{text}"
        );
        for said in ["epoch 1", "11110001", "22220002", "keys accept"] {
            assert!(text.contains(said), "{text}");
        }
    }
    place.open_under(&right).await.unwrap();
}

#[tokio::test]
async fn a_rotation_needs_no_word_and_a_closed_epoch_is_remembered() {
    let place = Place::new();
    for ring in [
        &[(1, "11110001")][..],
        &[(1, "11110001"), (2, "22220002")],
        &[(2, "22220002")],
        &[(2, "22220002"), (3, "33330003")],
        &[(1, "11110001"), (2, "22220002")],
    ] {
        place.open_under(&keys("aaaa0001", ring)).await.unwrap();
    }
    let reopened = keys("aaaa0001", &[(1, "99990009"), (2, "22220002")]);
    let error = place.refused_under(&reopened).await;
    assert!(matches!(
        error,
        OutboxError::OtherPseudonymKey { epoch: 1, .. }
    ));
}

#[tokio::test]
async fn refreshed_keys_stand_in_the_place_of_those_before_and_of_no_others() {
    let place = Place::new();
    let both = keys("aaaa0001", &[(1, "11110001"), (2, "22220002")]);
    place.open_under(&both).await.unwrap();
    let old = keys("aaaa0001", &[(2, "22220002")]);
    let new = keys("aaaa0001", &[(2, "33330003")]);
    let refresh = async |before: &KeyFingerprints, after: &KeyFingerprints| {
        outbox::refresh_pseudonym_keys(&place.path, "keys refreshed", before, after).await
    };
    let unknown = keys("aaaa0001", &[(2, "44440004")]);
    let refused = refresh(&unknown, &new).await;
    assert!(matches!(
        refused,
        Err(OutboxError::OtherPseudonymKey { .. })
    ));
    let other_record = keys("bbbb0002", &[(2, "22220002")]);
    let refused = refresh(&other_record, &new).await;
    assert!(matches!(refused, Err(OutboxError::OtherRecordKey { .. })));
    refresh(&old, &new).await.unwrap();
    place.refused_under(&old).await;
    place.open_under(&new).await.unwrap();
    let reopened = keys("aaaa0001", &[(1, "99990009"), (2, "33330003")]);
    place.refused_under(&reopened).await;
    let as_before = keys("aaaa0001", &[(1, "11110001"), (2, "33330003")]);
    place.open_under(&as_before).await.unwrap();
}

#[tokio::test]
async fn keys_of_which_none_is_known_are_refused() {
    let place = Place::new();
    let right = keys("aaaa0001", &[(1, "11110001")]);
    place.open_under(&right).await.unwrap();
    let other_epoch = keys("aaaa0001", &[(2, "22220002")]);
    let other_suite = keys_of(Suite::HmacStreebog, "aaaa0001", &[(1, "11110001")]);
    for (wrong, is_of_another_suite) in [(other_epoch, false), (other_suite, true)] {
        let error = place.refused_under(&wrong).await;
        let code = error.code();
        let is_as_expected = match error {
            OutboxError::NoKnownPseudonymKey { .. } => !is_of_another_suite,
            OutboxError::OtherSuite { .. } => is_of_another_suite,
            _ => false,
        };
        assert!(
            is_as_expected && code == "outbox-other-pseudonym-keys",
            "{error}"
        );
    }
    place.open_under(&right).await.unwrap();
}

#[tokio::test]
async fn a_city_moves_to_another_suite_and_back_through_both() {
    let place = Place::new();
    let old = keys("aaaa0001", &[(1, "11110001")]);
    // Numbers of epochs are each suite's own.
    let new = keys_of(Suite::Voprf, "aaaa0001", &[(1, "22220002")]);
    let both = KeyFingerprints {
        pseudonym: [new.pseudonym.clone(), old.pseudonym.clone()].concat(),
        ..new.clone()
    };
    assert_eq!(both.suites(), "voprf and hmac");
    place.open_under(&old).await.unwrap();
    let at_once = place.refused_under(&new).await;
    assert!(
        at_once.to_string().contains("keys.moving_from"),
        "{at_once}"
    );
    for step in [&both, &old, &both, &new, &both, &old] {
        place.open_under(step).await.unwrap();
    }
    let other = keys_of(Suite::Voprf, "aaaa0001", &[(1, "33330003")]);
    let wrong = KeyFingerprints {
        pseudonym: [other.pseudonym, old.pseudonym.clone()].concat(),
        ..old.clone()
    };
    let error = place.refused_under(&wrong).await;
    assert!(matches!(error, OutboxError::OtherPseudonymKey { .. }));
}

#[tokio::test]
async fn an_operator_can_accept_other_pseudonym_keys() {
    let place = Place::new();
    let right = keys("aaaa0001", &[(1, "22220002")]);
    let missing = place.accept(&right).await;
    assert!(matches!(missing, Err(OutboxError::Missing)), "{missing:?}");
    let wrong = keys("aaaa0001", &[(1, "11110001")]);
    place.open_under(&wrong).await.unwrap();
    place.refused_under(&right).await;
    place.accept(&right).await.unwrap();
    place.open_under(&right).await.unwrap();
    place.refused_under(&wrong).await;
}

#[tokio::test]
async fn keys_are_not_accepted_beside_a_running_gateway() {
    let place = Place::new();
    let running = place.open().await;
    let refused = place.accept(&keys("aaaa0001", &[(1, "11110001")])).await;
    assert!(matches!(refused, Err(OutboxError::Locked { .. })));
    running.close().await.unwrap();
}

#[tokio::test]
async fn an_outbox_of_before_takes_the_first_keys_it_is_opened_under() {
    let place = Place::new();
    place.open().await.close().await.unwrap();
    place
        .open_under(&keys("aaaa0001", &[(7, "11110001")]))
        .await
        .unwrap();
    place
        .refused_under(&keys("aaaa0001", &[(7, "22220002")]))
        .await;
}

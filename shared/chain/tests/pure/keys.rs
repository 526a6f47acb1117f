//! Key files: whole or not at all, never overwritten, never shown.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use framefair_chain::{KeyError, Signer};

fn private(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_key_that_was_created_is_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let made = Signer::create(&path).unwrap();
    assert_eq!(Signer::load(&path).unwrap().wallet(), made.wallet());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes: Vec<u8> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((bytes.len(), &bytes[32..]), (64, made.wallet().as_bytes().as_slice()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else stays behind");
}

#[test]
fn a_key_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let made = Signer::create(&path).unwrap();
    assert!(matches!(Signer::create(&path), Err(KeyError::Exists)));
    assert_eq!(Signer::load(&path).unwrap().wallet(), made.wallet());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else stays behind");
}

#[test]
fn two_who_create_one_key_file_at_once_do_not_both_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let made: Vec<_> = std::thread::scope(|scope| {
        let create = || Signer::create(&path).map(|signer| signer.wallet());
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
    });
    assert_eq!(made, [Signer::load(&path).unwrap().wallet()]);
}

#[test]
fn what_is_no_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let halves_do_not_fit = format!("{:?}", [7_u8; 64]);
    let long = format!("[{}]", "1,".repeat(10_000));
    for text in ["", "[]", "{}", "[1,2,3]", "[256]", &halves_do_not_fit, &long, "\u{0}"] {
        private(&path, text);
        assert!(matches!(Signer::load(&path), Err(KeyError::NotAKey)), "{text:.30}");
    }
    fs::write(&path, [0xff; 64]).unwrap();
    assert!(matches!(Signer::load(&path), Err(KeyError::NotAKey)));
    assert!(matches!(Signer::load(folder.path().join("none")), Err(KeyError::Io(_))));
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    Signer::create(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Signer::load(&path), Err(KeyError::TooOpen)));
}

#[test]
fn a_signer_shows_its_wallet_and_not_its_secret() {
    let signer = Signer::from_secret([77; 32]).unwrap();
    let shown = format!("{signer:?}");
    assert!(shown.contains(&signer.wallet().to_string()));
    assert!(!shown.contains("77"), "{shown}");
}

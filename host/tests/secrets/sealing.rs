//! D2: what is sealed opens only where it belongs, and with the key that it is sealed with now.

use sqlx::{Connection as _, SqliteConnection};
use weir_host::{
    secrets::{RekeyError, open_vault, rekey},
    store::{AuditEntry, Resealed, Store, StoreOptions},
    vault::{KEY_FILE, KeySource, NEXT_KEY_FILE, SecretKey},
};

use super::{open, set, source};

#[tokio::test]
async fn d2_rows_cannot_be_swapped() {
    let folder = tempfile::tempdir().unwrap();
    let (store, secrets) = open(folder.path()).await;
    set(&secrets, "cheap", "value-of-cheap", &["evil.example"]).await;
    set(&secrets, "dear", "value-of-dear", &["api.example.com"]).await;
    store.close().await;
    let url = format!("sqlite://{}", folder.path().join("weir.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let swap = "UPDATE secrets SET sealed = (SELECT sealed FROM secrets AS other WHERE other.name = 'secret/dear') \
        WHERE name = 'secret/cheap'";
    sqlx::query(swap).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (_store, secrets) = open(folder.path()).await;
    assert!(secrets.key("cheap").is_none(), "another secret's value is not taken");
    assert_eq!(secrets.key("dear").unwrap().reveal(), "value-of-dear");
}

#[tokio::test]
async fn d2_the_key_is_changed_for_all_secrets_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, secrets) = open(folder.path()).await;
    for n in 0..20 {
        set(&secrets, &format!("key{n}"), &format!("value-of-{n:08}"), &[]).await;
    }
    let sealed = store.all_secrets().await.unwrap();
    let before = std::fs::read(folder.path().join(KEY_FILE)).unwrap();
    let done = rekey(&source(folder.path()), &store, &SecretKey::generate()).await.unwrap();
    assert_eq!((done.values, done.in_place), (21, true));
    let after = store.all_secrets().await.unwrap();
    assert!(sealed.iter().zip(&after).all(|(before, after)| before.id == after.id && before.sealed != after.sealed));
    assert_ne!(std::fs::read(folder.path().join(KEY_FILE)).unwrap(), before);
    assert!(!folder.path().join(NEXT_KEY_FILE).exists());
    store.close().await;

    let (store, secrets) = open(folder.path()).await;
    assert_eq!(secrets.key("key7").unwrap().reveal(), "value-of-00000007");
    store.close().await;
    std::fs::write(folder.path().join(KEY_FILE), before).unwrap();
    let store = Store::open(StoreOptions::new(folder.path())).await.unwrap();
    let wrong = open_vault(&source(folder.path()), &store).await.unwrap_err().to_string();
    assert!(wrong.contains("sealed with another one"), "{wrong}");
}

#[tokio::test]
async fn d2_a_key_from_elsewhere_is_replaced_by_whoever_gives_it() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("key"));
    SecretKey::generate().write_new(&file).unwrap();
    assert!(SecretKey::generate().write_new(&file).is_err(), "a key is never overwritten");
    let given = KeySource { file: Some(file), ..source(&data) };
    let store = Store::open(StoreOptions::new(&data)).await.unwrap();
    open_vault(&given, &store).await.unwrap();
    let next = folder.path().join("next");
    let key = SecretKey::generate();
    key.write_new(&next).unwrap();
    let done = rekey(&given, &store, &key).await.unwrap();
    assert_eq!((done.values, done.in_place), (1, false));
    assert!(open_vault(&given, &store).await.is_err());
    open_vault(&KeySource { file: Some(next), ..given }, &store).await.unwrap();
    assert!(!data.join(KEY_FILE).exists() && !data.join(NEXT_KEY_FILE).exists());
}

#[tokio::test]
async fn d2_a_change_of_the_key_that_was_broken_off_is_undone_or_finished() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let (store, secrets) = open(data).await;
    set(&secrets, "key", "hunter2-hunter2", &[]).await;
    let (key, next) = (data.join(KEY_FILE), data.join(NEXT_KEY_FILE));

    // Killed before the transaction: the next key is there, and nothing is sealed with it.
    source(data).keep_next(&SecretKey::generate()).unwrap();
    store.close().await;
    let (store, secrets) = open(data).await;
    assert_eq!(secrets.key("key").unwrap().reveal(), "hunter2-hunter2");
    assert!(!next.exists());

    // Killed behind the transaction: all is sealed with the next key, and the file still has the one of before.
    let before = std::fs::read(&key).unwrap();
    rekey(&source(data), &store, &SecretKey::generate()).await.unwrap();
    store.close().await;
    std::fs::rename(&key, &next).unwrap();
    std::fs::write(&key, &before).unwrap();
    let (store, secrets) = open(data).await;
    assert_eq!(secrets.key("key").unwrap().reveal(), "hunter2-hunter2");
    assert!(!next.exists() && std::fs::read(&key).unwrap() != before);
    store.close().await;
    assert_eq!(open(data).await.1.key("key").unwrap().reveal(), "hunter2-hunter2");
}

#[tokio::test]
async fn d2_what_cannot_be_opened_keeps_the_key_from_being_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, secrets) = open(folder.path()).await;
    set(&secrets, "good", "hunter2-hunter2", &[]).await;
    set(&secrets, "odd", "hunter3-hunter3", &[]).await;
    let rows = store.all_secrets().await.unwrap();
    let odd = rows.into_iter().find(|row| &*row.name == "secret/odd").unwrap();
    let spoilt = Resealed { id: odd.id, before: odd.sealed, sealed: vec![1, 2, 3] };
    store.reseal_secrets(vec![spoilt], AuditEntry::done("tests", "secret.rekey", "odd")).await.unwrap();
    let before = store.all_secrets().await.unwrap();
    let error = rekey(&source(folder.path()), &store, &SecretKey::generate()).await.unwrap_err();
    assert!(matches!(&error, RekeyError::Seal { name, .. } if name == "secret/odd"), "{error}");
    assert_eq!(store.all_secrets().await.unwrap(), before, "nothing was changed");
    store.close().await;
    assert_eq!(open(folder.path()).await.1.key("good").unwrap().reveal(), "hunter2-hunter2");
}

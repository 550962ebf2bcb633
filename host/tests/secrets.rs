//! Secrets of people: kept sealed, sent where they are bound to, sealed anew.

mod fill;
mod sealing;

use std::path::Path;

use weir_host::{
    secrets::{Masker, Secrets, SetSecret, open_vault},
    store::{Store, StoreOptions},
    vault::{KeySource, Secret},
};

/// The secrets of a data directory, and its store.
async fn open(data: &Path) -> (Store, Secrets) {
    let store = Store::open(StoreOptions::new(data)).await.unwrap();
    let vault = open_vault(&source(data), &store).await.unwrap();
    let secrets = Secrets::open(store.clone(), vault, Masker::default()).await.unwrap();
    (store, secrets)
}

fn source(data: &Path) -> KeySource {
    KeySource { text: None, file: None, data_dir: data.to_owned() }
}

fn secret(name: &str, value: &str, hosts: &[&str]) -> SetSecret {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    SetSecret { name: name.to_owned(), value: Secret::new(value), hosts }
}

async fn set(secrets: &Secrets, name: &str, value: &str, hosts: &[&str]) {
    secrets.set(secret(name, value, hosts), "user:alice".to_owned()).await.unwrap();
}

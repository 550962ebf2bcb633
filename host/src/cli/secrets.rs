//! `weir secrets`: secrets for plugins and models, and the key that they are sealed with.

use std::{
    io::{IsTerminal as _, Read as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Globals, Outcome,
    out::{Out, text_of},
    users::names,
};
use crate::{
    client::{Method, Sent, segment},
    secrets::rekey,
    store::{Store, StoreOptions},
    vault::{KEY_VARIABLE, KeySource, Secret, SecretKey},
};

/// The most bytes that are read as a value.
const VALUE_BYTES_MAX: u64 = 64 << 10;

/// Secrets for plugins and models.
#[derive(Debug, Subcommand)]
pub(super) enum Secrets {
    /// Make a secret, or replace its value and its hosts. The value is asked for, or read from standard input.
    Set {
        /// Its name: small letters, digits, hyphens and underscores.
        name: String,
        /// A host that it may be sent to: api.example.com, '*.example.com', 10.0.0.5:8080; may be repeated. With none, only
        /// the host's own parts use it, as for models.
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
    },
    /// List secrets, without their values.
    List,
    /// Delete a secret: it is sent nowhere any more.
    Delete {
        /// Its name.
        name: String,
    },
    /// Seal all secrets with a new key. The host must be stopped.
    Rekey(Rekey),
}

/// Seal all secrets with a new key.
#[derive(Debug, Args)]
#[command(after_help = "\
The key of before is found as the host finds it: in WEIR_SECRET_KEY, in --key-file, or in the data directory. One that
lies in the data directory is replaced there; one that comes from elsewhere is to be replaced where it comes from.

Backups of before stay sealed with the key of before: keep it as long as them.")]
pub(super) struct Rekey {
    /// The file with the new key, 32 bytes in base64; it is made if there is none. Default: a new key that is kept in the
    /// data directory and nowhere else.
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// The file with the key of before, where the host's setting secret_key_file names one.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Secrets {
    pub(super) async fn run(self, globals: &Globals, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::Set { name, hosts } => {
                let client = globals.client()?;
                let value = tokio::task::spawn_blocking(read_value).await??;
                let path = format!("/api/secrets/{}", segment(&name));
                let body = json!({ "value": value.reveal(), "hosts": hosts });
                let set = client.send(Method::PUT, &path, Sent::Json(body)).await?;
                out.show(&set, || format!("set {}{}", text_of(&set, "name"), bound(&set)));
            }
            Self::List => {
                let page = globals.client()?.get("/api/secrets").await?;
                out.show(&page, || table(out, &page));
            }
            Self::Delete { name } => {
                let path = format!("/api/secrets/{}", segment(&name));
                let gone = globals.client()?.send(Method::DELETE, &path, Sent::Nothing).await?;
                out.show(&gone, || format!("deleted {name}"));
            }
            Self::Rekey(rekey) => rekey.run(globals, out).await?,
        }
        Ok(Outcome::Done)
    }
}

impl Rekey {
    async fn run(self, globals: &Globals, out: Out) -> anyhow::Result<()> {
        let text = std::env::var(KEY_VARIABLE).ok().filter(|text| !text.is_empty()).map(Secret::new);
        let data = globals.data_dir();
        anyhow::ensure!(data.is_dir(), "there is no data directory {}; name it with --data", data.display());
        let source = KeySource { text, file: self.key_file, data_dir: data.clone() };
        anyhow::ensure!(
            self.new_key_file.is_some() || source.is_in_data_dir(),
            "the key does not lie in the data directory: name a file for the new one with --new-key-file"
        );
        // Its lock keeps hosts away.
        let store = Store::open(StoreOptions::new(&data)).await?;
        let key = match &self.new_key_file {
            Some(path) if path.exists() => SecretKey::read(path)?,
            Some(path) => {
                let key = SecretKey::generate();
                key.write_new(path)?;
                key
            }
            None => SecretKey::generate(),
        };
        let done = rekey(&source, &store, &key).await;
        store.close().await;
        let done = done?;
        out.show(&json!({ "values": done.values, "in_place": done.in_place }), || {
            format!("sealed {} values with the new key", done.values)
        });
        if !done.in_place {
            out.note(&format!(
                "give the host the new key now, in {KEY_VARIABLE} or secret_key_file: it starts with no other"
            ));
        }
        Ok(())
    }
}

/// The value: what standard input holds, or what is typed.
fn read_value() -> anyhow::Result<Secret> {
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password("value: ").map(Secret::new).context("could not ask for the value");
    }
    let mut text = String::new();
    std::io::stdin()
        .take(VALUE_BYTES_MAX)
        .read_to_string(&mut text)
        .context("could not read the value from standard input")?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

/// Where a secret may be sent, as a part of a sentence.
fn bound(secret: &Value) -> String {
    let hosts = names(&secret["hosts"]);
    if hosts.is_empty() { ", for the host's own use".to_owned() } else { format!(", bound to {hosts}") }
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        vec![
            text_of(item, "name"),
            names(&item["hosts"]),
            text_of(item, "created_at"),
            text_of(item, "rotated_at"),
            text_of(item, "set_by"),
        ]
    });
    out.table(&["NAME", "HOSTS", "MADE", "ROTATED", "SET BY"], &rows.collect::<Vec<_>>())
}

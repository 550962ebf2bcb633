//! D1, D2: secrets turn up nowhere, and the key that they are sealed with can be changed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose};
use hyper::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};
use weir_e2e::{Api, Data, Host, host::weir, program};

use crate::sample;

/// The ways in which the guest lets a secret out.
const WAYS: [&str; 9] = ["plain", "numbers", "hex", "url", "base64", "log", "panic", "own", "failed"];

/// How often a change of the key is killed, and how long it lives.
const KILLS: u32 = 8;
const LIFE_MS: std::ops::Range<u64> = 5..120;

/// A secret and the forms in which it must turn up nowhere.
pub(crate) struct Canary {
    pub(crate) value: String,
    /// All ASCII.
    forms: Vec<String>,
}

impl Canary {
    /// 64 random bytes, and characters that are written differently here and there.
    pub(crate) fn new() -> Self {
        let random = general_purpose::STANDARD_NO_PAD.encode(rand::random::<[u8; 32]>());
        let more = general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        Self::of(format!("{random}/+&=%<{more}"))
    }

    /// A value that is written the same everywhere.
    pub(crate) fn of_letters() -> Self {
        Self::of((0..60).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect())
    }

    fn of(value: String) -> Self {
        let percent = |upper: bool| {
            let escaped = |byte: u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
            let byte = |byte: u8| {
                if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                    char::from(byte).to_string()
                } else {
                    escaped(byte)
                }
            };
            value.bytes().map(byte).collect::<String>()
        };
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let numbered: String = value.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        let mut forms = vec![value.clone(), percent(true), percent(false), hex.to_uppercase(), hex, numbered];
        for before in ["", "u", "us"] {
            let text = format!("{before}{value}");
            for encoded in [general_purpose::STANDARD.encode(&text), general_purpose::URL_SAFE.encode(&text)] {
                // Without its ends, which depend on what stands around.
                forms.push(encoded[4..encoded.len() - 4].to_owned());
            }
        }
        // What a cut leaves is too much as well.
        forms.push(value[..value.len() / 2 - 4].to_owned());
        Self { value, forms }
    }

    /// The value as a part of a URL.
    pub(crate) fn escaped(&self) -> &str {
        &self.forms[1]
    }

    fn halves(&self) -> (&str, &str) {
        // Neither holds what a cut would leave.
        self.value.split_at(self.value.len() / 3)
    }

    pub(crate) fn ensure_absent(&self, place: &str, bytes: &[u8]) -> Result<()> {
        // Each byte as a character, so that the library looks for it: comparing at every place takes a minute.
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        for form in &self.forms {
            if let Some((before, after)) = text.split_once(form.as_str()) {
                let before: Vec<char> = before.chars().rev().take(120).collect();
                let before: String = before.into_iter().rev().collect();
                let after: String = after.chars().take(40).collect();
                anyhow::bail!("a secret lies in {place}: {before}{form}{after}");
            }
        }
        Ok(())
    }
}

pub(crate) async fn set(api: &Api, name: &str, value: &str) -> Result<()> {
    let body = json!({ "value": value, "hosts": ["api.example.com"] }).to_string();
    let answer = api.send(Method::PUT, &format!("/api/secrets/{name}"), "application/json", body).await?;
    answer.good().map(drop)
}

/// A workflow that lets its secret out in every way, asks a person, and passes on what came out.
fn leaks() -> Value {
    let leak = |how: &&str| {
        json!({ "id": how, "type": "tool", "tool": "d1_leak.run", "on_error": "continue",
                "tool_args": { "how": how, "a": "$.input.a", "b": "$.input.b" } })
    };
    let mut steps: Vec<Value> = WAYS.iter().map(leak).collect();
    let options = json!([{ "id": "yes" }]);
    let notification = "Is {{ $.plain }} fine, and {{ $.input.whole }}?";
    steps.push(
        json!({ "id": "again", "type": "tool", "tool": "text.sentiment", "tool_args": { "text": "$.base64[0]" } }),
    );
    steps.push(
        json!({ "id": "ask", "type": "human", "human_config": { "notification": notification, "options": options } }),
    );
    json!({ "name": "leaks", "steps": steps, "output": { "plain": "$.plain", "hex": "$.hex" } })
}

/// Lets a secret out wherever something is stored or shown.
async fn let_out(api: &Api, canary: &Canary) -> Result<String> {
    let (a, b) = canary.halves();
    let input = json!({ "a": a, "b": b, "whole": canary.value, &canary.value: 1 });
    let started = api.post("/api/workflows/leaks/execute", &json!({ "input_data": input })).await?;
    let id = started["execution_id"].as_str().context("no execution")?.to_owned();
    api.asked(&id).await?;
    let answer = json!({ "option_id": "yes", "comment": format!("use {}", canary.value) });
    api.post(&format!("/api/executions/{id}/approve"), &answer).await?;
    let ended = api.ended(&id).await?;
    ensure!(ended["status"] == "completed", "{ended}");
    canary.ensure_absent("an execution", ended.to_string().as_bytes())?;
    ensure!(ended.to_string().contains("[secret canary]"), "nothing was masked: {ended}");

    let event = json!({ "specversion": "1.0", "id": canary.value.len().to_string(), "source": "/tests",
        "type": "com.example.tested", "data": { "token": canary.value } });
    api.send(Method::POST, "/api/events", "application/cloudevents+json", event.to_string()).await?.good()?;
    for how in WAYS {
        let tried = json!({ "input": { "how": how, "a": a, "b": b } });
        let tried = api.post("/api/plugins/d1_leak/tools/run/try", &tried).await?;
        canary.ensure_absent("what a tool that was tried did", tried.to_string().as_bytes())?;
    }
    Ok(id)
}

/// Everything that the API shows of an execution and of the host.
async fn shown(api: &Api, execution: &str) -> Result<Vec<(String, String)>> {
    let paths = [
        format!("/api/executions/{execution}"),
        format!("/api/executions/{execution}/steps?limit=199"),
        format!("/api/executions/{execution}/events?format=json"),
        format!("/api/executions/{execution}/approvals"),
        format!("/agents/workflows/executions/{execution}/steps"),
        "/api/executions".to_owned(),
        "/api/approvals".to_owned(),
        "/api/events".to_owned(),
        "/api/events/1".to_owned(),
        "/api/secrets".to_owned(),
        "/api/triggers".to_owned(),
        "/api/notices".to_owned(),
        "/api/audit?limit=199".to_owned(),
        "/api/plugins".to_owned(),
        "/api/workflows/leaks".to_owned(),
    ];
    let mut shown = Vec::new();
    for path in paths {
        shown.push((path.clone(), api.get(&path).await?.to_string()));
    }
    let mut events = api.events(execution, 0).await?;
    loop {
        let batch = events.next().await?;
        if batch.is_empty() {
            return Ok(shown);
        }
        shown.extend(batch.into_iter().map(|event| (format!("event {}", event.seq), event.data.to_string())));
    }
}

/// Every file below a directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

/// Looks through all that the host wrote, but for plugins, which were there before the secrets.
pub(crate) fn ensure_nothing_is_written(data: &Data, canary: &Canary, but: &str) -> Result<()> {
    let mut seen = BTreeSet::new();
    let is_plugin = |path: &PathBuf| ["plugins", "cache"].iter().any(|name| path.starts_with(data.path().join(name)));
    for path in files(&data.path())?.into_iter().filter(|path| !is_plugin(path)) {
        let name = path.file_name().context("a file without a name")?.to_string_lossy().into_owned();
        if name != but {
            canary.ensure_absent(&name, &std::fs::read(&path).with_context(|| format!("reading {name}"))?)?;
        }
        seen.insert(name);
    }
    ensure!(seen.contains("weir.db"), "the database is missing: {seen:?}");
    canary.ensure_absent("the log", data.said()?.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_secrets_turn_up_nowhere() -> Result<()> {
    let data = Data::with_bundled().await?;
    let host = data.start().await?;
    host.api.install(&program::guest("d1_leak")?).await?;
    host.api.post("/api/workflows", &leaks()).await?;
    let canary = Canary::new();
    set(&host.api, "canary", &canary.value).await?;
    let hook = sample::hook(&host).await?;
    let execution = let_out(&host.api, &canary).await?;
    let sender = [Canary::of(hook.secret().to_owned()), Canary::of(host.api.token.clone())];
    for own in &sender {
        let (a, b) = own.halves();
        let input = json!({ "input_data": { "a": a, "b": b, "whole": own.value } });
        let started = host.api.post("/api/workflows/leaks/execute", &input).await?;
        host.api.asked(started["execution_id"].as_str().context("no execution")?).await?;
    }
    for (place, text) in shown(&host.api, &execution).await? {
        canary.ensure_absent(&place, text.as_bytes())?;
    }
    // The log of the database is there as well when the host is killed.
    host.kill().await?;
    ensure_nothing_is_written(&data, &canary, "")?;
    ensure!(data.path().join("weir.db-wal").exists(), "there is no log of the database to look through");
    for own in &sender {
        ensure_nothing_is_written(&data, own, "admin-token")?;
    }
    // A host that comes back knows its secrets.
    let host = data.start().await?;
    let_out(&host.api, &canary).await?;
    ensure!(host.stop().await?.success(), "the host did not stop well");
    ensure_nothing_is_written(&data, &canary, "")
}

/// Sets a secret as people do: by the command, with its value on standard input.
async fn set_by_command(host: &Host, name: &str, value: &str) -> Result<String> {
    let mut command = Command::new(program::weir()?);
    command.args([
        "secrets",
        "set",
        name,
        "--host",
        "api.example.com",
        "--url",
        &host.api.url,
        "--token",
        &host.api.token,
    ]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("starting a command")?;
    let mut stdin = child.stdin.take().context("taking its input")?;
    stdin.write_all(format!("{value}\n").as_bytes()).await.context("telling it the value")?;
    drop(stdin);
    let done = child.wait_with_output().await.context("waiting for a command")?;
    let said = String::from_utf8([done.stdout, done.stderr].concat()).context("reading what it said")?;
    ensure!(done.status.success(), "{said}");
    Ok(said)
}

#[tokio::test]
async fn d1_a_secret_is_set_and_listed_by_commands_without_its_value() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let canary = Canary::new();
    let said = set_by_command(&host, "search-key", &canary.value).await?;
    ensure!(said.contains("set search-key, bound to api.example.com"), "{said}");
    let globals = ["--url", &host.api.url, "--token", &host.api.token];
    let listed = weir(&[&["secrets", "list"], &globals[..]].concat(), &[], data.path().as_path()).await?;
    ensure!(listed.exits(0)?.contains("search-key"), "{listed:?}");
    let deleted =
        weir(&[&["secrets", "delete", "search-key"], &globals[..]].concat(), &[], data.path().as_path()).await?;
    ensure!(deleted.exits(0)?.contains("deleted search-key"), "{deleted:?}");
    for shown in [said, listed.stdout, listed.stderr, deleted.stdout] {
        canary.ensure_absent("what a command said", shown.as_bytes())?;
    }
    host.kill().await?;
    ensure_nothing_is_written(&data, &canary, "")
}

#[tokio::test]
async fn d2_the_sealing_key_is_changed_while_the_host_is_stopped() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let hook = sample::hook(&host).await?;
    set(&host.api, "search-key", "hunter2-hunter2").await?;
    let folder = data.path().display().to_string();
    let rekey = ["secrets", "rekey", "--data", &folder];
    let refused = weir(&rekey, &[], &data.path()).await?;
    ensure!(refused.code == Some(1) && refused.stderr.contains("in use by another host"), "{refused:?}");
    ensure!(host.stop().await?.success(), "the host did not stop well");

    let file = data.path().join("secret-key");
    let key = std::fs::read(&file).context("reading the key")?;
    let done = weir(&rekey, &[], &data.path()).await?;
    ensure!(done.exits(0)?.contains("sealed 3 values"), "{done:?}");
    ensure!(std::fs::read(&file).context("reading the key")? != key, "the key is the one of before");
    let host = data.start().await?;
    let answer = hook.at(&host).send("after", &json!({})).await?;
    ensure!(answer.status == 202, "the webhook's secret is lost: {}", answer.text);
    let audit = host.api.all("/api/audit?act=secret.rekey").await?;
    ensure!(audit.len() == 1 && audit[0]["details"]["values"] == 3, "{audit:?}");
    ensure!(host.stop().await?.success(), "the host did not stop well");

    let elsewhere = data.beside("key").display().to_string();
    let moved = weir(&[&rekey[..], &["--new-key-file", &elsewhere]].concat(), &[], &data.path()).await?;
    moved.exits(0)?;
    ensure!(std::fs::read(&file).ok() == std::fs::read(&elsewhere).ok(), "the file has another key than the host");
    data.start().await?.stop().await.map(drop)
}

#[tokio::test]
async fn d2_a_change_of_the_key_outlives_kills() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let hook = sample::hook(&host).await?;
    for n in 0..40 {
        set(&host.api, &format!("key-{n}"), &format!("value-{n}-of-a-secret")).await?;
    }
    ensure!(host.stop().await?.success(), "the host did not stop well");
    for kill in 0..KILLS {
        let mut command = Command::new(program::weir()?);
        command.args(["secrets", "rekey", "--data"]).arg(data.path()).env_remove("WEIR_SECRET_KEY");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().context("starting a change of the key")?;
        let life = Duration::from_millis(rand::random_range(LIFE_MS));
        // It may be through by then.
        if timeout(life, child.wait()).await.is_err() {
            child.kill().await.context("killing it")?;
        }
        let host = data.start().await.with_context(|| format!("after kill {kill}, {life:?} into it"))?;
        let answer = hook.at(&host).send(&format!("kill {kill}"), &json!({})).await?;
        ensure!(answer.status == 202, "the webhook's secret is lost: {}", answer.text);
        ensure!(host.api.all("/api/secrets").await?.len() == 40, "secrets are lost");
        ensure!(host.stop().await?.success(), "the host did not stop well");
        ensure!(!data.said()?.contains("set it again"), "a secret cannot be opened: {}", data.said()?);
        ensure!(!data.path().join("secret-key.next").exists(), "a key was left lying around");
    }
    Ok(())
}

#[test]
fn d1_a_canary_is_seen_in_each_of_its_forms_among_any_bytes() {
    let canary = Canary::new();
    assert!(canary.forms.len() > 10, "few forms");
    for form in &canary.forms {
        let around = [&[0, 0xff, 0xc3][..], form.as_bytes(), &[0x80, 0]].concat();
        assert!(canary.ensure_absent("some bytes", &around).is_err(), "{form} is not seen");
    }
    assert!(canary.ensure_absent("other bytes", &[0xff; 500]).is_ok(), "something is seen where nothing is");
}

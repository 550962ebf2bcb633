//! `weir plugin grants` and `weir plugin grant`: what plugins ask for, and what they may do.

use clap::Args;
use serde_json::{Value, json};

use super::out::{Ink, Out, clean, text_of};
use crate::client::{Client, Method, Sent, segment};

/// What a plugin may do from now on; whatever is not named it may not do.
#[derive(Debug, Args)]
pub(super) struct Grant {
    /// The plugin's name.
    name: String,
    /// Its version; by default the highest that is enabled.
    #[arg(long)]
    version: Option<String>,
    /// All that it asks for.
    #[arg(long, conflicts_with_all = ["nothing", "powers"])]
    all: bool,
    /// Nothing.
    #[arg(long, conflicts_with = "powers")]
    nothing: bool,
    #[command(flatten)]
    powers: Powers,
}

#[derive(Debug, Args)]
#[group(id = "powers", multiple = true)]
struct Powers {
    /// A host that requests may go to: api.example.com, *.example.com:8080, or * for every host.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// A method that may be sent to these hosts, or * for every method. Default: GET and HEAD.
    #[arg(long = "method", value_name = "METHOD", requires = "hosts")]
    methods: Vec<String>,
    /// A model, by its name; * for every model.
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// A tool of another plugin.
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// Ask a person before each call of these tools.
    #[arg(long, requires = "tools")]
    approve: bool,
    /// A secret that may be put into requests; * for every secret.
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// A store of its own, of one MiB, or of so many bytes.
    #[arg(long, value_name = "BYTES", num_args = 0..=1, default_missing_value = "1048576")]
    kv: Option<u64>,
}

impl Powers {
    fn is_empty(&self) -> bool {
        let Self { hosts, methods: _, models, tools, approve: _, secrets, kv } = self;
        hosts.is_empty() && models.is_empty() && tools.is_empty() && secrets.is_empty() && kv.is_none()
    }

    fn written(&self) -> Value {
        let host = |host: &String| json!({ "host": host, "methods": self.methods });
        let tool = |tool: &String| {
            if self.approve { json!({ "tool": tool, "approval": "required" }) } else { json!({ "tool": tool }) }
        };
        json!({
            "hosts": self.hosts.iter().map(host).collect::<Vec<_>>(),
            "models": self.models,
            "tools": self.tools.iter().map(tool).collect::<Vec<_>>(),
            "secrets": self.secrets,
            "kv": self.kv.map(|bytes| json!({ "bytes": bytes })),
        })
    }
}

impl Grant {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.all || self.nothing || !self.powers.is_empty(),
            "could not grant anything: name what, with --all, --nothing, --host, --model, --tool, --secret or --kv"
        );
        let mut body = match (self.all, self.nothing) {
            (true, _) => json!({ "all": true }),
            (false, true) => json!({ "nothing": true }),
            (false, false) => json!({ "granted": self.powers.written() }),
        };
        if let Some(version) = self.version {
            body["version"] = version.into();
        }
        let view = client.send(Method::PUT, &path(&self.name), Sent::Json(body)).await?;
        out.show(&view, || described(out, &self.name, &view));
        Ok(())
    }
}

/// Shows every version of a plugin.
pub(super) async fn show(client: &Client, name: &str, out: Out) -> anyhow::Result<()> {
    let page = client.get(&path(name)).await?;
    out.show(&page, || {
        let versions = page["items"].as_array().into_iter().flatten();
        versions.map(|view| described(out, name, view)).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

fn path(name: &str) -> String {
    format!("/api/plugins/{}/grants", segment(name))
}

/// A version: what it is granted, and what it lacks.
fn described(out: Out, name: &str, view: &Value) -> String {
    let version = text_of(view, "version");
    let title = out.ink(Ink::Strong, &clean(name));
    let mut all = vec![format!("{title} {version}  {}", out.status(&text_of(view, "status")))];
    all.extend(lines(out, view).into_iter().map(|line| format!("  {line}")));
    if let Some(from) = view["carried_from"].as_str() {
        all.push(format!("  {}", out.ink(Ink::Faint, &format!("as version {} before", clean(from)))));
    }
    all.join("\n")
}

/// What a version may do and what it lacks, a line each.
pub(super) fn lines(out: Out, view: &Value) -> Vec<String> {
    let may = out.ink(Ink::Good, "may use");
    let lacks = out.ink(Ink::Warn, "asks for");
    let granted = powers(&view["granted"]).into_iter().map(|power| format!("{may} {power}"));
    let missing = view["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
    granted.chain(missing.map(|power| format!("{lacks} {}", clean(power)))).collect()
}

/// Powers, one phrase each.
pub(super) fn powers(powers: &Value) -> Vec<String> {
    let list = |member: &str| powers[member].as_array().cloned().unwrap_or_default();
    let words =
        |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let mut all: Vec<String> = list("hosts")
        .iter()
        .map(|host| format!("host {} with {}", text_of(host, "host"), words(&host["methods"])))
        .collect();
    all.extend(list("models").iter().filter_map(Value::as_str).map(|model| format!("model {model}")));
    all.extend(list("tools").iter().map(|tool| {
        let asks = if tool["approval"] == "required" { ", after asking a person" } else { "" };
        format!("tool {}{asks}", text_of(tool, "tool"))
    }));
    all.extend(list("secrets").iter().filter_map(Value::as_str).map(|secret| format!("secret {secret}")));
    all.extend(powers["kv"]["bytes"].as_u64().map(|bytes| format!("a store of {bytes} bytes")));
    all.iter().map(|power| clean(power)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_written_for_programs_and_people() {
        let granted = Powers {
            hosts: vec!["a.example".to_owned()],
            methods: vec!["GET".to_owned(), "POST".to_owned()],
            models: vec!["fast".to_owned()],
            tools: vec!["text.count".to_owned()],
            approve: true,
            secrets: vec!["key".to_owned()],
            kv: Some(5),
        };
        let written = granted.written();
        crate::grants::Granted::read(&written).unwrap();
        let phrases = [
            "host a.example with GET, POST",
            "model fast",
            "tool text.count, after asking a person",
            "secret key",
            "a store of 5 bytes",
        ];
        assert_eq!(powers(&written), phrases);
    }
}

//! `weir webhooks`: requests as senders make them, to try a webhook with.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::{Subcommand, builder::PossibleValuesParser};
use serde_json::json;
use uuid::Uuid;

use super::{Globals, Outcome, file, out::Out};
use crate::{
    store,
    trigger::webhook::{ContentType, Scheme, sign},
    vault::Secret,
};

/// Webhooks.
#[derive(Debug, Subcommand)]
pub(super) enum Webhooks {
    /// Print a signed request as a curl command that works for five minutes.
    Sign {
        /// The webhook's path.
        path: String,
        /// How the webhook is verified.
        #[arg(long, default_value = "bearer", value_parser = PossibleValuesParser::new(Scheme::ALL.map(Scheme::as_str)))]
        scheme: String,
        /// The webhook's secret, or @FILE.
        #[arg(
            long,
            env = "WEIR_WEBHOOK_SECRET",
            value_name = "SECRET|@FILE",
            hide_env_values = true,
            default_value = ""
        )]
        secret: String,
        /// The body, or @FILE.
        #[arg(long, value_name = "BODY|@FILE", default_value = "{}")]
        body: String,
        /// The body's type.
        #[arg(long, default_value = "application/json")]
        content_type: String,
        /// The sender's id of the delivery. Default: a new one.
        #[arg(long)]
        id: Option<String>,
    },
}

impl Webhooks {
    pub(super) fn run(self, globals: &Globals, out: Out) -> anyhow::Result<Outcome> {
        let Self::Sign { path, scheme, secret, body, content_type, id } = self;
        let scheme = Scheme::parse(&scheme).context("there is no such scheme")?;
        anyhow::ensure!(ContentType::of(&content_type).is_some(), "webhooks take JSON, forms and plain text only");
        let url = format!("{}/webhooks/{}", globals.url.trim_end_matches('/'), path.trim_start_matches('/'));
        let body = argument(&body)?;
        let secret = Secret::new(argument(&secret)?.trim());
        let signed = Signed::new(url, scheme, &secret, id, (content_type, body))?;
        let headers: BTreeMap<_, _> = signed.headers.iter().cloned().collect();
        let shown = json!({ "url": signed.url, "headers": headers, "body": signed.body });
        out.show(&shown, || signed.curl());
        Ok(Outcome::Done)
    }
}

/// A request as a sender makes it.
pub(super) struct Signed {
    url: String,
    /// Its headers, the signature among them.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Its body.
    pub(super) body: String,
}

impl Signed {
    /// Signs a body of a content type for the webhook at `url`, now; `id` names the delivery.
    pub(super) fn new(
        url: String,
        scheme: Scheme,
        secret: &Secret,
        id: Option<String>,
        (content_type, body): (String, String),
    ) -> anyhow::Result<Self> {
        let id = id.unwrap_or_else(|| format!("msg_{}", Uuid::now_v7().simple()));
        let mut headers = vec![("content-type", content_type)];
        headers.extend(sign(scheme, secret, &id, store::now(), body.as_bytes())?);
        Ok(Self { url, headers, body })
    }

    /// The request as a command line.
    pub(super) fn curl(&self) -> String {
        curl(&self.url, &self.headers, &self.body)
    }
}

/// The text that an argument gives: itself, or `@FILE`.
fn argument(argument: &str) -> anyhow::Result<String> {
    let Some(path) = argument.strip_prefix('@') else { return Ok(argument.to_owned()) };
    String::from_utf8(file::read(std::path::Path::new(path))?).with_context(|| format!("{path} is not text"))
}

fn curl(url: &str, headers: &[(&str, String)], body: &str) -> String {
    let headers: String =
        headers.iter().map(|(name, value)| format!(" -H {}", quoted(&format!("{name}: {value}")))).collect();
    format!("curl -sS -X POST {}{headers} --data-raw {}", quoted(url), quoted(body))
}

/// A word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_the_shell() {
        let line = curl("http://x/webhooks/a", &[("a", "b'c".to_owned())], "@{\"n\": \"it's\"}\n");
        assert_eq!(
            line,
            "curl -sS -X POST 'http://x/webhooks/a' -H 'a: b'\\''c' --data-raw '@{\"n\": \"it'\\''s\"}\n'"
        );
    }
}

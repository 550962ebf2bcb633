//! `weir tokens`: API tokens made, listed, revoked.

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Outcome,
    out::{Ink, Out, text_of},
    users::names,
};
use crate::{
    client::{Client, Method, Sent, segment},
    identity::Role,
};

/// API tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Tokens {
    /// Make a token and print it: nobody can read it again.
    Create {
        /// Its name.
        name: String,
        /// What its holder may do: viewer, operator, approver, author, admin; several with commas.
        #[arg(long, short, required = true, value_delimiter = ',', value_parser = role)]
        role: Vec<Role>,
        /// When it expires: an instant (2027-01-31T00:00:00Z), or how long it is good (90d, 12h). Default: never.
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
    },
    /// List tokens, newest first.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=199))]
        limit: u32,
    },
    /// Revoke a token for good.
    Revoke {
        /// Its id or name.
        // Not `token`: that is what every command takes to talk to the host.
        #[arg(value_name = "TOKEN")]
        which: String,
    },
}

/// Reads a role.
pub(super) fn role(text: &str) -> Result<Role, String> {
    let known = || Role::ALL.map(Role::as_str).join(", ");
    Role::parse(text).ok_or_else(|| format!("there is no such role; there are {}", known()))
}

impl Tokens {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::Create { name, role, expires } => {
                let expires_at = expires.as_deref().map(|text| instant(text, jiff::Timestamp::now())).transpose()?;
                let body = json!({ "name": name, "roles": role, "expires_at": expires_at });
                let made = client.post("/api/tokens", body).await?;
                // The token alone on standard output, so that it can be piped to where it belongs.
                out.show(&made, || text_of(&made, "token"));
                out.note(&format!("token {} is made; it is shown this once", text_of(&made, "name")));
            }
            Self::List { limit } => {
                let page = client.get(&format!("/api/tokens?limit={limit}")).await?;
                out.show(&page, || table(out, &page));
            }
            Self::Revoke { which } => {
                let id = id_of(client, &which).await?;
                let path = format!("/api/tokens/{}", segment(&id));
                let revoked = client.send(Method::DELETE, &path, Sent::Nothing).await?;
                out.show(&revoked, || format!("revoked {}", text_of(&revoked, "name")));
            }
        }
        Ok(Outcome::Done)
    }
}

/// When something expires: an instant, or so long after `now`.
fn instant(text: &str, now: jiff::Timestamp) -> anyhow::Result<String> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant.to_string());
    }
    let wrong =
        || format!("could not understand {text:?}: write an instant (2027-01-31T00:00:00Z) or a span (90d, 12h)");
    let span: jiff::Span = text.parse().with_context(wrong)?;
    let utc = now.to_zoned(jiff::tz::TimeZone::UTC);
    Ok(utc.checked_add(span).with_context(wrong)?.timestamp().to_string())
}

/// The id of the token that is not revoked and has this id or name.
async fn id_of(client: &Client, token: &str) -> anyhow::Result<String> {
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/api/tokens?limit=199{cursor}")).await?;
        let mut items = page["items"].as_array().into_iter().flatten();
        let is_meant = |item: &&Value| item["id"] == token || (item["name"] == token && item["revoked_at"].is_null());
        if let Some(found) = items.find(is_meant) {
            return Ok(found["id"].as_str().unwrap_or_default().to_owned());
        }
        let next = page["next_cursor"].as_str();
        cursor =
            format!("&cursor={}", next.with_context(|| format!("there is no token {token:?} that could be revoked"))?);
    }
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        let state = match item["revoked_at"].as_str() {
            Some(_) => out.ink(Ink::Bad, "revoked"),
            None => out.ink(Ink::Good, "good"),
        };
        vec![
            text_of(item, "name"),
            names(&item["roles"]),
            state,
            text_of(item, "expires_at"),
            text_of(item, "last_used_at"),
            text_of(item, "created_by"),
            text_of(item, "id"),
        ]
    });
    out.table(&["NAME", "ROLES", "STATE", "EXPIRES", "LAST USED", "MADE BY", "ID"], &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_an_instant_or_a_span() {
        let now: jiff::Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(instant("2027-01-31T00:00:00+01:00", now).unwrap(), "2027-01-30T23:00:00Z");
        assert_eq!(instant("90d", now).unwrap(), "2026-05-01T12:00:00Z");
        assert_eq!(instant("1mo", now).unwrap(), "2026-02-28T12:00:00Z");
        assert_eq!(instant("12h", now).unwrap(), "2026-02-01T00:00:00Z");
        for wrong in ["", "soon", "99999999y"] {
            assert!(instant(wrong, now).is_err(), "{wrong}");
        }
    }
}

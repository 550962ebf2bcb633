//! `weir users`: people who sign in with a name and a password.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Outcome,
    out::{Ink, Out, text_of},
    tokens::role,
};
use crate::{
    client::{Client, Method, Sent, segment},
    identity::Role,
};

/// Users. A password is asked for without showing it, or read as one line from standard input; never an argument, which
/// others on the machine could read.
#[derive(Debug, Subcommand)]
pub(super) enum Users {
    /// Add a user; asks for the password.
    Add {
        /// Their name.
        name: String,
        /// What they may do: viewer, operator, approver, author, admin; several with commas.
        #[arg(long, short, required = true, value_delimiter = ',', value_parser = role)]
        role: Vec<Role>,
    },
    /// List users.
    List,
    /// Give a user a new password, which ends their sessions; asks for it.
    Password {
        /// Their name or id.
        user: String,
        /// It is your own: asks for the current password first, and needs no token.
        #[arg(long)]
        own: bool,
    },
    /// Give a user other roles.
    SetRoles {
        /// Their name or id.
        user: String,
        /// All that they may do from now on.
        #[arg(required = true, value_delimiter = ',', value_parser = role)]
        roles: Vec<Role>,
    },
    /// Let a user in again.
    Enable {
        /// Their name or id.
        user: String,
    },
    /// Let a user in no more; ends their sessions.
    Disable {
        /// Their name or id.
        user: String,
    },
    /// Delete a user; ends their sessions.
    Delete {
        /// Their name or id.
        user: String,
    },
}

impl Users {
    pub(super) async fn run(self, client: &Client, out: Out) -> anyhow::Result<Outcome> {
        match self {
            Self::Add { name, role } => {
                let body = json!({ "name": name, "password": password().await?, "roles": role });
                let added = client.post("/api/users", body).await?;
                out.show(&added, || format!("added {} ({})", text_of(&added, "name"), names(&added["roles"])));
            }
            Self::List => {
                let page = client.get("/api/users").await?;
                out.show(&page, || table(out, &page));
            }
            Self::Password { user, own: true } => change_own(client, out, &user).await?,
            Self::Password { user, own: false } => {
                let body = json!({ "password": password().await? });
                let changed = client.post(&format!("/api/users/{}/password", segment(&user)), body).await?;
                out.show(&changed, || format!("{} has a new password", text_of(&changed, "name")));
            }
            Self::SetRoles { user, roles } => change(client, out, &user, json!({ "roles": roles })).await?,
            Self::Enable { user } => change(client, out, &user, json!({ "disabled": false })).await?,
            Self::Disable { user } => change(client, out, &user, json!({ "disabled": true })).await?,
            Self::Delete { user } => {
                client.send(Method::DELETE, &format!("/api/users/{}", segment(&user)), Sent::Nothing).await?;
                out.show(&json!({ "deleted": user }), || format!("deleted {user}"));
            }
        }
        Ok(Outcome::Done)
    }
}

/// Changes the password of whoever knows the current one, in a session of their own that ends with it.
async fn change_own(client: &Client, out: Out, user: &str) -> anyhow::Result<()> {
    let current = tokio::task::spawn_blocking(|| read_password("current password: ")).await??;
    let session = client.sign_in(user, &current).await?;
    let changed = async {
        let body = json!({ "current_password": current, "password": password().await? });
        anyhow::Ok(session.post("/api/session/password", body).await?)
    };
    let changed = changed.await;
    session.send(Method::DELETE, "/api/session", Sent::Nothing).await?;
    changed?;
    out.show(&json!({ "changed": user }), || format!("{user} has a new password"));
    Ok(())
}

async fn change(client: &Client, out: Out, user: &str, change: Value) -> anyhow::Result<()> {
    let changed = client.send(Method::PUT, &format!("/api/users/{}", segment(user)), Sent::Json(change)).await?;
    let state = if changed["disabled"] == true { ", disabled" } else { "" };
    out.show(&changed, || format!("{}: {}{state}", text_of(&changed, "name"), names(&changed["roles"])));
    Ok(())
}

/// A password: asked for twice on a terminal, without showing it; else one line of standard input.
async fn password() -> anyhow::Result<String> {
    let ask = || -> anyhow::Result<String> {
        let password = read_password("new password: ")?;
        let is_terminal = std::io::stdin().is_terminal();
        anyhow::ensure!(!is_terminal || read_password("again: ")? == password, "the passwords are not the same");
        Ok(password)
    };
    tokio::task::spawn_blocking(ask).await?
}

fn read_password(prompt: &str) -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password(prompt).context("could not ask for the password");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("could not read the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Roles, with commas.
pub(super) fn names(roles: &Value) -> String {
    roles
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(super::out::clean)
        .collect::<Vec<_>>()
        .join(",")
}

fn table(out: Out, page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|item| {
        let state = if item["disabled"] == true { out.ink(Ink::Bad, "disabled") } else { out.status("enabled") };
        vec![text_of(item, "name"), names(&item["roles"]), state, text_of(item, "created_at"), text_of(item, "id")]
    });
    out.table(&["NAME", "ROLES", "STATE", "ADDED", "ID"], &rows.collect::<Vec<_>>())
}

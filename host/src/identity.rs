//! Who asks, and what they may do. Pure.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// What somebody may do. A principal has some of them; everyone who is known may look (`viewer`), and `admin` may do
/// everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything but secrets.
    Viewer,
    /// Starts and cancels executions, sends events.
    Operator,
    /// Decides what human steps ask.
    Approver,
    /// Saves and deletes workflows, and sets up their triggers.
    Author,
    /// Everything: plugins, tokens, users, secrets, grants.
    Admin,
}

impl Role {
    /// Every role, the weakest first.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Operator, Self::Approver, Self::Author, Self::Admin];

    /// The role as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Author => "author",
            Self::Admin => "admin",
        }
    }

    /// The role with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// Whether they allow what needs `role`.
    #[must_use]
    pub fn allow(self, role: Role) -> bool {
        self.contains(Role::Admin) || self.contains(role) || (role == Role::Viewer && self.0 != 0)
    }

    /// Whether the set holds this very role.
    #[must_use]
    pub fn contains(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles in the set, the weakest first.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        Self(role.bit())
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Role::as_str)).finish()
    }
}

/// Written as a list of names.
impl Serialize for Roles {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Role>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// How somebody is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The admin token of the data directory.
    AdminToken,
    /// An API token, by its id.
    Token(Arc<str>),
    /// A user with a session, by the user's id.
    User(Arc<str>),
    /// A link that was sent to somebody, good for one decision.
    Link,
    /// A trigger, by its id: nobody asked, the host did it by itself.
    Trigger(Arc<str>),
}

/// Somebody who asks for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// How they are known.
    pub kind: Kind,
    /// Their name: of the user or the token.
    pub name: Arc<str>,
    /// What they may do.
    pub roles: Roles,
}

impl Principal {
    /// Whoever holds the admin token of the data directory.
    #[must_use]
    pub fn admin() -> Self {
        Self { kind: Kind::AdminToken, name: "admin".into(), roles: Role::Admin.into() }
    }

    /// Who this is, for the audit log and for decisions: `user:alice`, `token:ci`, `admin`.
    #[must_use]
    pub fn actor(&self) -> String {
        match self.kind {
            Kind::AdminToken => self.name.to_string(),
            Kind::Token(_) => format!("token:{}", self.name),
            Kind::User(_) => format!("user:{}", self.name),
            Kind::Link => format!("link:{}", self.name),
            Kind::Trigger(_) => format!("trigger:{}", self.name),
        }
    }

    /// Who this is, in a form that no other principal ever has: names may be given again.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.kind {
            Kind::AdminToken => "admin".to_owned(),
            Kind::Token(id) => format!("token:{id}"),
            Kind::User(id) => format!("user:{id}"),
            Kind::Link => format!("link:{}", self.name),
            Kind::Trigger(id) => format!("trigger:{id}"),
        }
    }

    /// Whether they may do what needs `role`.
    #[must_use]
    pub fn may(&self, role: Role) -> bool {
        self.roles.allow(role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_may_everything_and_everyone_may_look() {
        assert!(Role::ALL.into_iter().all(|role| Roles::from(Role::Admin).allow(role)));
        assert!(Roles::from(Role::Approver).allow(Role::Viewer));
        assert!(!Roles::from(Role::Approver).allow(Role::Operator));
        assert!(!Roles::default().allow(Role::Viewer));
    }

    #[test]
    fn roles_are_written_as_a_list_of_names() {
        let roles: Roles = [Role::Author, Role::Viewer].into_iter().collect();
        assert_eq!(serde_json::to_string(&roles).unwrap(), r#"["viewer","author"]"#);
        assert_eq!(serde_json::from_str::<Roles>(r#"["author","viewer"]"#).unwrap(), roles);
        assert!(serde_json::from_str::<Roles>(r#"["root"]"#).is_err());
    }
}

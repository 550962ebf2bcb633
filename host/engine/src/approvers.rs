//! Who may decide a question, and how many of them it takes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The roles that a question may name: whoever has one of them may decide.
pub const ROLES: [&str; 5] = ["viewer", "operator", "approver", "author", "admin"];
/// The most people that one decision may take, and the most names in a list.
pub const APPROVERS_MAX: usize = 64;

/// Who may decide a question, and how many of them it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvers {
    /// Whoever has one of these roles may.
    pub roles: Vec<String>,
    /// Whoever has one of these names may. Where nobody is named at all, every approver may.
    pub users: Vec<String>,
    /// How many different people must choose the same option, from 1.
    pub quorum: u32,
    /// Whether the person who started the execution may decide, too.
    pub requester_may_decide: bool,
}

impl Default for Approvers {
    fn default() -> Self {
        Self { roles: Vec::new(), users: Vec::new(), quorum: 1, requester_may_decide: true }
    }
}

impl Approvers {
    /// Those that a question names: the member `approvers` of what is shown. Earlier questions have a list of names.
    #[must_use]
    pub fn of_request(request: &Value) -> Self {
        let written = &request["approvers"];
        match written.as_array() {
            Some(names) => Self::of_names(names.iter().filter_map(Value::as_str)),
            None => Self::deserialize(written).unwrap_or_default(),
        }
    }

    /// Those that a list of names means: names of roles are roles, all others are users.
    #[must_use]
    pub fn of_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let names = names.into_iter().map(str::to_owned);
        let (roles, users) = names.partition(|name| ROLES.contains(&name.as_str()));
        Self { roles, users, ..Self::default() }
    }

    /// The same question to others: how many it takes, and whether the requester may, stays.
    #[must_use]
    pub fn reassigned(&self, roles: Vec<String>, users: Vec<String>) -> Self {
        Self { roles, users, ..*self }
    }

    /// Whether enough people are named: the names alone, without roles, may be fewer than it takes.
    #[must_use]
    pub fn are_enough(&self) -> bool {
        !self.roles.is_empty() || self.users.is_empty() || self.users.len() >= self.quorum as usize
    }

    /// Whether nobody is named, so that every approver may decide.
    #[must_use]
    pub fn is_anyone(&self) -> bool {
        self.roles.is_empty() && self.users.is_empty()
    }
}

/// The person behind an actor: a link speaks for the user that it was made for.
#[must_use]
pub fn person(actor: &str) -> &str {
    actor.strip_prefix("user:").or_else(|| actor.strip_prefix("link:")).unwrap_or(actor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_of_names_means_roles_and_users() {
        let read = Approvers::of_request(&json!({ "approvers": ["approver", "pat"] }));
        assert_eq!((read.roles, read.users), (vec!["approver".to_owned()], vec!["pat".to_owned()]));
        assert_eq!(Approvers::of_request(&json!({})), Approvers::default());
    }

    #[test]
    fn names_must_suffice_for_the_quorum() {
        let two = Approvers { quorum: 2, ..Approvers::default() };
        assert!(two.are_enough() && two.reassigned(vec!["admin".into()], vec![]).are_enough());
        assert!(!two.reassigned(vec![], vec!["pat".into()]).are_enough());
    }

    #[test]
    fn a_link_speaks_for_its_user() {
        assert_eq!(person("link:pat"), person("user:pat"));
        assert_ne!(person("token:pat"), person("user:pat"));
    }
}

//! Who may decide a question. Pure; looked at when somebody decides, not when they were asked.

use weir_engine::approvers::{Approvers, person};

use super::DecideError;
use crate::identity::{Principal, Role};

/// Whether somebody may decide a question: everyone needs the role `approver`; those that the question names may, or
/// every approver where it names nobody. `admin` may always, and so may whom an admin invited. Nobody decides what they
/// started themselves where the question forbids that.
///
/// `requester` is who started the execution; `invited` says that an admin asked this very person.
///
/// # Errors
/// [`DecideError::NotAllowed`] says why not.
pub fn may_decide(
    approvers: &Approvers,
    requester: Option<&str>,
    principal: &Principal,
    invited: bool,
) -> Result<(), DecideError> {
    if !principal.may(Role::Approver) {
        return Err(DecideError::NotAllowed("this needs the role \"approver\"".to_owned()));
    }
    if !(invited || principal.roles.contains(Role::Admin) || names(approvers, principal)) {
        return Err(DecideError::NotAllowed(format!("this is for {} to decide", wanted(approvers))));
    }
    let is_requester = requester.is_some_and(|requester| person(requester) == person(&principal.actor()));
    if !approvers.requester_may_decide && is_requester {
        return Err(DecideError::NotAllowed("whoever started the execution may not decide this".to_owned()));
    }
    Ok(())
}

fn names(approvers: &Approvers, principal: &Principal) -> bool {
    let actor = principal.actor();
    let is_named = || approvers.users.iter().any(|user| user == person(&actor));
    let has_role = || principal.roles.iter().any(|role| approvers.roles.iter().any(|name| name == role.as_str()));
    approvers.is_anyone() || is_named() || has_role()
}

/// Those who may decide, in words.
fn wanted(approvers: &Approvers) -> String {
    let roles = approvers.roles.iter().map(|role| format!("the role {role:?}"));
    let users = approvers.users.iter().map(|user| format!("{user:?}"));
    roles.chain(users).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Kind, Roles};

    fn user(name: &str, roles: &[Role]) -> Principal {
        let roles: Roles = roles.iter().copied().collect();
        Principal { kind: Kind::User(name.into()), name: name.into(), roles }
    }

    fn link(name: &str) -> Principal {
        Principal { kind: Kind::Link, ..user(name, &[Role::Approver]) }
    }

    fn may(approvers: &Approvers, principal: &Principal, invited: bool) -> bool {
        may_decide(approvers, Some("user:ann"), principal, invited).is_ok()
    }

    #[test]
    fn p4_who_may_decide_is_a_matrix_of_roles_names_and_requesters() {
        let anyone = Approvers::default();
        let bob = Approvers { users: vec!["bob".into()], ..Approvers::default() };
        let operators = Approvers { roles: vec!["operator".into()], ..Approvers::default() };
        let others = Approvers { requester_may_decide: false, ..Approvers::default() };
        let (approver, operator) = ([Role::Approver], [Role::Approver, Role::Operator]);
        let admin = [Role::Admin];
        let cases = [
            (&anyone, user("ann", &approver), true),
            (&anyone, user("ann", &[Role::Viewer, Role::Operator, Role::Author]), false),
            (&anyone, user("ann", &[]), false),
            (&anyone, user("ann", &admin), true),
            (&bob, user("bob", &approver), true),
            (&bob, user("bob", &[Role::Viewer]), false),
            (&bob, user("ann", &approver), false),
            (&bob, user("ann", &admin), true),
            (&bob, link("bob"), true),
            (&bob, link("kim"), false),
            (&operators, user("ann", &approver), false),
            (&operators, user("ann", &operator), true),
            (&others, user("ann", &approver), false),
            (&others, user("ann", &admin), false),
            (&others, link("ann"), false),
            (&others, user("bob", &approver), true),
            (&others, Principal::admin(), true),
        ];
        for (approvers, principal, expected) in cases {
            assert_eq!(may(approvers, &principal, false), expected, "{principal:?} of {approvers:?}");
        }
        assert!(may(&bob, &link("kim"), true), "whom an admin invited");
        assert!(!may(&others, &link("ann"), true), "nobody is invited to decide their own request");
    }
}

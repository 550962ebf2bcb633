//! Reads who may decide a human step.

use std::collections::BTreeSet;

use super::{
    diagnostic::{DiagnosticCode, Diagnostics},
    fields::Fields,
};
use crate::approvers::{APPROVERS_MAX, Approvers, ROLES};

/// The approvers of a human step's configuration: an object, or a list of names.
pub(super) fn read(config: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Approvers {
    let Some(value) = config.value("approvers") else { return Approvers::default() };
    if value.is_array() {
        let names = config.texts("approvers", diagnostics);
        return Approvers::of_names(names.iter().map(String::as_str));
    }
    let Some(mut fields) = Fields::open(value, config.place.at("approvers"), diagnostics) else {
        return Approvers::default();
    };
    let approvers = Approvers {
        roles: roles(&mut fields, diagnostics),
        users: fields.texts("users", diagnostics),
        quorum: fields.small("quorum", 1, APPROVERS_MAX as u32, diagnostics).unwrap_or(1),
        requester_may_decide: fields.flag("requester_may_decide", diagnostics).unwrap_or(true),
    };
    check_quorum(&approvers, &fields, diagnostics);
    fields.close(diagnostics);
    approvers
}

fn roles(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<String> {
    let roles = fields.texts("roles", diagnostics);
    for (index, role) in roles.iter().enumerate().filter(|(_, role)| !ROLES.contains(&role.as_str())) {
        let message = format!("there is no role {role:?}: it must be one of {}", ROLES.join(", "));
        diagnostics.error(&fields.place.at("roles").at(index), DiagnosticCode::InvalidValue, message);
    }
    roles
}

/// A quorum that the named people can never make up is a mistake, not a rule.
fn check_quorum(approvers: &Approvers, fields: &Fields<'_>, diagnostics: &mut Diagnostics) {
    let different: BTreeSet<&String> = approvers.users.iter().collect();
    let people = Approvers { users: different.into_iter().cloned().collect(), ..approvers.clone() };
    if !people.are_enough() {
        let message = format!("{} people are named, so {} can never agree", people.users.len(), approvers.quorum);
        diagnostics.error(&fields.place.at("quorum"), DiagnosticCode::InvalidValue, message);
    }
}

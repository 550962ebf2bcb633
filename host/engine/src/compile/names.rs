//! What the names of tools and agents mean.

use std::collections::BTreeMap;

use crate::{
    definition::{
        DiagnosticCode,
        diagnostic::{Diagnostics, Place},
    },
    graph::Target,
};

use super::{Catalog, Found};

/// How many similar names a message holds at most.
const SIMILAR_MAX: usize = 5;

/// The names that were looked up so far.
pub(super) struct Names<'c> {
    pub(super) catalog: &'c dyn Catalog,
    pub(super) targets: BTreeMap<String, Target>,
}

impl<'c> Names<'c> {
    pub(super) fn new(catalog: &'c dyn Catalog) -> Self {
        Self { catalog, targets: BTreeMap::new() }
    }

    /// What `name` means; what it cannot mean is reported.
    pub(super) fn find(
        &mut self,
        name: &str,
        agent: bool,
        place: &Place,
        diagnostics: &mut Diagnostics,
    ) -> Option<Target> {
        if let Some(target) = self.targets.get(name)
            && target.agent == agent
        {
            return Some(target.clone());
        }
        let target = match self.catalog.find(name, agent) {
            Found::One(target) => target,
            Found::Ambiguous(names) => {
                let message = format!("several plugins offer `{name}`: write one of {}", list(&names));
                diagnostics.error(place, DiagnosticCode::AmbiguousName, message);
                return None;
            }
            Found::Missing { similar } => {
                self.report_missing(name, agent, &similar, place, diagnostics);
                return None;
            }
        };
        if target.agent != agent {
            report_kind(name, agent, place, diagnostics);
            return None;
        }
        if self.targets.contains_key(name) {
            let message =
                format!("`{name}` is called as a tool and as an agent: write the plugin's name before one of them");
            diagnostics.error(place, DiagnosticCode::AmbiguousName, message);
            return None;
        }
        self.targets.insert(name.to_owned(), target.clone());
        Some(target)
    }

    fn report_missing(
        &self,
        name: &str,
        agent: bool,
        similar: &[String],
        place: &Place,
        diagnostics: &mut Diagnostics,
    ) {
        match self.catalog.find(name, !agent) {
            Found::One(_) | Found::Ambiguous(_) => return report_kind(name, agent, place, diagnostics),
            Found::Missing { .. } => {}
        }
        let (word, code) =
            if agent { ("agent", DiagnosticCode::UnknownAgent) } else { ("tool", DiagnosticCode::UnknownTool) };
        let hint = match similar {
            [] => "install a plugin that offers it".to_owned(),
            similar => format!("did you mean {}?", list(similar)),
        };
        diagnostics.error(place, code, format!("no plugin offers the {word} `{name}`: {hint}"));
    }
}

fn report_kind(name: &str, agent: bool, place: &Place, diagnostics: &mut Diagnostics) {
    let message = if agent {
        format!("`{name}` is a tool: call it in a step of type tool")
    } else {
        format!("`{name}` is an agent: call it in a step of type agent")
    };
    diagnostics.error(place, DiagnosticCode::WrongKind, message);
}

fn list(names: &[String]) -> String {
    names.iter().take(SIMILAR_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

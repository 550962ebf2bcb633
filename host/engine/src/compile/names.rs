//! What the names of tools and agents mean.

use std::collections::BTreeMap;

use crate::{
    definition::{
        DiagnosticCode,
        diagnostic::{Diagnostics, Place},
    },
    graph::Target,
};

use super::{Catalog, Found, similar::SUGGESTIONS_MAX};

/// How many similar names a message holds at most.
const SIMILAR_MAX: usize = 5;

/// The names that were looked up so far.
pub(super) struct Names<'c> {
    pub(super) catalog: &'c dyn Catalog,
    pub(super) targets: BTreeMap<String, Target>,
    /// How many names meant nothing.
    missing: usize,
}

impl<'c> Names<'c> {
    pub(super) fn new(catalog: &'c dyn Catalog) -> Self {
        Self { catalog, targets: BTreeMap::new(), missing: 0 }
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
            Found::Missing => {
                self.report_missing(name, agent, place, diagnostics);
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

    fn report_missing(&mut self, name: &str, agent: bool, place: &Place, diagnostics: &mut Diagnostics) {
        match self.catalog.find(name, !agent) {
            Found::One(_) | Found::Ambiguous(_) => return report_kind(name, agent, place, diagnostics),
            Found::Missing => {}
        }
        let (word, code) =
            if agent { ("agent", DiagnosticCode::UnknownAgent) } else { ("tool", DiagnosticCode::UnknownTool) };
        self.missing += 1;
        let similar = if self.missing > SUGGESTIONS_MAX { Vec::new() } else { self.catalog.similar(name, agent) };
        let hint = match similar.as_slice() {
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

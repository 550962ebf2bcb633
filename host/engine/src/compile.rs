//! Definition and catalog to graph: names become exact targets, jumps become indices, references are checked against
//! what can have run. All problems are reported at once, and nothing here fails.

use std::sync::Arc;

use serde_json::Value;

mod flow;
mod jumps;
mod layout;
mod names;
mod references;
mod similar;
mod work;

use crate::{
    condition::read_template,
    definition::{
        Definition, Diagnostic, DiagnosticCode,
        diagnostic::{Diagnostics, Place},
    },
    graph::{Graph, Kind, MAX_STEPS_DEFAULT, OPEN_SCOPES_MAX, Step, Target},
    limits::Limits,
};
use jumps::Jumps;
use layout::Layout;
use names::Names;
use references::Scopes;
pub use similar::edit_distance;
use work::Work;

/// What is installed, or what a version is pinned to.
pub trait Catalog {
    /// What a tool's or an agent's name means: `plugin.tool`, or `tool` alone, either with `@version`.
    fn find(&self, name: &str, agent: bool) -> Found;

    /// Names that are written much like one that means nothing. Asked for the first few of a definition only, so it may
    /// compare with all that there are.
    fn similar(&self, _name: &str, _agent: bool) -> Vec<String> {
        Vec::new()
    }

    /// What is wrong with arguments that hold no references.
    fn check_arguments(&self, target: &Target, arguments: &Value) -> Vec<ArgumentProblem>;
}

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This.
    One(Target),
    /// One of these; names that say which.
    Ambiguous(Vec<String>),
    /// Nothing.
    Missing,
}

/// What is wrong with an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentProblem {
    /// JSON pointer within the arguments.
    pub pointer: String,
    /// A lowercase fragment.
    pub message: String,
}

/// A definition as it was written, with all that is known about it.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What was read.
    pub definition: Definition,
    /// What can run; `None` where a diagnostic is an error.
    pub graph: Option<Arc<Graph>>,
    /// All problems, errors first.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and compiles a definition in one go.
#[must_use]
pub fn check(value: &Value, catalog: &dyn Catalog) -> Checked {
    let (definition, mut diagnostics) = Definition::parse(value);
    let (graph, more) = compile(&definition, catalog);
    diagnostics.extend(more);
    diagnostics.sort_by_key(|diagnostic| diagnostic.severity);
    Checked { definition, graph, diagnostics }
}

/// Compiles a definition. There is no graph where a diagnostic is an error, or where reading the definition found one;
/// the diagnostics of reading are not repeated.
#[must_use]
pub fn compile(definition: &Definition, catalog: &dyn Catalog) -> (Option<Arc<Graph>>, Vec<Diagnostic>) {
    let mut diagnostics = Diagnostics::default();
    let graph = build(definition, catalog, &mut diagnostics);
    let graph = graph.filter(|_| definition.sound && !diagnostics.has_errors()).map(Arc::new);
    (graph, diagnostics.finish())
}

fn build(definition: &Definition, catalog: &dyn Catalog, diagnostics: &mut Diagnostics) -> Option<Graph> {
    let layout = Layout::of(definition);
    let jumps = jumps::resolve(&layout, diagnostics);
    let mut names = Names::new(catalog);
    let kinds: Vec<Option<Kind>> = (0..layout.steps.len())
        .map(|step| Work { layout: &layout, names: &mut names, diagnostics }.kind(step, &jumps[step]))
        .collect();
    let output = definition.output.as_ref().map(|output| {
        let place = Place::default().at("output");
        (read_template(output, &place, diagnostics), place)
    });
    report_open_scopes(&layout, &kinds, diagnostics);
    let mut scopes = Scopes::new(&layout, &jumps, diagnostics);
    scopes.report_unreachable();
    kinds.iter().enumerate().filter_map(|(step, kind)| Some((step, kind.as_ref()?))).for_each(|(step, kind)| {
        scopes.check_step(step, kind);
    });
    if let Some((Some(template), place)) = &output {
        scopes.check_output(template, place);
    }
    let steps =
        kinds.into_iter().zip(jumps).enumerate().map(|(step, (kind, jumps))| finish(&layout, step, kind?, jumps));
    Some(Graph {
        name: definition.name.as_str().into(),
        steps: steps.collect::<Option<_>>()?,
        blocks: layout.blocks,
        by_id: layout.by_id,
        limits: limits(&definition.guardrails),
        output: output.and_then(|(template, _)| template),
        input_schema: definition.input_schema.clone(),
        targets: names.targets,
    })
}

/// Reports parallel steps and loops whose windows, multiplied by those around them, open too many scopes at a time.
fn report_open_scopes(layout: &Layout<'_>, kinds: &[Option<Kind>], diagnostics: &mut Diagnostics) {
    let mut widths = vec![1_usize; layout.blocks.len()];
    for (placed, kind) in layout.steps.iter().zip(kinds) {
        let window = match kind {
            Some(Kind::Parallel { max_concurrency, .. } | Kind::Loop { max_concurrency, .. }) => *max_concurrency,
            Some(Kind::Tool(_) | Kind::Agent(_) | Kind::Condition { .. } | Kind::Human(_)) | None => continue,
        };
        let width = widths[placed.block].saturating_mul(window as usize);
        if width > OPEN_SCOPES_MAX {
            let message = format!(
                "up to {width} branches and iterations could be open at a time here, the most is {OPEN_SCOPES_MAX}: \
                 lower max_concurrency here or in the steps around"
            );
            diagnostics.error(&placed.definition.place, DiagnosticCode::TooMany, message);
        }
        placed.inner.iter().for_each(|block| widths[*block] = width.min(OPEN_SCOPES_MAX));
    }
}

fn finish(layout: &Layout<'_>, step: usize, kind: Kind, jumps: Jumps) -> Option<Step> {
    let placed = layout.steps.get(step)?;
    let guardrails = &placed.definition.guardrails;
    let limits = kind.invocation().map_or_else(|| guardrails.clone(), |own| guardrails.tightened_by(&own.limits));
    Some(Step {
        id: Arc::clone(&placed.definition.id),
        block: placed.block,
        kind,
        next: jumps.next,
        retry: placed.definition.retry.clone(),
        on_error: jumps.on_error,
        limits,
    })
}

fn limits(guardrails: &Limits) -> Limits {
    Limits { max_steps: guardrails.max_steps.or(Some(MAX_STEPS_DEFAULT)), ..guardrails.clone() }
}

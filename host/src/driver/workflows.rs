//! Compiled workflow versions, kept. A graph follows from its version alone; what its names resolve to follows from
//! the plugins of the moment.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;
use weir_engine::{
    compile::{self, Catalog},
    definition::{Definition, Diagnostic, DiagnosticCode, Severity, StepDefinition, StepKind},
    event::Started,
    graph::{Graph, Target},
};

use super::{
    catalog::{HostCatalog, Pinned},
    lock, masked,
};
use crate::{
    schema::Schema,
    secrets::Masker,
    store::{Store, StoreError, WorkflowVersion},
};

/// Compiled versions that are kept; beyond it all are made again.
const KEPT_MAX: usize = 1_000;

/// A version that can run.
#[derive(Debug)]
pub struct Compiled {
    /// What runs.
    pub graph: Arc<Graph>,
    /// What its names resolve to.
    pub targets: Arc<BTreeMap<String, Arc<Target>>>,
    /// The plugins it was compiled with.
    generation: u64,
}

/// Why a version cannot run.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// What it names is not there (any more), or its definition is from another release.
    #[error("workflow {name:?} version {version} cannot run: {}", first(.diagnostics))]
    Invalid {
        /// The workflow.
        name: String,
        /// The version.
        version: u32,
        /// Everything that is wrong.
        diagnostics: Vec<Diagnostic>,
    },
    /// The version is not stored.
    #[error("could not find version {version} of workflow {workflow_id}")]
    NotFound {
        /// The workflow.
        workflow_id: String,
        /// The version.
        version: u32,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn first(diagnostics: &[Diagnostic]) -> String {
    let error = diagnostics.iter().find(|diagnostic| diagnostic.is_error());
    error.map_or_else(|| "it does not compile".to_owned(), |e| format!("{} (at {})", e.message, e.field))
}

/// What a definition says, and everything that is wrong or odd about it.
#[derive(Debug)]
pub struct Checked {
    /// The definition as it is meant.
    pub definition: Definition,
    /// Whether it can run.
    pub valid: bool,
    /// All problems, errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks a definition against a catalog, its schemas included, and for secrets that it would show.
#[must_use]
pub fn check(definition: &Value, catalog: &dyn Catalog, masker: &Masker) -> Checked {
    let secrets = masked::held(definition, masker);
    let compile::Checked { definition, graph, mut diagnostics } = compile::check(definition, catalog);
    diagnostics.extend(check_schemas(&definition));
    diagnostics.extend(secrets);
    diagnostics.sort_by_key(|diagnostic| diagnostic.severity);
    let valid = graph.is_some() && !diagnostics.iter().any(Diagnostic::is_error);
    Checked { definition, valid, diagnostics }
}

fn check_schemas(definition: &Definition) -> Vec<Diagnostic> {
    let own = definition.input_schema.iter().filter_map(|schema| unusable(schema, "/input_schema", None));
    let mut found: Vec<Diagnostic> = own.collect();
    check_forms(&definition.steps, &mut found);
    found
}

fn check_forms(steps: &[StepDefinition], found: &mut Vec<Diagnostic>) {
    for step in steps {
        match &step.kind {
            Some(StepKind::Human { form_schema: Some(schema), .. }) => {
                let field = format!("{}/human_config/form_schema", step.pointer());
                found.extend(unusable(schema, &field, Some(&step.id)));
            }
            Some(StepKind::Parallel { branches, .. }) => branches.iter().for_each(|branch| check_forms(branch, found)),
            Some(StepKind::Loop { steps, .. }) => check_forms(steps, found),
            Some(
                StepKind::Tool { .. } | StepKind::Agent { .. } | StepKind::Condition { .. } | StepKind::Human { .. },
            )
            | None => {}
        }
    }
}

/// Why a schema at this place cannot be used.
fn unusable(schema: &Value, field: &str, step_id: Option<&str>) -> Option<Diagnostic> {
    let problem = Schema::compile(schema).err()?;
    Some(Diagnostic {
        severity: Severity::Error,
        field: format!("{field}{}", problem.field),
        message: format!("not a JSON Schema that can be used: {}", problem.message),
        step_id: step_id.map(str::to_owned),
        code: DiagnosticCode::InvalidValue,
    })
}

/// A workflow's id and a version of it.
type Key = (Arc<str>, u32);

/// The cache.
#[derive(Debug, Default)]
pub(super) struct Workflows {
    generation: AtomicU64,
    catalog: Mutex<Option<(u64, Arc<HostCatalog>)>>,
    compiled: Mutex<HashMap<Key, Arc<Compiled>>>,
}

impl Workflows {
    pub(super) fn plugins_changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) async fn catalog(&self, store: &Store) -> Result<Arc<HostCatalog>, StoreError> {
        let generation = self.generation.load(Ordering::Acquire);
        if let Some((known, catalog)) = &*lock(&self.catalog)
            && *known == generation
        {
            return Ok(catalog.clone());
        }
        let catalog = Arc::new(HostCatalog::new(store.enabled_plugins().await?));
        *lock(&self.catalog) = Some((generation, catalog.clone()));
        Ok(catalog)
    }

    /// The descriptor's entry of a tool; null where its plugin is disabled or gone.
    pub(super) fn about(&self, target: &Target) -> Value {
        let catalog = lock(&self.catalog).as_ref().map(|(_, catalog)| catalog.clone());
        catalog.and_then(|catalog| catalog.about(target).cloned()).unwrap_or(Value::Null)
    }

    /// A version with today's plugins.
    pub(super) async fn compiled(
        &self,
        store: &Store,
        version: &WorkflowVersion,
    ) -> Result<Arc<Compiled>, CompileError> {
        let generation = self.generation.load(Ordering::Acquire);
        let key = (version.workflow_id.clone(), version.version);
        if let Some(known) = self.known(&key).filter(|known| known.generation == generation) {
            return Ok(known);
        }
        let catalog = self.catalog(store).await?;
        let graph = build(version, &*catalog)?;
        Ok(self.keep(key, graph, generation))
    }

    /// The graph of an execution that was started before: the plugins of today do not matter.
    pub(super) async fn graph_for(&self, store: &Store, started: &Started) -> Result<Arc<Graph>, CompileError> {
        let key = (started.workflow_id.clone(), started.workflow_version);
        if let Some(known) = self.known(&key) {
            return Ok(known.graph.clone());
        }
        let version = store.workflow_version(&started.workflow_id, Some(started.workflow_version)).await?;
        let version = version.ok_or_else(|| CompileError::NotFound {
            workflow_id: started.workflow_id.to_string(),
            version: started.workflow_version,
        })?;
        let graph = build(&version, &Pinned(&started.targets))?;
        // Compiled with pins, so never current: a start compiles it again.
        Ok(self.keep(key, graph, u64::MAX).graph.clone())
    }

    fn known(&self, key: &Key) -> Option<Arc<Compiled>> {
        lock(&self.compiled).get(key).cloned()
    }

    fn keep(&self, key: Key, graph: Arc<Graph>, generation: u64) -> Arc<Compiled> {
        let targets = graph.targets.iter().map(|(name, target)| (name.clone(), Arc::new(target.clone()))).collect();
        let compiled = Arc::new(Compiled { graph, targets: Arc::new(targets), generation });
        let mut all = lock(&self.compiled);
        if all.len() >= KEPT_MAX {
            all.clear();
        }
        all.insert(key, compiled.clone());
        compiled
    }
}

fn build(version: &WorkflowVersion, catalog: &dyn Catalog) -> Result<Arc<Graph>, CompileError> {
    let compile::Checked { graph, diagnostics, .. } = compile::check(version.definition.value(), catalog);
    graph.ok_or_else(|| CompileError::Invalid { name: version.name.to_string(), version: version.version, diagnostics })
}

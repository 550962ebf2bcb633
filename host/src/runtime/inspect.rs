//! Looks at a component without compiling it: what it is, what it imports and exports, and how large it becomes when
//! the components inside it are instantiated, which is what compiling costs.

use std::collections::HashMap;

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, Encoding,
    Instance, Parser, Payload, Validator, WasmFeatures,
};

use super::{
    limits::{CORE_INSTANCES_MAX, MEMORIES_MAX, MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX},
    text::neutral,
    upload::UploadError,
};

/// Functions of all modules together.
const FUNCTIONS_MAX: u64 = 100_000;
/// Types, imports, exports, aliases and canonical functions of all modules and components together.
const ITEMS_MAX: u64 = 200_000;
/// Component and module instances, those inside nested components counted as often as they are made.
const INSTANCES_MAX: u64 = 256;
/// How deep components may be nested.
const DEPTH_MAX: usize = 32;
const PAGE_BYTES: u64 = 64 << 10;
const NAME_BYTES_MAX: usize = 200;

/// What a component says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The names of its imports.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
}

/// Decides whether `bytes` are a sound component of our world that is cheap enough to compile.
pub(super) fn inspect(bytes: &[u8], features: WasmFeatures) -> Result<Interface, UploadError> {
    recognise(bytes)?;
    let interface = Walk::over(bytes)?;
    Validator::new_with_features(features).validate_all(bytes).map_err(|error| malformed(&error))?;
    let problems = misfits(&interface);
    if problems.is_empty() { Ok(interface) } else { Err(UploadError::Interface(problems)) }
}

fn malformed(error: &wasmparser::BinaryReaderError) -> UploadError {
    UploadError::Malformed(neutral(&error.to_string(), 1_000))
}

/// Names what was sent instead of a component.
fn recognise(bytes: &[u8]) -> Result<(), UploadError> {
    let found = match bytes {
        [] => "an empty body",
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            return Err(UploadError::CoreModule);
        }
        [0, b'a', b's', b'm', ..] => "WebAssembly of a version that is not known",
        [0x7f, b'E', b'L', b'F', ..] => return Err(UploadError::Precompiled),
        [b'W', b'E', b'I', b'R', b'A', b'O', b'T', ..] => return Err(UploadError::Precompiled),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => "a ZIP archive",
        [0x1f, 0x8b, ..] => "gzip data",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd data",
        _ if bytes.get(257..262) == Some(b"ustar") => "a tar archive",
        _ if bytes.trim_ascii_start().starts_with(b"(") => "WebAssembly text",
        _ => "something that is not WebAssembly",
    };
    Err(UploadError::NotWasm(found))
}

/// What one module brings, each time it is instantiated.
#[derive(Debug, Clone, Copy, Default)]
struct Module {
    memories: u64,
    memory_bytes: u64,
    tables: u64,
    table_elements: u64,
}

/// What one component becomes, each time it is instantiated.
#[derive(Debug, Clone, Copy, Default)]
struct Expanded {
    instances: u64,
    core_instances: u64,
    inside: Module,
}

impl Expanded {
    fn add(&mut self, other: Self) {
        self.instances = self.instances.saturating_add(other.instances);
        self.core_instances = self.core_instances.saturating_add(other.core_instances);
        self.add_module(other.inside);
    }

    fn add_module(&mut self, module: Module) {
        self.inside.memories = self.inside.memories.saturating_add(module.memories);
        self.inside.memory_bytes = self.inside.memory_bytes.saturating_add(module.memory_bytes);
        self.inside.tables = self.inside.tables.saturating_add(module.tables);
        self.inside.table_elements = self.inside.table_elements.saturating_add(module.table_elements);
    }
}

/// A component whose end is not reached yet.
#[derive(Default)]
struct Open {
    components: Vec<Expanded>,
    modules: Vec<Module>,
    expanded: Expanded,
}

enum Frame {
    Component(Open),
    Module(Module),
}

/// Goes through the sections once.
#[derive(Default)]
struct Walk {
    frames: Vec<Frame>,
    interface: Interface,
    functions: u64,
    items: u64,
}

type Step = Result<(), UploadError>;

impl Walk {
    fn over(bytes: &[u8]) -> Result<Interface, UploadError> {
        let mut walk = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            walk.step(payload.map_err(|error| malformed(&error))?)?;
            walk.check_totals()?;
        }
        Ok(walk.interface)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser knows more sections than are counted")]
    fn step(&mut self, payload: Payload<'_>) -> Step {
        match payload {
            Payload::Version { encoding, .. } => self.open(encoding),
            Payload::End(_) => self.close(),
            Payload::TypeSection(s) => self.items(s.count()),
            Payload::ImportSection(s) => self.items(s.count()),
            Payload::ExportSection(s) => self.items(s.count()),
            Payload::GlobalSection(s) => self.items(s.count()),
            Payload::ElementSection(s) => self.items(s.count()),
            Payload::DataSection(s) => self.items(s.count()),
            Payload::CoreTypeSection(s) => self.items(s.count()),
            Payload::ComponentTypeSection(s) => self.items(s.count()),
            Payload::ComponentCanonicalSection(s) => self.items(s.count()),
            Payload::FunctionSection(s) => {
                self.functions += u64::from(s.count());
                Ok(())
            }
            Payload::TableSection(s) => self.tables(s),
            Payload::MemorySection(s) => self.memories(s),
            Payload::InstanceSection(s) => self.core_instances(s),
            Payload::ComponentInstanceSection(s) => self.component_instances(s),
            Payload::ComponentAliasSection(s) => self.aliases(s),
            Payload::ComponentImportSection(s) => self.imports(s),
            Payload::ComponentExportSection(s) => self.exports(s),
            _ => Ok(()),
        }
    }

    fn items(&mut self, count: u32) -> Step {
        self.items += u64::from(count);
        Ok(())
    }

    fn check_totals(&self) -> Step {
        let mut problems = Vec::new();
        over(&mut problems, "functions", self.functions, FUNCTIONS_MAX);
        over(&mut problems, "types, imports, exports and aliases", self.items, ITEMS_MAX);
        over(&mut problems, "levels of nested components", self.frames.len() as u64, DEPTH_MAX as u64);
        if problems.is_empty() { Ok(()) } else { Err(UploadError::TooComplex(problems)) }
    }

    fn open(&mut self, encoding: Encoding) -> Step {
        self.frames.push(match encoding {
            Encoding::Component => Frame::Component(Open::default()),
            Encoding::Module => Frame::Module(Module::default()),
        });
        Ok(())
    }

    fn close(&mut self) -> Step {
        let closed = self.frames.pop();
        match (closed, self.frames.last_mut()) {
            (Some(Frame::Component(inner)), Some(Frame::Component(outer))) => outer.components.push(inner.expanded),
            (Some(Frame::Module(module)), Some(Frame::Component(outer))) => outer.modules.push(module),
            (Some(Frame::Component(root)), None) => return check_expanded(&root.expanded),
            (Some(_) | None, _) => {}
        }
        Ok(())
    }

    fn module(&mut self, change: impl FnOnce(&mut Module)) -> Step {
        if let Some(Frame::Module(module)) = self.frames.last_mut() {
            change(module);
        }
        Ok(())
    }

    fn memories(&mut self, section: wasmparser::MemorySectionReader<'_>) -> Step {
        for memory in section {
            let memory = memory.map_err(|error| malformed(&error))?;
            self.module(|module| {
                module.memories += 1;
                module.memory_bytes = module.memory_bytes.saturating_add(memory.initial.saturating_mul(PAGE_BYTES));
            })?;
        }
        Ok(())
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'_>) -> Step {
        for table in section {
            let table = table.map_err(|error| malformed(&error))?;
            self.module(|module| {
                module.tables += 1;
                module.table_elements = module.table_elements.saturating_add(table.ty.initial);
            })?;
        }
        Ok(())
    }

    /// The component that is being read. Sections of components stand in components only; the validator says so too.
    fn component(&mut self) -> Result<&mut Open, UploadError> {
        match self.frames.last_mut() {
            Some(Frame::Component(open)) => Ok(open),
            Some(Frame::Module(_)) | None => Err(UploadError::Malformed("a section stands where it cannot".to_owned())),
        }
    }

    fn core_instances(&mut self, section: wasmparser::InstanceSectionReader<'_>) -> Step {
        self.items(section.count())?;
        for instance in section {
            if let Instance::Instantiate { module_index, .. } = instance.map_err(|error| malformed(&error))? {
                let open = self.component()?;
                let module = at(&open.modules, module_index, "module")?;
                open.expanded.core_instances = open.expanded.core_instances.saturating_add(1);
                open.expanded.add_module(module);
            }
        }
        Ok(())
    }

    fn component_instances(&mut self, section: wasmparser::ComponentInstanceSectionReader<'_>) -> Step {
        self.items(section.count())?;
        for instance in section {
            let instance = instance.map_err(|error| malformed(&error))?;
            if let ComponentInstance::Instantiate { component_index, .. } = instance {
                let open = self.component()?;
                let inner = at(&open.components, component_index, "component")?;
                open.expanded.instances = open.expanded.instances.saturating_add(1);
                open.expanded.add(inner);
            }
        }
        Ok(())
    }

    fn aliases(&mut self, section: wasmparser::ComponentAliasSectionReader<'_>) -> Step {
        self.items(section.count())?;
        for alias in section {
            match alias.map_err(|error| malformed(&error))? {
                ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                    let outer = at(&self.outer(count)?.components, index, "component")?;
                    self.component()?.components.push(outer);
                }
                ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, count, index } => {
                    let outer = at(&self.outer(count)?.modules, index, "module")?;
                    self.component()?.modules.push(outer);
                }
                ComponentAlias::InstanceExport {
                    kind: ComponentExternalKind::Component | ComponentExternalKind::Module,
                    ..
                } => return Err(not_static("takes a component or module out of an instance")),
                ComponentAlias::Outer { .. }
                | ComponentAlias::InstanceExport { .. }
                | ComponentAlias::CoreInstanceExport { .. } => {}
            }
        }
        Ok(())
    }

    fn outer(&self, count: u32) -> Result<&Open, UploadError> {
        let up = usize::try_from(count).ok().and_then(|count| self.frames.len().checked_sub(count + 1));
        match up.and_then(|at| self.frames.get(at)) {
            Some(Frame::Component(open)) => Ok(open),
            Some(Frame::Module(_)) | None => Err(UploadError::Malformed("an alias reaches too far out".to_owned())),
        }
    }

    fn imports(&mut self, section: wasmparser::ComponentImportSectionReader<'_>) -> Step {
        self.items(section.count())?;
        for import in section {
            let import = import.map_err(|error| malformed(&error))?;
            if let ComponentTypeRef::Component(_) | ComponentTypeRef::Module(_) = import.ty {
                return Err(not_static("imports a component or module"));
            }
            if self.frames.len() == 1 {
                self.interface.imports.push(neutral(import.name.name, NAME_BYTES_MAX));
            }
        }
        Ok(())
    }

    /// An export is also a new entry of the index space that it exports from.
    fn exports(&mut self, section: wasmparser::ComponentExportSectionReader<'_>) -> Step {
        self.items(section.count())?;
        for export in section {
            let export = export.map_err(|error| malformed(&error))?;
            if self.frames.len() == 1 {
                self.interface.exports.push(neutral(export.name.name, NAME_BYTES_MAX));
            }
            let open = self.component()?;
            if export.kind == ComponentExternalKind::Component {
                open.components.push(at(&open.components, export.index, "component")?);
            }
            if export.kind == ComponentExternalKind::Module {
                open.modules.push(at(&open.modules, export.index, "module")?);
            }
        }
        Ok(())
    }
}

fn at<T: Copy>(space: &[T], index: u32, what: &str) -> Result<T, UploadError> {
    let found = usize::try_from(index).ok().and_then(|index| space.get(index));
    found.copied().ok_or_else(|| UploadError::Malformed(format!("there is no {what} {index}")))
}

fn not_static(what: &str) -> UploadError {
    UploadError::TooComplex(vec![format!("the component {what}: what it costs to compile cannot be told")])
}

fn over(problems: &mut Vec<String>, what: &str, count: u64, max: u64) {
    if count > max {
        problems.push(format!("{count} {what}; at most {max} are taken"));
    }
}

fn check_expanded(expanded: &Expanded) -> Step {
    let mut problems = Vec::new();
    let all = expanded.instances.saturating_add(expanded.core_instances);
    over(&mut problems, "instances", all, INSTANCES_MAX);
    over(&mut problems, "module instances", expanded.core_instances, CORE_INSTANCES_MAX.into());
    over(&mut problems, "memories", expanded.inside.memories, MEMORIES_MAX.into());
    over(&mut problems, "tables", expanded.inside.tables, TABLES_MAX.into());
    over(&mut problems, "table elements", expanded.inside.table_elements, TABLE_ELEMENTS_MAX as u64);
    over(&mut problems, "bytes of initial memory", expanded.inside.memory_bytes, MEMORY_BYTES_MAX as u64);
    if problems.is_empty() { Ok(()) } else { Err(UploadError::TooComplex(problems)) }
}

/// What we offer, and what is taken because standard libraries import it: that reaches nothing, except `wasi:http`, which
/// reaches what was granted.
const OFFERED: [(&str, &str, &[&str]); 7] = [
    ("weir:plugin", "0.1.", &["types", "log", "context", "tools", "model", "http", "kv"]),
    ("wasi:cli", "0.2.", &[]),
    ("wasi:clocks", "0.2.", &[]),
    ("wasi:io", "0.2.", &[]),
    ("wasi:random", "0.2.", &[]),
    ("wasi:filesystem", "0.2.", &[]),
    ("wasi:http", "0.2.", &["types", "outgoing-handler"]),
];

/// What of a component's interface is not of our world.
fn misfits(interface: &Interface) -> Vec<String> {
    let offered: HashMap<_, _> =
        OFFERED.iter().map(|(package, version, names)| (*package, (*version, *names))).collect();
    let mut problems: Vec<String> = interface
        .imports
        .iter()
        .filter(|import| !is_offered(import, &offered))
        .map(|import| format!("import `{import}` is not offered to plugins"))
        .collect();
    if !interface.exports.iter().any(|name| is_version(name, "weir:plugin/plugin", "0.1.")) {
        problems
            .push(format!("export `weir:plugin/plugin@0.1.x` is missing; exported: {}", listed(&interface.exports)));
    }
    problems
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn is_offered(import: &str, offered: &HashMap<&str, (&str, &[&str])>) -> bool {
    let Some((path, version)) = import.split_once('@') else { return false };
    let Some((package, name)) = path.split_once('/') else { return false };
    offered
        .get(package)
        .is_some_and(|(wanted, names)| version.starts_with(wanted) && (names.is_empty() || names.contains(&name)))
}

fn is_version(name: &str, path: &str, version: &str) -> bool {
    name.split_once('@').is_some_and(|(found, of)| found == path && of.starts_with(version))
}

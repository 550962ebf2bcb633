//! Components with something added.

use bytes::Bytes;
use wasmparser::{Parser, Payload};

use super::super::support::guest;

/// A component with sections added at its end.
pub(super) struct Grown(Vec<u8>);

impl Grown {
    pub(super) fn from(name: &str) -> Self {
        Self(guest(name).to_vec())
    }

    pub(super) fn section(mut self, id: u8, content: &[u8]) -> Self {
        self.0.push(id);
        self.0.extend(leb(content.len()));
        self.0.extend_from_slice(content);
        self
    }

    /// Adds a module and makes `instances` instances of it.
    pub(super) fn module(self, text: &str, instances: usize) -> Self {
        let index = modules(&self.0);
        let module = wat::parse_str(text).unwrap();
        let mut content = leb(instances);
        for _ in 0..instances {
            content.push(0);
            content.extend(leb(index));
            content.extend(leb(0));
        }
        self.section(1, &module).section(2, &content)
    }

    pub(super) fn bytes(self) -> Bytes {
        Bytes::from(self.0)
    }
}

pub(super) fn leb(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// The modules that stand in the outermost component.
#[expect(clippy::wildcard_enum_match_arm, reason = "only some sections count")]
fn modules(component: &[u8]) -> usize {
    let (mut depth, mut count) = (0, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ModuleSection { .. } if depth == 1 => count += 1,
            _ => {}
        }
    }
    count
}

/// How many types the outermost component has defined at its end.
#[expect(clippy::wildcard_enum_match_arm, reason = "only some sections count")]
pub(super) fn component_types(component: &[u8]) -> usize {
    let (mut depth, mut count) = (0, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentTypeSection(section) if depth == 1 => count += section.count() as usize,
            Payload::ComponentAliasSection(section) if depth == 1 => {
                count += section
                    .into_iter()
                    .filter(|alias| {
                        matches!(
                            alias,
                            Ok(wasmparser::ComponentAlias::InstanceExport {
                                kind: wasmparser::ComponentExternalKind::Type,
                                ..
                            } | wasmparser::ComponentAlias::Outer {
                                kind: wasmparser::ComponentOuterAliasKind::Type,
                                ..
                            })
                        )
                    })
                    .count();
            }
            _ => {}
        }
    }
    count
}

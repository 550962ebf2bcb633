//! Definition and catalog to graph.
use std::sync::Arc;

use serde_json::Value;

use crate::{definition::{Definition, Diagnostic}, graph::{Graph, Target}};

pub trait Catalog { fn find(&self, name: &str, agent: bool) -> Found; fn check_arguments(&self, target: &Target, arguments: &Value) -> Vec<ArgumentProblem>; }
pub enum Found { One(Target), Ambiguous(Vec<String>), Missing { similar: Vec<String> } }
pub struct ArgumentProblem { pub pointer: String, pub message: String }
pub fn compile(_definition: &Definition, _catalog: &dyn Catalog) -> (Option<Arc<Graph>>, Vec<Diagnostic>) { (None, vec![]) }

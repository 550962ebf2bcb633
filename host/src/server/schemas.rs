//! Problems of documents that are parts of a body.

use super::error::FieldProblem;
use crate::schema::SchemaProblem;

/// Problems of a part of the body, as problems of the body.
pub(super) fn in_body(problems: Vec<SchemaProblem>, part: &str, code: &str) -> Vec<FieldProblem> {
    let problem = |p: SchemaProblem| p.within(part);
    problems.into_iter().map(problem).map(|p| FieldProblem::new(p.field, code, p.message)).collect()
}

//! The audit log: read and checked.

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    server::{
        App,
        error::ApiError,
        query::{Paging, Query},
        view::{AuditView, Page, VerifiedView},
    },
    store::AuditFilter,
};

/// Which rows to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those of this actor: `user:alice`, `token:ci`, `admin`, `anonymous`.
    actor: Option<String>,
    /// Only those of this act: `workflow.create`, …
    act: Option<String>,
    /// Items of a page: 1 to 199, default 50.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists what was done, refused and failed, newest first.
#[utoipa::path(get, path = "/api/audit", tag = "audit", params(ListQuery),
    responses((status = 200, description = "a page of rows", body = Page<AuditView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<AuditView>>, ApiError> {
    let paging = Paging::new(query.limit, query.cursor);
    let limit = paging.limit()?;
    let before = paging.cursor(|cursor| cursor.parse().ok())?;
    let filter = AuditFilter { actor: query.actor, act: query.act };
    let rows = app.store.audit_rows(&filter, before, limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row| row.seq.to_string(), AuditView::from)))
}

/// Reads the whole audit log and checks that nothing in it was changed or taken out.
#[utoipa::path(get, path = "/api/audit/verify", tag = "audit",
    responses((status = 200, description = "what was found", body = VerifiedView)))]
pub(crate) async fn verify(State(app): State<App>) -> Result<Json<VerifiedView>, ApiError> {
    Ok(Json(app.store.verify_audit().await?.into()))
}

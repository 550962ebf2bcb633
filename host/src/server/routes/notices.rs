//! What people were told, or were to be told.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    server::{
        App,
        act::Act,
        error::{ApiError, Code},
        query::{Names, Paging, Query, read_approval_id},
        view::{NoticeView, Page},
    },
    store::{NoticeId, NoticeRow, NoticeStatus},
};

/// Which notices to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// `pending`, `sent`, `dead` (given up) or `withdrawn`; all, by default.
    status: Option<String>,
    /// Items of a page: 1 to 199, default 50.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists notices, those of the newest executions first.
#[utoipa::path(get, path = "/api/notices", tag = "approvals", params(ListQuery),
    responses((status = 200, description = "a page of notices", body = Page<NoticeView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<NoticeView>>, ApiError> {
    let status = match query.status.as_deref() {
        None => None,
        Some(word) => Some(
            NoticeStatus::ALL
                .into_iter()
                .find(|status| status.as_str() == word)
                .ok_or_else(|| ApiError::query("status", "it must be pending, sent, dead or withdrawn"))?,
        ),
    };
    let paging = Paging::new(query.limit, query.cursor);
    let limit = paging.limit()?;
    let before = paging.cursor(read_id)?;
    let rows = app.store.notices(status, before.as_ref(), limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row: &NoticeRow| row.id.to_string(), NoticeView::from)))
}

/// Sends a notice again that was given up.
#[utoipa::path(post, path = "/api/notices/{notice}/retry", tag = "approvals", params(("notice" = String, Path, description = "its id")),
    responses((status = 202, description = "it is tried again")))]
pub(crate) async fn retry(
    State(app): State<App>,
    act: Act,
    Names(notice): Names<String>,
) -> Result<StatusCode, ApiError> {
    let none = || ApiError::new(Code::NoticeNotFound, "there is no such notice that was given up");
    let id = read_id(&notice).ok_or_else(none)?;
    let entry = act.done(id.to_string());
    if app.store.retry_notice(id, entry).await? { Ok(StatusCode::ACCEPTED) } else { Err(none()) }
}

/// Reads a notice's id: its question's, a dot and a number.
fn read_id(text: &str) -> Option<NoticeId> {
    let (approval, ordinal) = text.rsplit_once('.')?;
    let (execution, call) = read_approval_id(approval)?;
    Some(NoticeId { execution_id: execution.into(), call, ordinal: ordinal.parse().ok()? })
}

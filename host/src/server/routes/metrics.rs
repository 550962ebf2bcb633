//! What the host counts and times, for Prometheus.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};

use crate::{
    driver::BudgetStanding,
    metrics::{CONTENT_TYPE, Levels},
    server::{App, STREAMS_MAX, error::ApiError},
};

/// Where it is.
pub(crate) const PATH: &str = "/metrics";

/// Tells what the host counts and times, as OpenMetrics text. Takes the role `viewer`, unless the setting `metrics_public`
/// opens it to everybody.
#[utoipa::path(get, path = "/metrics", tag = "host", responses(
    (status = 200, description = "everything, as OpenMetrics 1.0", body = String, content_type = "application/openmetrics-text")))]
pub(crate) async fn show(State(app): State<App>) -> Result<Response, ApiError> {
    let levels = Levels {
        executions_in_memory: app.driver.in_memory(),
        executions_room: app.driver.room(),
        writes_waiting: app.store.writes_waiting(),
        event_streams: STREAMS_MAX - app.streams.available_permits(),
        ready: app.is_ready(),
    };
    let metrics = app.store.metrics().clone();
    metrics.budgets(&app.driver.budgets().iter().flat_map(BudgetStanding::levels).collect::<Vec<_>>());
    let text = tokio::task::spawn_blocking(move || metrics.text(levels)).await.map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], text).into_response())
}

//! The JSON that clients read: field names and shapes of the API, made from rows of the store.

mod account;
mod approval;
mod audit;
mod budget;
mod bus_event;
mod execution;
mod grant;
mod link;
mod model;
mod notice;
mod plugin;
mod secret;
mod step;
mod transcript;
mod trigger;
mod webhook;
mod workflow;

use serde::{Serialize, Serializer};
use utoipa::{PartialSchema, ToSchema, openapi};
use weir_engine::{failure::Failure, id::Timestamp, json::Json, limits::Amounts};

pub use self::{
    account::{MadeTokenView, SessionView, TokenView, UserView},
    approval::{ApprovalDetail, ApprovalView, ApproversView, DecisionView},
    audit::{AuditView, VerifiedView},
    budget::{BudgetLimitsView, BudgetView, DrawnView},
    bus_event::BusEventView,
    execution::{ExecutionSummary, ExecutionView, PausedView},
    grant::{GrantView, PowersView},
    link::LinkSummary,
    model::{ModelPriceView, ModelView, TriedModelView},
    notice::NoticeView,
    plugin::{PluginDetail, PluginSummary},
    secret::UserSecretView,
    step::{LogLineView, ModelUsageView, StepUsageView, StepView},
    transcript::{EffectView, TranscriptView, WaitingView},
    trigger::{OccurrenceView, TriggerView},
    webhook::{DeliveryView, SecretAddedView, SecretMadeView, SecretView},
    workflow::{SavedView, WorkflowSummary, WorkflowVersionView, WorkflowView},
};

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Send it as `cursor` to get the next page; null at the end.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The page of `rows`, which were asked for as one more than `limit` to see whether there is a next page. `cursor`
    /// names the last item that is shown.
    pub fn new<R>(mut rows: Vec<R>, limit: u32, cursor: impl Fn(&R) -> String, view: impl Fn(R) -> T) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_last = rows.len() <= limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| !is_last).map(cursor);
        Self { items: rows.into_iter().map(view).collect(), next_cursor }
    }
}

/// An instant as clients see it: RFC 3339 in UTC with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const PRINTER: jiff::fmt::temporal::DateTimePrinter =
            jiff::fmt::temporal::DateTimePrinter::new().precision(Some(6));
        let instant = jiff::Timestamp::from_microsecond(self.0.0).unwrap_or(jiff::Timestamp::MAX);
        f.write_str(&PRINTER.timestamp_to_string(&instant))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialSchema for Time {
    fn schema() -> openapi::RefOr<openapi::schema::Schema> {
        use openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("an instant in UTC with microseconds"))
            .into()
    }
}

impl ToSchema for Time {}

/// Seconds from `start` to `end`, once both are known.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "durations are far below 2^52 µs")]
pub fn seconds(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<f64> {
    Some((end?.0 - start?.0).max(0) as f64 / 1e6)
}

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct UsageView {
    /// Model requests.
    pub requests: u64,
    /// Tokens sent to models.
    pub input_tokens: u64,
    /// Tokens that models answered with.
    pub output_tokens: u64,
    /// Tool calls, of steps and of agents.
    pub tool_calls: u64,
    /// What the model requests cost, in US dollars.
    pub estimated_cost_dollars: f64,
}

impl From<&Amounts> for UsageView {
    #[expect(clippy::cast_precision_loss, reason = "shown, not reckoned with")]
    fn from(used: &Amounts) -> Self {
        Self {
            requests: used.requests,
            input_tokens: used.input_tokens,
            output_tokens: used.output_tokens,
            tool_calls: used.tool_calls,
            estimated_cost_dollars: used.cost_microusd as f64 / 1e6,
        }
    }
}

/// Why a step or an execution failed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FailureView {
    /// What kind of failure; from a closed list.
    pub code: &'static str,
    /// What was attempted, on what, and what to do.
    pub message: String,
    /// The step where it began.
    pub step_id: Option<String>,
    /// That step's path.
    pub path: Option<String>,
    /// Facts for programs: the limit and its value, …
    #[schema(value_type = Option<Object>)]
    pub details: Option<Json>,
}

impl FailureView {
    /// A failure, and the place that its holder knows for it where it names none itself.
    #[must_use]
    pub fn new(failure: &Failure, step_id: Option<&str>, path: Option<&str>) -> Self {
        Self {
            code: failure.code.as_str(),
            message: failure.message.clone(),
            step_id: failure.step_id.as_deref().or(step_id).map(str::to_owned),
            path: failure.path.as_deref().or(path).map(str::to_owned),
            details: failure.details.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_microseconds_in_utc() {
        assert_eq!(Time(Timestamp(1_700_000_000_000_000)).to_string(), "2023-11-14T22:13:20.000000Z");
        assert_eq!(Time(Timestamp(1)).to_string(), "1970-01-01T00:00:00.000001Z");
    }

    #[test]
    fn a_page_knows_whether_another_follows() {
        let page = |rows: Vec<u32>| Page::new(rows, 2, ToString::to_string, |n| n);
        assert_eq!(page(vec![1, 2, 3]).next_cursor.as_deref(), Some("2"));
        assert_eq!(page(vec![1, 2, 3]).items, [1, 2]);
        assert_eq!(page(vec![1, 2]).next_cursor, None);
    }
}

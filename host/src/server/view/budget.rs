//! Budgets as clients see them.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::limits::{Amounts, Limits, MICRODOLLARS_PER_DOLLAR, OnUnknownPrice};

use super::{Time, UsageView};
use crate::driver::BudgetStanding;

/// The most workflows that one budget is shown for.
const WORKFLOWS_MAX: usize = 200;

/// A budget, and how it stands in this period.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BudgetView {
    /// Its name.
    pub name: String,
    /// `host`: all executions share it; `workflow`: those of one workflow, or of each one by itself.
    pub scope: &'static str,
    /// The id of the one workflow; null where it is not for one.
    pub workflow_id: Option<String>,
    /// `hour`, `day` or `month`, in UTC.
    pub period: &'static str,
    /// What is allowed in a period.
    pub limits: BudgetLimitsView,
    /// When this period began.
    pub period_starts_at: Time,
    /// When it is over.
    pub period_ends_at: Time,
    /// What was spent in it for good.
    pub settled: UsageView,
    /// What running effects were promised.
    pub reserved: UsageView,
    /// Where each workflow has the budget for itself: those that drew from it, at most 200.
    pub workflows: Vec<DrawnView>,
    /// When it was made.
    pub created_at: Time,
    /// When its limits were set last.
    pub set_at: Time,
    /// Who set them.
    pub set_by: String,
}

/// What a workflow drew from a budget that it has for itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DrawnView {
    /// The workflow.
    pub workflow_id: String,
    /// What was spent for good.
    pub settled: UsageView,
    /// What running effects were promised.
    pub reserved: UsageView,
}

/// What a budget allows, by the names of guardrails; null is no limit.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BudgetLimitsView {
    /// Model requests.
    pub request_limit: Option<u64>,
    /// Tokens sent to models.
    pub input_tokens_limit: Option<u64>,
    /// Tokens that models answer with.
    pub output_tokens_limit: Option<u64>,
    /// Input and output tokens together.
    pub total_tokens_limit: Option<u64>,
    /// Tool calls, of steps and of agents.
    pub tool_calls_limit: Option<u64>,
    /// Money, in US dollars.
    pub max_cost_dollars: Option<f64>,
    /// `allow`: requests of unknown price pass a limit of money, uncounted; `fail`, and null: they do not.
    pub on_unknown_price: Option<&'static str>,
}

impl From<BudgetStanding> for BudgetView {
    fn from(standing: BudgetStanding) -> Self {
        let BudgetStanding { budget, window, drawn } = standing;
        let (settled, reserved) = drawn
            .iter()
            .fold((Amounts::NONE, Amounts::NONE), |(settled, reserved), (_, s, r)| (settled.plus(s), reserved.plus(r)));
        let each = drawn.iter().filter_map(|(workflow_id, settled, reserved)| {
            Some(DrawnView {
                workflow_id: workflow_id.as_deref()?.to_owned(),
                settled: settled.into(),
                reserved: reserved.into(),
            })
        });
        Self {
            name: budget.name.to_string(),
            scope: budget.scope.as_str(),
            workflow_id: budget.scope.workflow_id().map(ToString::to_string),
            period: budget.period.as_str(),
            limits: (&budget.limits).into(),
            period_starts_at: Time(window.start),
            period_ends_at: Time(window.end),
            settled: UsageView::from(&settled),
            reserved: UsageView::from(&reserved),
            workflows: each.take(WORKFLOWS_MAX).collect(),
            created_at: Time(budget.created_at),
            set_at: Time(budget.set_at),
            set_by: budget.set_by,
        }
    }
}

impl From<&Limits> for BudgetLimitsView {
    #[expect(clippy::cast_precision_loss, reason = "shown, not reckoned with")]
    fn from(limits: &Limits) -> Self {
        Self {
            request_limit: limits.requests,
            input_tokens_limit: limits.input_tokens,
            output_tokens_limit: limits.output_tokens,
            total_tokens_limit: limits.total_tokens,
            tool_calls_limit: limits.tool_calls,
            max_cost_dollars: limits.cost_microusd.map(|cost| cost as f64 / f64::from(MICRODOLLARS_PER_DOLLAR)),
            on_unknown_price: limits.on_unknown_price.map(|word| match word {
                OnUnknownPrice::Allow => "allow",
                OnUnknownPrice::Fail => "fail",
            }),
        }
    }
}

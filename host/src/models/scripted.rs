//! The provider `scripted`: answers from a file of rules. It is for tests and demonstrations, costs nothing, reaches
//! nobody, and says in every record what it is.
//!
//! ```yaml
//! rules:
//!   - when: { turn: 1, contains: weather }
//!     answer:
//!       tool_calls: [{ tool: web.search, input: { query: "{{last}}" } }]
//!   - when: { has_tool_result: true }
//!     answer: { text: "The first result is {{last.results.0.title}}." }
//!   - when: { glob: "*slow*" }
//!     delay_ms: 200
//!     answer: { text: done }
//!   - fail: { status: 503, message: overloaded }
//! ```
//!
//! The first rule whose conditions all hold answers; a rule without conditions always does. `{{last}}` is the last
//! message, `{{last.a.0}}` a place in it if it is JSON, `{{turn}}` the number of the answer, from 1. A text that is one
//! placeholder and nothing else becomes the value that stands there. Tokens are counted as bytes / 4, unless the rule says
//! what to count.

mod answer;
mod rules;

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use self::rules::Rules;
use super::{
    Attempt, ChatRequest, Micros, Model, ModelAnswer, ModelConfig, ModelError, OnDelta, Prepared, Problem, Provider,
    estimate, retry,
};

/// A script that was read.
pub(super) struct Script {
    rules: Rules,
}

impl Script {
    pub(super) fn read(config: &ModelConfig) -> Result<Self, Problem> {
        let path = config.script.as_deref().ok_or_else(|| Problem::invalid("script: name the file of rules"))?;
        let rules = Rules::read(path).map_err(|reason| Problem::invalid(format!("script: {reason}")))?;
        Ok(Self { rules })
    }

    /// As for any provider: it counts less than this.
    #[expect(clippy::unused_self, reason = "what a script counts is its own business")]
    pub(super) fn input_tokens_max(&self, request: &ChatRequest) -> u64 {
        estimate::input_tokens_max(request, Micros::ONE)
    }

    pub(super) async fn send(
        &self,
        model: &Model,
        prepared: &Prepared,
        max_tokens: u64,
        deadline: Instant,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelAnswer, ModelError> {
        let failed = |problem, status, may_have_cost| {
            let problem: Problem = problem;
            let attempts = vec![Attempt { status, why: Some(problem.to_string()), wait_ms: None }];
            ModelError { alias: model.alias.clone(), problem, attempts, may_have_cost }
        };
        let request = &prepared.request;
        let Some(rule) = self.rules.matching(request) else {
            return Err(failed(Problem::failed("no rule of the script answers this"), None, false));
        };
        let delay = sleep(Duration::from_millis(rule.delay_ms));
        if timeout_at(deadline, delay).await.is_err() {
            return Err(failed(Problem::timeout("the script took longer than the model's timeout"), None, true));
        }
        match rule.outcome() {
            Err(failure) => {
                let reason = format!("the script answered with status {}: {}", failure.status, failure.message);
                let passing = retry::is_passing(failure.status);
                let problem = if passing { Problem::unavailable(reason) } else { Problem::invalid(reason) };
                Err(failed(problem, Some(failure.status), false))
            }
            Ok(told) => {
                let mut answer = answer::make(told, request, max_tokens);
                answer::pieces(&answer.text).for_each(on_delta);
                Provider::Scripted.as_str().clone_into(&mut answer.provider);
                answer.model.clone_from(&model.config.model);
                Ok(answer)
            }
        }
    }
}

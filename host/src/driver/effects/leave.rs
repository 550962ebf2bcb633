//! Tools that an agent may call only with a person's leave. Each call is a question of its own, bound to the exact
//! arguments; while somebody is asked, the agent's call is given up, and holds no memory.

use serde_json::{Value, json};
use weir_engine::{
    event::Decision,
    execution::{APPROVE, Ask, EDIT, REJECT, Verdict},
    failure::{Failure, FailureCode},
    id::EffectId,
    json::Json,
    tool_grant::APPROVAL_TIMEOUT_MS,
};

use super::{Callable, Running};
use crate::{hex::sha256_hex, store};

/// What a person let an agent do.
pub(super) struct Leave {
    /// What the tool is called with.
    pub(super) input: Json,
    /// What was decided, for the journal; `None` where nobody had to be asked.
    pub(super) decided: Option<Json>,
}

impl Running {
    /// What people let the agent do with each of these calls. Where somebody has still to be asked, it never answers.
    pub(super) async fn leave(&self, calls: &[(EffectId, &Callable, Json)]) -> Vec<Result<Leave, Failure>> {
        let asking = calls.iter().filter(|(_, callable, _)| callable.terms.grant.needs_approval());
        let asks: Vec<Ask> = asking.map(|(id, callable, input)| self.question(id, callable, input)).collect();
        let verdicts = if asks.is_empty() { Vec::new() } else { self.verdicts(asks).await };
        let mut verdicts = verdicts.into_iter();
        let leave = |(_, callable, input): &(EffectId, &Callable, Json)| {
            let free = || Ok(Leave { input: input.clone(), decided: None });
            let verdict = callable.terms.grant.needs_approval().then(|| verdicts.next()).flatten();
            verdict.map_or_else(free, |verdict| judged(&callable.name, input, &verdict))
        };
        calls.iter().map(leave).collect()
    }

    fn question(&self, id: &EffectId, callable: &Callable, input: &Json) -> Ask {
        let grant = &callable.terms.grant;
        let input = self.shared.inner.config.masker.mask_json(input.clone());
        let agent = format!("{}.{}", self.target.plugin, self.target.name);
        let request = json!({
            "notification": format!("{agent} wants to call {}", callable.name),
            "options": [
                { "id": APPROVE, "label": "Let it" },
                { "id": EDIT, "label": "Let it, with other arguments" },
                { "id": REJECT, "label": "Do not let it" },
            ],
            "channels": ["ui"],
            "approvers": grant.approvers.clone().unwrap_or_default(),
            "agent": agent,
            "effect": id,
            "tool": callable.name,
            "arguments": input,
            "arguments_digest": sha256_hex(input.text().as_bytes()),
            "arguments_schema": self.input_schema(callable),
        });
        let due = store::now().plus_ms(grant.timeout_ms.unwrap_or(APPROVAL_TIMEOUT_MS));
        Ask { effect: id.clone(), request: Json::from_value(request), due: Some(due) }
    }
}

fn judged(tool: &str, input: &Json, verdict: &Verdict) -> Result<Leave, Failure> {
    let denied = |message: String| Err(Failure::new(FailureCode::Denied, message));
    let decision = match verdict {
        Verdict::Lapsed => return denied(format!("nobody allowed the call of {tool} in time")),
        Verdict::Decided(decision) => decision,
    };
    let decided = Some(Json::from_value(json!({ "decision": decision })));
    match decision.option_id.as_deref() {
        Some(APPROVE) => Ok(Leave { input: input.clone(), decided }),
        Some(EDIT) => Ok(Leave { input: decision.data.clone().unwrap_or_else(|| input.clone()), decided }),
        _ => denied(rejected(tool, decision)),
    }
}

fn rejected(tool: &str, decision: &Decision) -> String {
    let comment = decision.comment.as_deref().map(|comment| format!(": {comment}")).unwrap_or_default();
    format!("{} did not allow the call of {tool}{comment}", decision.decided_by)
}

/// Whether an answer's data can be the arguments of the tool that a question is about; `None`: nothing is wrong.
pub(in crate::driver) fn edited<'r>(request: &'r Value, option_id: Option<&str>) -> Option<&'r Value> {
    if option_id == Some(EDIT) { request.get("arguments_schema") } else { None }
}

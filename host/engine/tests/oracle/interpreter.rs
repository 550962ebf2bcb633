//! The workflow format, recursively.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::values::{Frames, error_output, fill, find, holds};
use crate::support::{
    plan::{Answer, HANGING, Moment, Plan},
    tracker::Fate,
};

/// How an execution ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ending {
    Completed(Value),
    Failed { code: String, path: Option<String> },
}

pub(super) struct Prediction {
    pub(super) fates: Vec<Fate>,
    pub(super) ending: Ending,
    /// Whether a limit stood in the way: where things run beside each other, whose way is open.
    pub(super) met_limit: bool,
}

/// Why something does not go on.
#[derive(Debug, Clone)]
struct Trouble {
    code: String,
    step: String,
    path: String,
    /// Whose limit it is, by depth; that one fails, and all inside is cancelled.
    holder: Option<usize>,
}

impl Trouble {
    fn may_retry(&self) -> bool {
        matches!(self.code.as_str(), "unavailable" | "failed" | "plugin_trap" | "timeout")
    }
}

/// What a step that went well leaves.
struct Done {
    output: Value,
    /// Where it says to go; `None`: as the step itself says.
    jump: Option<Value>,
    /// What becomes visible beside it.
    joined: BTreeMap<String, Value>,
    skipped: bool,
}

struct Finished {
    outputs: BTreeMap<String, Value>,
    last: Option<Value>,
}

struct Holder {
    max_steps: Option<u64>,
    tool_calls_limit: Option<u64>,
    steps: u64,
    tool_calls: u64,
}

impl Holder {
    fn of(guardrails: &Value) -> Self {
        let (max_steps, calls) = (guardrails["max_steps"].as_u64(), guardrails["tool_calls_limit"].as_u64());
        Self { max_steps, tool_calls_limit: calls, steps: 0, tool_calls: 0 }
    }

    fn admits(&self, tool: bool) -> bool {
        let calls = !tool || self.tool_calls_limit.is_none_or(|limit| self.tool_calls < limit);
        self.max_steps.is_none_or(|limit| self.steps < limit) && calls
    }
}

struct Interpreter {
    plan: Plan,
    fates: Vec<Fate>,
    holders: Vec<Holder>,
    met_limit: bool,
}

/// A visit of a step.
#[derive(Clone, Copy)]
struct Visit<'a> {
    step: &'a Value,
    path: &'a str,
    epoch: &'a str,
}

impl Visit<'_> {
    fn trouble(&self, code: &str) -> Trouble {
        let step = self.step["id"].as_str().unwrap().to_owned();
        Trouble { code: code.to_owned(), step, path: self.path.to_owned(), holder: None }
    }

    fn is(&self, step_type: &str) -> bool {
        self.step["type"] == step_type
    }
}

/// What will come of a workflow.
pub(super) fn predict(definition: &Value, input: &Value, plan: Plan) -> Prediction {
    let holders = vec![Holder::of(&definition["guardrails"])];
    let mut interpreter = Interpreter { plan, fates: Vec::new(), holders, met_limit: false };
    let mut frames: Frames = vec![BTreeMap::from([
        ("input".to_owned(), input.clone()),
        ("workflow".to_owned(), json!({ "name": definition["name"] })),
        ("trigger".to_owned(), json!({ "type": "manual" })),
    ])];
    let steps = definition["steps"].as_array().unwrap();
    let before = |trouble: Trouble| Ending::Failed { code: trouble.code, path: Some(trouble.path) };
    let ending = match interpreter.block(steps, "", "", &mut frames) {
        Err(trouble) => before(trouble),
        Ok((finished, skipped)) => {
            frames.push(finished.outputs.clone());
            let output = match definition.get("output") {
                Some(template) => fill(template, &frames).ok(),
                None => Some(finished.last.unwrap_or_default()),
            };
            match output {
                Some(output) => {
                    interpreter.fates.extend(skipped);
                    Ending::Completed(output)
                }
                None => Ending::Failed { code: "reference_not_found".to_owned(), path: None },
            }
        }
    };
    Prediction { fates: interpreter.fates, ending, met_limit: interpreter.met_limit }
}

impl Interpreter {
    fn block(
        &mut self,
        steps: &[Value],
        prefix: &str,
        epoch: &str,
        frames: &mut Frames,
    ) -> Result<(Finished, Vec<Fate>), Trouble> {
        frames.push(BTreeMap::new());
        let result = self.steps(steps, prefix, epoch, frames);
        let outputs = frames.pop().unwrap();
        let (visits, last) = result?;
        let never = steps.iter().map(|step| step["id"].as_str().unwrap()).filter(|id| !visits.contains_key(*id));
        let skipped = never.map(|id| (format!("{prefix}{id}"), "skipped", Value::Null)).collect();
        Ok((Finished { outputs, last }, skipped))
    }

    fn steps(
        &mut self,
        steps: &[Value],
        prefix: &str,
        epoch: &str,
        frames: &mut Frames,
    ) -> Result<(BTreeMap<String, u32>, Option<Value>), Trouble> {
        let (mut visits, mut last, mut cursor) = (BTreeMap::<String, u32>::new(), None, 0);
        while let Some(step) = steps.get(cursor) {
            let id = step["id"].as_str().unwrap();
            let visit = visits.get(id).copied().unwrap_or(0) + 1;
            let path = if visit == 1 { format!("{prefix}{id}") } else { format!("{prefix}{id}#{visit}") };
            let here = Visit { step, path: &path, epoch };
            self.admit(here)?;
            visits.insert(id.to_owned(), visit);
            let own_next = step.get("next_step").cloned();
            let jump = match self.visit(here, frames) {
                Ok(mut done) => {
                    let jump = done.jump.take().or(own_next);
                    if here.is("condition") {
                        done.output["next_step"] = target(steps, cursor, jump.as_ref());
                    }
                    let fate = if done.skipped { "skipped" } else { "completed" };
                    self.fates.push((path.clone(), fate, done.output.clone()));
                    let frame = frames.last_mut().unwrap();
                    if done.skipped {
                        frame.remove(id);
                    } else {
                        frame.insert(id.to_owned(), done.output.clone());
                        last = Some(done.output);
                    }
                    frame.extend(done.joined);
                    jump
                }
                Err(trouble) => {
                    if trouble.holder.is_some() {
                        self.fates.push((path.clone(), "cancelled", Value::Null));
                        return Err(trouble);
                    }
                    self.fates.push((path.clone(), "failed", json!(trouble.code)));
                    let jump = match &step["on_error"] {
                        Value::String(word) if word == "continue" => own_next,
                        Value::Object(goto) => Some(goto["goto"].clone()),
                        _ => return Err(trouble),
                    };
                    let output = error_output(&trouble.code, &trouble.step, &trouble.path);
                    frames.last_mut().unwrap().insert(id.to_owned(), output);
                    jump
                }
            };
            cursor = match jump {
                None => cursor + 1,
                Some(Value::String(id)) if id != "$end" => steps.iter().position(|step| step["id"] == *id).unwrap(),
                Some(_) => break,
            };
        }
        Ok((visits, last))
    }

    /// Whether everything around has room for one more step.
    fn admit(&mut self, visit: Visit<'_>) -> Result<(), Trouble> {
        let tool = visit.is("tool");
        let Some(holder) = self.holders.iter().rposition(|holder| !holder.admits(tool)) else { return Ok(()) };
        self.met_limit = true;
        Err(Trouble { holder: Some(holder), ..visit.trouble("guardrail_exceeded") })
    }

    fn visit(&mut self, visit: Visit<'_>, frames: &mut Frames) -> Result<Done, Trouble> {
        let own = Holder::of(&visit.step["guardrails"]);
        let refused = !own.admits(visit.is("tool"));
        let begun = if refused { Err(visit.trouble("guardrail_exceeded")) } else { prepare(visit, frames) };
        self.holders.push(own);
        for holder in &mut self.holders {
            holder.steps += 1;
            holder.tool_calls += u64::from(visit.is("tool") && begun.is_ok());
        }
        let depth = self.holders.len() - 1;
        let result = begun.and_then(|prepared| self.attempts(visit, &prepared, frames));
        self.holders.pop();
        result.map_err(|trouble| match trouble.holder {
            Some(holder) if holder == depth => Trouble { holder: None, ..trouble },
            _ => trouble,
        })
    }

    fn attempts(&mut self, visit: Visit<'_>, prepared: &Value, frames: &mut Frames) -> Result<Done, Trouble> {
        let most = visit.step["retry"]["max_attempts"].as_u64().unwrap_or(1);
        let mut failures = 0;
        loop {
            let result = self.attempt(visit, prepared, failures, frames);
            failures += 1;
            match result {
                Err(trouble) if trouble.holder.is_none() && trouble.may_retry() && u64::from(failures) < most => {}
                result => return result,
            }
        }
    }

    fn attempt(
        &mut self,
        visit: Visit<'_>,
        prepared: &Value,
        failures: u32,
        frames: &mut Frames,
    ) -> Result<Done, Trouble> {
        let Visit { step, path, epoch } = visit;
        let moment = Moment { path, epoch, failures };
        let inside = format!("{epoch}{failures}/");
        match step["type"].as_str().unwrap() {
            "tool" if step["id"].as_str().unwrap().starts_with(HANGING) => Err(visit.trouble("timeout")),
            "tool" | "agent" => match self.plan.call(moment, prepared) {
                Ok(output) => Ok(done(output)),
                Err(code) => Err(visit.trouble(code.as_str())),
            },
            "condition" => Ok(condition(visit, frames)),
            "human" => self.human(visit, moment),
            "parallel" => self.parallel(visit, &inside, frames),
            _ => self.each(visit, prepared, &inside, frames),
        }
    }

    fn human(&mut self, visit: Visit<'_>, moment: Moment<'_>) -> Result<Done, Trouble> {
        let config = &visit.step["human_config"];
        let options = config["options"].as_array().unwrap();
        let ids: Vec<String> = options.iter().map(|option| option["id"].as_str().unwrap().to_owned()).collect();
        let quorum = config["approvers"]["quorum"].as_u64().unwrap_or(1);
        match self.plan.answer(moment, &ids, config.get("timeout_minutes").is_some(), quorum) {
            Answer::Choose(votes) => {
                let (_, option_id) = votes.last().unwrap();
                let chosen = options.iter().find(|option| Some(option["id"].as_str().unwrap()) == option_id.as_deref());
                let answers: Vec<Value> =
                    votes.iter().map(|(person, option)| answer(person, option.as_deref())).collect();
                let mut output = answers.last().unwrap().clone();
                if quorum > 1 {
                    output["decisions"] = json!(answers);
                }
                let jump = chosen.and_then(|option| option.get("next_step").cloned());
                Ok(Done { jump, ..done(output) })
            }
            Answer::Lapse => match config["on_timeout"].as_str().unwrap() {
                "continue" => Ok(done(json!({ "timed_out": true }))),
                "skip" => Ok(Done { skipped: true, ..done(Value::Null) }),
                _ => Err(Trouble { holder: None, ..visit.trouble("approval_timeout") }),
            },
        }
    }

    fn parallel(&mut self, visit: Visit<'_>, inside: &str, frames: &mut Frames) -> Result<Done, Trouble> {
        let fast = visit.step["parallel_config"]["on_error"] == "fail_fast";
        let (mut output, mut joined, mut first) = (Map::new(), BTreeMap::new(), None);
        for branch in visit.step["parallel_steps"].as_array().unwrap() {
            let steps = branch.as_array().map_or_else(|| vec![branch.clone()], Clone::clone);
            match self.block(&steps, &format!("{}.", visit.path), inside, frames) {
                Ok((finished, skipped)) => {
                    self.fates.extend(skipped);
                    output.extend(own_outputs(&steps, &finished));
                    joined.extend(finished.outputs);
                }
                Err(trouble) if trouble.holder.is_some() || fast => return Err(trouble),
                Err(trouble) => _ = first.get_or_insert(trouble),
            }
        }
        match first {
            Some(trouble) => Err(trouble),
            None => Ok(Done { joined, ..done(Value::Object(output)) }),
        }
    }

    fn each(&mut self, visit: Visit<'_>, items: &Value, inside: &str, frames: &mut Frames) -> Result<Done, Trouble> {
        let config = &visit.step["loop_config"];
        let variable = config["item_variable"].as_str().unwrap_or("item");
        let steps = config["steps"].as_array().unwrap();
        let items = items.as_array().unwrap();
        let mut results = Vec::new();
        for (index, item) in items.iter().enumerate() {
            frames.push(BTreeMap::from([
                (variable.to_owned(), item.clone()),
                ("loop_index".to_owned(), json!(index)),
                ("loop_count".to_owned(), json!(items.len())),
            ]));
            let ended = self.block(steps, &format!("{}[{index}].", visit.path), inside, frames);
            frames.pop();
            match ended {
                Ok((finished, skipped)) => {
                    self.fates.extend(skipped);
                    results.push(Value::Object(own_outputs(steps, &finished)));
                }
                Err(trouble) if trouble.holder.is_some() || config["on_error"] == "fail" => return Err(trouble),
                Err(trouble) => results.push(error_output(&trouble.code, &trouble.step, &trouble.path)),
            }
        }
        Ok(done(json!({ "count": results.len(), "results": results })))
    }
}

/// What a person's answer leaves.
fn answer(person: &str, option: Option<&str>) -> Value {
    json!({
        "option_id": option, "comment": "looks good", "data": { "seen": true },
        "decided_by": person, "decided_at": "2026-11-22T16:00:00Z",
    })
}

/// What a step begins with: the input of a call, the items of a loop.
fn prepare(visit: Visit<'_>, frames: &Frames) -> Result<Value, Trouble> {
    let step = visit.step;
    let filled = |template: &Value| fill(template, frames).map_err(|_| visit.trouble("reference_not_found"));
    match step["type"].as_str().unwrap() {
        "tool" => filled(&step["tool_args"]),
        "agent" if step["agent_prompt"].get("deep").is_some() => filled(&step["agent_prompt"]),
        "agent" => Ok(json!({ "prompt": filled(&step["agent_prompt"])? })),
        "human" => filled(&step["human_config"]["notification"]),
        "loop" => {
            let config = &step["loop_config"];
            let most = config["max_iterations"].as_u64().unwrap_or(u64::MAX);
            match find(config["items_path"].as_str().unwrap(), frames) {
                None | Some(Value::Null) => Ok(json!([])),
                Some(Value::Array(items)) => Ok(items.into_iter().zip(0..most).map(|(item, _)| item).collect()),
                Some(_) => Err(visit.trouble("not_an_array")),
            }
        }
        _ => Ok(Value::Null),
    }
}

/// The step that comes next, or null.
fn target(steps: &[Value], cursor: usize, jump: Option<&Value>) -> Value {
    match jump {
        None => steps.get(cursor + 1).map_or(Value::Null, |step| step["id"].clone()),
        Some(Value::String(id)) if id != "$end" => json!(id),
        Some(_) => Value::Null,
    }
}

fn condition(visit: Visit<'_>, frames: &Frames) -> Done {
    let condition = &visit.step["condition"];
    let result = holds(condition, frames);
    let jump = condition.get(if result { "then_step" } else { "else_step" }).cloned();
    Done { jump, ..done(json!({ "result": result })) }
}

fn done(output: Value) -> Done {
    Done { output, jump: None, joined: BTreeMap::new(), skipped: false }
}

/// The outputs of the block's own steps.
fn own_outputs(steps: &[Value], finished: &Finished) -> Map<String, Value> {
    let ids = steps.iter().map(|step| step["id"].as_str().unwrap());
    ids.filter_map(|id| Some((id.to_owned(), finished.outputs.get(id)?.clone()))).collect()
}

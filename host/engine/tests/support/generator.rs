//! Random workflows: all six types of steps, nested, with jumps, retries, failures that are passed over, and limits.

use serde_json::{Map, Value, json};

use super::{dice::Dice, plan::HANGING};

/// What a random workflow may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Style {
    /// Anything, small limits and deadlines included.
    Wild,
    /// One thing at a time, limits included: the order of everything is fixed.
    Sequential,
    /// Things run beside each other, but nothing whose outcome hangs on their order.
    Confluent,
}

/// A workflow and what it is given.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) definition: Value,
    pub(crate) input: Value,
}

/// Writes one workflow.
pub(crate) fn sample(dice: &mut Dice, style: Style) -> Sample {
    let left = dice.between(2, 26);
    let depth = dice.below(6);
    let mut author = Author { dice, style, ids: 0, left, depth_wanted: depth, seen: Vec::new(), loops: Vec::new() };
    let steps = author.block(0);
    let mut definition = json!({ "name": "sample", "steps": steps, "guardrails": author.guardrails() });
    if author.dice.chance(40) {
        definition["output"] = json!({ "a": author.value(), "b": author.value() });
    }
    let items: Vec<Value> = (0..dice.below(4)).map(|v| json!({ "v": v, "list": [1, 2] })).collect();
    let input = json!({ "n": dice.below(100), "items": items, "text": "word", "none": null });
    Sample { definition, input }
}

struct Author<'d> {
    dice: &'d mut Dice,
    style: Style,
    ids: u32,
    /// How many more steps to write.
    left: u64,
    /// How deep it should be nested at least, where there are steps left.
    depth_wanted: usize,
    /// The steps that can be referred to, and their types.
    seen: Vec<(String, &'static str)>,
    /// The item variables in scope.
    loops: Vec<String>,
}

impl Author<'_> {
    fn block(&mut self, depth: usize) -> Vec<Value> {
        let count = self.dice.between(1, 4).min(self.left.max(1));
        self.left = self.left.saturating_sub(count);
        let types: Vec<&'static str> = (0..count).map(|_| self.step_type(depth)).collect();
        let ids: Vec<String> = types.iter().map(|step_type| self.id(step_type)).collect();
        let mut steps = Vec::new();
        for (index, step_type) in types.iter().enumerate() {
            steps.push(self.step(&ids, index, step_type, depth));
            self.seen.push((ids[index].clone(), step_type));
        }
        steps
    }

    fn id(&mut self, step_type: &str) -> String {
        self.ids += 1;
        let hangs = step_type == "tool" && self.dice.chance(4);
        format!("{}{}", if hangs { HANGING } else { "s" }, self.ids)
    }

    fn step_type(&mut self, depth: usize) -> &'static str {
        let nests = depth < 6 && self.left > 0;
        if nests && (self.dice.chance(18) || (depth < self.depth_wanted && self.dice.chance(50))) {
            return if self.dice.chance(50) { "loop" } else { "parallel" };
        }
        match self.dice.below(100) {
            0..50 => "tool",
            50..65 => "agent",
            65..85 => "condition",
            _ => "human",
        }
    }

    fn step(&mut self, ids: &[String], index: usize, step_type: &'static str, depth: usize) -> Value {
        let mut step = match step_type {
            "tool" => json!({ "tool": "sim.work", "tool_args": { "a": self.value(), "b": self.value() } }),
            "agent" => json!({ "agent": "sim.think", "agent_prompt": self.value() }),
            "condition" => json!({ "condition": self.branching(ids, index) }),
            "human" => json!({ "human_config": self.human(ids, index) }),
            "loop" => json!({ "loop_config": self.looping(depth) }),
            _ => self.parallel(depth),
        };
        step["id"] = json!(ids[index]);
        step["type"] = json!(step_type);
        self.common(&mut step, ids, index, step_type);
        step
    }

    fn common(&mut self, step: &mut Value, ids: &[String], index: usize, step_type: &str) {
        let hangs = ids[index].starts_with(HANGING);
        if step_type != "condition" && self.dice.chance(10) {
            step["next_step"] = self.forward(ids, index);
        }
        if !matches!(step_type, "condition" | "human") && !hangs && self.dice.chance(25) {
            step["retry"] = json!({
                "max_attempts": self.dice.between(1, 3),
                "initial_interval_ms": self.dice.between(1, 200),
                "backoff": 2.0,
                "max_interval_ms": 300,
            });
        }
        match self.dice.below(100) {
            0..25 => step["on_error"] = json!("continue"),
            25..33 => step["on_error"] = json!({ "goto": self.anywhere(ids) }),
            _ => {}
        }
        let guardrails = self.step_guardrails(step_type);
        if hangs {
            step["guardrails"] = json!({ "timeout_seconds": 0.25 });
        } else if !guardrails.is_empty() {
            step["guardrails"] = Value::Object(guardrails);
        }
    }

    /// A later step of the block, or its end.
    fn forward(&mut self, ids: &[String], index: usize) -> Value {
        match self.dice.below(4) {
            0 => Value::Null,
            1 => json!("$end"),
            _ => self.dice.pick(&ids[index + 1..]).map_or(Value::Null, |id| json!(id)),
        }
    }

    fn anywhere(&mut self, ids: &[String]) -> Value {
        let id = self.dice.pick(ids).cloned().unwrap_or_default();
        if self.dice.chance(20) { json!("$end") } else { json!(id) }
    }

    fn branching(&mut self, ids: &[String], index: usize) -> Value {
        let mut condition = self.condition(0);
        for name in ["then_step", "else_step"] {
            match self.dice.below(10) {
                0..4 => {}
                4..8 => condition[name] = self.forward(ids, index),
                _ => condition[name] = self.anywhere(ids),
            }
        }
        condition
    }

    fn condition(&mut self, depth: usize) -> Value {
        if depth < 2 && self.dice.chance(15) {
            let parts = [self.condition(depth + 1), self.condition(depth + 1)];
            return match self.dice.below(3) {
                0 => json!({ "all": parts }),
                1 => json!({ "any": parts }),
                _ => json!({ "not": parts[0] }),
            };
        }
        let operators = ["eq", "ne", "gt", "lt", "gte", "lte", "contains", "exists"];
        let operator = self.dice.pick(&operators).copied().unwrap_or("eq");
        let values = [json!(50), json!(50.0), json!("word"), json!(null), json!(true), json!("n")];
        let value = self.dice.pick(&values).cloned().unwrap_or_default();
        json!({ "field": self.reference(), "operator": operator, "value": value })
    }

    fn human(&mut self, ids: &[String], index: usize) -> Value {
        let mut options = Vec::new();
        for option in 0..self.dice.below(3) {
            let mut option = json!({ "id": format!("o{option}"), "label": "choose" });
            if self.dice.chance(40) {
                option["next_step"] = if self.dice.chance(70) { self.forward(ids, index) } else { self.anywhere(ids) };
            }
            options.push(option);
        }
        let mut human = json!({ "notification": format!("look at {}", self.reference()), "options": options });
        if self.dice.chance(30) {
            human["approvers"] = json!({ "roles": ["approver"], "quorum": self.dice.between(1, 3) });
        }
        if self.dice.chance(50) {
            human["timeout_minutes"] = json!(0.25);
            human["on_timeout"] = json!(self.dice.pick(&["continue", "fail", "skip"]));
        }
        human
    }

    fn parallel(&mut self, depth: usize) -> Value {
        let outer = self.seen.len();
        let mut inner = Vec::new();
        let mut branches = Vec::new();
        for _ in 0..self.dice.between(1, 3) {
            let branch = self.block(depth + 1);
            // Only the steps of the branch itself are seen after the join, and none by its siblings.
            inner.extend(self.seen.split_off(outer));
            let one = branch.len() == 1 && self.dice.chance(50);
            branches.push(if one { branch[0].clone() } else { Value::Array(branch) });
        }
        self.seen.extend(inner);
        let width = if self.style == Style::Sequential { 1 } else { self.dice.between(1, 3) };
        let fast = width == 1 || self.style == Style::Wild;
        let on_error = if fast && self.dice.chance(50) { "fail_fast" } else { "wait_all" };
        json!({ "parallel_steps": branches, "parallel_config": { "max_concurrency": width, "on_error": on_error } })
    }

    fn looping(&mut self, depth: usize) -> Value {
        let items = match self.dice.below(10) {
            0 => self.reference(),
            1 => "$.input.missing".to_owned(),
            2 => "$.input.none".to_owned(),
            3 => self.tool_list(),
            _ => "$.input.items".to_owned(),
        };
        let variable = if self.loops.is_empty() { "item".to_owned() } else { format!("item{depth}") };
        let outer = self.seen.len();
        self.loops.push(variable.clone());
        let steps = self.block(depth + 1);
        self.loops.pop();
        self.seen.truncate(outer);
        let width = if self.style == Style::Sequential { 1 } else { self.dice.between(1, 3) };
        let fails = (width == 1 || self.style == Style::Wild) && self.dice.chance(50);
        let mut config = json!({
            "items_path": items, "steps": steps, "max_concurrency": width,
            "on_error": if fails { "fail" } else { "continue" },
        });
        if variable != "item" {
            config["item_variable"] = json!(variable);
        }
        if self.dice.chance(20) {
            config["max_iterations"] = json!(self.dice.between(1, 2));
        }
        config
    }

    fn tool_list(&mut self) -> String {
        let tools: Vec<&String> = self.seen.iter().filter(|(_, kind)| *kind == "tool").map(|(id, _)| id).collect();
        self.dice.pick(&tools).map_or("$.input.items".to_owned(), |id| format!("$.{id}.list"))
    }

    /// A template.
    fn value(&mut self) -> Value {
        let reference = self.reference();
        // A whole output may hold a failure's words, which nobody predicts; as text they could not be told apart.
        let is_short = reference[2..].contains('.');
        match self.dice.below(6) {
            0 => json!("plain"),
            1 if is_short => json!(format!("a {reference} b")),
            2 if is_short => json!(format!("a {{{{ {reference} }}}} b")),
            3 => json!({ "$path": reference, "default": 7 }),
            4 => json!({ "deep": [reference], "n": 1 }),
            _ => json!(reference),
        }
    }

    fn reference(&mut self) -> String {
        if let Some(variable) = self.loops.last().filter(|_| self.dice.chance(40)) {
            let variable = variable.clone();
            return match self.dice.below(4) {
                0 => "$.loop_index".to_owned(),
                1 => "$.loop_count".to_owned(),
                2 => format!("$.{variable}"),
                _ => format!("$.{variable}.v"),
            };
        }
        let Some((id, step_type)) = self.dice.pick(&self.seen).filter(|_| self.dice.chance(60)).cloned() else {
            let inputs = ["$.input.n", "$.input.text", "$.input.items[0]", "$.workflow.name", "$.trigger.type"];
            return self.dice.pick(&inputs).copied().unwrap_or("$.input.n").to_owned();
        };
        let member = match (step_type, self.dice.below(8)) {
            (_, 0) => ".missing",
            (_, 1) => ".error.code",
            ("tool" | "agent", 2) => ".flag",
            ("tool" | "agent", 3) => ".list[0].v",
            ("tool" | "agent", _) => ".n",
            ("condition", _) => ".result",
            ("human", _) => ".option_id",
            ("loop", _) => ".count",
            _ => "",
        };
        format!("$.{id}{member}")
    }

    fn guardrails(&mut self) -> Value {
        let mut limits = Map::new();
        limits.insert("max_steps".into(), json!(150));
        if self.style == Style::Confluent {
            return Value::Object(limits);
        }
        for (name, percent, most) in [("max_steps", 25, 20), ("tool_calls_limit", 25, 8)] {
            if self.dice.chance(percent) {
                limits.insert(name.into(), json!(self.dice.between(0, most)));
            }
        }
        if self.style == Style::Wild {
            self.wild_guardrails(&mut limits);
        }
        Value::Object(limits)
    }

    fn step_guardrails(&mut self, step_type: &str) -> Map<String, Value> {
        let mut limits = Map::new();
        if self.style == Style::Confluent || !self.dice.chance(12) {
            return limits;
        }
        let nests = matches!(step_type, "loop" | "parallel");
        let least = u64::from(!nests && self.dice.chance(90));
        limits.insert("max_steps".into(), json!(self.dice.between(least, 6)));
        if self.dice.chance(50) {
            limits.insert("tool_calls_limit".into(), json!(self.dice.between(least, 3)));
        }
        if self.style == Style::Wild {
            self.wild_guardrails(&mut limits);
        }
        limits
    }

    fn wild_guardrails(&mut self, limits: &mut Map<String, Value>) {
        if self.dice.chance(30) {
            limits.insert("request_limit".into(), json!(self.dice.between(0, 4)));
            limits.insert("total_tokens_limit".into(), json!(self.dice.between(0, 400)));
            limits.insert("max_cost_dollars".into(), json!(0.0002));
        }
        if self.dice.chance(40) {
            limits.insert("on_exceeded".into(), json!("pause"));
        }
        if self.dice.chance(12) {
            limits.insert("timeout_seconds".into(), json!(0.4));
        }
    }
}

//! Every limiter, where it stands, how it is switched off, and who has to notice.

/// Tests of one crate.
#[derive(PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) package: &'static str,
    /// What of the crate.
    pub(crate) target: &'static [&'static str],
    /// Those whose names hold one of these.
    pub(crate) names: &'static [&'static str],
}

/// A limiter that is switched off.
pub(crate) struct Mutant {
    /// What it limits.
    pub(crate) limiter: &'static str,
    pub(crate) file: &'static str,
    /// What stands there, once.
    pub(crate) from: &'static str,
    /// What stands there when it is off.
    pub(crate) to: &'static str,
    pub(crate) tests: Tests,
}

const fn engine(names: &'static [&'static str]) -> Tests {
    Tests { package: "weir-engine", target: &["--test", "engine"], names }
}

const fn host(names: &'static [&'static str]) -> Tests {
    Tests { package: "weir-host", target: &["--test", "host"], names }
}

const fn lib(names: &'static [&'static str]) -> Tests {
    Tests { package: "weir-host", target: &["--lib"], names }
}

/// All of them.
pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        limiter: "request_limit",
        file: "host/engine/src/limits/shared.rs",
        from: r#"("request_limit", self.requests)"#,
        to: r#"("request_limit", None)"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "input_tokens_limit",
        file: "host/engine/src/limits/shared.rs",
        from: r#"("input_tokens_limit", self.input_tokens)"#,
        to: r#"("input_tokens_limit", None)"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "output_tokens_limit",
        file: "host/engine/src/limits/shared.rs",
        from: r#"("output_tokens_limit", self.output_tokens)"#,
        to: r#"("output_tokens_limit", None)"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "total_tokens_limit",
        file: "host/engine/src/limits/shared.rs",
        from: r#"("total_tokens_limit", self.total_tokens)"#,
        to: r#"("total_tokens_limit", None)"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "tool_calls_limit",
        file: "host/engine/src/limits/shared.rs",
        from: r#"("tool_calls_limit", self.tool_calls)"#,
        to: r#"("tool_calls_limit", None)"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "max_cost_dollars",
        file: "host/engine/src/limits/shared.rs",
        from: r#"("max_cost_dollars", self.cost_microusd)"#,
        to: r#"("max_cost_dollars", None)"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "max_steps",
        file: "host/engine/src/limits/shared.rs",
        from: r#"("max_steps", self.max_steps)"#,
        to: r#"("max_steps", None)"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "limits of a step",
        file: "host/engine/src/execution/decide/guard.rs",
        from: r#"visit.ledger.admits(&visit.limits, ask)"#,
        to: r#"visit.ledger.admits(&Limits::default(), ask)"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "limits of the call's own step",
        file: "host/engine/src/execution/decide/guard.rs",
        from: r#"call.into_iter().chain(state.around(scope))"#,
        to: r#"call.into_iter().skip(1).chain(state.around(scope))"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "limits of the steps around",
        file: "host/engine/src/execution/decide/guard.rs",
        from: r#"call.into_iter().chain(state.around(scope))"#,
        to: r#"call.into_iter().chain(state.around(scope).take(0))"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "limits of the execution",
        file: "host/engine/src/execution/decide/guard.rs",
        from: r#"state.ledger.admits(&state.limits, ask)"#,
        to: r#"state.ledger.admits(&Limits::default(), ask)"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "limits that are shared",
        file: "host/engine/src/execution/decide/guard.rs",
        from: r#"shared.admits(&drawn, ask).err()?"#,
        to: r#"shared.admits(&drawn, &Amounts::NONE).err()?"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "what one step of the engine draws",
        file: "host/engine/src/execution/decide/guard.rs",
        from: r#"shared.admits(&drawn, ask).err()?"#,
        to: r#"shared.admits(&drawn.minus(&drawn), ask).err()?"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "what is promised counts",
        file: "host/engine/src/limits.rs",
        from: r#"self.reserved = self.reserved.plus(ask);"#,
        to: r#"self.reserved = self.reserved.plus(&ask.minus(ask));"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "what is settled counts",
        file: "host/engine/src/limits.rs",
        from: r#"self.settled = self.settled.plus(used);"#,
        to: r#"self.settled = self.settled.plus(&used.minus(used));"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "what was never settled counts as spent",
        file: "host/engine/src/execution/evolve.rs",
        from: r#"self.change_ledgers(visit.scope, |ledger| ledger.settle(&open, &open));"#,
        to: r#"self.change_ledgers(visit.scope, |ledger| ledger.settle(&open, &Amounts::NONE));"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "the tighter of two limits",
        file: "host/engine/src/limits.rs",
        from: r#"(Some(a), Some(b)) => Some(a.min(b)),"#,
        to: r#"(Some(a), Some(b)) => Some(a.max(b)),"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "fuel_limit",
        file: "host/engine/src/execution.rs",
        from: r#"            fuel: limits.fuel,"#,
        to: r#"            fuel: None,"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "memory_limit_mb",
        file: "host/engine/src/execution.rs",
        from: r#"            memory_bytes: limits.memory_bytes,"#,
        to: r#"            memory_bytes: None,"#,
        tests: engine(&["limits::", "budget::"]),
    },
    Mutant {
        limiter: "timeout_seconds of an execution",
        file: "host/engine/src/execution/decide/time.rs",
        from: r#"            && deadline <= self.now
        {
            return self.time_out();"#,
        to: r#"            && deadline > self.now
        {
            return self.time_out();"#,
        tests: engine(&["time::"]),
    },
    Mutant {
        limiter: "timeout_seconds of a step",
        file: "host/engine/src/execution/decide/time.rs",
        from: r#"if visit.deadline.is_some_and(|deadline| deadline <= self.now) {"#,
        to: r#"if visit.deadline.is_some_and(|deadline| deadline > self.now) {"#,
        tests: engine(&["time::"]),
    },
    Mutant {
        limiter: "budgets and trees: what is left",
        file: "host/src/driver/pools/pool.rs",
        from: r#"self.limits.less(&settled.plus(&reserved))"#,
        to: r#"self.limits.less(&Amounts::NONE)"#,
        tests: lib(&["pools::"]),
    },
    Mutant {
        limiter: "budgets: what is given back stays taken until it is on disk",
        file: "host/src/driver/pools/pool.rs",
        from: r#"self.returned = self.returned.plus(&returned);"#,
        to: r#"self.returned = self.returned.plus(&Amounts::NONE);"#,
        tests: lib(&["pools::"]),
    },
    Mutant {
        limiter: "budgets: what the disk still holds goes into the next period",
        file: "host/src/driver/pools/pool.rs",
        from: r#"self.returned = self.returned.plus(&self.converted);"#,
        to: r#"self.returned = self.returned.plus(&Amounts::NONE);"#,
        tests: lib(&["pools::"]),
    },
    Mutant {
        limiter: "budgets: what was spent before a restart",
        file: "host/src/driver/pools.rs",
        from: r#".know_settled(settled);"#,
        to: r#".know_settled(&Amounts::NONE);"#,
        tests: host(&["driver::budgets"]),
    },
    Mutant {
        limiter: "an answer is as long as there is room for",
        file: "host/src/driver/task/effects.rs",
        from: r#"        if fits(middle) {"#,
        to: r#"        if fits(middle) || middle > 0 {"#,
        tests: host(&["an_answer_is_as_long"]),
    },
    Mutant {
        limiter: "on_unknown_price",
        file: "host/src/driver/task/effects.rs",
        from: r#"        if prepared.price.is_some() {"#,
        to: r#"        if prepared.price.is_some() || call.0 > 0 {"#,
        tests: host(&["an_unknown_price", "no_known_price"]),
    },
    Mutant {
        limiter: "trees: the limits of those that led to an execution",
        file: "host/src/driver/pools/tree.rs",
        from: r#"chain.into_iter().flatten().filter_map"#,
        to: r#"chain.into_iter().flatten().take(0).filter_map"#,
        tests: host(&["trees::"]),
    },
    Mutant {
        limiter: "trees: how many executions",
        file: "host/src/driver/pools/tree.rs",
        from: r#".filter(|tree| tree.executions < max)"#,
        to: r#".filter(|tree| tree.executions < usize::MAX)"#,
        tests: host(&["trees::"]),
    },
    Mutant {
        limiter: "lineage: how many in a row",
        file: "host/src/trigger/dispatcher.rs",
        from: r#"if news.lineage.len() > LINEAGE_MAX {"#,
        to: r#"if news.lineage.len() > LINEAGE_MAX * 9 {"#,
        tests: host(&["r22_a_cycle"]),
    },
    Mutant {
        limiter: "loops: the same call again and again",
        file: "host/src/driver/effects/loops.rs",
        from: r#"if *count >= STOP_AT {"#,
        to: r#"if *count >= STOP_AT * 9 {"#,
        tests: host(&["round_in_circles"]),
    },
    Mutant {
        limiter: "runtime: fuel",
        file: "host/src/runtime/call.rs",
        from: r#"store.set_fuel(fuel)?;"#,
        to: r#"store.set_fuel(u64::MAX.max(fuel))?;"#,
        tests: host(&["h1_spin"]),
    },
    Mutant {
        limiter: "runtime: time",
        file: "host/src/runtime/call.rs",
        from: r#"timeout(call.timeout, run("#,
        to: r#"timeout(call.timeout * 999, run("#,
        tests: host(&["h9_sleep"]),
    },
    Mutant {
        limiter: "runtime: memory",
        file: "host/src/runtime/limits.rs",
        from: r#"if wanted_bytes > self.memory_bytes_max {"#,
        to: r#"if wanted_bytes > self.memory_bytes_max.max(1 << 60) {"#,
        tests: host(&["h3_memory_bomb"]),
    },
    Mutant {
        limiter: "runtime: host calls",
        file: "host/src/runtime/imports.rs",
        from: r#"if self.host_calls > HOST_CALLS_MAX {"#,
        to: r#"if self.host_calls > HOST_CALLS_MAX * 999 {"#,
        tests: host(&["h8_host_call_flood"]),
    },
    Mutant {
        limiter: "runtime: output",
        file: "host/src/runtime/outcome.rs",
        from: r#"if text.len() > OUTPUT_BYTES_MAX {"#,
        to: r#"if text.len() > OUTPUT_BYTES_MAX * 999 {"#,
        tests: host(&["h6_giant_output"]),
    },
    Mutant {
        limiter: "runtime: log",
        file: "host/src/runtime/imports/log.rs",
        from: r#"if self.lines.len() >= LINES_MAX || self.bytes >= LOG_BYTES_MAX {"#,
        to: r#"if self.lines.len() >= LINES_MAX * 999 {"#,
        tests: host(&["h7_log_flood"]),
    },
    Mutant {
        limiter: "agents: their own limits",
        file: "host/src/driver/effects/tools.rs",
        from: r#"within.push((id.clone(), callable.terms.limits.clone()));"#,
        to: r#"within.truncate(usize::MAX);"#,
        tests: host(&["driver::limits::"]),
    },
    Mutant {
        limiter: "models: tools that one answer asks for",
        file: "host/src/models/heard.rs",
        from: r#"if self.calls.len() == CALLS_MAX {"#,
        to: r#"if self.calls.len() == CALLS_MAX * 999 {"#,
        tests: lib(&["models::heard::"]),
    },
    Mutant {
        limiter: "models: requests at a time",
        file: "host/src/models.rs",
        from: r#"places: Semaphore::new(config.concurrency.into()),"#,
        to: r#"places: Semaphore::new(4096),"#,
        tests: host(&["models::requests::"]),
    },
    Mutant {
        limiter: "egress: bytes of an answer",
        file: "host/src/egress/http.rs",
        from: r#"                return Err(self.limits.too_large());
            }
            return Ok(Some(data));"#,
        to: r#"                return Ok(None);
            }
            return Ok(Some(data));"#,
        tests: host(&["egress::limits::"]),
    },
    Mutant {
        limiter: "egress: bytes of a request",
        file: "host/src/egress/http.rs",
        from: r#"if hop.body.len() > body_bytes_max {"#,
        to: r#"if hop.body.len() > body_bytes_max * 999 {"#,
        tests: host(&["egress::limits::"]),
    },
    Mutant {
        limiter: "egress: requests of a caller",
        file: "host/src/egress/policy.rs",
        from: r#"(sent < max).then_some(sent + 1)"#,
        to: r#"(sent < max * 999).then_some(sent + 1)"#,
        tests: host(&["egress::limits::"]),
    },
    Mutant {
        limiter: "egress: redirects",
        file: "host/src/egress/http.rs",
        from: r#"if followed == policy.redirects_max {"#,
        to: r#"if followed == policy.redirects_max * 999 {"#,
        tests: host(&["egress::limits::"]),
    },
    Mutant {
        limiter: "egress: requests of the host at a time",
        file: "host/src/egress/http.rs",
        from: r#"let permit = self.inner.under_way.clone().acquire_owned().await.ok();"#,
        to: r#"let permit = self.inner.under_way.clone().try_acquire_owned().ok();"#,
        tests: host(&["egress::limits::"]),
    },
    Mutant {
        limiter: "documents: how many",
        file: "host/src/driver/effects/kv.rs",
        from: r#"usage.keys >= KEYS_MAX {"#,
        to: r#"usage.keys >= KEYS_MAX * 999 {"#,
        tests: host(&["kv::"]),
    },
    Mutant {
        limiter: "documents: bytes",
        file: "host/src/driver/effects/kv.rs",
        from: r#"if bytes > self.room_bytes &&"#,
        to: r#"if bytes > self.room_bytes * 999 &&"#,
        tests: host(&["kv::"]),
    },
    Mutant {
        limiter: "events: triggers of one",
        file: "host/src/trigger/dispatcher.rs",
        from: r#"fired.len().min(FAN_OUT_MAX)"#,
        to: r#"fired.len().min(FAN_OUT_MAX * 999)"#,
        tests: host(&["r22_one_event_fires"]),
    },
];

//! Reads powers from documents, and collects everything that is wrong with them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use weir_engine::{
    approvers::{APPROVERS_MAX, Approvers, ROLES},
    tool_grant::{ToolApproval, ToolGrant, ms_of_minutes},
};

use super::{
    Problem,
    names::Names,
    powers::{KV_BYTES_DEFAULT, KV_BYTES_MAX, KvGrant, NAMES_MAX, Powers, TOOLS_MAX},
    reach::{HostGrant, HostRule, Methods, merged},
};
use crate::{egress::Method, names::is_tool_reference};

/// Problems that are told.
const PROBLEMS_MAX: usize = 100;
/// Methods for one host.
const METHODS_MAX: usize = 16;
const METHOD_BYTES_MAX: usize = 32;
const HOST_BYTES_MAX: usize = 300;
const NAME_BYTES_MAX: usize = 64;
/// The most bytes of a user's name among those who may answer.
const USER_BYTES_MAX: usize = 200;

/// Collects what is wrong.
pub(super) struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { problems: Vec::new() }
    }

    /// # Errors
    /// What was wrong.
    pub(super) fn end(self) -> Result<(), Vec<Problem>> {
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }

    fn problem(&mut self, place: impl Into<String>, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { place: place.into(), message: message.into() });
        }
    }

    /// Powers at a place; `terms` says whether tools may have any.
    pub(super) fn powers(&mut self, value: &Value, place: &str, hosts_max: usize, terms: bool) -> Powers {
        let Some(object) = self.object(value, place, &["hosts", "models", "tools", "secrets", "kv"]) else {
            return Powers::default();
        };
        let mut powers = Powers {
            hosts: self.hosts(object, &at(place, "hosts"), hosts_max),
            models: self.names(object.get("models"), &at(place, "models"), "fast", is_model),
            tools: self.tools(object.get("tools"), &at(place, "tools"), terms),
            secrets: self.names(object.get("secrets"), &at(place, "secrets"), "api_key", is_secret),
            kv: self.kv(object.get("kv"), &at(place, "kv")),
        };
        powers.sort_tools();
        powers
    }

    /// Adds the tools that a descriptor's agents list. What is wrong with the lists themselves is told by whoever reads
    /// the agents.
    pub(super) fn tools_of_agents(&mut self, descriptor: &Value, powers: &mut Powers) {
        let agents = descriptor.get("agents").and_then(Value::as_array).into_iter().flatten();
        let listed = agents.filter_map(|agent| agent.get("tools")?.as_array()).flatten().filter_map(Value::as_str);
        let named: BTreeSet<&str> = listed.filter(|tool| is_tool_reference(tool)).collect();
        powers.tools.extend(named.into_iter().map(ToolGrant::new));
        powers.sort_tools();
        if powers.tools.len() > TOOLS_MAX {
            self.problem("asks/tools", format!("the plugin and its agents ask for more than {TOOLS_MAX} tools"));
        }
    }

    /// An object with no other members than these.
    fn object<'v>(&mut self, value: &'v Value, place: &str, members: &[&str]) -> Option<&'v Map<String, Value>> {
        let Value::Object(object) = value else {
            self.problem(place, "must be an object");
            return None;
        };
        for name in object.keys().filter(|name| !members.contains(&name.as_str())) {
            self.problem(place, format!("has no member {name:.64?}; it may have {}", members.join(", ")));
        }
        Some(object)
    }

    fn list<'v>(&mut self, value: Option<&'v Value>, place: &str, max: usize) -> &'v [Value] {
        match value {
            None | Some(Value::Null) => &[],
            Some(Value::Array(list)) if list.len() <= max => list,
            Some(_) => {
                self.problem(place, format!("must be a list of at most {max}"));
                &[]
            }
        }
    }

    fn hosts(&mut self, object: &Map<String, Value>, place: &str, max: usize) -> Vec<HostGrant> {
        let list = self.list(object.get("hosts"), place, max);
        merged(list.iter().enumerate().filter_map(|(n, value)| self.host(value, &at(place, n))).collect::<Vec<_>>())
    }

    /// A host with methods, or a text: a host to read from.
    fn host(&mut self, value: &Value, place: &str) -> Option<HostGrant> {
        if let Value::String(text) = value {
            return Some(HostGrant { host: self.host_rule(text, place)?, methods: Methods::reading() });
        }
        let object = self.object(value, place, &["host", "methods"])?;
        let methods = self.methods(object.get("methods"), &at(place, "methods"));
        let Some(text) = object.get("host").and_then(Value::as_str) else {
            self.problem(at(place, "host"), "must be a host: api.example.com, *.example.com:8080, *");
            return None;
        };
        Some(HostGrant { host: self.host_rule(text, &at(place, "host"))?, methods })
    }

    fn host_rule(&mut self, text: &str, place: &str) -> Option<HostRule> {
        if text == "*" {
            return Some(HostRule::ANY);
        }
        let parsed = if text.len() <= HOST_BYTES_MAX { text.parse().ok() } else { None };
        if parsed.is_none() {
            self.problem(place, "must be a host: api.example.com, *.example.com:8080, *");
        }
        parsed.map(HostRule::of)
    }

    fn methods(&mut self, value: Option<&Value>, place: &str) -> Methods {
        let list = self.list(value, place, METHODS_MAX);
        if list.iter().any(|method| method == "*") {
            return Methods::Any;
        }
        let mut methods = Vec::with_capacity(list.len());
        for (n, value) in list.iter().enumerate() {
            match value.as_str().and_then(method) {
                Some(method) if methods.contains(&method) => {}
                Some(method) => methods.push(method),
                None => self.problem(at(place, n), "must be a method that may be sent: GET, POST, *"),
            }
        }
        if methods.is_empty() { Methods::reading() } else { Methods::List(methods) }
    }

    fn names(&mut self, value: Option<&Value>, place: &str, example: &str, is_name: fn(&str) -> bool) -> Names {
        let list = self.list(value, place, NAMES_MAX);
        let mut names = Vec::with_capacity(list.len());
        for (n, value) in list.iter().enumerate() {
            match value.as_str() {
                Some(name) if name == "*" || is_name(name) => names.push(name),
                _ => self.problem(at(place, n), format!("must be a name like {example}, or *")),
            }
        }
        Names::new(names)
    }

    fn tools(&mut self, value: Option<&Value>, place: &str, terms: bool) -> Vec<ToolGrant> {
        let list = self.list(value, place, TOOLS_MAX);
        let mut seen = BTreeSet::new();
        let mut tools = Vec::with_capacity(list.len());
        for (n, value) in list.iter().enumerate() {
            let Some(tool) = self.tool(value, &at(place, n), terms) else { continue };
            if !seen.insert(tool.tool.clone()) {
                self.problem(at(place, n), "is there twice");
            }
            tools.push(tool);
        }
        tools
    }

    fn tool(&mut self, value: &Value, place: &str, terms: bool) -> Option<ToolGrant> {
        if let Value::String(name) = value {
            return self.tool_name(Some(name), place).map(ToolGrant::new);
        }
        let members: &[&str] = if terms { &["tool", "approval", "approvers", "timeout_minutes"] } else { &["tool"] };
        let object = self.object(value, place, members)?;
        let name = self.tool_name(object.get("tool").and_then(Value::as_str), &at(place, "tool"));
        Some(ToolGrant {
            approval: self.approval(object.get("approval"), &at(place, "approval")),
            approvers: self.approvers(object.get("approvers"), &at(place, "approvers")),
            timeout_ms: self.timeout(object.get("timeout_minutes"), &at(place, "timeout_minutes")),
            tool: name?,
        })
    }

    fn tool_name(&mut self, name: Option<&str>, place: &str) -> Option<String> {
        let name = name.filter(|name| is_tool_reference(name));
        if name.is_none() {
            self.problem(place, "must name a tool: plugin.tool, tool@1.2.3");
        }
        name.map(str::to_owned)
    }

    fn approval(&mut self, value: Option<&Value>, place: &str) -> Option<ToolApproval> {
        match value {
            None | Some(Value::Null) => None,
            Some(Value::String(word)) if word == "required" => Some(ToolApproval::Required),
            Some(_) => {
                self.problem(place, "must be \"required\", or left out");
                None
            }
        }
    }

    fn timeout(&mut self, value: Option<&Value>, place: &str) -> Option<u64> {
        let value = value.filter(|value| !value.is_null())?;
        let timeout_ms = value.as_f64().and_then(ms_of_minutes);
        if timeout_ms.is_none() {
            self.problem(place, "must be a number of minutes, at most 527040");
        }
        timeout_ms
    }

    /// Who may answer: an object, or a list of roles and users.
    fn approvers(&mut self, value: Option<&Value>, place: &str) -> Option<Approvers> {
        let value = value.filter(|value| !value.is_null())?;
        if value.is_array() {
            let names = self.people(Some(value), place);
            return Some(Approvers::of_names(names.iter().map(String::as_str)));
        }
        let object = self.object(value, place, &["roles", "users", "quorum", "requester_may_decide"])?;
        let roles = self.people(object.get("roles"), &at(place, "roles"));
        for (n, _) in roles.iter().enumerate().filter(|(_, role)| !ROLES.contains(&role.as_str())) {
            self.problem(at(&at(place, "roles"), n), format!("must be one of {}", ROLES.join(", ")));
        }
        let users = self.people(object.get("users"), &at(place, "users"));
        let quorum = self.quorum(object.get("quorum"), &at(place, "quorum"));
        let requester_may_decide = self.flag(object.get("requester_may_decide"), &at(place, "requester_may_decide"));
        let approvers = Approvers { roles, users, quorum, requester_may_decide };
        if !approvers.are_enough() {
            self.problem(at(place, "quorum"), "fewer people are named than must agree");
        }
        Some(approvers)
    }

    fn people(&mut self, value: Option<&Value>, place: &str) -> Vec<String> {
        let mut people = BTreeSet::new();
        for (n, value) in self.list(value, place, APPROVERS_MAX).iter().enumerate() {
            match value.as_str().filter(|name| !name.is_empty() && name.len() <= USER_BYTES_MAX) {
                Some(name) => drop(people.insert(name.to_owned())),
                None => self.problem(at(place, n), "must be a role or a user's name"),
            }
        }
        people.into_iter().collect()
    }

    fn quorum(&mut self, value: Option<&Value>, place: &str) -> u32 {
        let Some(value) = value.filter(|value| !value.is_null()) else { return 1 };
        let quorum = value.as_u64().filter(|quorum| (1..=APPROVERS_MAX as u64).contains(quorum));
        if quorum.is_none() {
            self.problem(place, format!("must be a whole number from 1 to {APPROVERS_MAX}"));
        }
        quorum.and_then(|quorum| u32::try_from(quorum).ok()).unwrap_or(1)
    }

    fn flag(&mut self, value: Option<&Value>, place: &str) -> bool {
        match value {
            None | Some(Value::Null) => true,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.problem(place, "must be true or false");
                true
            }
        }
    }

    /// A store: true, false, or how much room.
    fn kv(&mut self, value: Option<&Value>, place: &str) -> Option<KvGrant> {
        match value {
            None | Some(Value::Null | Value::Bool(false)) => None,
            Some(Value::Bool(true)) => Some(KvGrant { bytes: KV_BYTES_DEFAULT }),
            Some(value) => {
                let object = self.object(value, place, &["bytes"])?;
                let wanted = object.get("bytes").map_or(Some(KV_BYTES_DEFAULT), Value::as_u64);
                let bytes = wanted.filter(|bytes| (1..=KV_BYTES_MAX).contains(bytes));
                if bytes.is_none() {
                    self.problem(at(place, "bytes"), format!("must be a whole number from 1 to {KV_BYTES_MAX}"));
                }
                bytes.map(|bytes| KvGrant { bytes })
            }
        }
    }
}

/// A place within a place.
fn at(place: &str, member: impl std::fmt::Display) -> String {
    if place.is_empty() { member.to_string() } else { format!("{place}/{member}") }
}

fn method(text: &str) -> Option<Method> {
    let is_token = text.len() <= METHOD_BYTES_MAX && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    let is_sent = !matches!(text, "CONNECT" | "TRACE" | "TRACK");
    Method::from_bytes(text.as_bytes()).ok().filter(|_| is_token && is_sent)
}

fn is_model(text: &str) -> bool {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'/');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_name)
}

fn is_secret(text: &str) -> bool {
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(is_name)
}

//! Evaluates a query on a scope: never builds a root object, never does more than its budget allows.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeSet};

use serde_json::Value;

use super::{
    View,
    budget::{Budget, Exhausted},
    compare,
    query::{Comparison, Filter, Operand, Query, Segment, Selector},
};

/// The most nodes that a query may select, on the way or in the end.
const NODES_MAX: usize = 100_000;
/// The most values that one evaluation may look at.
const VISITS_MAX: u64 = 1_000_000;

/// A place in the data; the root is the scope, which is no value of its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node<'a> {
    Root,
    Value(&'a Value),
}

pub(super) struct Evaluation<'a> {
    view: &'a dyn View,
    budget: Budget,
}

/// What an operand of a comparison stands for; `None` is the RFC's "nothing".
type Comparable<'a> = Option<Cow<'a, Value>>;

impl<'a> Evaluation<'a> {
    pub(super) fn new(view: &'a dyn View) -> Self {
        Self { view, budget: Budget::new(VISITS_MAX) }
    }

    /// The values that `query` selects from the scope.
    pub(super) fn values(&mut self, query: &Query) -> Result<Vec<&'a Value>, Exhausted> {
        let nodes = self.select(query, Node::Root)?;
        Ok(nodes.into_iter().filter_map(value_of).collect())
    }

    fn select(&mut self, query: &Query, current: Node<'a>) -> Result<Vec<Node<'a>>, Exhausted> {
        let mut nodes = vec![if query.absolute { Node::Root } else { current }];
        for segment in &query.segments {
            nodes = self.follow(segment, nodes)?;
        }
        Ok(nodes)
    }

    fn follow(&mut self, segment: &Segment, nodes: Vec<Node<'a>>) -> Result<Vec<Node<'a>>, Exhausted> {
        let mut found = Vec::new();
        for node in nodes {
            if segment.descends {
                self.descend(&segment.selectors, node, &mut found)?;
            } else {
                self.apply(&segment.selectors, node, &mut found)?;
            }
        }
        Ok(found)
    }

    fn descend(&mut self, selectors: &[Selector], from: Node<'a>, found: &mut Vec<Node<'a>>) -> Result<(), Exhausted> {
        let mut ahead = vec![from];
        while let Some(node) = ahead.pop() {
            self.apply(selectors, node, found)?;
            ahead.extend(self.children(node)?.into_iter().rev());
        }
        Ok(())
    }

    fn apply(&mut self, selectors: &[Selector], node: Node<'a>, found: &mut Vec<Node<'a>>) -> Result<(), Exhausted> {
        for selector in selectors {
            self.budget.spend(1)?;
            match selector {
                Selector::Name(name) => found.extend(self.member(node, name)),
                Selector::Index(index) => found.extend(item(node, *index)),
                Selector::Wildcard => found.extend(self.children(node)?),
                Selector::Slice { start, end, step } => self.slice(node, *start, *end, *step, found)?,
                Selector::Filter(filter) => {
                    for child in self.children(node)? {
                        if self.holds(filter, child)? {
                            found.push(child);
                        }
                    }
                }
            }
            if found.len() > NODES_MAX {
                return Err(Exhausted);
            }
        }
        Ok(())
    }

    fn member(&self, node: Node<'a>, name: &str) -> Option<Node<'a>> {
        match node {
            Node::Root => self.view.get(name),
            Node::Value(Value::Object(members)) => members.get(name),
            Node::Value(_) => None,
        }
        .map(Node::Value)
    }

    fn children(&mut self, node: Node<'a>) -> Result<Vec<Node<'a>>, Exhausted> {
        let children: Vec<&'a Value> = match node {
            Node::Root => {
                let names: BTreeSet<&str> = self.view.names().into_iter().collect();
                names.into_iter().filter_map(|name| self.view.get(name)).collect()
            }
            Node::Value(Value::Array(items)) => {
                self.budget.spend(items.len())?;
                items.iter().collect()
            }
            Node::Value(Value::Object(members)) => {
                self.budget.spend(members.len())?;
                members.values().collect()
            }
            Node::Value(_) => Vec::new(),
        };
        Ok(children.into_iter().map(Node::Value).collect())
    }

    fn slice(
        &mut self,
        node: Node<'a>,
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
        found: &mut Vec<Node<'a>>,
    ) -> Result<(), Exhausted> {
        let Node::Value(Value::Array(items)) = node else { return Ok(()) };
        let length = i64::try_from(items.len()).map_err(|_| Exhausted)?;
        let absolute = |index: i64| if index < 0 { length + index } else { index };
        let (mut at, end) = match step {
            0 => return Ok(()),
            1.. => (start.map_or(0, absolute).clamp(0, length), end.map_or(length, absolute).clamp(0, length)),
            _ => (
                start.map_or(length - 1, absolute).clamp(-1, length - 1),
                end.map_or(-1, absolute).clamp(-1, length - 1),
            ),
        };
        while (step > 0 && at < end) || (step < 0 && at > end) {
            self.budget.spend(1)?;
            found.extend(usize::try_from(at).ok().and_then(|at| items.get(at)).map(Node::Value));
            at += step;
        }
        Ok(())
    }

    fn holds(&mut self, filter: &Filter, current: Node<'a>) -> Result<bool, Exhausted> {
        self.budget.spend(1)?;
        match filter {
            Filter::Any(parts) => {
                for part in parts {
                    if self.holds(part, current)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Filter::All(parts) => {
                for part in parts {
                    if !self.holds(part, current)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Filter::Not(part) => Ok(!self.holds(part, current)?),
            Filter::Exists(query) => Ok(!self.select(query, current)?.is_empty()),
            Filter::Compare(left, comparison, right) => {
                let left = self.operand(left, current)?;
                let right = self.operand(right, current)?;
                self.compare(&left, *comparison, &right)
            }
        }
    }

    fn operand<'o>(&mut self, operand: &'o Operand, current: Node<'a>) -> Result<Comparable<'o>, Exhausted>
    where
        'a: 'o,
    {
        Ok(match operand {
            Operand::Literal(value) => Some(Cow::Borrowed(value)),
            Operand::Query(query) | Operand::Value(query) => match self.select(query, current)?.as_slice() {
                [Node::Value(value)] => Some(Cow::Borrowed(*value)),
                _ => None,
            },
            Operand::Count(query) => Some(Cow::Owned(self.select(query, current)?.len().into())),
            Operand::Length(operand) => {
                let value = self.operand(operand, current)?;
                self.length(value.as_deref())?.map(|length| Cow::Owned(length.into()))
            }
        })
    }

    fn length(&mut self, value: Option<&Value>) -> Result<Option<usize>, Exhausted> {
        Ok(match value {
            Some(Value::String(text)) => {
                self.budget.spend(text.len() / 32)?;
                Some(text.chars().count())
            }
            Some(Value::Array(items)) => Some(items.len()),
            Some(Value::Object(members)) => Some(members.len()),
            Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => None,
        })
    }

    fn compare(&mut self, left: &Comparable, sign: Comparison, right: &Comparable) -> Result<bool, Exhausted> {
        Ok(match sign {
            Comparison::Equal => self.equal(left, right)?,
            Comparison::NotEqual => !self.equal(left, right)?,
            Comparison::Less => self.order(left, right)? == Some(Ordering::Less),
            Comparison::Greater => self.order(left, right)? == Some(Ordering::Greater),
            Comparison::LessOrEqual => self.order(left, right)? == Some(Ordering::Less) || self.equal(left, right)?,
            Comparison::GreaterOrEqual => {
                self.order(left, right)? == Some(Ordering::Greater) || self.equal(left, right)?
            }
        })
    }

    fn equal(&mut self, left: &Comparable, right: &Comparable) -> Result<bool, Exhausted> {
        match (left, right) {
            (Some(left), Some(right)) => compare::equal(left, right, &mut self.budget),
            (None, None) => Ok(true),
            (Some(_), None) | (None, Some(_)) => Ok(false),
        }
    }

    fn order(&mut self, left: &Comparable, right: &Comparable) -> Result<Option<Ordering>, Exhausted> {
        let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
        if let (Value::String(left), Value::String(right)) = (&**left, &**right) {
            self.budget.spend(left.len().min(right.len()) / 32)?;
        }
        Ok(compare::order(left, right))
    }
}

fn value_of(node: Node<'_>) -> Option<&Value> {
    match node {
        Node::Root => None,
        Node::Value(value) => Some(value),
    }
}

fn item(node: Node<'_>, index: i64) -> Option<Node<'_>> {
    match node {
        Node::Value(Value::Array(items)) => item_at(items, index).map(Node::Value),
        Node::Root | Node::Value(_) => None,
    }
}

/// The item at `index`, from the end where it is negative.
pub(super) fn item_at(items: &[Value], index: i64) -> Option<&Value> {
    let from_start = usize::try_from(index).ok();
    let from_end = || items.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
    items.get(from_start.or_else(from_end)?)
}

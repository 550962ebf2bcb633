//! Conditions: comparisons of values in a step's scope, alone or in groups.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::Value;

use crate::{
    definition::{
        Diagnostic, DiagnosticCode,
        diagnostic::{Diagnostics, Place},
        fields::{Fields, shown, too_many, wrong_type},
    },
    json::kind_of,
    reference::{self, MissingReason, Reference, Template, View, budget::Budget, compare},
};

/// How deep groups may be nested.
const NESTING_MAX: usize = 8;
/// The most comparisons of one condition.
const TESTS_MAX: usize = 100;

/// A condition: a comparison, or a group of conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Box<Test>),
}

#[derive(Debug, Clone, PartialEq)]
struct Test {
    field: Reference,
    operator: Operator,
    value: Template,
    /// Where it stands within the condition.
    pointer: String,
}

/// How a field and a value are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// Deep equality, numbers by value.
    Eq,
    /// Not [`Operator::Eq`].
    Ne,
    /// More than.
    Gt,
    /// Less than.
    Lt,
    /// More than or as much as.
    Gte,
    /// Less than or as much as.
    Lte,
    /// A text in a text, a member of a list, a key of an object.
    Contains,
    /// Present and not null.
    Exists,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 8] =
        [Self::Eq, Self::Ne, Self::Gt, Self::Lt, Self::Gte, Self::Lte, Self::Contains, Self::Exists];

    /// The operator as authors write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Lt => "lt",
            Self::Gte => "gte",
            Self::Lte => "lte",
            Self::Contains => "contains",
            Self::Exists => "exists",
        }
    }
}

impl Condition {
    /// Reads a condition: `{field, operator, value}`, `{all: […]}`, `{any: […]}` or `{not: …}`. The pointers of the
    /// diagnostics start at the condition.
    #[must_use]
    pub fn parse(value: &Value) -> (Option<Self>, Vec<Diagnostic>) {
        let mut diagnostics = Diagnostics::default();
        let condition = Self::read(value, Place::default(), &mut diagnostics);
        (condition, diagnostics.finish())
    }

    /// Reads a condition that stands at `place`.
    pub fn read(value: &Value, place: Place, diagnostics: &mut Diagnostics) -> Option<Self> {
        let base = place.pointer.len();
        let errors = diagnostics.has_errors();
        let node = Reader { diagnostics, base, tests: 0 }.node(value, place, 0);
        node.filter(|_| errors || !diagnostics.has_errors()).map(Self)
    }

    /// Whether it holds. A field that is missing is null; one that selects too much is, too, and leaves a warning.
    /// Comparisons that make no sense are false and leave a warning.
    pub fn evaluate(&self, view: &dyn View, warnings: &mut Vec<String>) -> bool {
        holds(&self.0, view, warnings)
    }

    /// Every reference, in the order of the text.
    #[must_use]
    pub fn references(&self) -> Vec<&Reference> {
        self.places().into_iter().map(|place| place.reference).collect()
    }

    /// Every reference with its place within the condition.
    #[must_use]
    pub fn places(&self) -> Vec<reference::Place<'_>> {
        let mut places = Vec::new();
        collect(&self.0, &mut places);
        places
    }
}

fn collect<'c>(node: &'c Node, places: &mut Vec<reference::Place<'c>>) {
    match node {
        Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| collect(part, places)),
        Node::Not(part) => collect(part, places),
        Node::Test(test) => {
            let pointer = format!("{}/field", test.pointer);
            places.push(reference::Place { pointer, reference: &test.field, has_default: true });
            places.extend(test.value.places().into_iter().map(|place| reference::Place {
                pointer: format!("{}/value{}", test.pointer, place.pointer),
                has_default: true,
                ..place
            }));
        }
    }
}

fn holds(node: &Node, view: &dyn View, warnings: &mut Vec<String>) -> bool {
    match node {
        Node::All(parts) => parts.iter().all(|part| holds(part, view, warnings)),
        Node::Any(parts) => parts.iter().any(|part| holds(part, view, warnings)),
        Node::Not(part) => !holds(part, view, warnings),
        Node::Test(test) => test.holds(view, warnings),
    }
}

impl Test {
    fn holds(&self, view: &dyn View, warnings: &mut Vec<String>) -> bool {
        let field = self.field.select(view).unwrap_or_else(|missing| {
            if missing.reason == MissingReason::TooLarge {
                warnings.push(format!("{missing}: taken as null"));
            }
            Cow::Owned(Value::Null)
        });
        if self.operator == Operator::Exists {
            return !field.is_null();
        }
        let value = match self.value.literal() {
            Some(value) => Cow::Borrowed(value),
            None => Cow::Owned(self.value.resolve(view).unwrap_or_else(|missing| {
                warnings.push(format!("{missing}: compared with null"));
                Value::Null
            })),
        };
        match self.operator {
            Operator::Eq => equal(&field, &value),
            Operator::Ne => !equal(&field, &value),
            Operator::Gt => self.order(&field, &value, warnings).is_some_and(Ordering::is_gt),
            Operator::Lt => self.order(&field, &value, warnings).is_some_and(Ordering::is_lt),
            Operator::Gte => self.order(&field, &value, warnings).is_some_and(Ordering::is_ge),
            Operator::Lte => self.order(&field, &value, warnings).is_some_and(Ordering::is_le),
            Operator::Contains => contains(&field, &value),
            Operator::Exists => !field.is_null(),
        }
    }

    fn order(&self, field: &Value, value: &Value, warnings: &mut Vec<String>) -> Option<Ordering> {
        let order = compare::order(field, value);
        if order.is_none() {
            let (operator, field, value) = (self.operator.as_str(), kind_of(field), kind_of(value));
            let source = self.field.source();
            warnings.push(format!("`{source}` {operator}: {field} and {value} have no order, so this is false"));
        }
        order
    }
}

/// Deep equality as [`Operator::Eq`] has it: numbers by value.
#[must_use]
pub fn equal(a: &Value, b: &Value) -> bool {
    compare::equal(a, b, &mut Budget::unlimited()).unwrap_or(false)
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::String(whole), Value::String(part)) => whole.contains(part.as_str()),
        (Value::Array(items), part) => items.iter().any(|item| equal(item, part)),
        (Value::Object(members), Value::String(name)) => members.contains_key(name),
        _ => false,
    }
}

struct Reader<'d> {
    diagnostics: &'d mut Diagnostics,
    /// The length of the pointer of the condition itself.
    base: usize,
    tests: usize,
}

impl Reader<'_> {
    fn node(&mut self, value: &Value, place: Place, nesting: usize) -> Option<Node> {
        if nesting > NESTING_MAX {
            let message = format!("conditions are nested deeper than {NESTING_MAX}");
            self.diagnostics.error(&place, DiagnosticCode::TooDeep, message);
            return None;
        }
        let mut fields = Fields::open(value, place, self.diagnostics)?;
        let forms = ["field", "all", "any", "not"].map(|name| fields.value(name).map(|value| (name, value)));
        let given: Vec<_> = forms.into_iter().flatten().collect();
        let [(form, content)] = given.as_slice() else {
            let message = "a condition needs exactly one of `field`, `all`, `any` and `not`";
            self.diagnostics.error(&fields.place, DiagnosticCode::InvalidCondition, message);
            return None;
        };
        let inside = fields.place.at(form);
        let node = match *form {
            "all" => self.group(content, &inside, nesting).map(Node::All),
            "any" => self.group(content, &inside, nesting).map(Node::Any),
            "not" => self.node(content, inside, nesting + 1).map(|node| Node::Not(Box::new(node))),
            _ => self.test(&mut fields, content),
        };
        if nesting == 0 {
            fields.raw("then_step");
            fields.raw("else_step");
        }
        fields.close(self.diagnostics);
        node
    }

    fn group(&mut self, value: &Value, place: &Place, nesting: usize) -> Option<Vec<Node>> {
        let Some(items) = value.as_array() else {
            wrong_type(self.diagnostics, place, "a list of conditions", value);
            return None;
        };
        if items.is_empty() {
            self.diagnostics.error(place, DiagnosticCode::Empty, "a group needs at least one condition");
        }
        if items.len() > TESTS_MAX {
            too_many(self.diagnostics, place, "conditions", TESTS_MAX);
        }
        let nodes: Vec<_> = items
            .iter()
            .take(TESTS_MAX)
            .enumerate()
            .map(|(index, item)| self.node(item, place.at(index), nesting + 1))
            .collect();
        nodes.into_iter().collect()
    }

    fn test(&mut self, fields: &mut Fields<'_>, field: &Value) -> Option<Node> {
        self.tests += 1;
        if self.tests == TESTS_MAX + 1 {
            too_many(self.diagnostics, &fields.place, "comparisons in one condition", TESTS_MAX);
        }
        let place = fields.place.at("field");
        if !field.is_string() {
            wrong_type(self.diagnostics, &place, "a reference in a text", field);
        }
        let field = field.as_str().and_then(|text| read_reference(text, &place, self.diagnostics));
        let operator = self.operator(fields);
        let value = fields.raw("value").unwrap_or(&Value::Null);
        let value = read_template(value, &fields.place.at("value"), self.diagnostics);
        let pointer = fields.place.pointer[self.base..].to_owned();
        Some(Node::Test(Box::new(Test { field: field?, operator: operator?, value: value?, pointer })))
    }

    fn operator(&mut self, fields: &mut Fields<'_>) -> Option<Operator> {
        let Some(value) = fields.value("operator") else {
            fields.missing("operator", self.diagnostics);
            return None;
        };
        let found = Operator::ALL.into_iter().find(|operator| value.as_str() == Some(operator.as_str()));
        if found.is_none() {
            let known = Operator::ALL.map(Operator::as_str).join(", ");
            let message = format!("no operator {}: there are {known}", shown(value));
            self.diagnostics.error(&fields.place.at("operator"), DiagnosticCode::UnknownOperator, message);
        }
        found
    }
}

/// A reference where nothing but a reference can stand: `$.` may have been left out.
pub(crate) fn read_reference(text: &str, place: &Place, diagnostics: &mut Diagnostics) -> Option<Reference> {
    let text = text.trim();
    let bare = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(text).trim();
    let implied = !bare.starts_with('$') && !bare.is_empty();
    let result = if implied { Reference::parse(&format!("$.{bare}")) } else { Reference::parse(bare) };
    match result {
        Ok(reference) => {
            if implied {
                let message = format!("`{bare}` is read as `{}`: write it so", reference.source());
                diagnostics.warning(place, DiagnosticCode::ImpliedReference, message);
            }
            Some(reference)
        }
        Err(error) => {
            diagnostics.error(place, DiagnosticCode::InvalidReference, error.to_string());
            None
        }
    }
}

/// A template; every reference in it that cannot be read is reported.
pub(crate) fn read_template(value: &Value, place: &Place, diagnostics: &mut Diagnostics) -> Option<Template> {
    match Template::compile(value) {
        Ok(template) => Some(template),
        Err(errors) => {
            for (pointer, error) in errors {
                let hint = "a backslash before it makes it text";
                let message = format!("{error} ({hint})");
                diagnostics.error(&place.below(&pointer), DiagnosticCode::InvalidReference, message);
            }
            None
        }
    }
}

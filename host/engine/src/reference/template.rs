//! Templates: JSON values in which strings may refer to the scope.

mod token;

use serde_json::{Map, Value};

use self::token::{Token, is_meant_as_query, token};
use super::{Missing, MissingReason, Reference, ReferenceError, VALUE_BYTES_MAX, View, budget::Budget};

/// How deep a template may be nested.
const DEPTH_MAX: usize = 64;
/// The most references of one template.
const REFERENCES_MAX: usize = 10_000;
/// The most errors that are told of one template.
const ERRORS_MAX: usize = 1_000;
/// The most bytes of a pointer: every reference has one, and names may be as long as the document.
const POINTER_BYTES_MAX: usize = 1_024;

/// A value with references in it.
///
/// - A string that is a query as a whole becomes what it selects.
/// - In longer text `$.a.b[0]` and `{{ <query> }}` are replaced: strings as they are, all else as compact JSON. Of the
///   names only the first may hold hyphens, as the ids of steps do. Braces that hold no query, and braces that are not
///   closed, are text.
/// - `{"$path": "<query>", "default": <any>}` becomes what the query selects, or the default as it stands.
/// - A backslash before a reference makes it text, and goes away.
///
/// What references stand for is never looked at again.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Literal(Value),
    Reference { reference: Reference, default: Option<Value> },
    Text(Vec<Piece>),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Reference(Reference),
}

/// A reference in a template.
#[derive(Debug, Clone)]
pub struct Place<'t> {
    /// JSON pointer within the template; to what is around the place where it would become very long.
    pub pointer: String,
    /// The reference.
    pub reference: &'t Reference,
    /// Whether there is a default for it.
    pub has_default: bool,
}

impl Template {
    /// Parses every reference in `value`.
    ///
    /// # Errors
    /// The references that cannot be read, each with its JSON pointer within `value`, up to a bound; or there are more
    /// than 10 000 references.
    pub fn compile(value: &Value) -> Result<Self, Vec<(String, ReferenceError)>> {
        let mut compiler = Compiler::default();
        let node = compiler.node(value);
        if compiler.errors.is_empty() { Ok(Self(node)) } else { Err(compiler.errors) }
    }

    /// Resolves every reference.
    ///
    /// # Errors
    /// The first reference that selects nothing and has no default, or that makes the whole larger than
    /// [`VALUE_BYTES_MAX`].
    pub fn resolve(&self, view: &dyn View) -> Result<Value, Missing> {
        resolve(&self.0, view, &mut Budget::new(VALUE_BYTES_MAX))
    }

    /// Every reference, in the order of the text.
    #[must_use]
    pub fn references(&self) -> Vec<&Reference> {
        self.places().into_iter().map(|place| place.reference).collect()
    }

    /// Every reference with its place.
    #[must_use]
    pub fn places(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        collect(&self.0, &mut Pointer::default(), &mut places);
        places
    }

    /// The value, where it holds no references.
    #[must_use]
    pub fn literal(&self) -> Option<&Value> {
        match &self.0 {
            Node::Literal(value) => Some(value),
            Node::Reference { .. } | Node::Text(_) | Node::Array(_) | Node::Object(_) => None,
        }
    }
}

fn resolve(node: &Node, view: &dyn View, budget: &mut Budget) -> Result<Value, Missing> {
    match node {
        Node::Literal(value) => Ok(value.clone()),
        Node::Reference { reference, default } => match (reference.select(view), default) {
            (Ok(value), _) => {
                budget.spend_size(&value).map_err(|_| reference.missing(MissingReason::TooLarge))?;
                Ok(value.into_owned())
            }
            (Err(Missing { reason: MissingReason::Nothing, .. }), Some(default)) => Ok(default.clone()),
            (Err(missing), _) => Err(missing),
        },
        Node::Text(pieces) => text(pieces, view, budget).map(Value::String),
        Node::Array(items) => items.iter().map(|item| resolve(item, view, budget)).collect(),
        Node::Object(members) => {
            let mut object = Map::with_capacity(members.len());
            for (name, member) in members {
                object.insert(name.clone(), resolve(member, view, budget)?);
            }
            Ok(Value::Object(object))
        }
    }
}

fn text(pieces: &[Piece], view: &dyn View, budget: &mut Budget) -> Result<String, Missing> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Reference(reference) => {
                let value = reference.select(view)?;
                budget.spend_size(&value).map_err(|_| reference.missing(MissingReason::TooLarge))?;
                match value.as_str() {
                    Some(piece) => text.push_str(piece),
                    None => text.push_str(&value.to_string()),
                }
            }
        }
    }
    Ok(text)
}

fn collect<'t>(node: &'t Node, at: &mut Pointer, places: &mut Vec<Place<'t>>) {
    let mut add = |reference, has_default| places.push(Place { pointer: at.text.clone(), reference, has_default });
    match node {
        Node::Literal(_) => {}
        Node::Reference { reference, default } => add(reference, default.is_some()),
        Node::Text(pieces) => {
            for piece in pieces {
                if let Piece::Reference(reference) = piece {
                    add(reference, false);
                }
            }
        }
        Node::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let back = at.enter(&index.to_string());
                collect(item, at, places);
                at.leave(back);
            }
        }
        Node::Object(members) => {
            for (name, member) in members {
                let back = at.enter(name);
                collect(member, at, places);
                at.leave(back);
            }
        }
    }
}

/// A JSON pointer on its way through a value.
#[derive(Default)]
struct Pointer {
    text: String,
    /// How many steps down are not written any more.
    beyond: usize,
}

impl Pointer {
    /// Goes down to a member or an item; [`Pointer::leave`] takes what comes back.
    fn enter(&mut self, name: &str) -> usize {
        let length = self.text.len();
        if self.beyond > 0 || length + name.len() > POINTER_BYTES_MAX {
            self.beyond += 1;
        } else {
            self.text.push('/');
            self.text.push_str(&name.replace('~', "~0").replace('/', "~1"));
        }
        length
    }

    fn leave(&mut self, length: usize) {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else {
            self.text.truncate(length);
        }
    }
}

#[derive(Default)]
struct Compiler {
    pointer: Pointer,
    depth: usize,
    references: usize,
    errors: Vec<(String, ReferenceError)>,
}

impl Compiler {
    fn fail(&mut self, error: ReferenceError) -> Node {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push((self.pointer.text.clone(), error));
        }
        Node::Literal(Value::Null)
    }

    fn reference(&mut self, query: &str) -> Result<Reference, ReferenceError> {
        let reference = Reference::parse(query)?;
        self.references += 1;
        if self.references > REFERENCES_MAX {
            return Err(ReferenceError(format!("more than {REFERENCES_MAX} references in one value")));
        }
        Ok(reference)
    }

    fn node(&mut self, value: &Value) -> Node {
        if self.depth > DEPTH_MAX {
            return self.fail(ReferenceError(format!("value is nested deeper than {DEPTH_MAX}")));
        }
        match value {
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                let nodes: Vec<Node> =
                    items.iter().enumerate().map(|(index, item)| self.child(&index.to_string(), item)).collect();
                if all_literal(&nodes) {
                    Node::Literal(nodes.into_iter().filter_map(literal).collect())
                } else {
                    Node::Array(nodes)
                }
            }
            Value::Object(members) if members.contains_key("$path") => self.path(members),
            Value::Object(members) => self.object(members),
            Value::Null | Value::Bool(_) | Value::Number(_) => Node::Literal(value.clone()),
        }
    }

    fn child(&mut self, token: &str, value: &Value) -> Node {
        let back = self.pointer.enter(token);
        self.depth += 1;
        let node = self.node(value);
        self.depth -= 1;
        self.pointer.leave(back);
        node
    }

    fn object(&mut self, members: &Map<String, Value>) -> Node {
        let nodes: Vec<(String, Node)> =
            members.iter().map(|(name, member)| (name.clone(), self.child(name, member))).collect();
        if nodes.iter().all(|(_, node)| matches!(node, Node::Literal(_))) {
            return Node::Literal(nodes.into_iter().filter_map(|(name, node)| Some((name, literal(node)?))).collect());
        }
        Node::Object(nodes)
    }

    fn path(&mut self, members: &Map<String, Value>) -> Node {
        if let Some(other) = members.keys().find(|name| *name != "$path" && *name != "default") {
            return self.fail(ReferenceError(format!(
                "an object with `$path` may hold `default` beside it, and nothing else: found `{other}`"
            )));
        }
        match members.get("$path") {
            Some(Value::String(query)) => match self.reference(query) {
                Ok(reference) => Node::Reference { reference, default: members.get("default").cloned() },
                Err(error) => self.fail(error),
            },
            _ => self.fail(ReferenceError("`$path` must be a reference in a string".to_owned())),
        }
    }

    fn string(&mut self, text: &str) -> Node {
        if text.starts_with("$.") || text.starts_with("$[") {
            match self.reference(text) {
                Ok(reference) => return Node::Reference { reference, default: None },
                Err(error) if is_meant_as_query(text) => return self.fail(error),
                Err(_) => {}
            }
        }
        self.pieces(text)
    }

    fn pieces(&mut self, text: &str) -> Node {
        let mut pieces = Pieces::default();
        let mut rest = text;
        while let Some(at) = rest.find(['$', '{', '\\']) {
            pieces.text.push_str(&rest[..at]);
            let first = at == 0 && rest.len() == text.len();
            rest = &rest[at..];
            let length = match token(rest, first) {
                Token::Text(length) => {
                    pieces.text.push_str(&rest[..length]);
                    length
                }
                Token::Escaped(length) => {
                    pieces.text.push_str(&rest[1..length]);
                    length
                }
                Token::Reference { query, length } => {
                    match self.reference(query) {
                        Ok(reference) => pieces.reference(reference),
                        Err(error) => drop(self.fail(error)),
                    }
                    length
                }
            };
            rest = &rest[length..];
        }
        pieces.text.push_str(rest);
        pieces.finish()
    }
}

fn literal(node: Node) -> Option<Value> {
    match node {
        Node::Literal(value) => Some(value),
        Node::Reference { .. } | Node::Text(_) | Node::Array(_) | Node::Object(_) => None,
    }
}

fn all_literal(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Literal(_)))
}

#[derive(Default)]
struct Pieces {
    done: Vec<Piece>,
    text: String,
}

impl Pieces {
    fn reference(&mut self, reference: Reference) {
        if !self.text.is_empty() {
            self.done.push(Piece::Text(std::mem::take(&mut self.text)));
        }
        self.done.push(Piece::Reference(reference));
    }

    fn finish(mut self) -> Node {
        if self.done.is_empty() {
            return Node::Literal(Value::String(self.text));
        }
        if !self.text.is_empty() {
            self.done.push(Piece::Text(self.text));
        }
        Node::Text(self.done)
    }
}

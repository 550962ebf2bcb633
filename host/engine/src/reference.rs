//! References: JSONPath queries into the scope of a step, and templates that hold them.
//!
//! A query follows RFC 9535 without its regular expressions. Both sides of an evaluation are hostile: the text is read
//! once, with limits on its length and nesting, and an evaluation that would look at too much ends without a value.

use std::{borrow::Cow, fmt};

use serde_json::Value;

pub(crate) mod budget;
pub(crate) mod compare;
mod evaluation;
mod parser;
mod query;
mod template;

use budget::{Budget, Exhausted};
use evaluation::{Evaluation, item_at};
use query::{Query, Selector};
pub use template::{Place, Template};

/// The most bytes of compact JSON that a reference or a template may grow to.
pub const VALUE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a reference can see: the scope of a step.
pub trait View {
    /// The value under a root name (`input`, a step's id, the item variable, …).
    fn get(&self, name: &str) -> Option<&Value>;
    /// What the value under a root name has under another: for views that need not read all of it to know.
    fn member(&self, root: &str, name: &str) -> Option<&Value> {
        self.get(root)?.get(name)
    }
    /// Every root name, inner scopes first.
    fn names(&self) -> Vec<&str>;
}

/// A parsed JSONPath query.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    source: String,
    form: Form,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// A name in the scope, then names and indices: what nearly all references are.
    Singular {
        root: Box<str>,
        steps: Box<[Step]>,
    },
    General(Query),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Name(Box<str>),
    Index(i64),
}

/// Why a text is not a reference that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReferenceError(pub String);

/// A reference that leads to no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The reference as written.
    pub reference: String,
    /// Why there is no value.
    pub reason: MissingReason,
}

/// Why a reference leads to no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingReason {
    /// It selects nothing.
    Nothing,
    /// It selects more than [`VALUE_BYTES_MAX`], or looking for it takes too long.
    TooLarge,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            MissingReason::Nothing => write!(f, "reference `{}` selects nothing", self.reference),
            MissingReason::TooLarge => write!(f, "reference `{}` selects too much", self.reference),
        }
    }
}

impl Reference {
    /// Parses a query that starts with `$.` or `$[`.
    ///
    /// # Errors
    /// Says what is wrong and where: longer than 512 bytes, brackets nested deeper than 8, `..` twice, regular
    /// expressions, or no JSONPath.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let query = parser::parse(text)?;
        let form = singular(&query).unwrap_or(Form::General(query));
        Ok(Self { source: text.to_owned(), form })
    }

    /// What it selects: a singular query its one value, any other an array of all its nodes (empty if there are none).
    /// `None` where a singular query selects nothing, or where there is too much to select.
    pub fn resolve<'a>(&self, view: &'a dyn View) -> Option<Cow<'a, Value>> {
        self.try_resolve(view).ok().flatten()
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The name in the scope that the query starts with, where it starts with one.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        match &self.form {
            Form::Singular { root, .. } => Some(root),
            Form::General(query) => query.root(),
        }
    }

    /// Every name in the scope that is asked for, those in filters too.
    #[must_use]
    pub fn roots(&self) -> Vec<&str> {
        match &self.form {
            Form::Singular { root, .. } => vec![root],
            Form::General(query) => {
                let mut queries = Vec::new();
                query.absolutes(&mut queries);
                queries.into_iter().filter_map(Query::root).collect()
            }
        }
    }

    /// Whether it stands for one value; else for an array of nodes.
    #[must_use]
    pub fn is_singular(&self) -> bool {
        match &self.form {
            Form::Singular { .. } => true,
            Form::General(query) => query.is_singular(),
        }
    }

    fn try_resolve<'a>(&self, view: &'a dyn View) -> Result<Option<Cow<'a, Value>>, Exhausted> {
        match &self.form {
            Form::Singular { root, steps } => Ok(walk(view, root, steps).map(Cow::Borrowed)),
            Form::General(query) => {
                let values = Evaluation::new(view).values(query)?;
                if query.is_singular() {
                    return Ok(values.first().copied().map(Cow::Borrowed));
                }
                let mut budget = Budget::new(VALUE_BYTES_MAX);
                values.iter().try_for_each(|value| budget.spend_size(value))?;
                Ok(Some(Cow::Owned(values.into_iter().cloned().collect())))
            }
        }
    }

    /// What it selects.
    ///
    /// # Errors
    /// It selects nothing, or too much.
    pub fn select<'a>(&self, view: &'a dyn View) -> Result<Cow<'a, Value>, Missing> {
        match self.try_resolve(view) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.missing(MissingReason::Nothing)),
            Err(Exhausted) => Err(self.missing(MissingReason::TooLarge)),
        }
    }

    fn missing(&self, reason: MissingReason) -> Missing {
        Missing { reference: self.source.clone(), reason }
    }
}

fn walk<'a>(view: &'a dyn View, root: &str, steps: &[Step]) -> Option<&'a Value> {
    let (first, steps) = match steps {
        [Step::Name(name), rest @ ..] => (view.member(root, name)?, rest),
        all => (view.get(root)?, all),
    };
    steps.iter().try_fold(first, |value, step| match (step, value) {
        (Step::Name(name), Value::Object(members)) => members.get(&**name),
        (Step::Index(index), Value::Array(items)) => item_at(items, *index),
        (Step::Name(_) | Step::Index(_), _) => None,
    })
}

/// The quick form of a singular query that starts with a name.
fn singular(query: &Query) -> Option<Form> {
    let root = query.root()?.into();
    if !query.is_singular() {
        return None;
    }
    let step = |selector: &Selector| match selector {
        Selector::Name(name) => Some(Step::Name(name.clone())),
        Selector::Index(index) => Some(Step::Index(*index)),
        Selector::Wildcard | Selector::Slice { .. } | Selector::Filter(_) => None,
    };
    let steps = query.segments[1..].iter().map(|segment| step(segment.selectors.first()?)).collect::<Option<_>>()?;
    Some(Form::Singular { root, steps })
}

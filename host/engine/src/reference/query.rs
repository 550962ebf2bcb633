//! The parts of a JSONPath query (RFC 9535).

use serde_json::Value;

/// A query: where it starts, and the segments that lead on from there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    /// Whether it starts at `$`; else at `@`.
    pub(super) absolute: bool,
    pub(super) segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    /// `..`: the node and all below it; else the node alone.
    pub(super) descends: bool,
    pub(super) selectors: Vec<Selector>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Selector {
    Name(Box<str>),
    Index(i64),
    Wildcard,
    Slice { start: Option<i64>, end: Option<i64>, step: i64 },
    Filter(Box<Filter>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    Any(Vec<Filter>),
    All(Vec<Filter>),
    Not(Box<Filter>),
    Exists(Query),
    Compare(Operand, Comparison, Operand),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Literal(Value),
    /// A singular query.
    Query(Query),
    /// Characters of a string, items of an array, members of an object.
    Length(Box<Operand>),
    /// How many nodes a query selects.
    Count(Query),
    /// The value of a query that selects one node.
    Value(Query),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Query {
    /// Whether it selects one node at most, whatever the data.
    pub(super) fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| {
            !segment.descends && matches!(segment.selectors.as_slice(), [Selector::Name(_) | Selector::Index(_)])
        })
    }

    /// The name that the query starts with, where there is one.
    pub(super) fn root(&self) -> Option<&str> {
        match self.segments.first() {
            Some(Segment { descends: false, selectors }) => match selectors.as_slice() {
                [Selector::Name(name)] => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// This query and those in its filters that start at `$`.
    pub(super) fn absolutes<'q>(&'q self, found: &mut Vec<&'q Self>) {
        if self.absolute {
            found.push(self);
        }
        for selector in self.segments.iter().flat_map(|segment| &segment.selectors) {
            if let Selector::Filter(filter) = selector {
                filter.absolutes(found);
            }
        }
    }
}

impl Filter {
    fn absolutes<'q>(&'q self, found: &mut Vec<&'q Query>) {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().for_each(|part| part.absolutes(found)),
            Self::Not(part) => part.absolutes(found),
            Self::Exists(query) => query.absolutes(found),
            Self::Compare(left, _, right) => {
                left.absolutes(found);
                right.absolutes(found);
            }
        }
    }
}

impl Operand {
    fn absolutes<'q>(&'q self, found: &mut Vec<&'q Query>) {
        match self {
            Self::Literal(_) => {}
            Self::Length(operand) => operand.absolutes(found),
            Self::Query(query) | Self::Count(query) | Self::Value(query) => query.absolutes(found),
        }
    }
}

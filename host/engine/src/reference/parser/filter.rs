//! The grammar of filters: tests, comparisons, literals, functions.

use serde_json::Value;

use super::{Parsed, Parser};
use crate::reference::query::{Comparison, Filter, Operand, Query};

impl Parser<'_> {
    /// Reads tests joined by `||`.
    pub(super) fn any(&mut self) -> Parsed<Filter> {
        let parts = self.separated("||", Self::all)?;
        Ok(one_or(parts, Filter::Any))
    }

    fn all(&mut self) -> Parsed<Filter> {
        let parts = self.separated("&&", Self::test)?;
        Ok(one_or(parts, Filter::All))
    }

    fn separated(&mut self, token: &str, read: impl Fn(&mut Self) -> Parsed<Filter>) -> Parsed<Vec<Filter>> {
        let mut parts = vec![read(self)?];
        loop {
            let before = self.at;
            self.space();
            if !self.eat(token) {
                self.at = before;
                return Ok(parts);
            }
            self.space();
            parts.push(read(self)?);
        }
    }

    fn test(&mut self) -> Parsed<Filter> {
        let not = self.peek() == Some('!');
        if not {
            self.at += 1;
            self.space();
        }
        let filter = if self.peek() == Some('(') {
            self.group()?
        } else if not {
            Filter::Exists(self.query()?)
        } else {
            self.comparison()?
        };
        Ok(if not { Filter::Not(Box::new(filter)) } else { filter })
    }

    fn group(&mut self) -> Parsed<Filter> {
        self.expect("(")?;
        self.nested(|parser| {
            parser.space();
            let filter = parser.any()?;
            parser.space();
            parser.expect(")")?;
            Ok(filter)
        })
    }

    fn comparison(&mut self) -> Parsed<Filter> {
        let left = self.operand()?;
        let before = self.at;
        self.space();
        let Some(comparison) = self.comparison_sign() else {
            self.at = before;
            let Operand::Query(query) = left else { return self.fail("expected a comparison") };
            return Ok(Filter::Exists(query));
        };
        self.space();
        let right = self.operand()?;
        for operand in [&left, &right] {
            if let Operand::Query(query) = operand
                && !query.is_singular()
            {
                return self.fail("only a query for one value can be compared");
            }
        }
        Ok(Filter::Compare(left, comparison, right))
    }

    fn comparison_sign(&mut self) -> Option<Comparison> {
        let signs = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        signs.into_iter().find_map(|(sign, comparison)| self.eat(sign).then_some(comparison))
    }

    fn operand(&mut self) -> Parsed<Operand> {
        match self.peek() {
            Some('$' | '@') => Ok(Operand::Query(self.query()?)),
            Some('\'' | '"') => Ok(Operand::Literal(Value::String(self.string()?))),
            Some('-' | '0'..='9') => Ok(Operand::Literal(self.number()?)),
            Some('a'..='z') => self.word(),
            _ => self.fail("expected a query, a literal or a function"),
        }
    }

    fn query(&mut self) -> Parsed<Query> {
        let absolute = self.eat("$");
        if !absolute && !self.eat("@") {
            return self.fail("expected a query");
        }
        let query = self.segments(absolute)?;
        if absolute && query.segments.is_empty() {
            return self.fail("expected a name after `$`");
        }
        Ok(query)
    }

    fn number(&mut self) -> Parsed<Value> {
        let rest = self.rest();
        let length = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        // RFC 9535 takes what JSON takes.
        match serde_json::from_str::<Value>(&rest[..length]) {
            Ok(number) => {
                self.at += length;
                Ok(number)
            }
            Err(_) => self.fail("expected a number"),
        }
    }

    fn word(&mut self) -> Parsed<Operand> {
        let rest = self.rest();
        let length = rest.find(|c: char| !matches!(c, 'a'..='z' | '0'..='9' | '_')).unwrap_or(rest.len());
        let word = &rest[..length];
        let start = self.at;
        self.at += length;
        if self.peek() == Some('(') {
            return self.function(word);
        }
        match word {
            "true" => Ok(Operand::Literal(Value::Bool(true))),
            "false" => Ok(Operand::Literal(Value::Bool(false))),
            "null" => Ok(Operand::Literal(Value::Null)),
            _ => {
                self.at = start;
                self.fail("unknown word")
            }
        }
    }

    fn function(&mut self, name: &str) -> Parsed<Operand> {
        self.expect("(")?;
        self.nested(|parser| {
            parser.space();
            let operand = match name {
                "length" => Operand::Length(Box::new(parser.length_argument()?)),
                "count" => Operand::Count(parser.query()?),
                "value" => Operand::Value(parser.query()?),
                "match" | "search" => return parser.fail("regular expressions are not allowed in references"),
                _ => return parser.fail("unknown function"),
            };
            parser.space();
            parser.expect(")")?;
            Ok(operand)
        })
    }

    fn length_argument(&mut self) -> Parsed<Operand> {
        let operand = self.operand()?;
        if let Operand::Query(query) = &operand
            && !query.is_singular()
        {
            return self.fail("length() takes a query for one value");
        }
        Ok(operand)
    }
}

fn one_or(mut parts: Vec<Filter>, many: impl FnOnce(Vec<Filter>) -> Filter) -> Filter {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

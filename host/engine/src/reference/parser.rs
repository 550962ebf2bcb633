//! Text to query: RFC 9535, read once from left to right. Bounded by the length of the text and by the nesting of
//! brackets. Beyond the RFC, the first name may hold hyphens, as the ids of steps do.

use serde_json::Value;

use super::{
    ReferenceError,
    query::{Comparison, Filter, Operand, Query, Segment, Selector},
};

/// The most bytes of a query.
const TEXT_BYTES_MAX: usize = 512;
/// How deep brackets and parentheses may be nested.
const NESTING_MAX: usize = 8;
/// Integers must be exact as floats, says the RFC.
const INTEGER_MAX: i64 = (1 << 53) - 1;

type Parsed<T> = Result<T, ReferenceError>;

/// Parses a whole text that starts with `$.` or `$[`.
pub(super) fn parse(text: &str) -> Parsed<Query> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ReferenceError(format!("reference is longer than {TEXT_BYTES_MAX} bytes")));
    }
    if !text.starts_with("$.") && !text.starts_with("$[") {
        return Err(ReferenceError(format!("reference {text:?} does not start with `$.` or `$[`")));
    }
    let mut parser = Parser { text, at: 1, nesting: 0, descents: 0 };
    let query = parser.segments(true)?;
    if parser.at < text.len() {
        return parser.fail("expected `.`, `[` or the end");
    }
    Ok(query)
}

/// Whether a name without quotes may start with this.
pub(super) fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

/// Whether a name without quotes may go on with this.
pub(super) fn is_name_part(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit()
}

/// The length of the name at the start of `text`; 0 if there is none. Hyphens count where a part of a name follows.
pub(super) fn name_length(text: &str, with_hyphens: bool) -> usize {
    if !text.starts_with(is_name_start) {
        return 0;
    }
    let mut length = 0;
    for (at, c) in text.char_indices() {
        if is_name_part(c) {
            length = at + c.len_utf8();
        } else if !(with_hyphens && c == '-') {
            break;
        }
    }
    length
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    nesting: usize,
    descents: usize,
}

impl<'t> Parser<'t> {
    fn fail<T>(&self, problem: &str) -> Parsed<T> {
        Err(ReferenceError(format!("reference `{}` cannot be read at byte {}: {problem}", self.text, self.at)))
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { self.fail(&format!("expected `{token}`")) }
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= NESTING_MAX {
            return self.fail(&format!("nested deeper than {NESTING_MAX}"));
        }
        self.nesting += 1;
        let result = read(self);
        self.nesting -= 1;
        result
    }

    fn segments(&mut self, absolute: bool) -> Parsed<Query> {
        let mut segments = Vec::new();
        loop {
            let before = self.at;
            self.space();
            let first_name = absolute && segments.is_empty();
            if self.eat("..") {
                self.descents += 1;
                if self.descents > 1 {
                    return self.fail("`..` may be used once");
                }
                segments.push(Segment { descends: true, selectors: self.after_dots()? });
            } else if self.eat(".") {
                segments.push(Segment { descends: false, selectors: vec![self.after_dot(first_name)?] });
            } else if self.peek() == Some('[') {
                segments.push(Segment { descends: false, selectors: self.bracket()? });
            } else {
                self.at = before;
                return Ok(Query { absolute, segments });
            }
        }
    }

    fn after_dots(&mut self) -> Parsed<Vec<Selector>> {
        if self.peek() == Some('[') { self.bracket() } else { Ok(vec![self.after_dot(false)?]) }
    }

    fn after_dot(&mut self, with_hyphens: bool) -> Parsed<Selector> {
        if self.eat("*") {
            return Ok(Selector::Wildcard);
        }
        let length = name_length(self.rest(), with_hyphens);
        if length == 0 {
            return self.fail("expected a name or `*`");
        }
        let name = &self.rest()[..length];
        self.at += length;
        Ok(Selector::Name(name.into()))
    }

    fn bracket(&mut self) -> Parsed<Vec<Selector>> {
        self.expect("[")?;
        self.nested(|parser| {
            let mut selectors = Vec::new();
            loop {
                parser.space();
                selectors.push(parser.selector()?);
                parser.space();
                if !parser.eat(",") {
                    parser.expect("]")?;
                    return Ok(selectors);
                }
            }
        })
    }

    fn selector(&mut self) -> Parsed<Selector> {
        match self.peek() {
            Some('\'' | '"') => Ok(Selector::Name(self.string()?.into())),
            Some('*') => {
                self.at += 1;
                Ok(Selector::Wildcard)
            }
            Some('?') => {
                self.at += 1;
                self.space();
                Ok(Selector::Filter(Box::new(self.any()?)))
            }
            _ => self.index_or_slice(),
        }
    }

    fn index_or_slice(&mut self) -> Parsed<Selector> {
        let start = self.integer()?;
        let before = self.at;
        self.space();
        if !self.eat(":") {
            self.at = before;
            return match start {
                Some(index) => Ok(Selector::Index(index)),
                None => self.fail("expected a name in quotes, an index, a slice, `*` or `?`"),
            };
        }
        self.space();
        let end = self.integer()?;
        let before = self.at;
        self.space();
        let mut step = None;
        if self.eat(":") {
            self.space();
            step = self.integer()?;
        } else {
            self.at = before;
        }
        Ok(Selector::Slice { start, end, step: step.unwrap_or(1) })
    }

    fn integer(&mut self) -> Parsed<Option<i64>> {
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let length = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if length == 0 && digits.len() == rest.len() {
            return Ok(None);
        }
        let text = &rest[..rest.len() - digits.len() + length];
        let negative_zero = text.starts_with("-0");
        if length == 0 || negative_zero || (length > 1 && digits.starts_with('0')) {
            return self.fail("expected an integer without leading zeros");
        }
        match text.parse::<i64>() {
            Ok(integer) if integer.abs() <= INTEGER_MAX => {
                self.at += text.len();
                Ok(Some(integer))
            }
            _ => self.fail("integer is out of range"),
        }
    }

    fn string(&mut self) -> Parsed<String> {
        let quote = if self.eat("'") { '\'' } else { '"' };
        if quote == '"' {
            self.expect("\"")?;
        }
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return self.fail("the string does not end"),
                Some('\\') => text.push(self.escape(quote)?),
                Some(c) if c < ' ' => return self.fail("control character in a string"),
                Some(c) => {
                    self.at += c.len_utf8();
                    if c == quote {
                        return Ok(text);
                    }
                    text.push(c);
                }
            }
        }
    }

    fn escape(&mut self, quote: char) -> Parsed<char> {
        self.expect("\\")?;
        let c = match self.peek() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(c) if c == quote || c == '/' || c == '\\' => c,
            Some('u') => return self.unicode(),
            _ => return self.fail("unknown escape"),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Parsed<char> {
        let mut units = vec![self.unit()?];
        if matches!(units[0], 0xD800..0xDC00) && self.eat("\\") {
            units.push(self.unit()?);
        }
        let mut decoded = char::decode_utf16(units);
        match (decoded.next(), decoded.next()) {
            (Some(Ok(c)), None) => Ok(c),
            _ => self.fail("lone surrogate"),
        }
    }

    fn unit(&mut self) -> Parsed<u16> {
        self.expect("u")?;
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => self.fail("expected four hexadecimal digits"),
        }
    }

    fn any(&mut self) -> Parsed<Filter> {
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

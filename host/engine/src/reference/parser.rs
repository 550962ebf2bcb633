//! Text to query: RFC 9535, read once from left to right. Bounded by the length of the text and by the nesting of
//! brackets. Beyond the RFC, the first name may hold hyphens, as the ids of steps do.

mod filter;

use super::{
    ReferenceError,
    query::{Query, Segment, Selector},
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
}

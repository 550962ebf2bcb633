//! What a page's tags alone tell: its title, its links, and its visible text. No tree is built, so that it costs no more
//! than the page is long, whatever it looks like.

use html5ever::Attribute;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use std::cell::RefCell;
use std::collections::HashSet;
use url::Url;
use weir_sdk::prelude::*;

/// The most links of a page.
const LINKS_MAX: usize = 200;
const LINK_TEXT_CHARS_MAX: usize = 200;
const TITLE_CHARS_MAX: usize = 500;

/// Tags whose text nobody sees.
const HIDDEN: [&str; 8] = ["script", "style", "noscript", "template", "iframe", "svg", "textarea", "select"];
/// Tags that begin a new line.
const BLOCKS: [&str; 28] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "figcaption",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "tr",
];

/// Tags that have no end, or need none: they say nothing about how deep a page is nested.
const UNCLOSED: [&str; 28] = [
    "area", "base", "br", "body", "col", "colgroup", "dd", "dt", "embed", "head", "hr", "html", "img", "input", "li",
    "link", "meta", "optgroup", "option", "p", "param", "source", "tbody", "td", "th", "thead", "tr", "wbr",
];

/// A link of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Link {
    /// Where it leads.
    pub url: String,
    /// Its text.
    pub text: String,
}

/// What a page's tags tell.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) title: String,
    pub(crate) links: Vec<Link>,
    /// The visible text, one line a block.
    pub(crate) text: String,
    /// How many elements it has.
    pub(crate) elements: usize,
    /// How deep they are nested, about.
    pub(crate) depth: usize,
}

impl Outline {
    /// Reads a page that came from `url`.
    pub(crate) fn of(html: &str, url: &Url) -> Self {
        let reader = Reader { state: RefCell::new(State::new(url)) };
        let tokenizer = Tokenizer::new(reader, TokenizerOpts::default());
        let input = BufferQueue::default();
        input.push_back(StrTendril::from(html));
        let _ = tokenizer.feed(&input);
        tokenizer.end();
        tokenizer.sink.state.into_inner().end()
    }
}

struct Reader {
    state: RefCell<State>,
}

struct State {
    /// What links are relative to.
    base: Url,
    outline: Outline,
    seen: HashSet<String>,
    /// The tag whose text is not seen, until it ends.
    hidden: Option<String>,
    in_title: bool,
    /// The link that is open, and what its text is so far.
    open: Option<(String, String)>,
    /// How many elements are open, about.
    depth: usize,
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::TagToken(tag) => return state.tag(&tag),
            Token::CharacterTokens(text) => state.text(&text),
            Token::DoctypeToken(_)
            | Token::CommentToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => {}
        }
        TokenSinkResult::Continue
    }
}

impl State {
    fn new(url: &Url) -> Self {
        Self {
            base: url.clone(),
            outline: Outline::default(),
            seen: HashSet::new(),
            hidden: None,
            in_title: false,
            open: None,
            depth: 0,
        }
    }

    fn measure(&mut self, name: &str, opens: bool) {
        self.outline.elements += usize::from(opens);
        if !UNCLOSED.contains(&name) {
            self.depth = if opens { self.depth + 1 } else { self.depth.saturating_sub(1) };
            self.outline.depth = self.outline.depth.max(self.depth);
        }
    }

    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        let begins = tag.kind == TagKind::StartTag;
        self.measure(name, begins);
        if let Some(hidden) = &self.hidden {
            if !begins && hidden == name {
                self.hidden = None;
            }
            return TokenSinkResult::Continue;
        }
        if BLOCKS.contains(&name) {
            self.line();
        }
        match name {
            "title" => self.in_title = begins && self.outline.title.is_empty(),
            "base" if begins => self.rebase(&tag.attrs),
            "a" if begins => self.open_link(&tag.attrs),
            "a" => self.close_link(),
            _ if begins && HIDDEN.contains(&name) && !tag.self_closing => self.hidden = Some(name.to_owned()),
            _ => {}
        }
        match name {
            _ if !begins => TokenSinkResult::Continue,
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "iframe" | "noframes" | "noembed" | "xmp" => TokenSinkResult::RawData(RawKind::Rawtext),
            "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
            "plaintext" => TokenSinkResult::Plaintext,
            _ => TokenSinkResult::Continue,
        }
    }

    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        if self.in_title {
            self.outline.title.push_str(text);
            return;
        }
        self.outline.text.push_str(text);
        if let Some((_, of_link)) = &mut self.open {
            of_link.push_str(text);
        }
    }

    /// Ends the line; empty ones are dropped at the end.
    fn line(&mut self) {
        self.outline.text.push('\n');
        if let Some((_, of_link)) = &mut self.open {
            of_link.push(' ');
        }
    }

    fn rebase(&mut self, attributes: &[Attribute]) {
        if let Some(base) = attribute(attributes, "href").and_then(|href| self.base.join(href).ok()) {
            self.base = base;
        }
    }

    fn open_link(&mut self, attributes: &[Attribute]) {
        self.close_link();
        let Some(mut url) = attribute(attributes, "href").and_then(|href| self.base.join(href.trim()).ok()) else {
            return;
        };
        url.set_fragment(None);
        if matches!(url.scheme(), "http" | "https") {
            self.open = Some((url.into(), String::new()));
        }
    }

    fn close_link(&mut self) {
        let Some((url, text)) = self.open.take() else { return };
        if self.outline.links.len() < LINKS_MAX && self.seen.insert(url.clone()) {
            self.outline.links.push(Link { url, text: one_line(&text, LINK_TEXT_CHARS_MAX) });
        }
    }

    fn end(mut self) -> Outline {
        self.close_link();
        let Outline { title, links, text, elements, depth } = self.outline;
        let lines = text.lines().map(|line| one_line(line, usize::MAX)).filter(|line| !line.is_empty());
        let text = lines.collect::<Vec<_>>().join("\n\n");
        Outline { title: one_line(&title, TITLE_CHARS_MAX), links, text, elements, depth }
    }
}

fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

/// A text with single spaces, of so many characters at most.
pub(crate) fn one_line(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(html: &str) -> Outline {
        Outline::of(html, &Url::parse("https://a.example/dir/page").unwrap())
    }

    #[test]
    fn links_are_absolute_and_once() {
        let outline = outline(
            "<base href='/other/'><a href='x'>One <b>bold</b></a><a href=\"x#top\">again</a><a href='?q=1&amp;r'>Q</a>
             <a href='mailto:a@b'>Mail</a><a href='javascript:1'>JS</a><a>none</a><a href='//b.example'>open",
        );
        let link = |url: &str, text: &str| Link { url: url.into(), text: text.into() };
        let expected = [
            link("https://a.example/other/x", "One bold"),
            link("https://a.example/other/?q=1&r", "Q"),
            link("https://b.example/", "open"),
        ];
        assert_eq!(outline.links, expected);
    }

    #[test]
    fn visible_text_is_kept() {
        let outline = outline(
            "<title>A &amp; B</title><style>p{}</style><script>if (a<b) '</p>'</script><h1>Head</h1><p>One<br>two
             <noscript>no</noscript><svg><title>x</title></svg></p><textarea><p>typed</p></textarea><li>three",
        );
        assert_eq!((&*outline.title, &*outline.text), ("A & B", "Head\n\nOne\n\ntwo\n\nthree"));
    }

    #[test]
    fn pages_that_misbehave_cost_what_they_are_long() {
        let links: String = (0..5_000).map(|n| format!("<a href='/{n}'>{n}")).collect();
        assert_eq!(outline(&links).links.len(), LINKS_MAX);
        assert_eq!(outline(&"<div><a href=x>".repeat(50_000)).links.len(), 1);
        let deep = outline(&"<div><p><br>".repeat(1_000));
        assert_eq!((deep.depth, deep.elements), (1_000, 3_000));
        assert_eq!(outline(&"<div><p>x</div>".repeat(1_000)).depth, 1);
        assert_eq!(outline("<!--<script").text, "");
        assert_eq!(outline(&format!("<title>{}", "t".repeat(5_000))).title.chars().count(), TITLE_CHARS_MAX + 1);
    }
}

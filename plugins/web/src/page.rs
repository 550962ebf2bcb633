//! A page as Markdown: the part that people come for, without navigation and advertisements.

use crate::outline::{Link, Outline};
use legible::{Document, Options};
use url::Url;

/// What is read of a page, in bytes; the rest is cut off.
const HTML_BYTES_MAX: usize = 2 << 20;
/// Elements beyond which no article is looked for: it takes several passes over the whole tree.
const ELEMENTS_MAX: usize = 20_000;
/// Nesting beyond which no article is looked for: the tree of a page takes time by its size times its depth.
const DEPTH_MAX: usize = 256;
/// A text of fewer characters is no article: then the whole page is better.
const ARTICLE_CHARS_MIN: usize = 200;

/// What there is to read on a page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) title: String,
    /// Markdown.
    pub(crate) content: String,
    pub(crate) byline: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) published: Option<String>,
    pub(crate) links: Vec<Link>,
    /// Whether a part of the page was not read.
    pub(crate) cut: bool,
}

impl Page {
    /// Reads a page that came from `url`.
    pub(crate) fn of_html(html: &str, url: &Url) -> Self {
        let read = &html[..html.floor_char_boundary(HTML_BYTES_MAX)];
        let outline = Outline::of(read, url);
        let options = Options::new().max_elems_to_parse(ELEMENTS_MAX);
        let mut page =
            Self { title: outline.title, links: outline.links, cut: read.len() < html.len(), ..Self::default() };
        let is_sane = outline.elements <= ELEMENTS_MAX && outline.depth <= DEPTH_MAX;
        let article = is_sane.then(|| Document::new(read).parse(Some(url.as_str()), Some(options)).ok()).flatten();
        match article.filter(|article| is_article(article.length, &outline.text)) {
            Some(article) => {
                page.title = if article.title.is_empty() { page.title } else { article.title };
                page.content = article.markdown_content.trim().to_owned();
                page.byline = article.byline;
                page.language = article.lang;
                page.published = article.published_time;
            }
            None => page.content = outline.text,
        }
        page
    }
}

/// Whether what was found is what people come for: long enough, or most of what there is.
fn is_article(chars: usize, all: &str) -> bool {
    chars >= ARTICLE_CHARS_MIN || chars * 2 >= all.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Page {
        Page::of_html(html, &Url::parse("https://a.example/dir/page").unwrap())
    }

    #[test]
    fn the_article_is_found_and_the_rest_is_not() {
        let text = "Rivers are dammed by weirs, which raise the water a little and let it pass over. ".repeat(8);
        let page = page(&format!(
            "<html lang=en><head><title>Weirs - Example</title><meta name=author content='Ada'></head><body>
             <nav><ul><li><a href=/>Home</a><li><a href=/shop>Shop</a></ul></nav>
             <article><h1>Weirs</h1><p>{text}</p><h2>Kinds</h2><ul><li>broad</li><li>sharp</li></ul>
             <p>See <a href='sharp'>sharp ones</a> and <code>Q</code>. {text}</p></article>
             <footer>Imprint and a lot of small print</footer></body></html>"
        ));
        assert!(page.title.starts_with("Weirs"), "{}", page.title);
        for part in ["raise the water", "## Kinds", "- broad", "[sharp ones](https://a.example/dir/sharp)", "`Q`"] {
            assert!(page.content.contains(part), "{part}: {}", page.content);
        }
        for part in ["Shop", "small print", "<p>"] {
            assert!(!page.content.contains(part), "{part}: {}", page.content);
        }
        assert_eq!((page.byline.as_deref(), page.language.as_deref(), page.cut), (Some("Ada"), Some("en"), false));
        assert_eq!(page.links.len(), 3);
    }

    #[test]
    fn a_page_without_an_article_is_read_whole() {
        let links: String = (0..50).map(|n| format!("<li><a href='/{n}'>Entry {n}</a></li>")).collect();
        let page = page(&format!("<title>List</title><p>All entries</p><ul>{links}</ul>"));
        assert_eq!((&*page.title, page.links.len()), ("List", 50));
        assert!(page.content.contains("Entry 49") && page.content.contains("All entries"), "{}", page.content);
        assert_eq!(super::tests::page("<p>Hello</p>").content, "Hello");
        assert_eq!(super::tests::page("").content, "");
    }

    #[test]
    fn hostile_pages_are_read_without_harm() {
        for html in [
            "<div>".repeat(20_000),
            format!("{}text", "<b><i>".repeat(2_000)),
            "<table><tr><td>".repeat(2_000),
            "<a href=x>".repeat(10_000),
            format!("<p>{}</p>", "<br>".repeat(60_000)),
            "\u{0}<!doctype><html><svg><math></p>&#x0;&#xffffffff;<![CDATA[".to_owned(),
        ] {
            page(&html);
        }
        let long = page(&format!("<p>{}", "word ".repeat(500_000)));
        assert!(long.cut && long.content.len() <= HTML_BYTES_MAX);
    }
}

//! The page behind a link for one decision: plain HTML without scripts, which is readable everywhere. Pure.

use std::{fmt::Write as _, sync::LazyLock};

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use base64::Engine as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::view::Time;
use crate::store::ApprovalRow;

/// The most characters of a question that are shown.
const QUESTION_CHARS_MAX: usize = 50_000;
/// The most characters of a comment.
pub(super) const COMMENT_CHARS_MAX: usize = 10_000;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--faint:#566070;--paper:#f4f6f8;--card:#fff;--line:#d5dbe2;--accent:#14597a;\
--on-accent:#fff;--bad:#a11b1b}\
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf1;--faint:#a4afbc;--paper:#12171d;--card:#1b222b;--line:#36414e;\
--accent:#7cc4e4;--on-accent:#0d1a22;--bad:#ff9c9c}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}\
main{max-width:42rem;margin:2.5rem auto;padding:0 1rem}\
.card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.5rem 1.75rem}\
h1{font-size:1.35rem;line-height:1.3;margin:0 0 1rem}\
.where{color:var(--faint);margin:0 0 .35rem;font-size:.9rem}\
.question{white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 1.25rem}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:.9rem/1.5 ui-monospace,monospace;background:var(--paper);\
border:1px solid var(--line);border-radius:.5rem;padding:.75rem;margin:0 0 1.25rem}\
label{display:block;font-weight:600;margin:0 0 .3rem}\
textarea{width:100%;font:inherit;color:inherit;background:var(--paper);border:1px solid var(--faint);border-radius:.5rem;\
padding:.6rem .7rem;margin:0 0 1.25rem;min-height:4.5rem}\
textarea.data{font:.9rem/1.5 ui-monospace,monospace;min-height:8rem}\
fieldset{border:0;padding:0;margin:0;display:flex;flex-wrap:wrap;gap:.75rem}\
legend{font-weight:600;padding:0;margin:0 0 .5rem}\
button{font:inherit;font-weight:600;min-height:2.75rem;padding:.5rem 1.3rem;border-radius:.5rem;border:1px solid var(--accent);\
background:var(--accent);color:var(--on-accent);cursor:pointer}\
button:hover{filter:brightness(1.1)}\
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}\
.hint,footer{color:var(--faint);font-size:.9rem}.hint{margin:-.9rem 0 1.25rem}footer{margin:1rem .25rem}\
.bad{border-left:4px solid var(--bad);padding:.1rem 0 .1rem .9rem;margin:0 0 1.25rem;color:var(--bad)}.bad ul{margin:.3rem 0;padding-left:1.2rem}\
dl{margin:0;display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1rem}dt{color:var(--faint)}dd{margin:0;overflow-wrap:anywhere}";

/// What a person wrote, and what was wrong with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) comment: String,
    pub(super) data: String,
    pub(super) problems: Vec<String>,
}

/// The page that asks.
pub(super) fn question(row: &ApprovalRow, name: &str, only: Option<&str>, draft: &Draft) -> String {
    let request = row.request.value();
    let mut body = String::new();
    write(&mut body, format_args!("<p class=where>{} · {}</p>", text(&row.workflow_name), text(&row.path)));
    body.push_str("<h1>A decision is needed</h1>");
    body.push_str(&shown(&request["notification"]));
    body.push_str(&problems(&draft.problems));
    body.push_str("<form method=post>");
    if let Some(schema) = request.get("form_schema") {
        body.push_str(&data_field(schema, &draft.data));
    }
    write(
        &mut body,
        format_args!(
            "<label for=comment>Comment <span class=hint>(optional)</span></label>\
             <textarea id=comment name=comment maxlength={COMMENT_CHARS_MAX}>\n{}</textarea>",
            text(&draft.comment)
        ),
    );
    body.push_str(&buttons(request, only));
    body.push_str("</form>");
    let mut footer = format!("You decide as {}. This link works once", text(name));
    if let Some(due) = row.due {
        write(&mut footer, format_args!(", until {}", text(&minutes(due))));
    }
    document("A decision is needed", &body, &format!("{footer}."))
}

/// A page that tells how things stand.
pub(super) fn message(title: &str, words: &str, facts: &[(&str, String)]) -> String {
    let mut body = format!("<h1>{}</h1><p class=question>{}</p>", text(title), text(words));
    if !facts.is_empty() {
        body.push_str("<dl>");
        for (name, value) in facts {
            write(&mut body, format_args!("<dt>{}</dt><dd>{}</dd>", text(name), text(value)));
        }
        body.push_str("</dl>");
    }
    document(title, &body, "You can close this page.")
}

/// An answer with a page. Nobody keeps it, and no other site learns its address, which holds the token.
pub(super) fn response(status: StatusCode, page: String) -> Response<Body> {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
    });
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    response
}

fn document(title: &str, body: &str, footer: &str) -> String {
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\"><title>{}</title><style>{STYLE}</style></head>\
         <body><main><div class=card>{body}</div><footer>{footer}</footer></main></body></html>",
        text(title)
    )
}

/// What is asked: a text as it is, anything else as JSON.
fn shown(notification: &Value) -> String {
    let (open, words, close) = match notification.as_str() {
        Some(words) => ("<p class=question>", words.to_owned(), "</p>"),
        None => ("<pre>", serde_json::to_string_pretty(notification).unwrap_or_default(), "</pre>"),
    };
    let mut cut: String = words.chars().take(QUESTION_CHARS_MAX).collect();
    if cut.len() < words.len() {
        cut.push('…');
    }
    format!("{open}{}{close}", text(&cut))
}

fn problems(problems: &[String]) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let items: String = problems.iter().map(|problem| format!("<li>{}</li>", text(problem))).collect();
    format!("<div class=bad role=alert><strong>That was not taken.</strong><ul>{items}</ul></div>")
}

fn data_field(schema: &Value, draft: &str) -> String {
    let schema = serde_json::to_string_pretty(schema).unwrap_or_default();
    format!(
        "<label for=data>Data as JSON</label>\
         <textarea class=data id=data name=data spellcheck=false aria-describedby=schema>\n{}</textarea>\
         <details class=hint id=schema><summary>What it must look like (JSON Schema)</summary><pre>{}</pre></details>",
        text(draft),
        text(&schema)
    )
}

/// One button for each option that may be chosen; one to go on where there are none.
fn buttons(request: &Value, only: Option<&str>) -> String {
    let options: Vec<&Value> = request["options"].as_array().into_iter().flatten().collect();
    if options.is_empty() {
        return "<fieldset><button>Go on</button></fieldset>".to_owned();
    }
    let mut buttons = "<fieldset><legend>Your decision</legend>".to_owned();
    for option in options {
        let id = option["id"].as_str().unwrap_or_default();
        if only.is_none_or(|only| only == id) {
            let label = option["label"].as_str().filter(|label| !label.trim().is_empty()).unwrap_or(id);
            write(&mut buttons, format_args!("<button name=option value=\"{}\">{}</button>", text(id), text(label)));
        }
    }
    buttons + "</fieldset>"
}

/// An instant for people, to the minute.
pub(super) fn minutes(at: weir_engine::id::Timestamp) -> String {
    let instant = Time(at).to_string();
    let (day, time) = instant.split_once('T').unwrap_or((&instant, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or_default())
}

/// Text between tags and in quoted attributes. Control characters would only do harm.
fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            // Marks that turn the direction of text around make a question look like another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}

fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_engine::{
        approvers::Approvers,
        id::{CallId, Timestamp},
    };

    use super::*;
    use crate::store::ApprovalStatus;

    fn row(request: Value) -> ApprovalRow {
        ApprovalRow {
            execution_id: "e".into(),
            call: CallId(2),
            workflow_id: "w".into(),
            workflow_name: "<b>refunds</b>".into(),
            step_id: "ask".into(),
            path: "ask".into(),
            status: ApprovalStatus::Pending,
            request: request.into(),
            request_digest: "d".into(),
            approvers: Approvers::default(),
            requester: None,
            requested_at: Timestamp(0),
            due: Some(Timestamp(1_790_003_640_000_000)),
            closed_at: None,
            decision: None,
        }
    }

    #[test]
    fn p2_whatever_a_question_holds_is_text_on_its_page() {
        let hostile = "<script>alert(1)</script>\"'&\u{202e}\u{0}";
        let request = json!({ "notification": hostile, "form_schema": { "title": hostile },
            "options": [{ "id": hostile, "label": hostile }] });
        let draft =
            Draft { comment: hostile.into(), data: format!("</textarea>{hostile}"), problems: vec![hostile.into()] };
        let page = question(&row(request), hostile, None, &draft);
        assert!(
            !page.contains("<script") && page.matches("</textarea>").count() == 2 && !page.contains("<b>"),
            "{page}"
        );
        assert!(!page.contains(['\u{202e}', '\u{0}']));
        assert!(page.contains("&lt;script&gt;") && page.contains("until 2026-09-21 15:14 UTC"), "{page}");
    }

    #[test]
    fn a_link_for_one_option_shows_no_other() {
        let request = json!({ "notification": { "sum": 7 }, "options": [{ "id": "yes", "label": "Yes" }, { "id": "no", "label": "" }] });
        let both = question(&row(request.clone()), "pat", None, &Draft::default());
        assert!(both.contains("value=\"yes\">Yes<") && both.contains("value=\"no\">no<") && both.contains("<pre>"));
        let one = question(&row(request), "pat", Some("no"), &Draft::default());
        assert!(!one.contains("value=\"yes\"") && one.contains("value=\"no\""));
        assert!(question(&row(json!({})), "pat", None, &Draft::default()).contains("<button>Go on"));
    }
}

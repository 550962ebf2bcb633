//! What the command line prints: results on standard output, everything else on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub(super) struct Out {
    json: bool,
    colours: bool,
    terminal: bool,
}

/// How a word stands out on a terminal.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ink {
    Good,
    Bad,
    Warn,
    Faint,
    Strong,
}

impl Out {
    pub(super) fn new(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { json, colours: terminal && !refused && !dumb && !json, terminal }
    }

    /// Whether a person sits there who can be asked.
    pub(super) fn is_interactive(self) -> bool {
        self.terminal && !self.json && io::stdin().is_terminal()
    }

    /// Prints a line as it is.
    pub(super) fn text(self, text: &str) {
        let mut stdout = io::stdout().lock();
        if writeln!(stdout, "{text}").and_then(|()| stdout.flush()).is_err() {
            // Nobody reads any more (`weir … | head`): there is nothing left to do.
            std::process::exit(0);
        }
    }

    /// Prints a value for programs, or the words for people.
    pub(super) fn show(self, value: &Value, words: impl FnOnce() -> String) {
        if self.json {
            self.text(&format!("{value:#}"));
        } else {
            self.text(&words());
        }
    }

    /// Prints a value as one line for programs; nothing for people.
    pub(super) fn record(self, value: &Value) {
        if self.json {
            self.text(&value.to_string());
        }
    }

    /// Prints a line for people only.
    pub(super) fn say(self, text: &str) {
        if !self.json {
            self.text(text);
        }
    }

    /// Prints a prompt, without ending the line.
    pub(super) fn prompt(self, text: &str) {
        let mut stdout = io::stdout().lock();
        drop(write!(stdout, "{text}").and_then(|()| stdout.flush()));
    }

    /// Prints a note on standard error, so that results stay results.
    pub(super) fn note(self, text: &str) {
        drop(writeln!(io::stderr(), "{text}"));
    }

    /// Prints an error with what caused it.
    pub(super) fn error(self, error: &anyhow::Error) {
        let mut text = clean(&error.to_string());
        for cause in error.chain().skip(1) {
            text.push_str(&format!("\n  because: {}", clean(&cause.to_string())));
        }
        self.note(&format!("{} {text}", self.ink_err("error:")));
    }

    fn ink_err(self, word: &str) -> String {
        if self.colours && io::stderr().is_terminal() { format!("\x1b[1;31m{word}\x1b[0m") } else { word.to_owned() }
    }

    /// A text, coloured where that is wanted.
    pub(super) fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Warn => "33",
            Ink::Faint => "2",
            Ink::Strong => "1",
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A status, coloured by what it means.
    pub(super) fn status(self, status: &str) -> String {
        let ink = match status {
            "completed" | "decided" | "enabled" | "granted" => Ink::Good,
            "failed" | "timeout" | "cancelled" => Ink::Bad,
            "awaiting_human" | "pending" | "partly" => Ink::Warn,
            _ => Ink::Faint,
        };
        self.ink(ink, status)
    }

    /// Rows under their headings, in columns.
    pub(super) fn table(self, headings: &[&str], rows: &[Vec<String>]) -> String {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| visible(cell));
            cells.chain([headings[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        let line = |cells: &[String]| {
            let padded = cells
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(visible(cell)))));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
        let mut lines = vec![self.ink(Ink::Faint, &line(&headings))];
        lines.extend(rows.iter().map(|row| line(row)));
        lines.join("\n")
    }
}

/// How many columns a text takes, colours not counted.
fn visible(text: &str) -> usize {
    let mut count = 0;
    let mut in_escape = false;
    for c in text.chars() {
        match (in_escape, c) {
            (false, '\x1b') => in_escape = true,
            (true, 'm') => in_escape = false,
            (true, _) => {}
            (false, _) => count += 1,
        }
    }
    count
}

/// A text from outside without what could command a terminal.
pub(super) fn clean(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// A string of a document, cleaned; empty where there is none.
pub(super) fn text_of(value: &Value, field: &str) -> String {
    match &value[field] {
        Value::String(text) => clean(text),
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => clean(&other.to_string()),
    }
}

/// Seconds in a form that is quickly read.
pub(super) fn took(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

/// A document in at most `max` characters of one line.
pub(super) fn brief(value: &Value, max: usize) -> String {
    let text = match value {
        Value::String(text) => clean(text).replace('\n', " "),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            clean(&other.to_string())
        }
    };
    if text.chars().count() <= max {
        return text;
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// [`brief`], and nothing for null.
pub(super) fn brief_or_nothing(value: &Value, max: usize) -> String {
    if value.is_null() { String::new() } else { brief(value, max) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_command_no_terminal() {
        assert_eq!(clean("a\x1b[2Jb\r\n"), "a\u{fffd}[2Jb\u{fffd}\n");
    }

    #[test]
    fn words_that_hold_null_are_kept() {
        assert_eq!(brief_or_nothing(&Value::from("drops nullable fields"), 60), "drops nullable fields");
        assert_eq!(brief_or_nothing(&Value::Null, 60), "");
    }

    #[test]
    fn tables_align_whatever_the_colours() {
        let out = Out { json: false, colours: true, terminal: true };
        let table =
            out.table(&["a", "b"], &[vec![out.ink(Ink::Good, "xyz"), "1".into()], vec!["y".into(), "2".into()]]);
        let columns: Vec<_> = table.lines().skip(1).map(visible).collect();
        assert_eq!(columns, [6, 6]);
    }
}

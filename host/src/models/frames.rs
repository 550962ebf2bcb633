//! The frames of a stream: events as browsers know them ([server-sent events]), or lines.
//!
//! Whoever feeds it bounds how much that is; nothing is kept of a frame that was handed on.
//!
//! [server-sent events]: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

use std::str::Utf8Error;

use memchr::memchr2;

/// What ends a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// An empty line; a frame is what its `data` lines say.
    Events,
    /// The end of its line.
    Lines,
}

/// Cuts a stream into frames, wherever it was cut on its way.
#[derive(Debug)]
pub(super) struct Frames {
    framing: Framing,
    /// The line that has not ended.
    rest: Vec<u8>,
    /// What the event's lines said so far, if any of them said something.
    data: String,
    has_data: bool,
    /// Whether the last byte ended a line that goes on with the second half of its end.
    was_return: bool,
}

impl Frames {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, rest: Vec::new(), data: String::new(), has_data: false, was_return: false }
    }

    /// Hands on each frame that ends in these bytes.
    ///
    /// # Errors
    /// A line is not UTF-8.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut frame: impl FnMut(&str)) -> Result<(), Utf8Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.was_return) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            let (line, after) = (&bytes[..end], &bytes[end + 1..]);
            if bytes[end] == b'\r' {
                self.was_return = after.is_empty();
                bytes = after.strip_prefix(b"\n").unwrap_or(after);
            } else {
                bytes = after;
            }
            if self.rest.is_empty() {
                self.line(std::str::from_utf8(line)?, &mut frame);
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.line(std::str::from_utf8(&whole)?, &mut frame);
            }
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    /// Hands on what the stream's end ends: some servers leave out the last empty line.
    ///
    /// # Errors
    /// The last line is not UTF-8.
    pub(super) fn finish(&mut self, mut frame: impl FnMut(&str)) -> Result<(), Utf8Error> {
        let rest = std::mem::take(&mut self.rest);
        self.line(std::str::from_utf8(&rest)?, &mut frame);
        self.line("", &mut frame);
        Ok(())
    }

    fn line(&mut self, line: &str, frame: &mut impl FnMut(&str)) {
        match self.framing {
            Framing::Lines if line.trim().is_empty() => {}
            Framing::Lines => frame(line),
            Framing::Events if line.is_empty() => {
                if !self.data.is_empty() {
                    frame(&self.data);
                }
                self.data.clear();
                self.has_data = false;
            }
            Framing::Events => {
                let Some(said) = line.strip_prefix("data:") else { return };
                let said = said.strip_prefix(' ').unwrap_or(said);
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(said);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(framing: Framing, pieces: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut frames = Frames::new(framing);
        for piece in pieces {
            frames.feed(piece, |frame| found.push(frame.to_owned())).unwrap();
        }
        frames.finish(|frame| found.push(frame.to_owned())).unwrap();
        found
    }

    #[test]
    fn an_event_is_what_its_data_lines_say() {
        let stream =
            b": hello\n\nevent: x\nid: 1\ndata: a\ndata:b\n\ndata\n\n\ndata: \n\ndata:  c\r\n\r\ndata: d\r\rdata: e";
        assert_eq!(frames(Framing::Events, &[stream]), ["a\nb", " c", "d", "e"]);
    }

    #[test]
    fn a_line_ends_with_the_line_or_with_the_stream() {
        assert_eq!(frames(Framing::Lines, &[b"{}\n\n \r\n{1}\r\n{2}"]), ["{}", "{1}", "{2}"]);
    }

    #[test]
    fn what_is_no_text_is_no_frame() {
        let mut frames = Frames::new(Framing::Lines);
        assert!(frames.feed(b"\xff\n", |_| ()).is_err());
    }

    proptest! {
        #[test]
        fn where_a_stream_is_cut_does_not_matter(
            text in "(data: ?|[ab\u{e9}]|\n|\r|\r\n){0,40}", cuts in prop::collection::vec(0_usize..120, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            for framing in [Framing::Events, Framing::Lines] {
                prop_assert_eq!(frames(framing, &pieces), frames(framing, &[bytes]));
            }
        }
    }
}

//! Masks a text that comes in pieces: a secret may be split over any number of them.

use super::{Masker, marker};

/// Masks pieces of one text. It holds back what could be the beginning of a secret: less than the longest form of one.
#[derive(Debug)]
pub struct MaskStream {
    masker: Masker,
    held: String,
}

impl MaskStream {
    pub(super) fn new(masker: Masker) -> Self {
        Self { masker, held: String::new() }
    }

    /// Takes a piece, and answers what may be shown by now; it may be empty.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let (shown, rest) = self.split();
        self.held.drain(..rest);
        shown
    }

    /// The rest, at the text's end.
    #[must_use]
    pub fn finish(self) -> String {
        self.masker.mask_text(&self.held).into_owned()
    }

    /// What of the held text may be shown, and how many bytes of it that settles.
    fn split(&self) -> (String, usize) {
        let known = self.masker.known();
        let (text, bytes) = (self.held.as_str(), self.held.as_bytes());
        let (mut shown, mut at) = (String::new(), 0);
        loop {
            let open = known.begun(bytes, at).map_or(bytes.len(), |(start, _)| start);
            let found = known.next(bytes, at).filter(|found| found.start < open);
            let plain_to = found.map_or(open, |found| found.start);
            shown.push_str(text.get(at..plain_to).unwrap_or_default());
            let Some(found) = found else { return (shown, open) };
            shown.push_str(&marker(Some(found.name)));
            at = found.end;
        }
    }
}

//! Masks what comes in pieces: a secret may be split over any number of them.

use super::{Masker, marker};

/// Masks pieces of one text, or of bytes that need not be text. It holds back what could be the beginning of a secret:
/// less than the longest form of one.
#[derive(Debug)]
pub struct MaskStream {
    masker: Masker,
    held: Vec<u8>,
}

impl MaskStream {
    pub(super) fn new(masker: Masker) -> Self {
        Self { masker, held: Vec::new() }
    }

    /// Takes a piece of a text, and answers what may be shown by now; it may be empty.
    pub fn push(&mut self, piece: &str) -> String {
        // Secrets begin and end between characters, so what is shown is text where all pieces are.
        String::from_utf8_lossy(&self.push_bytes(piece.as_bytes())).into_owned()
    }

    /// Takes a piece, and answers what may be shown by now; it may be empty.
    pub fn push_bytes(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let (shown, settled) = self.split();
        self.held.drain(..settled);
        shown
    }

    /// The rest, at the text's end.
    #[must_use]
    pub fn finish(mut self) -> String {
        String::from_utf8_lossy(&self.finish_bytes()).into_owned()
    }

    /// The rest, at the end. The stream is as new after it.
    pub fn finish_bytes(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        self.masker.mask_bytes(&held).into_owned()
    }

    /// What of the held bytes may be shown, and how many of them that settles.
    fn split(&self) -> (Vec<u8>, usize) {
        let known = self.masker.known();
        let (mut shown, mut at) = (Vec::new(), 0);
        loop {
            let open = known.begun(&self.held, at).map_or(self.held.len(), |(start, _)| start);
            let found = known.next(&self.held, at).filter(|found| found.start < open);
            let plain_to = found.map_or(open, |found| found.start);
            shown.extend_from_slice(&self.held[at..plain_to]);
            let Some(found) = found else { return (shown, open) };
            shown.extend_from_slice(marker(Some(found.name)).as_bytes());
            at = found.end;
        }
    }
}

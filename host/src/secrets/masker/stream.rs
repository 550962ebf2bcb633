//! Masks what comes in pieces: a secret may be split over any number of them.

use super::{Masker, marker};

/// Masks pieces of one text, or of bytes that need not be text, as a whole is masked. It holds back what could be the
/// beginning of a secret: less than the longest form of one.
#[derive(Debug)]
pub struct MaskStream {
    masker: Masker,
    held: Vec<u8>,
    /// How many of the held bytes belong to secrets whose marker was shown; another secret may begin among them.
    covered: usize,
}

impl MaskStream {
    pub(super) fn new(masker: Masker) -> Self {
        Self { masker, held: Vec::new(), covered: 0 }
    }

    /// Takes a piece of a text, and answers what may be shown by now; it may be empty.
    pub fn push(&mut self, piece: &str) -> String {
        // Secrets begin and end between characters, so what is shown is text where all pieces are.
        String::from_utf8_lossy(&self.push_bytes(piece.as_bytes())).into_owned()
    }

    /// Takes a piece, and answers what may be shown by now; it may be empty.
    pub fn push_bytes(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let open = self.masker.known().begun(&self.held).map_or(self.held.len(), |(start, _)| start);
        self.settle(open)
    }

    /// The rest, at the text's end.
    #[must_use]
    pub fn finish(mut self) -> String {
        String::from_utf8_lossy(&self.finish_bytes()).into_owned()
    }

    /// The rest, at the end. The stream is as new after it.
    pub fn finish_bytes(&mut self) -> Vec<u8> {
        self.settle(self.held.len())
    }

    /// Lets go of the first `open` bytes, and answers what is shown for them: no secret begins there that is not whole.
    fn settle(&mut self, open: usize) -> Vec<u8> {
        let known = self.masker.known();
        let (mut shown, mut at) = (Vec::new(), self.covered);
        for span in known.spans(&self.held).iter().take_while(|span| span.start < open) {
            if span.start >= at {
                shown.extend_from_slice(&self.held[at..span.start]);
                shown.extend_from_slice(marker(Some(span.name)).as_bytes());
            }
            at = at.max(span.end);
        }
        if at < open {
            shown.extend_from_slice(&self.held[at..open]);
            at = open;
        }
        self.held.drain(..open);
        self.covered = at - open;
        shown
    }
}

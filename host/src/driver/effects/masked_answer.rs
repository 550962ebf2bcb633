//! Masks an answer that streams to a plugin: it may repeat what the host put into the request.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use weir_engine::failure::Failure;

use crate::{
    runtime::HttpAnswer,
    secrets::{MaskStream, Masker},
};

/// An answer without secrets. Its length is not known before its end, so no header tells it.
pub(super) struct MaskedAnswer {
    answer: Box<dyn HttpAnswer>,
    masker: Masker,
    body: MaskStream,
}

impl MaskedAnswer {
    pub(super) fn new(answer: Box<dyn HttpAnswer>, masker: &Masker) -> Self {
        Self { answer, masker: masker.clone(), body: masker.stream() }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(piece) = self.answer.chunk().await? {
            let shown = self.body.push_bytes(&piece);
            if !shown.is_empty() {
                return Ok(Some(shown.into()));
            }
        }
        let rest = self.body.finish_bytes();
        Ok((!rest.is_empty()).then(|| rest.into()))
    }
}

impl HttpAnswer for MaskedAnswer {
    fn status(&self) -> u16 {
        self.answer.status()
    }

    fn headers(&self) -> Vec<(String, Bytes)> {
        let headers = self.answer.headers().into_iter().filter(|(name, _)| name != "content-length");
        headers.map(|(name, value)| (name, self.masker.mask_bytes(&value).into_owned().into())).collect()
    }

    fn chunk(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(self.next())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::vault::Secret;

    struct Pieces(VecDeque<&'static [u8]>);

    impl HttpAnswer for Pieces {
        fn status(&self) -> u16 {
            200
        }

        fn headers(&self) -> Vec<(String, Bytes)> {
            [("content-length", "9"), ("x-echo", "Bearer hunter2-hunter2")]
                .map(|(name, value)| (name.to_owned(), Bytes::from(value)))
                .into()
        }

        fn chunk(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
            Box::pin(async { Ok(self.0.pop_front().map(Bytes::from)) })
        }
    }

    #[tokio::test]
    async fn d3_a_secret_that_is_split_over_chunks_of_an_answer_is_masked() {
        let masker = Masker::default();
        masker.learn("key", &Secret::new("hunter2-hunter2"));
        let pieces = [&b"\xffa hun"[..], b"ter2-", b"hunter", b"2 b hunter"];
        let mut answer = MaskedAnswer::new(Box::new(Pieces(pieces.into())), &masker);
        assert_eq!(answer.headers(), [("x-echo".to_owned(), Bytes::from("Bearer [secret key]"))]);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.unwrap() {
            assert!(!chunk.is_empty());
            body.extend_from_slice(&chunk);
        }
        assert_eq!(body, b"\xffa [secret key] b hunter");
    }
}

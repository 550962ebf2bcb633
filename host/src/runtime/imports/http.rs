//! `weir:plugin/http`: whole requests and answers through the host.

use std::time::Duration;

use bytes::Bytes;

use super::{CallState, unreadable};
use crate::runtime::{
    Effect, HttpRequest, HttpResponse,
    bindings::weir::plugin::{
        http::{Host, Request, Response},
        types::Failure,
    },
    limits::HTTP_BODY_BYTES_MAX,
};

impl Host for CallState {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Failure>> {
        let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.count(request.method.len() + request.url.len() + headers + request.body.len())?;
        if request.body.len() > HTTP_BODY_BYTES_MAX {
            let message = format!("the body has {} bytes; at most {HTTP_BODY_BYTES_MAX} are sent", request.body.len());
            return Ok(Err(Failure::InvalidInput(message)));
        }
        let request = HttpRequest {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: Bytes::from(request.body),
            timeout: request.timeout_ms.map(Duration::from_millis),
        };
        let answer = self.effect(Effect::Http(request)).await?;
        Ok(answer.and_then(|answer| read(answer.text())))
    }
}

fn read(answer: &str) -> Result<Response, Failure> {
    let failed = |error| unreadable("a request over HTTP", &error);
    let answer: HttpResponse = serde_json::from_str(answer).map_err(failed)?;
    let body = answer.body.into_bytes().map_err(|error| failed(serde::de::Error::custom(error)))?;
    Ok(Response { status: answer.status, headers: answer.headers, body, url: answer.url })
}

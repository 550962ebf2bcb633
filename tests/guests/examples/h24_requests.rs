//! Sends requests: through `weir:plugin/http` or `wasi:http`, as often, as large and where its input says. The input is
//! one text: `WAY METHOD TIMES BODY_BYTES HEADER_BYTES TIMEOUT_MS URL`; 0 is no time-out.

use wasip2::http::{
    outgoing_handler,
    types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme},
};
use wasip2::io::streams::StreamError;
use weir_guests::{Call, Failure, described, http, json_array, order};

struct Order<'a> {
    method: &'a str,
    body_bytes: usize,
    header_bytes: usize,
    timeout_ms: Option<u64>,
    url: &'a str,
}

fn run(call: Call) -> Result<String, Failure> {
    let input = order(&call.input);
    let words: Vec<&str> = input.splitn(7, ' ').collect();
    let [way, method, times, body, headers, timeout, url] = words[..] else {
        return Err(Failure::InvalidInput("seven words, please".to_owned()));
    };
    let number = |text: &str| text.parse::<usize>().map_err(|error| Failure::InvalidInput(error.to_string()));
    let timeout_ms = Some(number(timeout)? as u64).filter(|timeout| *timeout > 0);
    let order = Order { method, body_bytes: number(body)?, header_bytes: number(headers)?, timeout_ms, url };
    let send = if way == "wasi" { streamed } else { whole };
    let told: Vec<String> = (0..number(times)?).map(|_| send(&order).unwrap_or_else(|why| why)).collect();
    Ok(json_array(&told))
}

/// Status, bytes and place of a whole answer.
fn whole(order: &Order<'_>) -> Result<String, String> {
    let request = http::Request {
        method: order.method.to_owned(),
        url: order.url.to_owned(),
        headers: vec![("x-filler".to_owned(), "x".repeat(order.header_bytes))],
        body: vec![b'x'; order.body_bytes],
        timeout_ms: order.timeout_ms,
    };
    let answer = http::send(&request).map_err(|failure| described(&failure))?;
    Ok(format!("{} {} {}", answer.status, answer.body.len(), answer.url))
}

/// Status and bytes of an answer that streams.
fn streamed(order: &Order<'_>) -> Result<String, String> {
    let request = asked(order)?;
    let body = request.body().map_err(|()| "no body")?;
    let coming = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    // Whoever refuses closes the body; the answer tells why.
    upload(body, order.body_bytes).ok();
    coming.subscribe().block();
    let response = coming.get().ok_or("nothing")?.map_err(|()| "taken")?.map_err(|code| format!("{code:?}"))?;
    let body = response.consume().map_err(|()| "consumed")?;
    Ok(format!("{} {}", response.status(), download(&body)?))
}

fn asked(order: &Order<'_>) -> Result<OutgoingRequest, String> {
    let headers = Fields::new();
    headers.append("x-filler", &vec![b'x'; order.header_bytes]).map_err(|error| format!("{error:?}"))?;
    headers.append("content-length", order.body_bytes.to_string().as_bytes()).map_err(|error| format!("{error:?}"))?;
    let request = OutgoingRequest::new(headers);
    let (scheme, rest) = order.url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "path")?;
    let method = if order.method == "POST" { Method::Post } else { Method::Get };
    request.set_method(&method).map_err(|()| "method")?;
    Ok(request)
}

fn upload(body: OutgoingBody, bytes: usize) -> Result<(), String> {
    let stream = body.write().map_err(|()| "no stream")?;
    let mut left = bytes;
    while left > 0 {
        let part = left.min(4096);
        stream.blocking_write_and_flush(&vec![b'x'; part]).map_err(|error| format!("{error:?}"))?;
        left -= part;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|code| format!("{code:?}"))
}

fn download(body: &IncomingBody) -> Result<usize, String> {
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = 0;
    loop {
        match stream.blocking_read(1 << 20) {
            Ok(part) => bytes += part.len(),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

weir_guests::guest!("h24_requests", run, r#"{"hosts":[{"host":"*","methods":["*"]}]}"#);

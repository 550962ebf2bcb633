//! The words before an encrypted conversation. They are said here and not by the mail library, because nothing that came
//! unencrypted may be taken for something that came encrypted: a server that says more than it was asked is refused.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::notify::SendError;

/// The most bytes of one reply.
const REPLY_BYTES_MAX: usize = 8 * 1024;

/// What a server answered.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

/// Talks with a server up to the point where encryption begins.
pub(super) async fn begin(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), hello: &str) -> Result<(), SendError> {
    expect(&reply(stream).await?, 220)?;
    let offered = ask(stream, &format!("EHLO {hello}\r\n")).await?;
    expect(&offered, 250)?;
    if !offered.lines.iter().skip(1).any(|line| line.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Err(SendError::lasting(
            "the mail server does not offer STARTTLS: set the channel's tls to implicit, or to none where that is safe",
        ));
    }
    expect(&ask(stream, "STARTTLS\r\n").await?, 220)
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), command: &str) -> Result<Reply, SendError> {
    stream.write_all(command.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    reply(stream).await
}

/// One reply, and not a byte behind it.
async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> Result<Reply, SendError> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.map_err(broken)? == 0 {
            return Err(SendError::new(true, "the mail server closed the connection"));
        }
        if bytes.len() > REPLY_BYTES_MAX {
            return Err(SendError::lasting("the mail server says too much"));
        }
        if let Some(reply) = parse(&bytes)? {
            return Ok(reply);
        }
    }
}

/// The reply, once its last line is there.
fn parse(bytes: &[u8]) -> Result<Option<Reply>, SendError> {
    let strange = || SendError::lasting("the mail server does not speak SMTP");
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| strange())?.trim_end_matches('\r');
        rest = &rest[end + 1..];
        let code = line.get(..3).and_then(|code| code.parse().ok()).ok_or_else(strange)?;
        lines.push(line.get(4..).unwrap_or_default().to_owned());
        if line.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        if !rest.is_empty() {
            return Err(SendError::lasting("the mail server says more than it was asked"));
        }
        return Ok(Some(Reply { code, lines }));
    }
    Ok(None)
}

fn expect(reply: &Reply, code: u16) -> Result<(), SendError> {
    if reply.code == code {
        return Ok(());
    }
    let text = format!("the mail server answered {} {}", reply.code, reply.lines.join(" "));
    Err(SendError::new(reply.code < 500, &text))
}

fn broken(error: std::io::Error) -> SendError {
    SendError::new(true, &format!("the connection with the mail server broke: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a conversation ends with if the server says these things in turn.
    async fn talk(said: &[&str]) -> Result<(), SendError> {
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        let said: Vec<String> = said.iter().map(|&text| text.to_owned()).collect();
        let server = tokio::spawn(async move {
            let mut theirs = tokio::io::BufReader::new(theirs);
            for text in said {
                theirs.write_all(text.as_bytes()).await.unwrap();
                let mut line = String::new();
                tokio::io::AsyncBufReadExt::read_line(&mut theirs, &mut line).await.unwrap();
            }
        });
        let ended = begin(&mut ours, "example.com").await;
        drop(ours);
        server.await.unwrap();
        ended
    }

    const OFFER: &str = "250-mx.example\r\n250-SIZE 1000\r\n250 STARTTLS\r\n";

    #[tokio::test]
    async fn encryption_begins_after_the_server_agreed() {
        talk(&["220 mx.example ESMTP\r\n", OFFER, "220 go on\r\n"]).await.unwrap();
        talk(&["220-mx.example\r\n220 ESMTP\r\n", "250-mx\r\n250-starttls\r\n250 X\r\n", "220\r\n"]).await.unwrap();
    }

    #[tokio::test]
    async fn what_came_unencrypted_is_not_taken_for_encrypted() {
        let error = talk(&["220 mx\r\n", OFFER, "220 go on\r\n250 injected\r\n"]).await.unwrap_err();
        assert!(error.reason.contains("more than it was asked"), "{error}");
        assert!(talk(&["220 mx\r\n250 early\r\n"]).await.is_err());
    }

    #[tokio::test]
    async fn a_server_that_does_not_offer_encryption_gets_nothing() {
        let error = talk(&["220 mx\r\n", "250-mx\r\n250 SIZE\r\n"]).await.unwrap_err();
        assert!(!error.is_retryable && error.reason.contains("STARTTLS"), "{error}");
        let error = talk(&["220 mx\r\n", "250-STARTTLS\r\n250 SIZE\r\n"]).await.unwrap_err();
        assert!(error.reason.contains("STARTTLS"), "the first line is the server's name: {error}");
    }

    #[tokio::test]
    async fn a_server_that_is_busy_is_asked_again_and_one_that_is_strange_is_not() {
        assert!(talk(&["421 later\r\n"]).await.unwrap_err().is_retryable);
        assert!(talk(&["220 mx\r\n", OFFER, "454 not now\r\n"]).await.unwrap_err().is_retryable);
        assert!(!talk(&["554 no\r\n"]).await.unwrap_err().is_retryable);
        assert!(!talk(&["HTTP/1.1 200 OK\r\n"]).await.unwrap_err().is_retryable);
        assert!(!talk(&["\u{fc}\u{fc}\r\n"]).await.unwrap_err().is_retryable);
        assert!(!talk(&[&"220-".repeat(4000)]).await.unwrap_err().is_retryable);
    }
}

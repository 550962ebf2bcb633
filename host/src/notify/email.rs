//! Notices by mail: the message, and one conversation with a mail server over a connection that the guard dialled.

mod session;
mod starttls;

use std::time::{Duration, SystemTime};

use lettre::{
    Message,
    message::header::{ContentType, HeaderName, HeaderValue},
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, AsyncTokioStream},
        extension::ClientId,
    },
};
use tokio::time::timeout;
use weir_engine::id::Timestamp;

use self::session::Session;
use super::{EmailChannel, EmailTls, Notice, SendError, notice::seconds, secret, with_sources};
use crate::egress::Egress;

/// How long a conversation may take.
const TIMEOUT: Duration = Duration::from_secs(45);
/// How long to wait for the server's good-bye, after it has taken the message.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends a notice by mail.
pub(super) async fn send(
    egress: &Egress,
    channel: &EmailChannel,
    notice: &Notice,
    sent_at: Timestamp,
) -> Result<(), SendError> {
    let message = message(channel, notice, sent_at)?;
    let late = |_| SendError::new(true, "the mail server took too long");
    timeout(TIMEOUT, deliver(egress, channel, &message)).await.map_err(late)?
}

async fn deliver(egress: &Egress, channel: &EmailChannel, message: &Message) -> Result<(), SendError> {
    let hello = hello(channel);
    let session = connect(egress, channel, &hello).await?;
    let mut smtp = AsyncSmtpConnection::connect_with_transport(session, &hello).await.map_err(refused)?;
    if let Some(username) = &channel.username {
        let password = secret::read(channel.password.as_ref(), channel.password_file.as_deref()).await?;
        let credentials = Credentials::new(username.clone(), password);
        smtp.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(refused)?;
    }
    smtp.send(message.envelope(), &message.formatted()).await.map_err(refused)?;
    // The server has taken the message: whatever comes now must not send it again.
    timeout(QUIT_TIMEOUT, smtp.quit()).await.ok();
    Ok(())
}

/// A connection as the channel wants it, encrypted before anything is said if it shall be.
async fn connect(
    egress: &Egress,
    channel: &EmailChannel,
    hello: &ClientId,
) -> Result<Box<dyn AsyncTokioStream>, SendError> {
    let target = channel.target().map_err(|error| SendError::lasting(&error.to_string()))?;
    let mut stream = egress.dial(&target).await?;
    let peer = stream.peer_addr().map_err(|error| SendError::new(true, &error.to_string()))?;
    Ok(match channel.tls {
        EmailTls::None => Box::new(Session::new(stream, peer)),
        EmailTls::Implicit => Box::new(Session::new(egress.encrypt(stream, &target).await?, peer)),
        EmailTls::Starttls => {
            starttls::begin(&mut stream, &hello.to_string()).await?;
            Box::new(Session::greeted(egress.encrypt(stream, &target).await?, peer))
        }
    })
}

/// The host presents itself under the domain that it writes from.
fn hello(channel: &EmailChannel) -> ClientId {
    ClientId::Domain(channel.from.0.email.domain().to_owned())
}

fn refused(error: lettre::transport::smtp::Error) -> SendError {
    // "Permanent" is what the server says, "client" what cannot be said to it.
    let is_final = error.is_permanent() || error.is_client();
    SendError::new(!is_final, &with_sources(&error))
}

/// The message. Its id follows from the notice, so that a copy is known as one.
fn message(channel: &EmailChannel, notice: &Notice, sent_at: Timestamp) -> Result<Message, SendError> {
    let mut message = Message::builder()
        .from(channel.from.0.clone())
        .subject(notice.subject())
        .date(time(sent_at))
        .message_id(Some(message_id(channel, notice)))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .header(ContentType::TEXT_PLAIN);
    for address in &channel.to {
        message = message.to(address.0.clone());
    }
    let text = format!("{}\n\n{}\n", notice.body(), notice.details().join("\n"));
    message.body(text).map_err(|error| SendError::lasting(&with_sources(&error)))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn message_id(channel: &EmailChannel, notice: &Notice) -> String {
    let id: String = notice.id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(100).collect();
    format!("<weir-{id}@{}>", channel.from.0.email.domain())
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds(at)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notice::sample;

    fn channel() -> EmailChannel {
        EmailChannel {
            host: "smtp.example.com".to_owned(),
            port: None,
            tls: EmailTls::Starttls,
            username: None,
            password: None,
            password_file: None,
            from: "Weir <weir@example.com>".parse().unwrap(),
            to: vec!["a@example.com".parse().unwrap(), "B <b@example.com>".parse().unwrap()],
        }
    }

    fn written(notice: &Notice) -> String {
        String::from_utf8(message(&channel(), notice, notice.at).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_message_names_its_notice_and_its_readers() {
        let text = written(&sample());
        let lines = [
            "From: Weir <weir@example.com>\r\n",
            "To: a@example.com, B <b@example.com>\r\n",
            "Subject: Decision needed: Refund order 7\r\n",
            "Message-ID: <weir-0190c0de-0000-7000-8000-000000000001@example.com>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Date: Mon, 21 Sep 2026 14:13:20 +0000\r\n",
        ];
        for line in lines {
            assert!(text.contains(line), "{line:?} is missing in {text}");
        }
    }

    #[test]
    fn what_others_wrote_adds_no_header_and_ends_no_message() {
        let notice = Notice {
            id: "x>\r\nBcc: d@evil.example".to_owned(),
            title: "a\r\nBcc: c@evil.example\r\n\r\nbody".to_owned(),
            text: "\r\n.\r\nMAIL FROM:<x@evil.example>\r\n".to_owned(),
            ..sample()
        };
        let text = written(&notice);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{head}");
        assert!(body.contains("Workflow refund"), "{body}");
    }
}

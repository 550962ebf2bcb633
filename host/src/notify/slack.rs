//! Notices to Slack, over an incoming webhook.

use serde_json::json;

use super::{Notice, SendError, SlackChannel, post, secret, shortened};
use crate::egress::Egress;

/// The most characters of a message; Slack itself cuts at 40,000.
const TEXT_CHARS_MAX: usize = 8_000;

/// Posts a notice.
pub(super) async fn send(egress: &Egress, channel: &SlackChannel, notice: &Notice) -> Result<(), SendError> {
    let url = secret::read(channel.url.as_ref(), channel.url_file.as_deref()).await?;
    post::post(egress, url, post::body(&json!({"text": text(notice)})), []).await
}

/// The notice in Slack's own markup. What others wrote is only text: it mentions nobody and hides no link.
fn text(notice: &Notice) -> String {
    let details = notice.details().join("\n");
    let body = shortened(notice.body().chars(), TEXT_CHARS_MAX);
    format!("*{}*\n{}\n{}", escaped(&notice.subject()), escaped(&body), escaped(&details))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notice::sample;

    #[test]
    fn what_others_wrote_mentions_nobody_and_hides_no_link() {
        let text = text(&Notice { text: "<!channel> <https://evil.example|safe> & so on".to_owned(), ..sample() });
        assert!(text.starts_with("*Decision needed: Refund order 7*\n&lt;!channel&gt; &lt;https"), "{text}");
        assert!(text.contains("&amp; so on\nOptions: Pay, Refuse\n"), "{text}");
    }
}

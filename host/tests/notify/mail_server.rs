//! A mail server that speaks just enough SMTP, with the tricks of hostile ones.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// How a server behaves.
#[derive(Clone, Default)]
pub(super) struct Manners {
    /// Encrypts from the first byte.
    pub(super) implicit: bool,
    /// What it answers, by the first word of the command, in place of the usual.
    pub(super) answers: Vec<(&'static str, String)>,
}

/// A server on this machine, with what it was told: commands, and messages without their last dot.
pub(super) struct MailServer {
    pub(super) port: u16,
    told: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    pub(super) async fn start(acceptor: TlsAcceptor, manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), told: Arc::default() };
        let told = Arc::clone(&server.told);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = Connection { told: Arc::clone(&told), manners: manners.clone() };
                let acceptor = acceptor.clone();
                tokio::spawn(async move { connection.serve(stream, acceptor).await });
            }
        });
        server
    }

    pub(super) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

struct Connection {
    told: Arc<Mutex<Vec<String>>>,
    manners: Manners,
}

impl Connection {
    async fn serve(self, stream: TcpStream, acceptor: TlsAcceptor) {
        if self.manners.implicit {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            self.talk(stream, true, true).await;
            return;
        }
        if let Some(stream) = self.talk(stream, false, true).await {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            self.told.lock().unwrap().push("(encrypted)".to_owned());
            self.talk(stream, true, false).await;
        }
    }

    /// Talks until the client leaves; returns the stream if encryption is to begin.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, encrypted: bool, greets: bool) -> Option<S> {
        let mut stream = BufReader::new(stream);
        if greets {
            stream.write_all(self.answer("(greeting)", encrypted).as_bytes()).await.ok()?;
        }
        loop {
            let line = line(&mut stream).await?;
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            self.told.lock().unwrap().push(line);
            stream.write_all(self.answer(&word, encrypted).as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            match word.as_str() {
                "STARTTLS" => return Some(stream.into_inner()),
                "DATA" => self.message(&mut stream).await?,
                "QUIT" => return None,
                _ => {}
            }
        }
    }

    async fn message(&self, stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>) -> Option<()> {
        let mut message = String::new();
        loop {
            let line = line(stream).await?;
            if line == "." {
                break;
            }
            message.push_str(line.strip_prefix('.').unwrap_or(&line));
            message.push('\n');
        }
        self.told.lock().unwrap().push(message);
        stream.write_all(self.answer("(message)", true).as_bytes()).await.ok()
    }

    fn answer(&self, word: &str, encrypted: bool) -> String {
        if let Some((_, answer)) = self.manners.answers.iter().find(|(other, _)| *other == word) {
            return answer.clone();
        }
        match word {
            "(greeting)" => "220 mx.test ESMTP\r\n".to_owned(),
            "EHLO" if encrypted => "250-mx.test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n".to_owned(),
            "EHLO" => "250-mx.test\r\n250-8BITMIME\r\n250 STARTTLS\r\n".to_owned(),
            "STARTTLS" => "220 go on\r\n".to_owned(),
            "AUTH" => "235 welcome\r\n".to_owned(),
            "DATA" => "354 go on\r\n".to_owned(),
            "QUIT" => "221 bye\r\n".to_owned(),
            _ => "250 ok\r\n".to_owned(),
        }
    }
}

async fn line(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = String::new();
    let bytes = stream.read_line(&mut line).await.ok()?;
    (bytes > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

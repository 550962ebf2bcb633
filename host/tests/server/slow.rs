//! A4: clients that are slow on purpose do not keep others out.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use super::support::TestHost;

/// Connections of each kind of slow client.
const SLOW: usize = 400;
/// A head takes at most 10 s, a body 30 s; the rest is for a busy machine.
const CLOSED_AFTER_MAX: Duration = Duration::from_secs(45);

/// A connection from an address of its own.
async fn connect(from: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, from], 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// Sends `first`, then a byte of `drip` now and then, and says how long the host let it.
async fn drip(connection: TcpStream, first: Vec<u8>, drip: Option<u8>) -> Duration {
    let began = Instant::now();
    let (mut reading, mut writing) = connection.into_split();
    drop(writing.write_all(&first).await);
    let dripping = async {
        let mut turns = tokio::time::interval(Duration::from_secs(2));
        while let Some(byte) = drip {
            turns.tick().await;
            if writing.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let closed = async {
        let mut buffer = [0; 1024];
        while let Ok(1..) = reading.read(&mut buffer).await {}
    };
    tokio::select! {
        () = closed => {}
        () = dripping => {}
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_slow_clients_are_closed_and_others_are_served() {
    let host = TestHost::start().await;
    host.save(super::support::quick("w")).await;
    let token = host.running.token().token.clone();
    let head = format!("POST /api/workflows/w/execute HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n");
    let body = format!("{head}content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{");
    let kinds: [(u8, Vec<u8>, Option<u8>); 5] = [
        (2, Vec::new(), None),
        (3, head.into_bytes(), Some(b'a')),
        (4, b"PRI * HTTP/2.0\r\n".to_vec(), None),
        (5, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), None),
        (6, body.into_bytes(), Some(b' ')),
    ];
    let mut slow = JoinSet::new();
    for (from, first, byte) in kinds {
        // One after the other: a client that the kernel's full queue forgot, and that says nothing, never learns of it.
        for _ in 0..SLOW {
            slow.spawn(drip(connect(from, host.address).await, first.clone(), byte));
        }
    }
    let mut times = Vec::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(12) {
        let asked = Instant::now();
        assert_eq!(host.get("/api/workflows").await.status, 200);
        times.push(asked.elapsed());
    }
    times.sort();
    let p99 = times[times.len() * 99 / 100];
    assert!(p99 <= Duration::from_millis(500), "p99 of {} is {p99:?}", times.len());
    while let Some(closed) = slow.join_next().await {
        let after = closed.unwrap();
        assert!(after < CLOSED_AFTER_MAX, "a slow client was let for {after:?}");
    }
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_one_address_does_not_take_every_place() {
    let host = TestHost::start().await;
    let token = &host.running.token().token;
    let head =
        format!("GET /api/executions/{{id}}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    host.save(super::support::asking("asks", &["a"])).await;
    let id = host.execute("asks", json!({})).await;
    let mut streams = Vec::new();
    for _ in 0..200 {
        let mut stream = connect(7, host.address).await;
        stream.write_all(head.replace("{id}", &id).as_bytes()).await.unwrap();
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK", "{}", String::from_utf8_lossy(&first));
        streams.push(stream);
    }
    // Hundreds more that ask nothing: they give way to one another, and streams that are answered stay.
    let mut idle = Vec::new();
    for _ in 0..600 {
        idle.push(connect(7, host.address).await);
    }
    assert_eq!(host.get("/api/workflows").await.status, 200);
    let path = format!("/api/executions/{id}/cancel");
    assert_eq!(host.post(&path, &json!({})).await.status, 200);
    for mut stream in streams {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert!(rest.contains("execution_cancelled") || rest.contains("cancel"), "{rest}");
    }
    host.running.stop().await;
}

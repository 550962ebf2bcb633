//! Notices, up to the other side's ear.

mod mail;
mod mail_server;
mod webhooks;

use weir_engine::id::Timestamp;
use weir_host::{
    egress::{Egress, EgressConfig, Roots, SystemResolver},
    notify::{Notice, NoticeApproval, NoticeKind},
};

/// 2026-09-21T14:13:20Z.
const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

fn notice() -> Notice {
    Notice {
        id: "0190c0de-0000-7000-8000-000000000001".to_owned(),
        kind: NoticeKind::Requested,
        at: NOW,
        title: "Refund order 7".to_owned(),
        text: "Shall we?\n.\nA line with a dot, a letter ü.".to_owned(),
        link: Some("https://weir.example/approve".to_owned()),
        approval: NoticeApproval {
            id: "a1".to_owned(),
            workflow: "refund".to_owned(),
            execution_id: "e1".to_owned(),
            step_id: "ask".to_owned(),
            options: vec!["Pay".to_owned(), "Refuse".to_owned()],
            due: Some(NOW.plus_ms(3_600_000)),
        },
    }
}

/// A guard that lets through to this machine's ports and trusts these certificates.
fn egress(ports: &[u16], roots: Vec<Vec<u8>>) -> Egress {
    let allow = ports.iter().map(|port| format!("127.0.0.1:{port}").parse().unwrap()).collect();
    Egress::with(EgressConfig { allow, ..EgressConfig::default() }, Box::new(SystemResolver), Roots::Only(roots))
}

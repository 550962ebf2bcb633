//! R3: the answer that an execution is accepted leaves the host after its start is on disk.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use tokio::process::Command;
use weir_e2e::{Data, Host, host::send_signal, program};

use crate::sample;

/// How many starts are looked at, of each way to answer.
const STARTS: u64 = 100;

#[tokio::test]
async fn r3_w4_the_answer_comes_after_fdatasync() -> Result<()> {
    have_strace().await?;
    let data = Data::new()?;
    let trace = data.beside("trace");
    let mut strace = Command::new("strace");
    // -yy shows what a descriptor is; read and recvfrom show when a request came in.
    let calls = "trace=fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg,read,recvfrom";
    strace.args(["-f", "-yy", "-s", "80", "-e", calls, "-o"]).arg(&trace).arg(program::weir()?);
    let host = Host::start(strace, &data).await?;
    sample::install_guests(&host).await?;
    host.api.post("/api/workflows", &sample::asking()).await?;
    host.api.post("/api/workflows", &sample::chain()).await?;
    let hook = sample::hook(&host).await?;
    for n in 0..STARTS {
        let body = json!({ "input_data": { "n": n } });
        let answer = host.api.try_post("/api/workflows/asking/execute", &body).await?;
        ensure!(answer.status == 202, "the host answered {}: {}", answer.status, answer.text);
        let answer = host.api.try_post("/api/workflows/chain/execute?wait=30", &body).await?;
        ensure!(answer.status == 200, "the host answered {}: {}", answer.status, answer.text);
        // W4: a webhook is answered no earlier.
        let answer = hook.send(&format!("delivery-{n}"), &body).await?;
        ensure!(answer.status == 202, "the host answered {}: {}", answer.status, answer.text);
    }
    let text = std::fs::read_to_string(&trace).context("reading the trace")?;
    let traced = text.split_whitespace().next().context("an empty trace")?;
    send_signal(traced.parse().context("reading the host's process in the trace")?, Signal::TERM)?;
    ensure!(host.wait().await?.success(), "the host did not stop well");
    ensure!(in_order(&text, "asking/execute", "HTTP/1.1 202")? == STARTS, "some starts are missing in the trace");
    ensure!(in_order(&text, "chain/execute", "HTTP/1.1 200")? == STARTS, "some starts are missing in the trace");
    ensure!(in_order(&text, "/webhooks/hook", "HTTP/1.1 202")? == STARTS, "some webhooks are missing in the trace");
    Ok(())
}

/// Counts the requests whose answer came after a write to the log and the end of its sync.
fn in_order(trace: &str, request: &str, answer: &str) -> Result<u64> {
    let (mut requests, mut answers) = (0, 0);
    let (mut written, mut synced, mut open) = (false, false, false);
    // A call that another thread interrupts stands in two lines; the first names the file.
    let mut syncing = std::collections::HashSet::new();
    for line in trace.lines() {
        let thread = line.split_whitespace().next().unwrap_or_default();
        if line.contains(request) && line.contains("POST /") {
            (requests, written, synced, open) = (requests + 1, false, false, true);
        } else if line.contains("pwrite64(") && line.contains("-wal>") {
            (written, synced) = (true, false);
        } else if is_sync(line) && line.contains("-wal>") {
            if line.ends_with("= 0") {
                synced = written;
            } else {
                syncing.insert(thread.to_owned());
            }
        } else if line.contains("sync resumed>") && syncing.remove(thread) {
            ensure!(line.ends_with("= 0"), "a sync failed: {line}");
            synced = written;
        } else if open && line.contains(answer) {
            ensure!(synced, "answer {} left before its start was synced: {line}", answers + 1);
            (answers, open) = (answers + 1, false);
        }
    }
    ensure!(requests == answers, "{requests} requests, but {answers} answers in the trace");
    Ok(answers)
}

/// Whether a line begins a sync; SQLite uses the one or the other by how it was built.
fn is_sync(line: &str) -> bool {
    line.contains(" fdatasync(") || line.contains(" fsync(")
}

/// Installs strace where it is missing.
async fn have_strace() -> Result<()> {
    let is_there = || async {
        let version = Command::new("strace").arg("--version").stdout(Stdio::null()).status().await;
        version.is_ok_and(|status| status.success())
    };
    if is_there().await {
        return Ok(());
    }
    for arguments in [&["update"][..], &["install", "-y", "strace"]] {
        drop(Command::new("apt-get").args(arguments).stdout(Stdio::null()).status().await);
    }
    ensure!(is_there().await, "this test needs strace, and `apt-get install strace` did not help: install it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r3_an_early_answer_is_noticed() {
        let request = "1 read(9<TCP:[a->b]>, \"POST /api/workflows/asking/execute\", 8192) = 40\n";
        let write = "2 pwrite64(7</d/weir.db-wal>, \"x\", 24, 0) = 24\n";
        let answer = "1 writev(9<TCP:[b->a]>, [{iov_base=\"HTTP/1.1 202 Accepted\"}], 1) = 90\n";
        let begun = "2 fdatasync(7</d/weir.db-wal> <unfinished ...>\n";
        let ended = "2 <... fdatasync resumed>) = 0\n";
        let count = |lines: &[&str]| in_order(&lines.concat(), "asking/execute", "HTTP/1.1 202");
        assert_eq!(count(&[request, write, begun, ended, answer]).unwrap(), 1);
        assert!(count(&[request, write, begun, answer, ended]).is_err());
        assert!(count(&[request, write, answer]).is_err());
        assert!(count(&[request, answer, write, begun, ended]).is_err());
    }
}

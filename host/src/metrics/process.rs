//! The process itself, by the names that others use for it too. Where there is no `/proc`, it says nothing.

use std::{
    fs,
    sync::atomic::AtomicU64,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::registered;

/// What is told of the process.
pub(super) struct Process {
    memory: Gauge,
    files: Gauge,
    files_max: Gauge,
    cpu: Counter<f64, AtomicU64>,
}

impl Process {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (memory, cpu) = (Gauge::default(), Counter::default());
        registry.register_with_unit("process_resident_memory", "memory in use", Unit::Bytes, memory.clone());
        registry.register_with_unit("process_cpu", "processor time used", Unit::Seconds, cpu.clone());
        let started: Gauge<f64, AtomicU64> = Gauge::default();
        started.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        registry.register_with_unit("process_start_time", "when it began, since 1970", Unit::Seconds, started);
        Self {
            memory,
            cpu,
            files: registered(registry, "process_open_fds", "open files and connections", Gauge::default()),
            files_max: registered(registry, "process_max_fds", "how many there may be", Gauge::default()),
        }
    }

    /// Looks how the process is.
    pub(super) fn look(&self) {
        if let Some(pages) = word("/proc/self/statm", 1) {
            let page = u64::try_from(rustix::param::page_size()).unwrap_or(u64::MAX);
            self.memory.set(i64::try_from(pages.saturating_mul(page)).unwrap_or(i64::MAX));
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The listing itself is one of them.
            self.files.set(i64::try_from(open.count().saturating_sub(1)).unwrap_or(i64::MAX));
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        self.files_max.set(i64::try_from(limit).unwrap_or(i64::MAX));
        if let Some(seconds) = cpu_seconds() {
            let more = seconds - self.cpu.get();
            if more > 0.0 {
                self.cpu.inc_by(more);
            }
        }
    }
}

fn word(path: &str, n: usize) -> Option<u64> {
    fs::read_to_string(path).ok()?.split_ascii_whitespace().nth(n)?.parse().ok()
}

/// Processor time of all threads. In `/proc/self/stat` the program's name stands in brackets and may hold anything; the
/// numbers after it are counted from the state, the third field.
#[expect(clippy::cast_precision_loss, reason = "seconds are told to a hundredth")]
fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64)
}

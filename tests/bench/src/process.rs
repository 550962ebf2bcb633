//! What the kernel tells about a process: memory, processor time, bytes written.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use anyhow::{Context, Result};

use crate::numbers::{float, float64};

/// Counters of a process at one moment.
pub(crate) struct Snapshot {
    at: Instant,
    user_ticks: u64,
    system_ticks: u64,
    threads: BTreeMap<String, u64>,
    written_bytes: u64,
    /// Of this program, which makes the load.
    own_ticks: u64,
    /// Of everything on this machine.
    machine_ticks: u64,
}

/// What a process did between two moments.
pub(crate) struct Activity {
    seconds: f64,
    user_seconds: f64,
    system_seconds: f64,
    /// Processor seconds of all threads of a name, the busiest first.
    threads: Vec<(String, f64)>,
    own_seconds: f64,
    machine_seconds: f64,
    processors: f64,
    /// Bytes that went to the disk.
    pub(crate) written_bytes: f64,
}

impl Snapshot {
    /// Reads the counters of the process `pid`.
    pub(crate) fn take(pid: u32) -> Result<Self> {
        let folder = format!("/proc/{pid}");
        let (_, user_ticks, system_ticks) = ticks(Path::new(&folder))?;
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(format!("{folder}/task")).context("listing the server's threads")? {
            // A thread may end between the listing and the reading.
            if let Ok((name, user, system)) = ticks(&thread?.path()) {
                *threads.entry(name).or_default() += user + system;
            }
        }
        let written_bytes = field(&format!("{folder}/io"), "write_bytes:")?;
        let (_, own_user, own_system) = ticks(Path::new("/proc/self"))?;
        Ok(Self {
            at: Instant::now(),
            user_ticks,
            system_ticks,
            threads,
            written_bytes,
            own_ticks: own_user + own_system,
            machine_ticks: machine_ticks()?,
        })
    }

    /// What happened since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Activity {
        let second = float64(rustix::param::clock_ticks_per_second());
        let seconds = |now: u64, before: u64| float64(now.saturating_sub(before)) / second;
        let before = |name: &str| earlier.threads.get(name).copied().unwrap_or(0);
        let mut threads: Vec<_> =
            self.threads.iter().map(|(name, &now)| (name.clone(), seconds(now, before(name)))).collect();
        threads.retain(|(_, busy)| *busy > 0.0);
        threads.sort_by(|a, b| b.1.total_cmp(&a.1));
        Activity {
            seconds: self.at.duration_since(earlier.at).as_secs_f64(),
            user_seconds: seconds(self.user_ticks, earlier.user_ticks),
            system_seconds: seconds(self.system_ticks, earlier.system_ticks),
            threads,
            own_seconds: seconds(self.own_ticks, earlier.own_ticks),
            machine_seconds: seconds(self.machine_ticks, earlier.machine_ticks),
            processors: float(std::thread::available_parallelism().map_or(1, usize::from)),
            written_bytes: float64(self.written_bytes.saturating_sub(earlier.written_bytes)),
        }
    }
}

impl Activity {
    /// Processor time of the server for each of `count` things, in microseconds: it depends less than others on what
    /// else the machine does.
    pub(crate) fn cpu_us(&self, count: usize) -> f64 {
        (self.user_seconds + self.system_seconds) * 1e6 / float(count.max(1))
    }

    /// How busy the server and this program kept all processors, from 0 to 1. What else the machine did does not count:
    /// it would be an excuse for both.
    pub(crate) fn busy(&self) -> f64 {
        (self.user_seconds + self.system_seconds + self.own_seconds) / self.seconds / self.processors
    }

    /// Where the processor time of `count` things went, in one line.
    pub(crate) fn profile(&self, count: usize) -> String {
        let busy = self.user_seconds + self.system_seconds;
        let each = |seconds: f64| seconds * 1e6 / float(count.max(1));
        let share = |(name, seconds): &(String, f64)| format!("{name} {:.0} %", 100.0 * seconds / busy.max(1e-9));
        let threads: Vec<_> = self.threads.iter().take(4).map(share).collect();
        format!(
            "server {:.1} µs CPU each ({:.1} user, {:.1} system; {}), load generator {:.1} µs; cores busy: {:.2} server, \
             {:.2} load generator, {:.2} in all",
            each(busy),
            each(self.user_seconds),
            each(self.system_seconds),
            threads.join(", "),
            each(self.own_seconds),
            busy / self.seconds,
            self.own_seconds / self.seconds,
            self.machine_seconds / self.seconds,
        )
    }
}

/// Name, user ticks and system ticks from a `stat` file.
fn ticks(folder: &Path) -> Result<(String, u64, u64)> {
    let text = fs::read_to_string(folder.join("stat")).context("reading processor times")?;
    parse_stat(&text).context("understanding processor times")
}

/// Busy ticks of all processors: user, nice, system, interrupts.
fn machine_ticks() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat").context("reading the machine's processor times")?;
    let line = text.lines().next().context("finding the machine's processor times")?;
    let times: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // The fourth and fifth are idle time.
    Ok(times.iter().take(7).enumerate().filter(|(i, _)| !(3..=4).contains(i)).map(|(_, ticks)| ticks).sum())
}

fn parse_stat(text: &str) -> Option<(String, u64, u64)> {
    // The name stands in parentheses and may hold anything, a closing parenthesis included.
    let (start, rest) = text.rsplit_once(") ")?;
    let name = start.split_once('(')?.1;
    let fields: Vec<_> = rest.split(' ').collect();
    Some((name.to_owned(), fields.get(11)?.parse().ok()?, fields.get(12)?.parse().ok()?))
}

/// The number after `name` in a file of lines.
fn field(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse().ok());
    number.with_context(|| format!("finding {name} in {path}"))
}

/// Resident memory of a process, in MiB.
pub(crate) fn rss_mb(pid: u32) -> Result<f64> {
    Ok(float64(field(&format!("/proc/{pid}/status"), "VmRSS:")?) / 1024.0)
}

/// The most resident memory that a process ever had, or had since [`forget_peak`], in MiB.
pub(crate) fn peak_rss_mb(pid: u32) -> Result<f64> {
    Ok(float64(field(&format!("/proc/{pid}/status"), "VmHWM:")?) / 1024.0)
}

/// Makes the present memory the peak.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("resetting the peak of the server's memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse_the_times() {
        let text = "7 (a) (b) S 1 7 7 0 -1 4194560 1 2 3 4 55 66 0 0 20 0";
        assert_eq!(parse_stat(text), Some(("a) (b".to_owned(), 55, 66)));
    }

    #[test]
    fn this_process_has_counters() {
        let pid = std::process::id();
        let before = Snapshot::take(pid).unwrap();
        assert!(Snapshot::take(pid).unwrap().since(&before).seconds >= 0.0);
        forget_peak(pid).unwrap();
        assert!(peak_rss_mb(pid).unwrap() >= 1.0 && rss_mb(pid).unwrap() >= 1.0);
    }
}

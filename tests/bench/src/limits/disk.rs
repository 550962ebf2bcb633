//! How fast the disk makes a small write durable.

use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::numbers;

/// The median time to append 4 KiB to a file in `folder` and have it on the disk.
pub(crate) fn fdatasync_p50(folder: &Path, count: usize) -> Result<Duration> {
    let path = folder.join("fdatasync");
    let mut file = File::create(&path).context("making a file to sync")?;
    let page = [7_u8; 4096];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        file.write_all(&page).context("writing a page")?;
        file.sync_data().context("syncing a page")?;
        times.push(start.elapsed());
    }
    std::fs::remove_file(path).context("removing the file that was synced")?;
    Ok(numbers::median(&mut times))
}

//! How fast the disk makes a small write durable.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::numbers;

/// Bytes of one write.
const PAGE: u64 = 4096;
/// Pages of the file: written in turn, over and over.
const PAGES: u64 = 256;

/// The median time to overwrite 4 KiB of a file in `folder` and have it on the disk. Overwriting, not appending: that is
/// what a database does whose log starts again at its beginning, and it does not wait for the file system's journal.
pub(crate) fn fdatasync_p50(folder: &Path, count: usize) -> Result<Duration> {
    let path = folder.join("fdatasync");
    let mut file = File::create(&path).context("making a file to sync")?;
    let page = [7_u8; PAGE as usize];
    for _ in 0..PAGES {
        file.write_all(&page).context("filling a file to sync")?;
    }
    file.sync_all().context("syncing a file")?;
    let mut times = Vec::with_capacity(count);
    for number in (0..PAGES).cycle().take(count) {
        let start = Instant::now();
        file.write_all_at(&page, number * PAGE).context("writing a page")?;
        file.sync_data().context("syncing a page")?;
        times.push(start.elapsed());
    }
    std::fs::remove_file(path).context("removing the file that was synced")?;
    Ok(numbers::median(&mut times))
}

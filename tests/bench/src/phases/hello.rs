//! The HTTP library with nothing behind it, under the same load.

use anyhow::Result;

use super::Bench;
use crate::{limits::hello::Hello, workload};

impl Bench {
    /// Measures the hello.
    pub(crate) async fn measure_hello(&mut self) -> Result<()> {
        let hello = Hello::start().await?;
        let (body, time_max) = (workload::message_body(), self.sizes.time_max);
        let count = self.sizes.chains_at_256;
        hello.load(32, self.sizes.warm_up, &body, time_max).await?;
        let at_32 = hello.load(32, count, &body, time_max).await?;
        let at_256 = hello.load(256, count, &body, time_max).await?;
        self.report.add("axum_hello_per_s", at_256.per_second(), "1/s");
        self.report.add("axum_hello_c32_per_s", at_32.per_second(), "1/s");
        Ok(())
    }
}

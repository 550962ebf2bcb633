//! One call of a plugin in a fresh instance.

use anyhow::Result;

use super::Bench;
use crate::{limits::wasm, numbers::us, workload};

impl Bench {
    /// Measures calls.
    pub(crate) async fn measure_calls(&mut self) -> Result<()> {
        let bare = wasm::bare_call(&self.component, &workload::message_body(), self.sizes.calls).await?;
        self.report.add("bare_call_us", us(bare.call), "µs");
        self.report.add("bare_instantiate_us", us(bare.instantiate), "µs");
        self.report.add("bare_run_us", us(bare.run), "µs");
        self.report.add("bare_drop_us", us(bare.drop), "µs");
        Ok(())
    }
}

//! A durable store of small JSON documents, private to the plugin. It has to be asked for (`asks: { kv: true }`) and
//! granted; without that each of these functions answers [`Failure::Denied`].
//!
//! Several calls may run at a time, so what depends on what was there is written by [`compare_and_set`], or by
//! [`update`], which tries again where another call was faster.
//!
//! ```
//! use weir_sdk::{kv::{self, Space}, testing::Host};
//!
//! let ran = Host::new().run(|| {
//!     kv::update(Space::Plugin, "seen", |seen: Option<u64>| Some(seen.unwrap_or(0) + 1))?;
//!     kv::get::<u64>(Space::Plugin, "seen")
//! });
//! assert_eq!(ran.result, Ok(Some(1)));
//! ```

use crate::{Failure, dispatch, host};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How often [`update`] tries before it gives up.
const UPDATES_MAX: u32 = 32;

/// Who shares a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// All calls of this plugin, whatever workflow they are part of.
    Plugin,
    /// All calls of this plugin in this workflow.
    Workflow,
}

/// The document under a key; `None` where there is none.
///
/// Fails with [`Failure::Failed`] where it is not of the wanted type.
pub fn get<T: DeserializeOwned>(space: Space, key: &str) -> Result<Option<T>, Failure> {
    host::kv_get(space, key)?.map(|text| read(key, &text)).transpose()
}

/// Writes a document under a key.
pub fn set<T: Serialize + ?Sized>(space: Space, key: &str, value: &T) -> Result<(), Failure> {
    host::kv_set(space, key, &write(key, value)?)
}

/// Takes the document under a key away; says whether there was one.
pub fn delete(space: Space, key: &str) -> Result<bool, Failure> {
    host::kv_delete(space, key)
}

/// Writes `value`, or takes the document away for `None`, if the document under the key equals `expected` (`None`: there
/// is none); says whether it did.
pub fn compare_and_set<T: Serialize + ?Sized>(
    space: Space,
    key: &str,
    expected: Option<&T>,
    value: Option<&T>,
) -> Result<bool, Failure> {
    let expected = expected.map(|expected| write(key, expected)).transpose()?;
    let value = value.map(|value| write(key, value)).transpose()?;
    host::kv_compare_and_set(space, key, expected.as_deref(), value.as_deref())
}

/// Replaces the document under a key by what `change` makes of it, `None` for no document, and answers that.
///
/// The change may run several times: where another call wrote in between, it is given what that call wrote. Fails with
/// [`Failure::Unavailable`] after 32 tries.
pub fn update<T: Serialize + DeserializeOwned>(
    space: Space,
    key: &str,
    mut change: impl FnMut(Option<T>) -> Option<T>,
) -> Result<Option<T>, Failure> {
    for _ in 0..UPDATES_MAX {
        let before = host::kv_get(space, key)?;
        let changed = change(before.as_deref().map(|text| read(key, text)).transpose()?);
        let after = changed.as_ref().map(|value| write(key, value)).transpose()?;
        if before == after || host::kv_compare_and_set(space, key, before.as_deref(), after.as_deref())? {
            return Ok(changed);
        }
    }
    Err(Failure::unavailable(format!("could not update {key:?}: other calls wrote it {UPDATES_MAX} times; try later")))
}

/// The keys that begin with `prefix` and come after `after`, in order, at most 1,000: the last of them is the next `after`.
pub fn keys(space: Space, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Failure> {
    host::kv_keys(space, prefix, after)
}

fn write<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::failed(format!("could not write the document {key:?} as JSON: {error}")))
}

fn read<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, Failure> {
    dispatch::decode("document", text)
        .map_err(|failure| Failure::failed(format!("could not read the document {key:?}: {}", failure.message())))
}

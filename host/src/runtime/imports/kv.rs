//! `weir:plugin/kv`: small documents that outlive the call.

use serde::de::DeserializeOwned;
use weir_engine::json::Json;

use super::{CallState, unreadable};
use crate::runtime::{
    Effect, KvEntry, KvOperation, KvSpace,
    bindings::weir::plugin::{
        kv::{Host, Space},
        types::Failure,
    },
    limits::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX},
};

type Answer<T> = wasmtime::Result<Result<T, Failure>>;

impl Host for CallState {
    async fn get(&mut self, space: Space, key: String) -> Answer<Option<String>> {
        self.count(key.len())?;
        let operation = checked_key(key).map(|key| KvOperation::Get { space: shared(space), key });
        let entry: Result<Option<KvEntry>, _> = self.perform(operation).await?;
        Ok(entry.map(|entry| entry.map(|entry| entry.value.text().to_owned())))
    }

    async fn set(&mut self, space: Space, key: String, value: String) -> Answer<()> {
        self.count(key.len() + value.len())?;
        let operation = checked_key(key).and_then(|key| {
            let value = checked_value(value)?;
            Ok(KvOperation::Set { space: shared(space), key, value })
        });
        self.perform(operation).await
    }

    async fn delete(&mut self, space: Space, key: String) -> Answer<bool> {
        self.count(key.len())?;
        let operation = checked_key(key).map(|key| KvOperation::Delete { space: shared(space), key });
        self.perform(operation).await
    }

    async fn compare_and_set(
        &mut self,
        space: Space,
        key: String,
        expected: Option<String>,
        value: Option<String>,
    ) -> Answer<bool> {
        let bytes = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.count(key.len() + bytes(&expected) + bytes(&value))?;
        let operation = checked_key(key).and_then(|key| {
            let expected = expected.map(checked_value).transpose()?;
            let value = value.map(checked_value).transpose()?;
            Ok(KvOperation::CompareAndSet { space: shared(space), key, expected, value })
        });
        self.perform(operation).await
    }

    async fn keys(&mut self, space: Space, prefix: String, after: Option<String>) -> Answer<Vec<String>> {
        self.count(prefix.len() + after.as_ref().map_or(0, String::len))?;
        let operation = checked_key(prefix).and_then(|prefix| {
            let after = after.map(checked_key).transpose()?;
            Ok(KvOperation::Keys { space: shared(space), prefix, after })
        });
        self.perform(operation).await
    }
}

impl CallState {
    async fn perform<T: DeserializeOwned>(&mut self, operation: Result<KvOperation, Failure>) -> Answer<T> {
        let operation = match operation {
            Ok(operation) => operation,
            Err(failure) => return Ok(Err(failure)),
        };
        let answer = self.effect(Effect::Kv(operation)).await?;
        Ok(answer.and_then(|answer| {
            serde_json::from_str(answer.text()).map_err(|error| unreadable("an operation on documents", &error))
        }))
    }
}

fn shared(space: Space) -> KvSpace {
    match space {
        Space::Plugin => KvSpace::Plugin,
        Space::Workflow => KvSpace::Workflow,
    }
}

fn checked_key(key: String) -> Result<String, Failure> {
    if key.len() > KV_KEY_BYTES_MAX {
        return Err(Failure::InvalidInput(format!("a key has {} bytes; the most is {KV_KEY_BYTES_MAX}", key.len())));
    }
    Ok(key)
}

fn checked_value(value: String) -> Result<Json, Failure> {
    if value.len() > KV_VALUE_BYTES_MAX {
        let message = format!("a document has {} bytes; the most is {KV_VALUE_BYTES_MAX}", value.len());
        return Err(Failure::InvalidInput(message));
    }
    Json::parse(value).map_err(|error| Failure::InvalidInput(format!("a document is {error}")))
}

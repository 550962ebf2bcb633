//! Plugins: rows here, components as files named by their digest.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::json;
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use weir_engine::{id::Timestamp, json::Json};

use super::{
    Store, StoreError,
    bus::{self, NewBusEvent},
    columns::{Columns, signed},
    directory::{TEMPORARY_PREFIX, file_error, write_whole},
    error::database,
    grants::{self, FirstGrant, GrantRow},
    interest::HostEvent,
    kv, now,
    precedence::Precedence,
    queries,
};
use crate::{
    grants::{Asks, Granted},
    hex::sha256_hex,
};

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginRow {
    /// Its name.
    pub name: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// SHA-256 of the component, in hex.
    pub digest: Arc<str>,
    /// What it offers.
    pub descriptor: Json,
    /// Size of the component.
    pub size_bytes: u64,
    /// What it imports.
    pub imports: Vec<String>,
    /// Whether new executions may use it.
    pub enabled: bool,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// Who installed it.
    pub installed_by: String,
}

/// A plugin to install; it was validated.
#[derive(Debug, Clone)]
pub struct NewPlugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of `bytes`, in hex; checked.
    pub digest: String,
    /// What it offers.
    pub descriptor: Json,
    /// What it imports.
    pub imports: Vec<String>,
    /// The component.
    pub bytes: bytes::Bytes,
    /// Who installs it.
    pub installed_by: String,
}

/// What installing did.
#[derive(Debug, Clone, PartialEq)]
pub struct Installed {
    /// The row.
    pub plugin: PluginRow,
    /// Whether it was installed now: not where the same version with the same bytes was there before.
    pub new: bool,
}

impl Store {
    /// Installs a version of a plugin, which gets what the newest version before is granted, as far as it asks for that.
    ///
    /// # Errors
    /// As [`Store::install_plugin_with`].
    pub async fn install_plugin(&self, new: NewPlugin) -> Result<Installed, StoreError> {
        self.install_plugin_with(new, FirstGrant::CarriedOver).await
    }

    /// Installs a version of a plugin: first its file is on disk, then its row, together with what it is granted. For one
    /// that is there, [`FirstGrant::All`] still grants all.
    ///
    /// # Errors
    /// [`StoreError::VersionTaken`]; the digest is wrong; the file or the database cannot be written.
    pub async fn install_plugin_with(&self, new: NewPlugin, first: FirstGrant) -> Result<Installed, StoreError> {
        let store = self.clone();
        detached(async move { store.install(new, first).await }).await
    }

    async fn install(&self, new: NewPlugin, first: FirstGrant) -> Result<Installed, StoreError> {
        let _guard = self.inner.plugin_files.lock().await;
        if let Some(plugin) = self.installed(&new).await? {
            if first == FirstGrant::All {
                self.grant_rest(&plugin, new.installed_by).await?;
            }
            return Ok(Installed { plugin, new: false });
        }
        let (plugin, bytes) = row(new);
        let (path, wanted) = (self.component(&plugin.digest)?, Arc::clone(&plugin.digest));
        blocking(move || write_component(&path, &bytes, &wanted)).await?;
        let row = plugin.clone();
        let tells = self.interest().wants(HostEvent::PluginInstalled);
        let news = tells.then(|| installed_event(&plugin));
        let grant = self.write(move |connection| Box::pin(insert(connection, row, first, news))).await?;
        self.inner.grants.set(Arc::clone(&plugin.digest), grant.granted);
        if tells {
            self.inner.news.tell();
        }
        Ok(Installed { plugin, new: true })
    }

    /// Grants all that a version asks for, unless it has that.
    async fn grant_rest(&self, plugin: &PluginRow, by: String) -> Result<(), StoreError> {
        let asks = Asks::of_installed(plugin.descriptor.value());
        if asks.exceeds(&self.inner.grants.of(&plugin.digest)) {
            self.grant_now(plugin, GrantRow::decided(Granted::all(&asks), by)).await?;
        }
        Ok(())
    }

    /// Every version of every plugin: by name, then the newest installed first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn plugins(&self) -> Result<Vec<PluginRow>, StoreError> {
        let rows = sqlx::query(queries::PLUGINS).fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("list plugins", e))?.iter().map(plugin_row).collect()
    }

    /// The enabled versions that a catalog offers: by name, then the highest version first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn enabled_plugins(&self) -> Result<Vec<PluginRow>, StoreError> {
        let mut plugins = self.plugins().await?;
        plugins.retain(|plugin| plugin.enabled);
        plugins.sort_by_cached_key(|plugin| (Arc::clone(&plugin.name), Reverse(Precedence::of(&plugin.version))));
        Ok(plugins)
    }

    /// A plugin: this version, or the highest enabled one, or, if none is enabled, the highest.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn plugin(&self, name: &str, version: Option<&str>) -> Result<Option<PluginRow>, StoreError> {
        if let Some(version) = version {
            let query = sqlx::query(queries::PLUGIN).bind(name).bind(version);
            let row = query.fetch_optional(&self.inner.readers).await.map_err(|e| database("read a plugin", e))?;
            return row.as_ref().map(plugin_row).transpose();
        }
        let rows = sqlx::query(queries::PLUGINS_OF_NAME).bind(name).fetch_all(&self.inner.readers).await;
        let rows = rows.map_err(|e| database("read a plugin", e))?;
        let plugins = rows.iter().map(plugin_row).collect::<Result<Vec<_>, _>>()?;
        Ok(plugins.into_iter().max_by_key(|plugin| (plugin.enabled, Precedence::of(&plugin.version))))
    }

    /// Switches a version on or off for executions to come.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the database cannot be written.
    pub async fn set_plugin_enabled(&self, name: &str, version: &str, enabled: bool) -> Result<PluginRow, StoreError> {
        let (name, version) = (name.to_owned(), version.to_owned());
        self.write(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(queries::ENABLE_PLUGIN).bind(enabled).bind(&name).bind(&version);
                query.execute(&mut *connection).await.map_err(|e| database("switch a plugin on or off", e))?;
                one(connection, &name, &version).await
            })
        })
        .await
    }

    /// Deletes a version that no unfinished execution is pinned to: first its row, then its file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::InUse`]; the database cannot be written.
    pub async fn delete_plugin(&self, name: &str, version: &str) -> Result<(), StoreError> {
        let (store, name, version) = (self.clone(), name.to_owned(), version.to_owned());
        detached(async move { store.delete(name, version).await }).await
    }

    async fn delete(&self, name: String, version: String) -> Result<(), StoreError> {
        let _guard = self.inner.plugin_files.lock().await;
        let digest = self.write(move |connection| Box::pin(delete(connection, name, version))).await?;
        self.inner.grants.remove(&digest);
        let path = self.component(&digest)?;
        // What stays behind here is removed at the next start.
        drop(tokio::fs::remove_file(path).await);
        Ok(())
    }

    /// Where the component with this digest lies; `None` where the digest is not 64 hexadecimal digits.
    #[must_use]
    pub fn plugin_path(&self, digest: &str) -> Option<PathBuf> {
        is_digest(digest).then(|| self.inner.directory.plugins().join(format!("{digest}.wasm")))
    }

    /// Removes files that an installation or a deletion left behind when the host stopped.
    pub(super) async fn sweep_plugins(&self) -> Result<(), StoreError> {
        let rows = sqlx::query_scalar::<_, String>(queries::PLUGIN_DIGESTS).fetch_all(&self.inner.readers).await;
        let known: BTreeSet<String> = rows.map_err(|e| database("list plugins", e))?.into_iter().collect();
        let folder = self.inner.directory.plugins();
        blocking(move || sweep(&folder, &known)).await
    }

    fn component(&self, digest: &str) -> Result<PathBuf, StoreError> {
        self.plugin_path(digest).ok_or_else(|| wrong_digest(digest))
    }

    /// The row of the same version, if its bytes are the same.
    async fn installed(&self, new: &NewPlugin) -> Result<Option<PluginRow>, StoreError> {
        let known = self.plugin(&new.name, Some(&new.version)).await?;
        if known.as_ref().is_some_and(|known| *known.digest != *new.digest) {
            return Err(StoreError::VersionTaken { name: new.name.clone(), version: new.version.clone() });
        }
        Ok(known)
    }
}

/// Does something to its end, though whoever asks goes meanwhile: what is in memory follows what was committed.
pub(super) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(work).await.map_err(|_| StoreError::Closed)?
}

/// The row of a plugin that is installed now, and its component.
fn row(new: NewPlugin) -> (PluginRow, bytes::Bytes) {
    let plugin = PluginRow {
        name: new.name.into(),
        version: new.version.into(),
        digest: new.digest.into(),
        descriptor: new.descriptor,
        size_bytes: new.bytes.len() as u64,
        imports: new.imports,
        enabled: true,
        installed_at: now(),
        installed_by: new.installed_by,
    };
    (plugin, new.bytes)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)?
}

fn write_component(path: &Path, bytes: &[u8], wanted: &str) -> Result<(), StoreError> {
    if sha256_hex(bytes) != wanted {
        return Err(wrong_digest(wanted));
    }
    write_whole(path, bytes)
}

fn sweep(folder: &Path, known: &BTreeSet<String>) -> Result<(), StoreError> {
    let entries = std::fs::read_dir(folder).map_err(|e| file_error("list", folder, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| file_error("list", folder, e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let orphan = name.strip_suffix(".wasm").is_some_and(|digest| is_digest(digest) && !known.contains(digest));
        if orphan || name.starts_with(TEMPORARY_PREFIX) {
            std::fs::remove_file(entry.path()).map_err(|e| file_error("remove", &entry.path(), e))?;
        }
    }
    Ok(())
}

/// What the host tells of a plugin that was installed.
fn installed_event(plugin: &PluginRow) -> NewBusEvent {
    let PluginRow { name, version, digest, installed_by, .. } = plugin;
    let data = json!({ "plugin": name, "version": version, "digest": digest, "installed_by": installed_by });
    let (at, subject) = (plugin.installed_at, format!("{name}@{version}"));
    // A version that was deleted can be installed again.
    NewBusEvent::of_host(HostEvent::PluginInstalled, &format!("{subject}/{}", at.0), &subject, at, data)
}

async fn insert(
    connection: &mut SqliteConnection,
    plugin: PluginRow,
    first: FirstGrant,
    news: Option<NewBusEvent>,
) -> Result<GrantRow, StoreError> {
    let imports = serde_json::Value::from(plugin.imports.as_slice()).to_string();
    let query = sqlx::query(queries::INSERT_PLUGIN)
        .bind(&*plugin.name)
        .bind(&*plugin.version)
        .bind(&*plugin.digest)
        .bind(plugin.descriptor.text())
        .bind(signed(plugin.size_bytes))
        .bind(imports)
        .bind(plugin.enabled)
        .bind(plugin.installed_at.0)
        .bind(&plugin.installed_by);
    query.execute(&mut *connection).await.map_err(|e| database("install a plugin", e))?;
    let grant = grants::first(connection, &plugin, first).await?;
    if let Some(news) = news {
        bus::record(connection, &news).await?;
    }
    Ok(grant)
}

async fn one(connection: &mut SqliteConnection, name: &str, version: &str) -> Result<PluginRow, StoreError> {
    let query = sqlx::query(queries::PLUGIN).bind(name).bind(version);
    let row = query.fetch_optional(connection).await.map_err(|e| database("read a plugin", e))?;
    let row = row.ok_or_else(|| StoreError::NotFound { noun: "plugin", name: format!("{name}@{version}") })?;
    plugin_row(&row)
}

/// Deletes the row and answers its digest.
async fn delete(connection: &mut SqliteConnection, name: String, version: String) -> Result<Arc<str>, StoreError> {
    let plugin = one(&mut *connection, &name, &version).await?;
    let query = sqlx::query_scalar::<_, i64>(queries::PLUGIN_USERS).bind(&*plugin.digest);
    let users = query.fetch_one(&mut *connection).await.map_err(|e| database("look for users of a plugin", e))?;
    if users > 0 {
        return Err(StoreError::InUse { name, version, executions: usize::try_from(users).unwrap_or_default() });
    }
    let query = sqlx::query(queries::DELETE_PLUGIN).bind(&name).bind(version);
    query.execute(&mut *connection).await.map_err(|e| database("delete a plugin", e))?;
    grants::delete(&mut *connection, &plugin.digest).await?;
    kv::forget_plugin(connection, &name).await?;
    Ok(plugin.digest)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn wrong_digest(digest: &str) -> StoreError {
    StoreError::Corrupt { what: format!("plugin {digest}"), reason: "its bytes have another digest".to_owned() }
}

pub(super) fn plugin_row(row: &SqliteRow) -> Result<PluginRow, StoreError> {
    let mut columns = Columns::new(row, "a plugin");
    Ok(PluginRow {
        name: columns.text()?,
        version: columns.text()?,
        digest: columns.text()?,
        descriptor: columns.json()?,
        size_bytes: columns.number()?,
        imports: columns.json()?,
        enabled: columns.next()?,
        installed_at: columns.time()?,
        installed_by: columns.next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digests_name_files() {
        assert!(is_digest(&"0a".repeat(32)));
        for text in ["", "../../etc/passwd", &"0A".repeat(32), &"0a".repeat(33)] {
            assert!(!is_digest(text), "{text}");
        }
    }
}

//! What plugins are granted: a row for each installed version, and the same in memory for those who ask at every effect.

use std::{collections::HashMap, sync::Arc};

use sqlx::{SqliteConnection, sqlite::SqliteRow};
use weir_engine::id::Timestamp;

use super::{
    PluginRow, Precedence, Store, StoreError,
    columns::Columns,
    error::database,
    now, plugins,
    queries::{self, grants as statements},
};
use crate::grants::{Asks, GrantStatus, Granted, Grants};

/// What a version of a plugin is granted.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantRow {
    /// What it may do.
    pub granted: Arc<Granted>,
    /// Whether somebody decided about all that it asks for.
    pub decided: bool,
    /// When it was granted, or carried over.
    pub granted_at: Timestamp,
    /// Who decided; of what was carried over, who had decided before.
    pub granted_by: Option<String>,
    /// The version that it was carried over from.
    pub carried_from: Option<Arc<str>>,
}

/// What a version is granted when it is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstGrant {
    /// What the newest version that is installed is granted, as far as this one asks for it.
    CarriedOver,
    /// All that it asks for: whoever installs it decides that.
    All,
}

impl GrantRow {
    /// How it stands to what is asked for.
    #[must_use]
    pub fn status(&self, asks: &Asks) -> GrantStatus {
        GrantStatus::of(asks, &self.granted, self.decided)
    }

    /// Nothing, and nobody decided.
    #[must_use]
    pub fn nothing(at: Timestamp) -> Self {
        let granted = Arc::default();
        Self { granted, decided: false, granted_at: at, granted_by: None, carried_from: None }
    }

    /// What `by` decides now.
    pub(super) fn decided(granted: Granted, by: String) -> Self {
        let (granted, granted_at, granted_by) = (Arc::new(granted), now(), Some(by));
        Self { granted, decided: true, granted_at, granted_by, carried_from: None }
    }

    /// What follows for a version that `asks` from what another version is granted.
    fn carried_over(&self, from: &PluginRow, asks: &Asks) -> Self {
        let asked_before = Asks::of_installed(from.descriptor.value());
        let granted = self.granted.carried_over(asks);
        let carried_from = (!granted.is_nothing() || self.decided).then(|| Arc::clone(&from.version));
        Self {
            granted: Arc::new(granted),
            decided: self.decided && asks.is_within(&asked_before),
            granted_at: now(),
            granted_by: self.granted_by.clone().filter(|_| carried_from.is_some()),
            carried_from,
        }
    }
}

impl Store {
    /// What every installed version is granted at the moment.
    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.inner.grants
    }

    /// What the version with this digest is granted, and since when.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn grant_row(&self, digest: &str) -> Result<Option<GrantRow>, StoreError> {
        let row = sqlx::query(statements::GRANT).bind(digest).fetch_optional(&self.inner.readers).await;
        row.map_err(failed)?.as_ref().map(row_of).transpose()
    }

    /// What every installed version is granted, by digest.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn grant_rows(&self) -> Result<HashMap<Arc<str>, GrantRow>, StoreError> {
        let rows = sqlx::query(statements::GRANTS).fetch_all(&self.inner.readers).await.map_err(failed)?;
        let mut all = HashMap::with_capacity(rows.len());
        for row in &rows {
            let mut columns = Columns::new(row, WHAT);
            let grant = read(&mut columns)?;
            all.insert(columns.text()?, grant);
        }
        Ok(all)
    }

    /// Grants a version `granted`, whatever it was granted before, in the name of `by`. It counts for the next effect of
    /// calls that run. That `granted` is within what the version asks for is for the caller to check.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the version is not installed; the database cannot be written.
    pub async fn grant(&self, plugin: &PluginRow, granted: Granted, by: String) -> Result<GrantRow, StoreError> {
        let (store, plugin) = (self.clone(), plugin.clone());
        plugins::detached(async move {
            let _guard = store.inner.plugin_files.lock().await;
            store.grant_now(&plugin, GrantRow::decided(granted, by)).await
        })
        .await
    }

    /// Writes what a version is granted; to be called with the lock on plugins, so that memory follows in the same order.
    pub(super) async fn grant_now(&self, plugin: &PluginRow, row: GrantRow) -> Result<GrantRow, StoreError> {
        let (plugin, new) = (plugin.clone(), row.clone());
        let digest = Arc::clone(&plugin.digest);
        self.write(move |connection| Box::pin(async move { put(connection, &plugin, &new).await })).await?;
        self.inner.grants.set(digest, Arc::clone(&row.granted));
        Ok(row)
    }

    /// Learns what every installed version is granted.
    pub(super) async fn load_grants(&self) -> Result<(), StoreError> {
        for (digest, row) in self.grant_rows().await? {
            self.inner.grants.set(digest, row.granted);
        }
        Ok(())
    }
}

/// Writes what a version is granted that is installed in the same transaction, and answers it.
pub(super) async fn first(
    connection: &mut SqliteConnection,
    plugin: &PluginRow,
    first: FirstGrant,
) -> Result<GrantRow, StoreError> {
    let asks = Asks::of_installed(plugin.descriptor.value());
    let row = match first {
        FirstGrant::All => GrantRow::decided(Granted::all(&asks), plugin.installed_by.clone()),
        FirstGrant::CarriedOver => carried_over(connection, plugin, &asks).await?,
    };
    put(connection, plugin, &row).await?;
    Ok(row)
}

/// What follows from what the newest other version is granted.
async fn carried_over(
    connection: &mut SqliteConnection,
    plugin: &PluginRow,
    asks: &Asks,
) -> Result<GrantRow, StoreError> {
    let rows = sqlx::query(queries::PLUGINS_OF_NAME).bind(&*plugin.name).fetch_all(&mut *connection).await;
    let rows = rows.map_err(failed)?.iter().map(plugins::plugin_row).collect::<Result<Vec<_>, _>>()?;
    let others = rows.into_iter().filter(|other| other.digest != plugin.digest);
    let Some(newest) = others.max_by_key(|other| Precedence::of(&other.version)) else {
        return Ok(GrantRow::nothing(plugin.installed_at));
    };
    let row = sqlx::query(statements::GRANT).bind(&*newest.digest).fetch_optional(connection).await.map_err(failed)?;
    let before = row.as_ref().map(row_of).transpose()?.unwrap_or_else(|| GrantRow::nothing(newest.installed_at));
    Ok(before.carried_over(&newest, asks))
}

async fn put(connection: &mut SqliteConnection, plugin: &PluginRow, row: &GrantRow) -> Result<(), StoreError> {
    let granted = serde_json::to_string(&*row.granted).map_err(|error| corrupt(error.to_string()))?;
    let query = sqlx::query(statements::PUT_GRANT).bind(&*plugin.digest).bind(granted).bind(row.decided);
    let query = query.bind(row.granted_at.0).bind(&row.granted_by).bind(row.carried_from.as_deref());
    if query.execute(connection).await.map_err(|e| database("grant a plugin powers", e))?.rows_affected() == 0 {
        let name = format!("{}@{}", plugin.name, plugin.version);
        return Err(StoreError::NotFound { noun: "plugin", name });
    }
    Ok(())
}

/// Forgets what a version was granted.
pub(super) async fn delete(connection: &mut SqliteConnection, digest: &str) -> Result<(), StoreError> {
    let query = sqlx::query(statements::DELETE_GRANT).bind(digest);
    query.execute(connection).await.map(drop).map_err(|e| database("forget what a plugin was granted", e))
}

const WHAT: &str = "what a plugin is granted";

fn failed(error: sqlx::Error) -> StoreError {
    database("read what plugins are granted", error)
}

fn corrupt(reason: String) -> StoreError {
    StoreError::Corrupt { what: WHAT.to_owned(), reason }
}

fn row_of(row: &SqliteRow) -> Result<GrantRow, StoreError> {
    read(&mut Columns::new(row, WHAT))
}

fn read(columns: &mut Columns<'_>) -> Result<GrantRow, StoreError> {
    let granted = Granted::read(&columns.json()?);
    let wrong = |problems: Vec<crate::grants::Problem>| corrupt(format!("{problems:?}"));
    Ok(GrantRow {
        granted: Arc::new(granted.map_err(wrong)?),
        decided: columns.next()?,
        granted_at: columns.time()?,
        granted_by: columns.next()?,
        carried_from: columns.text_or_none()?,
    })
}

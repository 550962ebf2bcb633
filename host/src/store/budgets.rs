//! What executions share: budgets with what was spent and promised, and who followed whom.
//!
//! What is drawn is a companion of the append that draws it. The numbers are read once, when the host starts; from then on
//! they are in memory, and here only for the next start.

use std::sync::Arc;

use sqlx::{SqliteConnection, sqlite::SqliteRow};
use weir_engine::{
    id::Timestamp,
    limits::{Amounts, Limits},
};

use super::{
    Store, StoreError,
    batch::{Prepared, Rows},
    bulk::Extra,
    columns::Columns,
    error::database,
    now,
    queries::budgets as queries,
};
use crate::budgets::{BUDGETS_MAX, BudgetScope, Period};

/// How long it is kept what was spent in a period.
const KEPT_MS: i64 = 400 * 24 * 3_600_000;

/// A stored budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRow {
    /// Its id; another one once it counts something else.
    pub id: i64,
    /// Its name.
    pub name: Arc<str>,
    /// Who draws from it.
    pub scope: BudgetScope,
    /// How long it lasts.
    pub period: Period,
    /// What it limits.
    pub limits: Limits,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its limits were set last.
    pub set_at: Timestamp,
    /// Who set them.
    pub set_by: String,
}

/// A budget to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBudget {
    /// Its name.
    pub name: String,
    /// Who draws from it.
    pub scope: BudgetScope,
    /// How long it lasts.
    pub period: Period,
    /// What it limits.
    pub limits: Limits,
    /// Who sets it.
    pub set_by: String,
}

/// What was drawn from one budget by an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// The budget.
    pub budget_id: i64,
    /// For whom: the workflow, or `""`.
    pub subject: Arc<str>,
    /// The execution.
    pub execution_id: Arc<str>,
    /// What it spent for good, by the beginning of the period.
    pub settled: Vec<(Timestamp, Amounts)>,
    /// What it holds from here on, where that changes.
    pub reserved: Option<Amounts>,
}

/// What is known of a budget at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What was spent in the period, by subject.
    pub settled: Vec<(Arc<str>, Amounts)>,
    /// What is promised, by subject and execution.
    pub reserved: Vec<(Arc<str>, Arc<str>, Amounts)>,
}

/// Rows of one append, and of a batch.
#[derive(Debug, Clone, Default)]
pub(super) struct DrawnRows {
    spent: Rows,
    reserved: Rows,
    free: Rows,
    ancestors: Rows,
}

impl DrawnRows {
    pub(super) fn push(&mut self, drawn: &Drawn) -> Result<(), serde_json::Error> {
        let Drawn { budget_id, subject, execution_id, settled, reserved } = drawn;
        for (start, a) in settled {
            let row =
                (budget_id, start, subject, a.requests, a.input_tokens, a.output_tokens, a.tool_calls, a.cost_microusd);
            self.spent.push(&row)?;
        }
        match reserved {
            Some(a) if a.is_none() => self.free.push(&(budget_id, subject, execution_id)),
            Some(a) => {
                let (requests, tokens) = (a.requests, (a.input_tokens, a.output_tokens));
                let row =
                    (budget_id, subject, execution_id, requests, tokens.0, tokens.1, a.tool_calls, a.cost_microusd);
                self.reserved.push(&row)
            }
            None => Ok(()),
        }
    }

    /// An execution follows these.
    pub(super) fn descends(&mut self, execution_id: &str, ancestors: &[Arc<str>]) -> Result<(), serde_json::Error> {
        ancestors.iter().try_for_each(|ancestor| self.ancestors.push(&(ancestor, execution_id)))
    }

    /// The rows of a batch together; `None` where there are none.
    pub(super) fn of_all(group: &[&Prepared]) -> Option<Extra> {
        let mut all = Self::default();
        for Prepared { companions, .. } in group {
            all.spent.extend(&companions.drawn.spent);
            all.reserved.extend(&companions.drawn.reserved);
            all.free.extend(&companions.drawn.free);
            all.ancestors.extend(&companions.drawn.ancestors);
        }
        Extra::of(queries::WRITE_DRAWN, [&all.spent, &all.reserved, &all.free, &all.ancestors])
    }
}

impl Store {
    /// Every budget, by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn budgets(&self) -> Result<Vec<BudgetRow>, StoreError> {
        let rows = sqlx::query(queries::BUDGETS).fetch_all(&self.inner.readers).await;
        rows.map_err(|e| database("read budgets", e))?.iter().map(row_of).collect()
    }

    /// Makes a budget, or sets the limits of the one of this name; what was spent of it stays. One that is for others or
    /// for another period from now on begins anew.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] where there are [`BUDGETS_MAX`]; the database cannot be written.
    pub async fn set_budget(&self, new: NewBudget) -> Result<BudgetRow, StoreError> {
        self.write(move |connection| Box::pin(set(connection, new))).await
    }

    /// Deletes a budget with what was spent of it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the database cannot be written.
    pub async fn delete_budget(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |connection| {
            Box::pin(async move {
                let Some(row) = find(connection, &name).await? else {
                    return Err(StoreError::NotFound { noun: "budget", name });
                };
                delete(connection, row.id).await
            })
        })
        .await
    }

    /// What was spent of a budget in the period that begins at `start`, and what executions were promised.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn known_of_budget(&self, id: i64, start: Timestamp) -> Result<Known, StoreError> {
        let failed = |e| database("read what was spent of a budget", e);
        let query = sqlx::query(queries::SPENT).bind(id).bind(start.0);
        let spent = query.fetch_all(&self.inner.readers).await.map_err(failed)?;
        let reserved = sqlx::query(queries::RESERVED).bind(id).fetch_all(&self.inner.readers).await.map_err(failed)?;
        let settled = spent.iter().map(|row| {
            let mut columns = Columns::new(row, "what was spent of a budget");
            Ok((columns.text()?, amounts(&mut columns)?))
        });
        let reserved = reserved.iter().map(|row| {
            let mut columns = Columns::new(row, "what is promised of a budget");
            Ok((columns.text()?, columns.text()?, amounts(&mut columns)?))
        });
        Ok(Known {
            settled: settled.collect::<Result<_, StoreError>>()?,
            reserved: reserved.collect::<Result<_, StoreError>>()?,
        })
    }

    /// The executions that one led to by its end, or by those of others in between, itself counted, with what each has
    /// spent and was promised.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn tree(&self, execution_id: &str) -> Result<Vec<(Arc<str>, Amounts)>, StoreError> {
        let rows = sqlx::query(queries::TREE).bind(execution_id).fetch_all(&self.inner.readers).await;
        let rows = rows.map_err(|e| database("read who followed an execution", e))?;
        let member = |row| {
            let mut columns = Columns::new(row, "an execution");
            Ok((columns.text()?, columns.json()?))
        };
        rows.iter().map(member).collect()
    }

    /// Whether an execution led to others.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn has_descendants(&self, execution_id: &str) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar(queries::HAS_DESCENDANTS).bind(execution_id);
        query.fetch_one(&self.inner.readers).await.map_err(|e| database("read who followed an execution", e))
    }

    /// Forgets what was spent in periods that began more than 400 days ago; tells how many rows that were.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn forget_spent(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.0.saturating_sub(KEPT_MS * 1_000);
        self.write(move |connection| {
            Box::pin(async move {
                let done = sqlx::query(queries::FORGET_SPENT).bind(before).execute(connection).await;
                Ok(done.map_err(|e| database("forget old periods", e))?.rows_affected())
            })
        })
        .await
    }
}

async fn set(connection: &mut SqliteConnection, new: NewBudget) -> Result<BudgetRow, StoreError> {
    let failed = |e| database("set a budget", e);
    let unwritable =
        |e: serde_json::Error| StoreError::Corrupt { what: "a budget's limits".to_owned(), reason: e.to_string() };
    let limits = serde_json::to_string(&new.limits).map_err(unwritable)?;
    let before = find(connection, &new.name).await?;
    let same = before.as_ref().filter(|row| row.scope == new.scope && row.period == new.period);
    if let Some(row) = same {
        let query = sqlx::query(queries::UPDATE_BUDGET).bind(row.id).bind(limits).bind(now().0).bind(&new.set_by);
        query.execute(&mut *connection).await.map_err(failed)?;
    } else {
        match &before {
            Some(row) => delete(connection, row.id).await?,
            None => check_room(connection).await?,
        }
        let query = sqlx::query(queries::INSERT_BUDGET).bind(&new.name).bind(new.scope.as_str());
        let query = query.bind(new.scope.workflow_id().map(|id| id.to_string())).bind(new.period.as_str());
        let query = query.bind(limits).bind(now().0).bind(&new.set_by);
        query.execute(&mut *connection).await.map_err(failed)?;
    }
    let name = new.name;
    find(connection, &name).await?.ok_or(StoreError::NotFound { noun: "budget", name })
}

async fn check_room(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let count: i64 = sqlx::query_scalar(queries::COUNT_BUDGETS)
        .fetch_one(&mut *connection)
        .await
        .map_err(|e| database("count budgets", e))?;
    if usize::try_from(count).is_ok_and(|count| count < BUDGETS_MAX) {
        return Ok(());
    }
    Err(StoreError::TooMany { noun: "budget", limit: BUDGETS_MAX })
}

async fn find(connection: &mut SqliteConnection, name: &str) -> Result<Option<BudgetRow>, StoreError> {
    let row = sqlx::query(queries::BUDGET).bind(name).fetch_optional(connection).await;
    row.map_err(|e| database("read a budget", e))?.as_ref().map(row_of).transpose()
}

async fn delete(connection: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    for text in [queries::DELETE_SPENT, queries::DELETE_RESERVED, queries::DELETE_BUDGET] {
        let done = sqlx::query(text).bind(id).execute(&mut *connection).await;
        done.map_err(|e| database("delete a budget", e))?;
    }
    Ok(())
}

fn row_of(row: &SqliteRow) -> Result<BudgetRow, StoreError> {
    let mut columns = Columns::new(row, "a budget");
    let (id, name) = (columns.next()?, columns.text()?);
    let scope = columns.next::<&str>()?;
    let scope = match (scope, columns.text_or_none()?) {
        ("host", None) => BudgetScope::Host,
        ("workflow", None) => BudgetScope::EachWorkflow,
        ("workflow", Some(id)) => BudgetScope::Workflow(id),
        (scope, _) => return Err(columns.corrupt(&format!("{scope:?} is no scope"))),
    };
    let period = columns.word(&Period::ALL, Period::as_str)?;
    let (limits, created_at, set_at) = (columns.json()?, columns.time()?, columns.time()?);
    Ok(BudgetRow { id, name, scope, period, limits, created_at, set_at, set_by: columns.next()? })
}

fn amounts(columns: &mut Columns<'_>) -> Result<Amounts, StoreError> {
    Ok(Amounts {
        requests: columns.number()?,
        input_tokens: columns.number()?,
        output_tokens: columns.number()?,
        tool_calls: columns.number()?,
        cost_microusd: columns.number()?,
        steps: 0,
    })
}

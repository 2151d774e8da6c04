//! Turns at committing.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use iceberg::TableIdent;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

/// How long a task waits for its turn before it goes on without.
const PATIENCE: Duration = Duration::from_secs(5);

/// A turn at committing to a table; see [`crate::CatalogClient::turn`]. It ends when it is dropped.
#[derive(Default)]
pub struct CommitTurn {
    held: Option<Box<dyn Send>>,
}

impl CommitTurn {
    /// A turn that holds nobody up.
    pub fn none() -> Self {
        Self::default()
    }

    /// A turn that lasts as long as `guard`.
    pub fn holding(guard: impl Send + 'static) -> Self {
        Self { held: Some(Box::new(guard)) }
    }

    /// Whether others wait until this turn is over.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

impl fmt::Debug for CommitTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitTurn").field("held", &self.is_held()).finish()
    }
}

/// Queues of the tasks of this process, one for each table, in order of arrival.
///
/// For a catalog whose commits collide: tasks that queue need no retries among themselves.
#[derive(Debug, Default)]
pub struct TaskQueues {
    tables: Mutex<HashMap<TableIdent, Weak<tokio::sync::Mutex<()>>>>,
}

impl TaskQueues {
    /// Waits for a turn at `table`, five seconds at most.
    pub async fn turn(&self, table: &TableIdent) -> CommitTurn {
        self.wait(table, PATIENCE).await.map_or_else(CommitTurn::none, CommitTurn::holding)
    }

    /// Waits for a turn at `table` for as long as `patience`.
    pub async fn wait(&self, table: &TableIdent, patience: Duration) -> Option<OwnedMutexGuard<()>> {
        timeout(patience, self.queue(table).lock_owned()).await.ok()
    }

    fn queue(&self, table: &TableIdent) -> Arc<tokio::sync::Mutex<()>> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = tables.get(table).and_then(Weak::upgrade) {
            return queue;
        }
        tables.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::default();
        tables.insert(table.clone(), Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_task_at_a_time_has_the_turn_at_a_table_and_queues_are_forgotten() {
        let queues = TaskQueues::default();
        let [one, other] = ["one", "other"].map(|name| TableIdent::from_strs(["ns", name]).expect("a name"));
        let held = queues.turn(&one).await;
        assert!(held.is_held());
        assert!(queues.wait(&one, Duration::ZERO).await.is_none());
        assert!(queues.wait(&other, Duration::ZERO).await.is_some(), "tables do not wait for each other");
        drop(held);
        assert!(queues.wait(&one, Duration::ZERO).await.is_some());
        assert!(queues.tables.lock().expect("no panic").len() <= 2);
    }
}

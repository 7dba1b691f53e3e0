//! Access to a value of the present term of leadership, from tasks that outlive the term.

use std::sync::Arc;

use parking_lot::Mutex;

/// The value of the present term, if this replica leads.
pub(crate) struct Present<T>(Arc<Mutex<Option<Arc<T>>>>);

impl<T> Present<T> {
    /// Sets the value at the start of a term, and clears it at the end.
    pub(crate) fn set(&self, present: Option<Arc<T>>) {
        *self.0.lock() = present;
    }

    /// The present value.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.0.lock().clone()
    }
}

impl<T> Default for Present<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Present<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

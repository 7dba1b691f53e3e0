//! Access to a value of the current term of leadership, from tasks that outlive the term.

use std::sync::Arc;

use parking_lot::Mutex;

/// The value of the current term, if this replica leads.
pub(crate) struct TermScoped<T>(Arc<Mutex<Option<Arc<T>>>>);

impl<T> TermScoped<T> {
    /// Sets the value at the start of a term, and clears it at the end.
    pub(crate) fn set(&self, value: Option<Arc<T>>) {
        *self.0.lock() = value;
    }

    /// The current value.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.0.lock().clone()
    }
}

impl<T> Default for TermScoped<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for TermScoped<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

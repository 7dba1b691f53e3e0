//! What lives as long as a term of leadership, for those who live longer.

use std::sync::Arc;

use parking_lot::Mutex;

/// What there is in the present term, if this replica leads.
pub(crate) struct Present<T>(Arc<Mutex<Option<Arc<T>>>>);

impl<T> Present<T> {
    /// A term has begun, or ended.
    pub(crate) fn set(&self, present: Option<Arc<T>>) {
        *self.0.lock() = present;
    }

    /// What there is now.
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

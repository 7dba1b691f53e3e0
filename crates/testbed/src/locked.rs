//! Mutexes whose content is good also after a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The content of a mutex, also after a panic elsewhere: for values that no change leaves half done.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The memory of large columns, used again: what a reader lets go of is what the next poll fills.
//!
//! A column of some MiB that grows as it is filled, and is freed while the next one grows, leaves the heap with holes and
//! with free memory at its end that no later column fits into. Here it has its size at once, and one that has come back is
//! kept: a loop that holds one batch while the next is read needs two.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

/// Smaller ones are the heap's affair.
const LEAST_BYTES: usize = 256 * 1024;
/// How many times as large as wanted a column's memory may be.
const LOOSE: usize = 2;

/// Memory for the columns of one reader.
#[derive(Debug, Default)]
pub struct ColumnPool {
    /// Empty, but with room; the last that came back.
    kept: Mutex<Option<Vec<u8>>>,
}

impl ColumnPool {
    /// Memory for at least `least` bytes, where up to `most` may come.
    #[must_use]
    pub fn take(&self, least: usize, most: usize) -> Vec<u8> {
        if most < LEAST_BYTES {
            return Vec::with_capacity(least);
        }
        let kept = self.kept.lock().take();
        match kept {
            Some(kept) if kept.capacity() >= least && kept.capacity() / LOOSE <= most => kept,
            // Freed first, if there is one that doesn't fit.
            kept => {
                drop(kept);
                Vec::with_capacity(least)
            }
        }
    }

    /// A column that is full. Its memory comes back when all who look at it have dropped it.
    #[must_use]
    pub fn seal(self: &Arc<Self>, column: Vec<u8>) -> Bytes {
        if column.capacity() < LEAST_BYTES {
            return Bytes::from(column);
        }
        Bytes::from_owner(Sealed { column, pool: Arc::downgrade(self) })
    }

    /// Frees what is kept: nobody has read for a while.
    pub fn clear(&self) {
        let kept = self.kept.lock().take();
        drop(kept);
    }
}

struct Sealed {
    column: Vec<u8>,
    /// A column may outlive its reader.
    pool: Weak<ColumnPool>,
}

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        &self.column
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else { return };
        let mut column = std::mem::take(&mut self.column);
        column.clear();
        let before = pool.kept.lock().replace(column);
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn filled(pool: &Arc<ColumnPool>, bytes: usize) -> Bytes {
        let mut column = pool.take(bytes, bytes);
        column.resize(bytes, 7);
        pool.seal(column)
    }

    #[test]
    fn memory_comes_back_with_the_last_look_at_it_and_is_used_again() {
        let pool = Arc::new(ColumnPool::default());
        let first = filled(&pool, MIB);
        let (place, slice) = (first.as_ptr(), first.slice(5..9));
        drop(first);
        assert_ne!(filled(&pool, MIB).as_ptr(), place, "somebody looks at it");
        assert_eq!(slice[..], [7; 4]);
        pool.clear();
        drop(slice);
        let mut again = pool.take(MIB / 2, MIB);
        assert!(again.as_ptr() == place && again.is_empty());
        again.push(1);
    }

    #[test]
    fn memory_that_does_not_fit_what_is_read_now_is_not_kept_for_it() {
        let pool = Arc::new(ColumnPool::default());
        drop(filled(&pool, 9 * MIB));
        assert!(pool.take(MIB, MIB).capacity() < 2 * MIB, "too large");
        drop(filled(&pool, MIB));
        assert!(pool.take(4 * MIB, 9 * MIB).capacity() >= 4 * MIB, "too small");
        drop(filled(&pool, 4 * MIB));
        assert!(pool.take(MIB, 9 * MIB).capacity() >= 4 * MIB, "more may come than is there");
    }

    #[test]
    fn one_is_kept_and_none_by_a_reader_that_is_gone_or_idle() {
        let pool = Arc::new(ColumnPool::default());
        let columns = [1, 2, 3].map(|size| filled(&pool, size * MIB));
        drop(columns);
        assert_eq!(pool.kept.lock().as_ref().map(Vec::capacity), Some(3 * MIB));
        pool.clear();
        assert!(pool.kept.lock().is_none());
        let late = filled(&pool, MIB);
        let gone = Arc::downgrade(&pool);
        drop(pool);
        assert!(gone.upgrade().is_none());
        assert_eq!(late[0], 7);
    }
}

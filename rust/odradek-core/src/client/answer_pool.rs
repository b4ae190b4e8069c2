//! Buffers of large answers, used again and again: neither a page fault for each page of each answer, nor a heap that grows
//! because what was freed between answers that are kept does not fit the next one.
//!
//! It is not a bound on what is received ([`super::consumer`]'s budget is): it keeps what would otherwise be freed, as long as
//! that and the buffers that are out stay within its limit together. Without a limit set it keeps nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// First piece of memory of a buffer; doubled as it fills.
const FIRST_BYTES: usize = 1 << 20;
/// For how long what is kept outlives the last answer that took a buffer.
const IDLE: Duration = Duration::from_secs(1);
/// How many times as large as an answer a buffer may be that is used again for it.
const LOOSE: usize = 2;

/// The buffers of one cluster's connections.
#[derive(Default)]
pub struct AnswerPool {
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    limit: usize,
    /// Bytes of buffers that are out.
    out: usize,
    /// By their sizes, smallest first.
    kept: Vec<Vec<u8>>,
    kept_bytes: usize,
    taken_at: Option<Instant>,
}

impl PoolState {
    /// Takes out what is kept beyond the limit, smallest first; to be dropped without the lock.
    #[must_use]
    fn excess(&mut self) -> Vec<Vec<u8>> {
        let mut count = 0;
        for buffer in &self.kept {
            if self.out + self.kept_bytes <= self.limit {
                break;
            }
            self.kept_bytes -= buffer.capacity();
            count += 1;
        }
        self.kept.drain(..count).collect()
    }
}

/// An answer on its way in, or taken apart; its memory goes back to the pool when the last slice of it is dropped.
pub struct AnswerBuffer {
    bytes: Vec<u8>,
    pool: Arc<AnswerPool>,
    /// Its capacity, as the pool counts it.
    counted: usize,
}

impl AsRef<[u8]> for AnswerBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AnswerPool {
    /// Keeps buffers only while they and those that are out take at most so many bytes.
    pub fn limit_to(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.limit = bytes;
        let excess = state.excess();
        drop(state);
        drop(excess);
    }

    /// Frees what is kept, if at `now` no answer has needed a buffer for a while.
    pub fn trim(&self, now: Instant) {
        let mut state = self.state.lock();
        if state.kept.is_empty() || state.taken_at.is_some_and(|taken| now < taken + IDLE) {
            return;
        }
        state.kept_bytes = 0;
        let kept = std::mem::take(&mut state.kept);
        drop(state);
        drop(kept);
    }

    /// An empty buffer for an answer of `size` bytes: one that was used before if there is a fitting one, else none of which
    /// memory is taken yet, as the size is only claimed.
    #[must_use]
    pub fn take(self: &Arc<Self>, size: usize) -> AnswerBuffer {
        let mut state = self.state.lock();
        state.taken_at = Some(Instant::now());
        let at = state.kept.partition_point(|buffer| buffer.capacity() < size);
        let fits = state.kept.get(at).is_some_and(|buffer| buffer.capacity() / LOOSE <= size);
        let bytes = if fits { state.kept.remove(at) } else { Vec::new() };
        let counted = bytes.capacity();
        state.kept_bytes -= counted;
        state.out += counted;
        drop(state);
        AnswerBuffer { bytes, pool: Arc::clone(self), counted }
    }
}

impl AnswerBuffer {
    /// The bytes so far, with room for more while they are fewer than `size`: a first piece, then as much again as there are.
    pub fn with_room(&mut self, size: usize) -> &mut Vec<u8> {
        let length = self.bytes.len();
        if length == self.bytes.capacity() && length < size {
            let wanted = class(length.saturating_mul(2).max(FIRST_BYTES).min(size));
            self.bytes.reserve_exact(wanted - length);
            let capacity = self.bytes.capacity();
            let mut state = self.pool.state.lock();
            state.out += capacity - self.counted;
            let excess = state.excess();
            drop(state);
            drop(excess);
            self.counted = capacity;
        }
        &mut self.bytes
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// The capacity of buffers for `size` bytes, up to an eighth larger, so that answers of about one size share them.
fn class(size: usize) -> usize {
    size.next_multiple_of((size.next_power_of_two() / 16).max(1))
}

impl Drop for AnswerBuffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut state = self.pool.state.lock();
        state.out -= self.counted;
        let size = bytes.capacity();
        if size > 0 && state.out + state.kept_bytes + size <= state.limit {
            let at = state.kept.partition_point(|buffer| buffer.capacity() < size);
            state.kept.insert(at, bytes);
            state.kept_bytes += size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn filled(pool: &Arc<AnswerPool>, size: usize) -> AnswerBuffer {
        let mut buffer = pool.take(size);
        while buffer.len() < size {
            let bytes = buffer.with_room(size);
            bytes.resize(bytes.capacity().min(size), 7);
        }
        buffer
    }

    fn kept(pool: &AnswerPool) -> Vec<usize> {
        pool.state.lock().kept.iter().map(Vec::capacity).collect()
    }

    #[test]
    fn a_buffer_is_used_again_for_an_answer_that_it_fits() {
        let pool = Arc::new(AnswerPool::default());
        pool.limit_to(8 * MIB);
        let first = filled(&pool, 3 * MIB - 100);
        let place = first.as_ref().as_ptr();
        drop(first);
        assert_eq!(kept(&pool), [3 * MIB]);
        let second = filled(&pool, 2 * MIB);
        assert_eq!((second.as_ref().as_ptr(), second.as_ref().len()), (place, 2 * MIB));
        assert!(kept(&pool).is_empty());
        drop(second);
        drop(filled(&pool, 100_000));
        assert_eq!(kept(&pool), [class(100_000), 3 * MIB], "most of the large one would be unused");
    }

    #[test]
    fn what_is_kept_gives_way_to_what_is_needed_and_nothing_is_kept_past_the_limit() {
        let pool = Arc::new(AnswerPool::default());
        pool.limit_to(4 * MIB);
        let [first, second] = [filled(&pool, 2 * MIB), filled(&pool, 2 * MIB)];
        drop((first, second));
        assert_eq!(kept(&pool), [2 * MIB, 2 * MIB]);
        let large = filled(&pool, 3 * MIB);
        assert!(kept(&pool).is_empty(), "5 MiB would be over the limit");
        drop(large);
        assert_eq!(kept(&pool), [3 * MIB]);
        pool.limit_to(MIB);
        assert!(kept(&pool).is_empty());
        drop(filled(&pool, 2 * MIB));
        assert!(kept(&pool).is_empty());
        assert_eq!(pool.state.lock().out, 0);
    }

    #[test]
    fn a_claimed_size_takes_no_memory_and_idle_buffers_go() {
        let pool = Arc::new(AnswerPool::default());
        pool.limit_to(1 << 30);
        let mut buffer = pool.take(1 << 30);
        assert_eq!(buffer.with_room(1 << 30).capacity(), FIRST_BYTES);
        drop(buffer);
        let now = Instant::now();
        pool.trim(now);
        assert_eq!(kept(&pool), [FIRST_BYTES]);
        pool.trim(now + IDLE);
        assert!(kept(&pool).is_empty());
    }

    #[test]
    fn a_class_is_never_too_small_and_little_too_large() {
        for size in [1, 15, 16, 17, 65_537, 1_000_000, 3 * MIB - 1, 33 * MIB, 1 << 30] {
            assert!((size..=size + size / 8 + 1).contains(&class(size)), "{size}");
        }
    }
}

//! What the cleaner knows of keys: the last offset of each, in memory of a fixed bound.
//!
//! Keys are not held, only 128 bits of hash (two SipHash of 64 bits under random secrets, so that nobody can choose keys
//! that collide), as Kafka holds their MD5. What does not fit is left for the next pass. Source: Kafka `SkimpyOffsetMap`.

use std::hash::{BuildHasher, RandomState};

/// Bytes a key takes.
pub const SLOT_BYTES: usize = size_of::<Slot>();
/// Fewest keys a map has room for, so that every pass comes forward.
const MIN_KEYS: usize = 16;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: [u64; 2],
    /// The offset plus one; 0 = free.
    after: u64,
}

/// From keys to offsets.
#[derive(Debug)]
pub struct OffsetMap {
    secrets: [RandomState; 2],
    slots: Vec<Slot>,
    used: usize,
    most: usize,
}

impl OffsetMap {
    /// A map for `wanted` keys, or as many as fit into `max_bytes` nine tenths full.
    #[must_use]
    pub fn new(wanted: usize, max_bytes: usize) -> Self {
        let slots = wanted.saturating_add(wanted / 8).min(max_bytes / SLOT_BYTES).max(MIN_KEYS + 2);
        // Zeroed pages cost nothing until they are written to.
        Self {
            secrets: Default::default(),
            slots: vec![Slot::default(); slots],
            used: 0,
            most: slots - slots.div_ceil(10),
        }
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used
    }

    /// True without a key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        [self.secrets[0].hash_one(key), self.secrets[1].hash_one(key)]
    }

    /// The slot that has the key, or the free one where it belongs. Never all slots are used, so this ends.
    fn find(&self, hash: [u64; 2]) -> usize {
        let mut at = (hash[0] % self.slots.len() as u64) as usize;
        while self.slots[at].after != 0 && self.slots[at].hash != hash {
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
        at
    }

    /// Notes that `key` is at `offset` (from 0 on), later than before. False when there is no room for a new key.
    #[must_use]
    pub fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = self.hash(key);
        let at = self.find(hash);
        if self.slots[at].after == 0 {
            if self.used == self.most {
                return false;
            }
            self.used += 1;
        }
        self.slots[at] = Slot { hash, after: offset.cast_unsigned() + 1 };
        true
    }

    /// The last offset of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<i64> {
        let after = self.slots[self.find(self.hash(key))].after;
        after.checked_sub(1).map(u64::cast_signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_each_key_is_found() {
        let mut map = OffsetMap::new(1000, 1 << 20);
        for offset in 0..3000_i64 {
            assert!(map.put(&(offset % 1000).to_be_bytes(), offset));
        }
        assert_eq!(map.len(), 1000);
        for key in 0..1000_i64 {
            assert_eq!(map.get(&key.to_be_bytes()), Some(2000 + key));
        }
        assert_eq!(map.get(b"another"), None);
    }

    #[test]
    fn a_full_map_takes_no_new_key_and_still_moves_old_ones() {
        let mut map = OffsetMap::new(usize::MAX, SLOT_BYTES * 100);
        let fitted = (0..200_i64).take_while(|offset| map.put(&offset.to_be_bytes(), *offset)).count();
        assert_eq!(fitted, 90);
        assert!(map.put(&5_i64.to_be_bytes(), 500));
        assert!(!map.put(b"another", 501));
        assert_eq!((map.get(&5_i64.to_be_bytes()), map.get(b"another")), (Some(500), None));
    }

    #[test]
    fn the_smallest_map_takes_a_key() {
        let mut map = OffsetMap::new(0, 0);
        assert!(map.put(b"", 0));
        assert_eq!(map.get(b""), Some(0));
    }
}

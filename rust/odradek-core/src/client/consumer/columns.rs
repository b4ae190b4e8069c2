//! Records as columns, laid out as Apache Arrow lays them out, without an object a record.
//!
//! Variable-length columns have 32-bit offsets, so one set of columns holds less than 2 GiB of each; [`Columns::has_room`]
//! ends a walk before that.

use std::sync::Arc;

use bytes::Bytes;

use super::chunk::{FetchedRecord, Run, Sink};
use super::column_pool::ColumnPool;

/// Bytes in one variable-length column at which no further record is taken; a record is at most as large again.
const COLUMN_BYTES: usize = 1 << 30;

/// Which rows are not null, a bit a row, lowest first. Empty while none is null.
#[derive(Debug, Default)]
pub struct Validity {
    bits: Vec<u8>,
    rows: usize,
    nulls: usize,
}

impl Validity {
    #[inline]
    fn push(&mut self, valid: bool) {
        if !valid && self.nulls == 0 {
            self.bits = vec![0xff; self.rows.div_ceil(8)];
        }
        let at = self.rows;
        self.rows += 1;
        if self.nulls == 0 && valid {
            return;
        }
        if at / 8 == self.bits.len() {
            self.bits.push(0);
        }
        if valid {
            self.bits[at / 8] |= 1 << (at % 8);
        } else {
            self.bits[at / 8] &= !(1 << (at % 8));
            self.nulls += 1;
        }
    }

    /// The bits, if any row is null.
    #[must_use]
    pub fn into_bits(self) -> Option<Vec<u8>> {
        (self.nulls > 0).then_some(self.bits)
    }
}

/// Bytes, or null, a row.
#[derive(Debug)]
pub struct BytesColumn {
    /// Where each row begins in `data`, and where the last ends.
    pub offsets: Vec<i32>,
    /// All rows' bytes.
    pub data: Vec<u8>,
    /// Which rows are not null.
    pub validity: Validity,
}

impl Default for BytesColumn {
    fn default() -> Self {
        Self { offsets: vec![0], data: Vec::new(), validity: Validity::default() }
    }
}

impl BytesColumn {
    #[inline]
    fn push(&mut self, bytes: Option<&[u8]>) {
        self.data.extend_from_slice(bytes.unwrap_or_default());
        self.end_row(bytes.is_some());
    }

    #[inline]
    fn end_row(&mut self, valid: bool) {
        // `has_room` keeps this within 31 bits.
        self.offsets.push(self.data.len() as i32);
        self.validity.push(valid);
    }
}

/// A list of (name, value) a row.
#[derive(Debug)]
pub struct HeadersColumn {
    /// Where each row begins among the names and values, and where the last ends.
    pub offsets: Vec<i32>,
    /// Names, UTF-8, never null.
    pub keys: BytesColumn,
    /// Values.
    pub values: BytesColumn,
}

impl Default for HeadersColumn {
    fn default() -> Self {
        Self { offsets: vec![0], keys: BytesColumn::default(), values: BytesColumn::default() }
    }
}

/// All columns. A [`Sink`].
#[derive(Debug)]
pub struct Columns {
    /// Names that `topic` refers to.
    pub topics: Vec<Arc<str>>,
    /// Place in `topics`.
    pub topic: Vec<i32>,
    /// Partition numbers.
    pub partition: Vec<i32>,
    /// Offsets.
    pub offset: Vec<i64>,
    /// Timestamps, ms since 1970 UTC.
    pub timestamp: Vec<i64>,
    /// Keys.
    pub key: BytesColumn,
    /// Values.
    pub value: BytesColumn,
    /// Headers.
    pub headers: HeadersColumn,
    run: (i32, i32),
    /// Rows that come at most.
    most: usize,
    /// Bytes that are there to be walked, before the first row comes.
    ahead: usize,
    pool: Arc<ColumnPool>,
}

impl Columns {
    /// Columns for at most so many rows; those of many bytes in the pool's memory.
    #[must_use]
    pub fn new(most: usize, pool: Arc<ColumnPool>) -> Self {
        Self {
            topics: Vec::new(),
            topic: Vec::new(),
            partition: Vec::new(),
            offset: Vec::new(),
            timestamp: Vec::new(),
            key: BytesColumn::default(),
            value: BytesColumn::default(),
            headers: HeadersColumn::default(),
            run: (0, 0),
            most,
            ahead: 0,
            pool,
        }
    }

    /// Takes the values' bytes out; their memory is used again once nobody looks at it.
    #[must_use]
    pub fn seal_values(&mut self) -> Bytes {
        self.pool.seal(std::mem::take(&mut self.value.data))
    }

    /// Gives up memory that is kept for the next columns: these are empty because there is nothing to read.
    pub fn idle(&self) {
        self.pool.clear();
    }

    /// Takes memory for all rows that this poll will probably bring, if they are as large as those of its first run.
    fn make_room(&mut self, run: &Run<'_>) {
        let (each, left) = (run.bytes.div_ceil(run.left.max(1)), run.left.max(1));
        let ahead = std::mem::take(&mut self.ahead).max(run.bytes);
        let rows = self.most.min(ahead / each.max(7) + 1).max(run.records.min(left));
        // Records are not all of one size.
        let roomy = |rows: usize| rows.saturating_mul(each).saturating_add(rows.saturating_mul(each) / 16);
        self.value.data = self.pool.take(roomy(rows).min(ahead), roomy(self.most));
        self.reserve_rows(rows);
    }

    fn reserve_rows(&mut self, rows: usize) {
        for column in [
            &mut self.topic,
            &mut self.partition,
            &mut self.key.offsets,
            &mut self.value.offsets,
            &mut self.headers.offsets,
        ] {
            column.reserve(rows);
        }
        self.offset.reserve(rows);
        self.timestamp.reserve(rows);
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offset.len()
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offset.is_empty()
    }
}

impl Sink for Columns {
    fn expect(&mut self, bytes: impl FnOnce() -> usize) {
        self.ahead = bytes();
    }

    fn begin(&mut self, run: &Run<'_>) {
        let name = &run.partition.topic;
        let place = self.topics.iter().rposition(|topic| topic == name).unwrap_or_else(|| {
            self.topics.push(Arc::clone(name));
            self.topics.len() - 1
        });
        self.run = (place as i32, run.partition.partition);
        if self.is_empty() && self.value.data.capacity() == 0 {
            self.make_room(run);
        }
        self.reserve_rows(run.records);
        // Not of a part of a batch by what all of it takes.
        self.value.data.reserve(run.bytes / run.left.max(run.records).max(1) * run.records);
    }

    #[inline]
    fn record(&mut self, record: &FetchedRecord<'_>) {
        self.topic.push(self.run.0);
        self.partition.push(self.run.1);
        self.offset.push(record.offset);
        self.timestamp.push(record.timestamp_ms);
        self.key.push(record.key);
        self.value.push(record.value);
        if record.headers.len() > 0 {
            for header in record.headers.clone() {
                self.headers.keys.data.extend_from_slice(String::from_utf8_lossy(header.key).as_bytes());
                self.headers.keys.end_row(true);
                self.headers.values.push(header.value);
            }
        }
        self.headers.offsets.push(self.headers.keys.offsets.len() as i32 - 1);
    }

    fn has_room(&self) -> bool {
        let sizes = [&self.key, &self.value, &self.headers.keys, &self.headers.values];
        // A name that is not UTF-8 may grow threefold; headers are bounded lower for it.
        sizes.iter().all(|column| column.data.len() < COLUMN_BYTES) && self.headers.keys.data.len() < COLUMN_BYTES / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::types::TopicPartition;
    use crate::record::reader::Headers;

    #[test]
    fn a_column_of_values_has_its_size_before_the_first_row() {
        let (value, pool) = ([7; 1_000], Arc::new(ColumnPool::default()));
        let partition = TopicPartition { topic: Arc::from("t"), partition: 0 };
        // Batches of 10 records, of which a poll takes 1,000 in all; as many more are there.
        let mut columns = Columns::new(1_000, pool);
        columns.expect(|| 2_000 * 1_010);
        let mut room = Vec::new();
        for batch in 0..100 {
            let run = Run {
                partition: &partition,
                leader_epoch: 0,
                log_append_time: false,
                bytes: 10 * 1_010,
                records: 10,
                left: 10,
            };
            columns.begin(&run);
            room.push((columns.value.data.capacity(), columns.offset.capacity()));
            for index in 0..10 {
                let headers = Headers::parse(&[], 0).expect("none");
                let (offset, value) = (batch * 10 + index, Some(&value[..]));
                columns.record(&FetchedRecord { offset, timestamp_ms: 0, key: None, value, headers });
            }
        }
        assert!(room.iter().all(|now| *now == room[0]), "{room:?}");
        assert!(room[0].0 < 1_200_000 && room[0].1 < 1_200, "no more than a poll takes");
        assert_eq!(columns.seal_values().len(), 1_000_000);
    }

    #[test]
    fn validity_is_kept_only_from_the_first_null_on() {
        let mut all = Validity::default();
        (0..20).for_each(|_| all.push(true));
        assert_eq!(all.into_bits(), None);
        for null_at in [0, 7, 8, 13] {
            let mut some = Validity::default();
            (0..20).for_each(|row| some.push(row != null_at));
            let bits = some.into_bits().expect("a null");
            let valid = (0..20).filter(|row| bits[row / 8] >> (row % 8) & 1 == 1);
            assert_eq!(valid.collect::<Vec<_>>(), (0..20).filter(|&row| row != null_at).collect::<Vec<_>>());
        }
    }
}

//! Columns of an Arrow table as records: taken by the Arrow PyCapsule interface, read where they lie, without the interpreter
//! lock. Documented in `_native.pyi`.

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, LargeBinaryArray, LargeStringArray, StringArray, StringViewArray,
};
use arrow_schema::DataType;
use odradek_core::client::producer::accumulator::NewRecord;
use odradek_core::client::producer::many::End;
use odradek_core::client::producer::topics::Topic;
use odradek_core::client::producer::{Producer, Sent};
use odradek_core::record::reader::Header;
use parking_lot::Mutex;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;

use crate::producer_future::{ManyFuture, from_client};

/// A column of bytes or text.
enum Column {
    Binary(BinaryArray),
    LargeBinary(LargeBinaryArray),
    Text(StringArray),
    LargeText(LargeStringArray),
    BinaryView(BinaryViewArray),
    TextView(StringViewArray),
}

impl Column {
    fn of(array: &ArrayRef, name: &str) -> PyResult<Self> {
        Ok(match array.data_type() {
            DataType::Binary => Self::Binary(array.as_binary::<i32>().clone()),
            DataType::LargeBinary => Self::LargeBinary(array.as_binary::<i64>().clone()),
            DataType::Utf8 => Self::Text(array.as_string::<i32>().clone()),
            DataType::LargeUtf8 => Self::LargeText(array.as_string::<i64>().clone()),
            DataType::BinaryView => Self::BinaryView(array.as_binary_view().clone()),
            DataType::Utf8View => Self::TextView(array.as_string_view().clone()),
            other => {
                let expected = "it must be binary or string (also large_ and _view): cast it first";
                return Err(PyTypeError::new_err(format!("column {name:?} is {other}; {expected}")));
            }
        })
    }

    #[inline]
    fn get(&self, row: usize) -> Option<&[u8]> {
        match self {
            Self::Binary(array) => array.is_valid(row).then(|| array.value(row)),
            Self::LargeBinary(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Text(array) => array.is_valid(row).then(|| array.value(row).as_bytes()),
            Self::LargeText(array) => array.is_valid(row).then(|| array.value(row).as_bytes()),
            Self::BinaryView(array) => array.is_valid(row).then(|| array.value(row)),
            Self::TextView(array) => array.is_valid(row).then(|| array.value(row).as_bytes()),
        }
    }
}

/// A chunk of rows.
struct Chunk {
    values: Column,
    keys: Option<Column>,
    rows: usize,
}

impl Chunk {
    #[inline]
    fn record<'a>(&'a self, row: usize, timestamp_ms: i64, headers: &'a [Header<'a>]) -> NewRecord<'a> {
        let key = self.keys.as_ref().and_then(|keys| keys.get(row));
        NewRecord { timestamp_ms, key, value: self.values.get(row), headers }
    }
}

/// The rows of a table that are still to be sent.
#[pyclass(frozen, name = "ArrowRows", module = "odradek._native")]
pub struct ArrowRows {
    chunks: Vec<Chunk>,
    /// Chunk and row of the next one.
    next: Mutex<(usize, usize)>,
}

impl ArrowRows {
    /// Takes the columns out of anything that hands out Arrow data; no byte is copied.
    pub fn of(table: &Bound<'_, PyAny>, value: &str, key: Option<&str>) -> PyResult<Self> {
        let table: AnyRecordBatch = table.extract().map_err(|error: PyErr| {
            PyTypeError::new_err(format!(
                "no Arrow table or record batch (__arrow_c_stream__, __arrow_c_array__): {error}"
            ))
        })?;
        let reader = table.into_reader()?;
        let schema = reader.schema();
        let find = |name: &str| {
            schema.index_of(name).map_err(|_| {
                let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                PyValueError::new_err(format!("there is no column {name:?}; there are {}", names.join(", ")))
            })
        };
        let (value_at, key_at) = (find(value)?, key.map(find).transpose()?);
        let mut chunks = Vec::new();
        for batch in reader {
            let batch = batch.map_err(|error| PyValueError::new_err(format!("the table can't be read: {error}")))?;
            let keys = key_at.map(|at| Column::of(batch.column(at), key.unwrap_or_default())).transpose()?;
            chunks.push(Chunk { values: Column::of(batch.column(value_at), value)?, keys, rows: batch.num_rows() });
        }
        Ok(Self { chunks, next: Mutex::new((0, 0)) })
    }

    /// Sends rows until something is missing, to `partition` or where the options say.
    pub fn send(
        &self,
        producer: &Producer,
        topic: &Topic,
        many: &ManyFuture,
        headers: &[Header<'_>],
        partition: Option<usize>,
    ) -> PyResult<End> {
        let (mut next, mut runs) = (self.next.lock(), many.runs());
        while let Some(chunk) = self.chunks.get(next.0) {
            let mut rows = next.1..chunk.rows;
            let record = || rows.next().map(|row| chunk.record(row, many.timestamp_ms(), headers));
            let (taken, end) = producer.send_row(topic, partition, record, &mut runs);
            next.1 += taken;
            match end.map_err(|error| from_client(&error))? {
                End::Done => *next = (next.0 + 1, 0),
                end => return Ok(end),
            }
        }
        Ok(End::Done)
    }

    /// As [`ArrowRows::send`], to the partitions that a function of the user's chooses.
    pub fn send_chosen(
        &self,
        producer: &Producer,
        topic: &Topic,
        many: &ManyFuture,
        headers: &[Header<'_>],
        choose: impl Fn(&NewRecord<'_>) -> PyResult<Option<usize>>,
    ) -> PyResult<End> {
        let mut next = self.next.lock();
        while let Some(chunk) = self.chunks.get(next.0) {
            while next.1 < chunk.rows {
                let record = chunk.record(next.1, many.timestamp_ms(), headers);
                producer.check_size(&record).map_err(|error| from_client(&error))?;
                let sent = producer.send(topic, choose(&record)?, &record, &mut None);
                match sent.map_err(|error| from_client(&error))? {
                    Sent::Placed(placed) => {
                        many.runs().add(&placed.state, placed.index);
                        if placed.tell && producer.shared().tell() {
                            producer.shared().work();
                        }
                    }
                    Sent::NeedsRoom(bytes) => return Ok(End::NeedsRoom(bytes)),
                    Sent::NoSuchPartition => return Ok(End::NoSuchPartition),
                }
                next.1 += 1;
            }
            *next = (next.0 + 1, 0);
        }
        Ok(End::Done)
    }

    /// Number of rows sent so far, and of all.
    pub fn progress(&self) -> (usize, usize) {
        let (chunk, row) = *self.next.lock();
        let rows = |chunks: &[Chunk]| chunks.iter().map(|chunk| chunk.rows).sum::<usize>();
        (rows(&self.chunks[..chunk]) + row, rows(&self.chunks))
    }
}

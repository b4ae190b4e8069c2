//! `ArrowBatch`: polled records as an Arrow record batch, handed out by the Arrow PyCapsule interface. Documented in `_native.pyi`.
//!
//! The columns were filled in `odradek-core`; here their buffers become Arrow's without being copied.

use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch, RecordBatchIterator,
    StringArray, StructArray, TimestampMillisecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use odradek_core::client::consumer::columns::{BytesColumn, Columns, HeadersColumn};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList, PyTuple};

use crate::error::internal;

fn header_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Binary, true)])
}

fn header_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(header_fields()), false))
}

fn schema() -> SchemaRef {
    let topic = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Schema::new(vec![
        Field::new("topic", topic, false),
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("timestamp", DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC"))), false),
        Field::new("key", DataType::Binary, true),
        Field::new("value", DataType::Binary, true),
        Field::new("headers", DataType::List(header_item()), false),
    ]))
}

fn offsets(offsets: Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

fn binary(mut column: BytesColumn) -> Result<BinaryArray, ArrowError> {
    let data = Buffer::from_vec(std::mem::take(&mut column.data));
    binary_of(column, data)
}

fn binary_of(column: BytesColumn, data: Buffer) -> Result<BinaryArray, ArrowError> {
    let rows = column.offsets.len() - 1;
    let nulls =
        column.validity.into_bits().map(|bits| NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows)));
    BinaryArray::try_new(offsets(column.offsets), data, nulls)
}

fn headers(column: HeadersColumn) -> Result<ListArray, ArrowError> {
    let keys = StringArray::try_new(offsets(column.keys.offsets), Buffer::from_vec(column.keys.data), None)?;
    let pairs: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(binary(column.values)?)];
    let pairs = StructArray::try_new(header_fields(), pairs, None)?;
    ListArray::try_new(header_item(), offsets(column.offsets), Arc::new(pairs), None)
}

fn record_batch(mut columns: Columns) -> Result<RecordBatch, ArrowError> {
    let values = Buffer::from(columns.seal_values());
    let names = StringArray::from_iter_values(columns.topics.iter());
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(columns.topic), Arc::new(names))?),
        Arc::new(Int32Array::from(columns.partition)),
        Arc::new(Int64Array::from(columns.offset)),
        Arc::new(TimestampMillisecondArray::from(columns.timestamp).with_timezone("UTC")),
        Arc::new(binary(columns.key)?),
        Arc::new(binary_of(columns.value, values)?),
        Arc::new(headers(columns.headers)?),
    ];
    RecordBatch::try_new(schema(), arrays)
}

/// Records as columns; read without a copy by whatever takes the Arrow PyCapsule interface (pyarrow, polars, duckdb).
///
/// Columns: topic dictionary<int32, string>, partition int32, offset int64, timestamp timestamp[ms, UTC], key binary and
/// value binary (nullable), headers list<struct<key: string, value: binary>>. The memory lives as long as any reader of it.
#[pyclass(frozen, name = "ArrowBatch", module = "odradek._native")]
pub struct PyArrowBatch {
    batch: RecordBatch,
}

fn failed(error: &ArrowError) -> PyErr {
    internal(format!("Arrow export failed: {error}"))
}

impl PyArrowBatch {
    /// Makes the batch; needs no interpreter.
    pub fn new(columns: Columns) -> PyResult<Self> {
        Ok(Self { batch: record_batch(columns).map_err(|error| failed(&error))? })
    }

    fn schema_capsule<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.batch.schema_ref().as_ref()).map_err(|error| failed(&error))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }
}

#[pymethods]
impl PyArrowBatch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    #[getter]
    fn num_columns(&self) -> usize {
        self.batch.num_columns()
    }

    #[getter]
    fn column_names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.batch.schema_ref().fields().iter().map(|field| field.name().as_str()))
    }

    /// Bytes of all columns' buffers.
    #[getter]
    fn nbytes(&self) -> usize {
        self.batch.get_array_memory_size()
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    fn __repr__(&self) -> String {
        format!("<ArrowBatch num_rows={}>", self.batch.num_rows())
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        self.schema_capsule(py)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        // A requested schema is a wish; ours is handed out as it is, which the interface allows.
        let _ = requested_schema;
        let array = FFI_ArrowArray::new(&StructArray::from(self.batch.clone()).into_data());
        (self.schema_capsule(py)?, PyCapsule::new_with_value(py, array, c"arrow_array")?).into_pyobject(py)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let reader = RecordBatchIterator::new([Ok(self.batch.clone())], self.batch.schema());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), c"arrow_array_stream")
    }
}

//! Arrow arrays from and to any library that has them, by the PyCapsule interface and without a copy.
//!
//! Unsafe code is here alone. **Invariant**: a capsule named `arrow_schema`, `arrow_array` or `arrow_array_stream` holds a
//! structure of Arrow's C data interface, as the interface demands of whoever made it; an array or stream is moved out of
//! its capsule, which is left released.
#![expect(unsafe_code, reason = "structures of another library are read by their addresses")]

use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::ffi_stream::{ArrayStreamReader, FFI_ArrowArrayStream};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchIterator, StructArray, make_array};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::error::of_value;

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";

/// The arrays of an object that gives some: an array, or the chunks of a stream. `None` for any other object.
pub(crate) fn arrays_of(object: &Bound<'_, PyAny>) -> PyResult<Option<Vec<ArrayRef>>> {
    let py = object.py();
    if object.hasattr(intern!(py, "__arrow_c_array__"))? {
        let pair = object.call_method0(intern!(py, "__arrow_c_array__"))?;
        let (schema, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
        let (schema, array) = (address::<FFI_ArrowSchema>(&schema, SCHEMA)?, address::<FFI_ArrowArray>(&array, ARRAY)?);
        // SAFETY: both are what their capsules are named.
        if unsafe { array.as_ref().is_released() || is_released(schema) } {
            return Err(taken());
        }
        // SAFETY: both are what their capsules are named; the array is moved out, the schema stays in its capsule.
        let data = unsafe { from_ffi(FFI_ArrowArray::from_raw(array.as_ptr()), schema.as_ref()) };
        return Ok(Some(vec![make_array(data.map_err(|error| refused(&error))?)]));
    }
    if object.hasattr(intern!(py, "__arrow_c_stream__"))? {
        let stream = object.call_method0(intern!(py, "__arrow_c_stream__"))?;
        let stream = address::<FFI_ArrowArrayStream>(&stream, STREAM)?;
        // SAFETY: it is what its capsule is named, and is moved out.
        let stream = unsafe { FFI_ArrowArrayStream::from_raw(stream.as_ptr()) };
        let reader = ArrayStreamReader::try_new(stream).map_err(|error| refused(&error))?;
        let arrays = reader.collect::<Result<Vec<ArrayRef>, ArrowError>>();
        return Ok(Some(arrays.map_err(|error| refused(&error))?));
    }
    Ok(None)
}

fn refused(error: &ArrowError) -> PyErr {
    match error {
        // The library has no other sign of a stream that was taken.
        ArrowError::CDataInterface(text) if text.contains("released") => taken(),
        error => PyTypeError::new_err(format!("cannot read the Arrow array: {error}")),
    }
}

/// A capsule gives its array or stream to the first who asks.
fn taken() -> PyErr {
    of_value("the Arrow array was taken from its capsule before; ask the object that it is of for another capsule")
}

/// Whether a schema was moved out of its capsule: then the last but one of its nine fields, a function, is null.
///
/// # Safety
/// It points to a structure of Arrow's C data interface.
unsafe fn is_released(schema: NonNull<FFI_ArrowSchema>) -> bool {
    // SAFETY: the interface lays down nine fields, each as wide as a pointer or an i64, which are equally wide here.
    unsafe { schema.cast::<[usize; 9]>().as_ref()[7] == 0 }
}

/// Where the structure in a capsule lies.
fn address<T>(capsule: &Bound<'_, PyAny>, name: &'static CStr) -> PyResult<NonNull<T>> {
    Ok(capsule.cast::<PyCapsule>()?.pointer_checked(Some(name))?.cast())
}

/// Capsules with a type and an array.
fn capsules<'py>(
    py: Python<'py>,
    field: &Field,
    array: &dyn Array,
) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
    let array = FFI_ArrowArray::new(&array.to_data());
    Ok((schema_capsule(py, field)?, PyCapsule::new_with_value(py, array, ARRAY)?))
}

fn schema_capsule<'py>(py: Python<'py>, field: &Field) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(field).map_err(|error| refused(&error))?;
    PyCapsule::new_with_value(py, schema, SCHEMA)
}

/// An Arrow array, which pyarrow, polars and other libraries take without a copy: `pyarrow.array(array)`,
/// `polars.Series(array)`.
#[pyclass(frozen, module = "webtext")]
pub(crate) struct ArrowArray {
    array: ArrayRef,
    field: Field,
}

impl ArrowArray {
    pub(crate) fn new(array: ArrayRef) -> ArrowArray {
        let field = Field::new("", array.data_type().clone(), array.is_nullable());
        ArrowArray { array, field }
    }
}

#[pymethods]
impl ArrowArray {
    /// Arrow's PyCapsule interface: the array's type.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.field)
    }

    /// Arrow's PyCapsule interface: type and array, in the type that it has.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema;
        capsules(py, &self.field, &self.array)
    }

    /// The number of its elements.
    fn __len__(&self) -> usize {
        self.array.len()
    }

    fn __repr__(&self) -> String {
        format!("<webtext.ArrowArray of {} {}>", self.array.len(), self.array.data_type())
    }
}

/// An Arrow table, which pyarrow, polars, DuckDB and other libraries take without a copy: `pyarrow.table(table)`,
/// `polars.DataFrame(table)`.
#[pyclass(frozen, module = "webtext")]
pub(crate) struct ArrowTable {
    batch: RecordBatch,
}

impl ArrowTable {
    /// A table of columns of the same length, by name.
    pub(crate) fn new(columns: Vec<(&str, ArrayRef)>) -> ArrowTable {
        let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<Field>>()));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(schema, arrays).expect("the columns have the schema's types and one length");
        ArrowTable { batch }
    }

    fn field(&self) -> Field {
        Field::new("", DataType::Struct(self.batch.schema().fields().clone()), false)
    }
}

#[pymethods]
impl ArrowTable {
    /// Arrow's PyCapsule interface: the table's schema.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.field())
    }

    /// Arrow's PyCapsule interface: schema and rows as an array of structures.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema;
        capsules(py, &self.field(), &StructArray::from(self.batch.clone()))
    }

    /// Arrow's PyCapsule interface: the table as a stream of one batch.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batches = RecordBatchIterator::new([Ok(self.batch.clone())], self.batch.schema());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(batches)), STREAM)
    }

    /// The names of the columns.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The number of rows.
    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    fn __repr__(&self) -> String {
        let rows = user_error::count(self.batch.num_rows() as u64, "row");
        format!("<webtext.ArrowTable of {rows}: {}>", self.column_names().join(", "))
    }
}

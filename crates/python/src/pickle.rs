//! What objects of this module are pickled as: a function of `webtext._pickle` and its arguments.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// A function of Python, and the arguments with which it makes an object again.
pub(crate) type Reduced<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// An object that `webtext._pickle.FUNCTION` makes again.
pub(crate) fn reduced<'py>(
    py: Python<'py>,
    function: &str,
    arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
) -> PyResult<Reduced<'py>> {
    Ok((PyModule::import(py, "webtext._pickle")?.getattr(function)?, arguments.into_pyobject(py)?))
}

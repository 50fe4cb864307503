//! Records of archives, from a path or from any object that has `read`.

use std::ffi::CString;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyRuntimeWarning, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use warc::{Event, Kind, Location, ReadError, Reader, RecordFault};

use crate::error::{Error, chain, of_io, of_value, of_work};
use crate::numbers;
use crate::pickle::{Reduced, reduced};

/// What becomes of parts of an archive that are no records.
#[derive(Clone, Copy)]
enum Malformed {
    Warn,
    Raise,
    Ignore,
}

/// The records of an archive, one after the other.
#[pyclass(frozen, module = "webtext")]
pub(crate) struct ArchiveIterator {
    reader: Mutex<Reader>,
    archive: String,
    types: Option<Vec<String>>,
    malformed: Malformed,
    max_body_bytes: u64,
}

impl ArchiveIterator {
    /// Says what is wrong with a part of the archive, in the way that was asked for.
    fn report_fault(&self, py: Python<'_>, location: Location, fault: &RecordFault) -> PyResult<()> {
        let text = format!("{} at {location}: {}", self.archive, chain(fault));
        match self.malformed {
            Malformed::Raise => Err(Error::new_err(text)),
            Malformed::Ignore => Ok(()),
            Malformed::Warn => {
                let text = CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
                PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 1)
            }
        }
    }
}

/// A record of an archive.
#[pyclass(frozen, module = "webtext")]
pub(crate) struct Record {
    record: warc::Record,
    max_body_bytes: u64,
}

#[pymethods]
impl ArchiveIterator {
    /// Opens an archive.
    #[new]
    #[pyo3(signature = (source, *, types=None, malformed="warn", max_record_bytes=64 << 20),
        text_signature = "(source, *, types=None, malformed='warn', max_record_bytes=67108864)")]
    fn new(
        source: &Bound<'_, PyAny>,
        types: Option<&Bound<'_, PyAny>>,
        malformed: &str,
        #[pyo3(from_py_with = numbers::max_record_bytes)] max_record_bytes: u64,
    ) -> PyResult<ArchiveIterator> {
        let malformed = match malformed {
            "warn" => Malformed::Warn,
            "raise" => Malformed::Raise,
            "ignore" => Malformed::Ignore,
            other => return Err(of_value(format!("malformed = {other:?}; it is \"warn\", \"raise\" or \"ignore\""))),
        };
        let types = types.map(wanted_types).transpose()?;
        let py = source.py();
        let opened = if source.hasattr(intern!(py, "read"))? {
            let name = source.getattr("name").and_then(|name| name.str()?.extract::<String>());
            let archive = name.unwrap_or_else(|_| "the archive".to_owned());
            let source = ReadObject { object: source.clone().unbind(), position: 0 };
            py.detach(|| Reader::new(source, archive.clone(), max_record_bytes)).map(|reader| (reader, archive))
        } else {
            let path: PathBuf = source.extract()?;
            let opened = py.detach(|| Reader::open(&path, max_record_bytes));
            opened.map(|reader| (reader, path.display().to_string()))
        };
        let (reader, archive) = opened.map_err(of_read)?;
        let max_body_bytes = max_record_bytes;
        Ok(ArchiveIterator { reader: Mutex::new(reader), archive, types, malformed, max_body_bytes })
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Record>> {
        loop {
            py.check_signals()?;
            let next = py.detach(|| self.reader.lock().unwrap_or_else(PoisonError::into_inner).next());
            match next.map_err(of_read)? {
                None => return Ok(None),
                Some(Event::Record(record)) => {
                    if let Some(fault) = record.fault() {
                        self.report_fault(py, record.location, &fault)?;
                    }
                    let is_wanted = |types: &Vec<String>| types.iter().any(|name| name == type_of(&record));
                    if self.types.as_ref().is_none_or(is_wanted) {
                        return Ok(Some(Record { record, max_body_bytes: self.max_body_bytes }));
                    }
                }
                Some(Event::Malformed { location, fault }) => {
                    self.report_fault(py, location, &fault)?;
                }
            }
        }
    }

    fn __repr__(&self) -> String {
        format!("<webtext.ArchiveIterator of {}>", self.archive)
    }
}

#[pymethods]
impl Record {
    /// Its type in lower case.
    #[getter]
    fn r#type(&self) -> &str {
        type_of(&self.record)
    }

    /// WARC-Target-URI.
    #[getter]
    fn url(&self) -> Option<&str> {
        self.record.target()
    }

    /// WARC-Date as it stands.
    #[getter]
    fn date(&self) -> Option<&str> {
        self.record.header("WARC-Date")
    }

    /// The date in seconds since 1970.
    #[getter]
    fn captured_utc(&self) -> Option<i64> {
        self.record.captured_utc()
    }

    /// WARC-Record-ID without angle brackets.
    #[getter]
    fn record_id(&self) -> Option<&str> {
        self.record.header("WARC-Record-ID").map(|id| id.trim_start_matches('<').trim_end_matches('>'))
    }

    /// The record's headers; of those with one name, the first.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, self.record.headers.iter())
    }

    /// The status of an HTTP response.
    #[getter]
    fn http_status(&self) -> Option<u16> {
        self.record.capture().ok()?.status
    }

    /// The header fields of an HTTP response, as they stand; None for any other record.
    #[getter]
    fn http_headers<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        match self.record.kind {
            Kind::Response | Kind::Revisit => {}
            _ => return Ok(None),
        }
        let response = warc::http::Response::parse(&self.record.body);
        response.map(|response| PyList::new(py, response.headers)).transpose()
    }

    /// The content's type and charset.
    #[getter]
    fn content_type(&self) -> Option<String> {
        self.record.capture().ok()?.content_type
    }

    /// Whether the content is HTML.
    #[getter]
    fn is_html(&self) -> bool {
        self.record.capture().is_ok_and(|capture| capture.media == warc::http::Media::Html)
    }

    /// The content without its transfer and content codings.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let body = py.detach(|| match self.record.capture() {
            Ok(capture) => capture.body(self.max_body_bytes).map(std::borrow::Cow::into_owned),
            Err(_) => Ok(self.record.body.clone()),
        });
        Ok(PyBytes::new(py, &body.map_err(|error| of_work(&error))?))
    }

    /// The block as it is stored, with the head of an HTTP message.
    #[getter]
    fn block<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.record.body)
    }

    /// Where the record begins: the byte of the archive, and within that compressed member.
    #[getter]
    fn offset(&self) -> (u64, u64) {
        (self.record.location.offset, self.record.location.offset_in_member)
    }

    /// Whether the block was longer than max_record_bytes, and is cut there.
    #[getter]
    fn is_cut(&self) -> bool {
        self.record.is_cut()
    }

    /// A record with this type, place, headers, block, lengths and faults.
    #[staticmethod]
    fn _of(
        kind: &str,
        offset: (u64, u64),
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        lengths: (u64, u64),
        faults: (bool, bool),
    ) -> Record {
        let ((len_bytes, max_body_bytes), (has_wrong_length, is_truncated)) = (lengths, faults);
        let record = warc::Record {
            location: Location { offset: offset.0, offset_in_member: offset.1 },
            kind: KINDS.into_iter().find(|known| name_of(*known) == kind).unwrap_or(Kind::Other),
            headers: headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            body,
            len_bytes,
            has_wrong_length,
            is_truncated,
        };
        Record { record, max_body_bytes }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let warc::Record { headers, len_bytes, has_wrong_length, is_truncated, .. } = &self.record;
        let headers: Vec<(&str, &str)> = headers.iter().collect();
        let lengths = (*len_bytes, self.max_body_bytes);
        let faults = (*has_wrong_length, *is_truncated);
        reduced(py, "record", (self.r#type(), self.offset(), headers, self.block(py), lengths, faults))
    }

    fn __repr__(&self) -> String {
        format!("<webtext.Record {} {}>", type_of(&self.record), self.record.target().unwrap_or("without a URL"))
    }
}

/// The types of records that a caller asks for, in lower case.
fn wanted_types(types: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if types.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(format!("types is a list, such as [{}]", types.repr()?)));
    }
    let mut wanted = Vec::new();
    for name in types.try_iter()? {
        let name = name?;
        let fault = |_| PyTypeError::new_err("types is a list of names, such as [\"response\"]");
        let name = name.extract::<String>().map_err(fault)?.to_ascii_lowercase();
        if !KINDS.iter().any(|kind| name_of(*kind) == name) {
            let known = KINDS.map(name_of).join(", ");
            return Err(of_value(format!("types has {name:?}; the types of records are {known}")));
        }
        wanted.push(name);
    }
    Ok(wanted)
}

/// All types of records.
const KINDS: [Kind; 9] = [
    Kind::Warcinfo,
    Kind::Response,
    Kind::Resource,
    Kind::Request,
    Kind::Revisit,
    Kind::Metadata,
    Kind::Conversion,
    Kind::Continuation,
    Kind::Other,
];

/// The name of a record's type.
fn type_of(record: &warc::Record) -> &'static str {
    name_of(record.kind)
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Warcinfo => "warcinfo",
        Kind::Response => "response",
        Kind::Resource => "resource",
        Kind::Request => "request",
        Kind::Revisit => "revisit",
        Kind::Metadata => "metadata",
        Kind::Conversion => "conversion",
        Kind::Continuation => "continuation",
        Kind::Other => "other",
    }
}

fn dict<'py, 'f>(py: Python<'py>, fields: impl Iterator<Item = (&'f str, &'f str)>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in fields {
        if !dict.contains(name)? {
            dict.set_item(name, value)?;
        }
    }
    Ok(dict)
}

/// An archive that cannot be opened or read: what the object's `read` raised, or an `OSError`.
fn of_read(error: ReadError) -> PyErr {
    let ReadError { archive, source, offset, .. } = error;
    if source.get_ref().is_some_and(|inner| inner.is::<PyErr>()) {
        return PyErr::from(source);
    }
    match source.raw_os_error() {
        Some(_) => of_io(&source, archive.as_ref()),
        None => Error::new_err(format!("cannot read {archive} at byte {offset}: {}", chain(&source))),
    }
}

/// An object of Python that has `read`, and maybe `seek`.
struct ReadObject {
    object: Py<PyAny>,
    position: u64,
}

impl Read for ReadObject {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = Python::attach(|py| {
            let read = self.object.call_method1(py, intern!(py, "read"), (buffer.len(),))?;
            let bytes = read.bind(py).extract::<&[u8]>().map_err(PyErr::from)?;
            let fault = || of_value("read(n) returned more than n bytes");
            buffer.get_mut(..bytes.len()).ok_or_else(fault)?.copy_from_slice(bytes);
            Ok::<usize, PyErr>(bytes.len())
        });
        let len = len.map_err(io::Error::other)?;
        self.position += len as u64;
        Ok(len)
    }
}

impl Seek for ReadObject {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if to == SeekFrom::Start(self.position) || to == SeekFrom::Current(0) {
            return Ok(self.position);
        }
        let (offset, whence) = match to {
            SeekFrom::Start(offset) => (i64::try_from(offset).unwrap_or(i64::MAX), 0),
            SeekFrom::Current(offset) => (offset, 1),
            SeekFrom::End(offset) => (offset, 2),
        };
        let sought = Python::attach(|py| {
            let object = self.object.bind(py);
            let can_seek = object.hasattr("seek")?
                && (!object.hasattr("seekable")? || object.call_method0("seekable")?.is_truthy()?);
            if !can_seek {
                return Ok(None);
            }
            object.call_method1("seek", (offset, whence))?;
            object.call_method0("tell")?.extract::<u64>().map(Some)
        });
        let none =
            "it is a stream that cannot go back, which reading on behind damage needs; give a path or a seekable file";
        match sought.map_err(|error: PyErr| io::Error::other(error))? {
            Some(position) => {
                self.position = position;
                Ok(position)
            }
            None => Err(io::Error::new(io::ErrorKind::Unsupported, none)),
        }
    }
}

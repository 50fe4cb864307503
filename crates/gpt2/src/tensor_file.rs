//! safetensors files: converts between flat buffers of f32 and named tensors, without a second copy in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use atomic_file::{AtomicFile, IoContext};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

/// Longest header; the format's own limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Bytes that are read and converted at a time.
const BUFFER_BYTES: usize = 1 << 20;

#[cfg(target_endian = "big")]
compile_error!("tensors are written as they lie in memory, which safetensors wants little-endian");

/// A model or checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The file's content is not what it should be.
    #[error("{} cannot be used: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl CheckpointError {
    /// [`CheckpointError::Malformed`] of a file.
    pub fn malformed(path: &Path, what: impl Into<String>) -> CheckpointError {
        CheckpointError::Malformed { path: path.to_path_buf(), what: what.into() }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> CheckpointError {
        CheckpointError::Io { action, path: path.to_path_buf(), source }
    }
}

/// A tensor to be written.
#[derive(Debug, Clone, Copy)]
pub struct TensorData<'a> {
    /// Lengths of its axes.
    pub shape: &'a [usize],
    /// Its elements, row-major; as many as the shape says.
    pub data: &'a [f32],
}

impl From<atomic_file::Error> for CheckpointError {
    fn from(error: atomic_file::Error) -> CheckpointError {
        let atomic_file::Error { action, path, source } = error;
        CheckpointError::Io { action, path, source }
    }
}

/// Writes tensors and one entry of metadata, key and value, to a file that appears complete or not at all. There is
/// only one entry, since the format does not order several.
///
/// The bytes are those of [`safetensors::serialize_to_file`], which is not called because its file can be read only by
/// the owner (mode 0600), whatever the umask says.
///
/// # Errors
/// What the system refuses.
///
/// # Panics
/// If a tensor has more or fewer elements than its shape.
pub fn write(
    path: &Path,
    mut tensors: Vec<(String, TensorData<'_>)>,
    (key, value): (&str, String),
) -> Result<(), CheckpointError> {
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let header = header_of(&tensors, HashMap::from([(key.to_owned(), value)]));
    let mut file = AtomicFile::create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes()).at("write", path)?;
    file.write_all(&header).at("write", path)?;
    for (_, tensor) in &tensors {
        file.write_all(bytemuck::cast_slice(tensor.data)).at("write", path)?;
    }
    file.commit()?;
    Ok(())
}

/// The header of a safetensors file: where each tensor lies, as JSON, padded to eight bytes with spaces.
fn header_of(tensors: &[(String, TensorData<'_>)], metadata: HashMap<String, String>) -> Vec<u8> {
    let mut end = 0;
    let infos = tensors.iter().map(|(name, tensor)| {
        let start = end;
        end += size_of_val(tensor.data);
        (name.clone(), TensorInfo { dtype: Dtype::F32, shape: tensor.shape.to_vec(), data_offsets: (start, end) })
    });
    let metadata = Metadata::new(Some(metadata), infos.collect()).expect("tensors have the size of their shapes");
    let mut header = serde_json::to_vec(&metadata).expect("names and numbers");
    header.resize(header.len().next_multiple_of(8), b' ');
    header
}

/// Writes a small file that appears whole.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    atomic_file::write(path, bytes)?;
    Ok(())
}

/// The tensors of one file or several; of a name that several have, those of the first.
#[derive(Debug)]
pub struct TensorSet {
    files: Vec<TensorFile>,
}

impl TensorSet {
    /// The tensors of files.
    pub fn of(files: Vec<TensorFile>) -> TensorSet {
        TensorSet { files }
    }

    /// Number of tensors.
    pub fn tensors(&self) -> usize {
        self.files.iter().map(TensorFile::tensors).sum()
    }

    /// The names of all tensors.
    pub fn names(&self) -> Vec<String> {
        self.files.iter().flat_map(TensorFile::names).collect()
    }

    /// Shape of a tensor; `None` where there is none of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.files.iter().find_map(|file| file.shape(name))
    }

    /// Reads a tensor, see [`TensorFile::read`].
    ///
    /// # Errors
    /// As [`TensorFile::read`]; a set of no file.
    pub fn read(&self, name: &str, shape: &[usize], to: &mut [f32]) -> Result<(), CheckpointError> {
        let file = self.files.iter().find(|file| file.shape(name).is_some()).or(self.files.first());
        match file {
            Some(file) => file.read(name, shape, to),
            None => Err(CheckpointError::malformed(Path::new(name), "there is no file of tensors")),
        }
    }
}

/// A safetensors file whose header was read and found to fit the file.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    data_start: u64,
}

impl TensorFile {
    /// Opens a file; no tensor is read yet.
    ///
    /// # Errors
    /// A file that cannot be read; a header that is truncated, is not one, or does not fit the file's length.
    pub fn open(path: &Path) -> Result<TensorFile, CheckpointError> {
        let read_error = |source| CheckpointError::io("read", path, source);
        let malformed = |what: &str| CheckpointError::malformed(path, what);
        let file = File::open(path).map_err(read_error)?;
        let len_bytes = file.metadata().map_err(read_error)?.len();
        let mut eight = [0; 8];
        if len_bytes < 8 {
            return Err(malformed("it is too short for a safetensors file"));
        }
        file.read_exact_at(&mut eight, 0).map_err(read_error)?;
        if eight == *b"version " {
            return Err(malformed("it is a pointer of Git LFS; fetch the file itself (git lfs pull)"));
        }
        let header_bytes = u64::from_le_bytes(eight);
        if header_bytes > MAX_HEADER_BYTES.min(len_bytes - 8) {
            return Err(malformed("its header is longer than the file: it is truncated, or not a safetensors file"));
        }
        let mut header = vec![0; header_bytes as usize];
        file.read_exact_at(&mut header, 8).map_err(read_error)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| malformed(&format!("its header cannot be read: {error}")))?;
        let data_start = 8 + header_bytes;
        let mut end = 0;
        for (name, info) in metadata.tensors() {
            let bytes = info.shape.iter().try_fold(info.dtype.bitsize(), |bits, &n| bits.checked_mul(n)).map(|n| n / 8);
            let (start, stop) = info.data_offsets;
            if start > stop || bytes != Some(stop - start) {
                return Err(malformed(&format!(
                    "the tensor {name} has the bytes {start}..{stop} for the shape {:?}",
                    info.shape
                )));
            }
            end = end.max(stop as u64);
        }
        if data_start.checked_add(end) != Some(len_bytes) {
            return Err(malformed("its tensors do not end where the file ends: it is truncated or damaged"));
        }
        Ok(TensorFile { path: path.to_path_buf(), file, metadata, data_start })
    }

    /// An entry of the metadata.
    pub fn entry(&self, key: &str) -> Option<&str> {
        self.metadata.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// Number of tensors.
    pub fn tensors(&self) -> usize {
        self.metadata.tensors().len()
    }

    /// The names of all tensors.
    pub fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// Shape of a tensor; `None` where there is none of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.metadata.info(name).map(|info| &info.shape[..])
    }

    /// Reads a tensor of F32, F16 or BF16 into `to`. Dimensions of 1 are ignored, so that OpenAI's (1, I, O) is (I, O).
    ///
    /// # Errors
    /// A tensor that is missing or has another shape or type; elements that are not finite.
    ///
    /// # Panics
    /// If `to` has not as many elements as `shape`.
    pub fn read(&self, name: &str, shape: &[usize], to: &mut [f32]) -> Result<(), CheckpointError> {
        let malformed = |what: String| CheckpointError::malformed(&self.path, what);
        let info = self.metadata.info(name).ok_or_else(|| malformed(format!("the tensor {name} is missing")))?;
        let squeezed = |shape: &[usize]| shape.iter().copied().filter(|&n| n != 1).collect::<Vec<_>>();
        let convert: fn(&[u8]) -> f32 = match info.dtype {
            Dtype::F32 => |four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]),
            Dtype::BF16 => |two| f32::from_bits(u32::from(u16::from_le_bytes([two[0], two[1]])) << 16),
            Dtype::F16 => |two| half_to_f32(u16::from_le_bytes([two[0], two[1]])),
            other => return Err(malformed(format!("{name} is {other:?}; only F32, F16 and BF16 can be read"))),
        };
        if squeezed(&info.shape) != squeezed(shape) {
            return Err(malformed(format!("{name} is {:?}, not {shape:?}", info.shape)));
        }
        self.read_converted(info, convert, to)?;
        match to.iter().position(|x| !x.is_finite()) {
            Some(at) => Err(malformed(format!("element {at} of {name} is not a finite number"))),
            None => Ok(()),
        }
    }

    fn read_converted(
        &self,
        info: &TensorInfo,
        convert: fn(&[u8]) -> f32,
        to: &mut [f32],
    ) -> Result<(), CheckpointError> {
        let width = info.dtype.bitsize() / 8;
        let mut buffer = vec![0; BUFFER_BYTES.min(width * to.len())];
        let mut at = self.data_start + info.data_offsets.0 as u64;
        for to in to.chunks_mut(BUFFER_BYTES / width) {
            let bytes = &mut buffer[..width * to.len()];
            self.file.read_exact_at(bytes, at).map_err(|source| CheckpointError::io("read", &self.path, source))?;
            to.iter_mut().zip(bytes.chunks_exact(width)).for_each(|(to, bytes)| *to = convert(bytes));
            at += bytes.len() as u64;
        }
        Ok(())
    }
}

/// An IEEE 754 half, exactly.
fn half_to_f32(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, bits >> 10 & 31, u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction as f32 / 16_777_216.0, // 2⁻²⁴ each
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | fraction << 13),
    };
    f32::from_bits(magnitude.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn halves() {
        let cases =
            [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 5.960_464_5e-8), (0x7bff, 65504.0), (0x3555, 0.333_251_95)];
        for (bits, expected) in cases {
            assert_eq!(half_to_f32(bits), expected);
        }
        assert!(half_to_f32(0x7c00).is_infinite() && half_to_f32(0x7e00).is_nan());
    }

    #[test]
    fn tensors_come_back_and_halves_are_widened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let data = [1.0, -2.5, 3.25, 0.0, 1e-9, 7.0];
        write(&path, vec![("x".into(), TensorData { shape: &[2, 3], data: &data })], ("k", "v".into())).unwrap();
        let file = TensorFile::open(&path).unwrap();
        let mut to = [0.0; 6];
        file.read("x", &[1, 2, 3], &mut to).unwrap();
        assert_eq!((to, file.entry("k"), file.shape("x")), (data, Some("v"), Some(&[2, 3][..])));
        assert!(file.read("x", &[3, 2], &mut to).unwrap_err().to_string().contains("[2, 3], not [3, 2]"));

        let halves: Vec<u8> = [0x3c00u16, 0xc000].iter().flat_map(|x| x.to_le_bytes()).collect();
        let view = safetensors::tensor::TensorView::new(Dtype::F16, vec![2], &halves).unwrap();
        fs::write(&path, safetensors::serialize([("x", view)], None).unwrap()).unwrap();
        let mut to = [0.0; 2];
        TensorFile::open(&path).unwrap().read("x", &[2], &mut to).unwrap();
        assert_eq!(to, [1.0, -2.0]);
    }

    #[test]
    fn files_are_those_of_the_library_and_others_may_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let data = [1.0, -2.5, 3.25, 0.0];
        let shapes: [(&str, &[usize]); 4] = [("b", &[2, 2]), ("a.10", &[4]), ("a.9", &[]), ("none", &[0, 3])];
        let parts = shapes.map(|(name, shape)| (name, shape, &data[..shape.iter().product()]));
        let tensors = parts.map(|(name, shape, data)| (name.to_owned(), TensorData { shape, data }));
        write(&path, tensors.into(), ("key", "a \"value\"".into())).unwrap();

        let views = parts.map(|(name, shape, data)| {
            let bytes = bytemuck::cast_slice(data);
            (name, safetensors::tensor::TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap())
        });
        let metadata = HashMap::from([("key".to_owned(), "a \"value\"".to_owned())]);
        assert!(fs::read(&path).unwrap() == safetensors::serialize(views, Some(metadata)).unwrap());

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        let plain = folder.path().join("plain");
        fs::write(&plain, "x").unwrap();
        assert_eq!(mode(&path), mode(&plain));
    }

    #[test]
    fn hostile_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        write(&path, vec![("x".into(), TensorData { shape: &[2], data: &[1.0, 2.0] })], ("k", "v".into())).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut claims_much = whole.clone();
        claims_much[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let header = |json: &str| [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &[0; 8]].concat();
        let wraps = header(r#"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#);
        let backwards = header(r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#);
        let far = header(r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#);
        let nothing = header("{");
        let longer = [&whole[..], &[0]].concat();
        let cases =
            [&whole[..whole.len() - 3], &whole[..5], &[], &claims_much, &wraps, &backwards, &far, &nothing, &longer];
        for bytes in cases {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(TensorFile::open(&path), Err(CheckpointError::Malformed { .. })), "{bytes:?}");
        }
    }
}

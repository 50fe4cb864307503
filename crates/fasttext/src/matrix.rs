//! The two matrices of a model: one row per word or n-gram, one row per label. Each is of single floats, or of product
//! codes (Jégou, Douze, Schmid 2011): a row is cut into parts of `dsub` numbers, and a byte per part names one of 256
//! centroids.

use std::io::Read;

use crate::ReadError;
use crate::reader::Reader;

/// Centroids per part of a row.
const CENTROIDS: usize = 256;

/// Rows of the output matrix whose products are summed side by side.
pub(crate) const PANEL_ROWS: usize = 16;

/// The expected shape of a matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub matrix: &'static str,
    pub rows: u64,
    pub columns: usize,
}

impl Shape {
    /// Reads rows and columns, and refuses others than these.
    fn check<R: Read>(self, reader: &mut Reader<R>) -> Result<(), ReadError> {
        let offset = reader.offset();
        let (rows, columns) = (reader.i64()?, reader.i64()?);
        if u64::try_from(rows) == Ok(self.rows) && u64::try_from(columns) == Ok(self.columns as u64) {
            return Ok(());
        }
        Err(ReadError::Dimensions {
            matrix: self.matrix,
            rows,
            columns,
            expected_rows: self.rows,
            expected_columns: self.columns as u64,
            offset,
        })
    }
}

/// A row per word and n-gram.
#[derive(Debug)]
pub(crate) enum InputMatrix {
    /// `(rows, columns)`, row by row.
    Dense(Vec<f32>),
    Quantised(ProductCodes),
}

impl InputMatrix {
    pub(crate) fn read<R: Read>(reader: &mut Reader<R>, quantised: bool, shape: Shape) -> Result<Self, ReadError> {
        if quantised {
            return ProductCodes::read(reader, shape).map(InputMatrix::Quantised);
        }
        read_dense(reader, shape).map(InputMatrix::Dense)
    }

    /// Adds a row to a vector of as many numbers as there are columns.
    pub(crate) fn add_row(&self, row: u32, sum: &mut [f32]) {
        match self {
            InputMatrix::Dense(weights) => {
                let row = &weights[row as usize * sum.len()..][..sum.len()];
                for (sum, weight) in sum.iter_mut().zip(row) {
                    *sum += weight;
                }
            }
            InputMatrix::Quantised(codes) => codes.add_row(row as usize, sum),
        }
    }
}

/// A row per label, or per inner node of the tree of labels.
#[derive(Debug)]
pub(crate) enum OutputMatrix {
    /// Panels of [`PANEL_ROWS`] rows, in each the rows' first numbers, then their second ones: the sums of a panel's
    /// rows grow side by side, each in the order of the columns. The last panel is filled up with zeros.
    Dense(Vec<f32>),
    Quantised(ProductCodes),
}

impl OutputMatrix {
    pub(crate) fn read<R: Read>(reader: &mut Reader<R>, quantised: bool, shape: Shape) -> Result<Self, ReadError> {
        if quantised {
            return ProductCodes::read(reader, shape).map(OutputMatrix::Quantised);
        }
        let rows = read_dense(reader, shape)?;
        let panel_len = PANEL_ROWS * shape.columns;
        let mut panels = vec![0.0; (shape.rows as usize).div_ceil(PANEL_ROWS) * panel_len];
        for (row, weights) in rows.chunks_exact(shape.columns).enumerate() {
            let panel = &mut panels[row / PANEL_ROWS * panel_len..][..panel_len];
            for (column, &weight) in weights.iter().enumerate() {
                panel[column * PANEL_ROWS + row % PANEL_ROWS] = weight;
            }
        }
        Ok(OutputMatrix::Dense(panels))
    }

    /// Dot products of a vector with the rows of a panel; what lies after the last row is 0. Time O(16 × columns).
    pub(crate) fn panel_products(&self, panel: usize, vector: &[f32]) -> [f32; PANEL_ROWS] {
        let mut sums = [0.0; PANEL_ROWS];
        match self {
            OutputMatrix::Dense(panels) => {
                let panel = &panels[panel * PANEL_ROWS * vector.len()..][..PANEL_ROWS * vector.len()];
                for (number, weights) in vector.iter().zip(panel.as_chunks::<PANEL_ROWS>().0) {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += weight * number;
                    }
                }
            }
            OutputMatrix::Quantised(codes) => {
                for (row, sum) in (panel * PANEL_ROWS..codes.rows).zip(&mut sums) {
                    *sum = codes.product(row, vector);
                }
            }
        }
        sums
    }
}

fn read_dense<R: Read>(reader: &mut Reader<R>, shape: Shape) -> Result<Vec<f32>, ReadError> {
    shape.check(reader)?;
    reader.weights(shape.rows.saturating_mul(shape.columns as u64))
}

/// A matrix of product codes, with or without a quantised norm per row.
#[derive(Debug)]
pub(crate) struct ProductCodes {
    rows: usize,
    /// `(rows, parts)`
    codes: Vec<u8>,
    /// Numbers per part; the last may have fewer.
    dsub: usize,
    /// `(parts, 256, dsub)`, with `last_dsub` in the last part.
    centroids: Vec<f32>,
    norms: Option<Norms>,
}

/// A norm per row, of 256 different ones.
#[derive(Debug)]
struct Norms {
    codes: Vec<u8>,
    values: Vec<f32>,
}

impl ProductCodes {
    fn read<R: Read>(reader: &mut Reader<R>, shape: Shape) -> Result<ProductCodes, ReadError> {
        let has_norms = reader.bool("qnorm")?;
        shape.check(reader)?;
        let codes_len = reader.setting("codesize", 1..=i32::MAX)? as u64;
        let codes_offset = reader.offset() - 4;
        let codes = reader.bytes(codes_len)?;
        let dim = shape.columns;
        let (dsub, centroids) = read_centroids(reader, dim)?;
        if codes_len != shape.rows * dim.div_ceil(dsub) as u64 {
            return Err(ReadError::Setting { name: "codesize", value: codes_len as i64, offset: codes_offset });
        }
        let norms = if has_norms {
            let codes = reader.bytes(shape.rows)?;
            Some(Norms { codes, values: read_centroids(reader, 1)?.1 })
        } else {
            None
        };
        Ok(ProductCodes { rows: shape.rows as usize, codes, dsub, centroids, norms })
    }

    fn norm(&self, row: usize) -> f32 {
        self.norms.as_ref().map_or(1.0, |norms| norms.values[usize::from(norms.codes[row])])
    }

    /// The parts of a row: the offset of each in a vector, and its centroid.
    fn parts(&self, row: usize, dim: usize) -> impl Iterator<Item = &[f32]> {
        let parts = dim.div_ceil(self.dsub);
        let codes = &self.codes[row * parts..][..parts];
        self.centroids.chunks(CENTROIDS * self.dsub).zip(codes).map(|(centroids, &code)| {
            let len = centroids.len() / CENTROIDS;
            &centroids[usize::from(code) * len..][..len]
        })
    }

    fn add_row(&self, row: usize, sum: &mut [f32]) {
        let norm = self.norm(row);
        if self.dsub == 2 && sum.len().is_multiple_of(2) {
            return self.add_row_in_pairs(row, norm, sum);
        }
        let dim = sum.len();
        for (sum, centroid) in sum.chunks_mut(self.dsub).zip(self.parts(row, dim)) {
            for (sum, number) in sum.iter_mut().zip(centroid) {
                *sum += norm * number;
            }
        }
    }

    /// [`Self::add_row`] for parts of two numbers, fastText's default.
    fn add_row_in_pairs(&self, row: usize, norm: f32, sum: &mut [f32]) {
        let sum = sum.as_chunks_mut::<2>().0;
        let codes = &self.codes[row * sum.len()..][..sum.len()];
        let centroids = self.centroids.as_chunks::<2>().0.as_chunks::<CENTROIDS>().0;
        for ((sum, centroids), &code) in sum.iter_mut().zip(centroids).zip(codes) {
            let [first, second] = centroids[usize::from(code)];
            sum[0] += norm * first;
            sum[1] += norm * second;
        }
    }

    fn product(&self, row: usize, vector: &[f32]) -> f32 {
        let mut sum = 0.0;
        for (numbers, centroid) in vector.chunks(self.dsub).zip(self.parts(row, vector.len())) {
            for (number, weight) in numbers.iter().zip(centroid) {
                sum += number * weight;
            }
        }
        sum * self.norm(row)
    }
}

/// Reads a quantiser of vectors of `dim` numbers: the numbers per part, and the centroids.
fn read_centroids<R: Read>(reader: &mut Reader<R>, dim: usize) -> Result<(usize, Vec<f32>), ReadError> {
    let exactly = |value: usize| value as i32..=value as i32;
    reader.setting("dim of a quantiser", exactly(dim))?;
    let parts = reader.setting("nsubq", 1..=dim as i32)? as usize;
    let dsub = reader.setting("dsub", 1..=i32::MAX)? as usize;
    // Only one number of parts goes with a dimension and a length of parts.
    let expected = dim.div_ceil(dsub);
    if parts != expected {
        return Err(ReadError::Setting { name: "nsubq", value: parts as i64, offset: reader.offset() - 8 });
    }
    reader.setting("lastdsub", exactly(if dim.is_multiple_of(dsub) { dsub } else { dim % dsub }))?;
    Ok((dsub, reader.weights((dim * CENTROIDS) as u64)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader_of(numbers: &[f32], rows: usize, columns: usize) -> Vec<u8> {
        let mut bytes = [(rows as i64).to_le_bytes(), (columns as i64).to_le_bytes()].concat();
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    proptest! {
        /// Sums side by side have the bits of sums one after another.
        #[test]
        fn panels_are_plain_products(
            numbers in prop::collection::vec(-9.0f32..9.0, 1..400),
            columns in 1usize..20,
        ) {
            prop_assume!(numbers.len() >= 2 * columns);
            let (vector, weights) = numbers.split_at(columns);
            let rows = weights.len() / columns;
            let weights = &weights[..rows * columns];
            let bytes = reader_of(weights, rows, columns);
            let shape = Shape { matrix: "output", rows: rows as u64, columns };
            let output = OutputMatrix::read(&mut Reader::new(&bytes[..], bytes.len() as u64), false, shape).unwrap();
            for (row, weights) in weights.chunks_exact(columns).enumerate() {
                let mut sum = 0.0f32;
                for (number, weight) in vector.iter().zip(weights) {
                    sum += number * weight;
                }
                let products = output.panel_products(row / PANEL_ROWS, vector);
                prop_assert_eq!(products[row % PANEL_ROWS].to_bits(), sum.to_bits());
            }
        }

        /// Parts of two numbers are added as parts of any length are.
        #[test]
        fn pairs_are_parts(codes in prop::collection::vec(any::<u8>(), 3), norm in -3.0f32..3.0) {
            let matrix = ProductCodes {
                rows: 1,
                codes,
                dsub: 2,
                centroids: (0..6 * CENTROIDS).map(|n| (n as f32).sin()).collect(),
                norms: Some(Norms { codes: vec![7], values: vec![norm; CENTROIDS] }),
            };
            let mut sum = [1.0f32; 6];
            matrix.add_row(0, &mut sum);
            let want: Vec<f32> = matrix.parts(0, 6).flatten().map(|number| 1.0 + norm * number).collect();
            prop_assert_eq!(sum.to_vec(), want);
        }
    }
}

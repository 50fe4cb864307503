//! Matrices inside slices, whose constructors check that their last element lies in the slice.
//!
//! Invariant: every element of a [`Matrix`] or [`MatrixMut`] lies inside its slice, so pointer, shape and strides may be
//! handed over to a kernel as they are. Parts of one [`MatrixMut`] have no element in common.

use std::marker::PhantomData;
use std::ops::Range;

/// A matrix inside a slice, read in place: `rows × columns`, one of the two strides is 1.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix whose rows begin every `stride` elements.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Matrix<'a> {
        assert!(fits(data.len(), rows, columns, stride), "a matrix lies in its slice");
        Matrix { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// A whole slice as rows of this many columns.
    pub(crate) fn of(data: &'a [f32], columns: usize) -> Matrix<'a> {
        assert!(data.len().is_multiple_of(columns), "whole rows");
        Matrix::new(data, data.len() / columns, columns, columns)
    }

    /// The transposed matrix, in place.
    pub(crate) fn transposed(self) -> Matrix<'a> {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Number of rows.
    pub(crate) fn row_count(&self) -> usize {
        self.rows
    }

    /// One row of a row-major matrix.
    pub(crate) fn row(self, row: usize) -> &'a [f32] {
        assert_eq!(self.column_stride, 1, "a row lies side by side");
        &self.data[row * self.row_stride..][..self.columns]
    }

    /// Some of the rows and all columns.
    pub(crate) fn rows(self, rows: Range<usize>) -> Matrix<'a> {
        assert!(rows.end <= self.rows, "there are {} rows", self.rows);
        Matrix { data: &self.data[rows.start * self.row_stride..], rows: rows.len(), ..self }
    }

    /// All rows and some of the columns.
    pub(super) fn columns(self, columns: Range<usize>) -> Matrix<'a> {
        self.transposed().rows(columns).transposed()
    }

    /// `len` elements that are adjacent in memory, from this one on.
    #[inline(always)]
    pub(super) fn run(&self, row: usize, column: usize, len: usize) -> &'a [f32] {
        &self.data[row * self.row_stride + column * self.column_stride..][..len]
    }

    /// The address of an element, which need not be in the matrix: for hints.
    #[inline(always)]
    pub(super) fn address(&self, row: usize, column: usize) -> *const f32 {
        self.data.as_ptr().wrapping_add(row * self.row_stride + column * self.column_stride)
    }

    /// Its first element.
    pub(super) fn as_ptr(&self) -> *const f32 {
        self.data.as_ptr()
    }
}

/// Where a product goes; row-major.
pub(crate) struct MatrixMut<'a> {
    data: *mut f32,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) stride: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it stands for a mutable borrow of its elements, which no other part of the matrix has.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// A row-major matrix whose rows begin every `stride` elements.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> MatrixMut<'a> {
        assert!(fits(data.len(), rows, columns, stride), "a matrix lies in its slice");
        MatrixMut { data: data.as_mut_ptr(), rows, columns, stride, borrowed: PhantomData }
    }

    /// A whole slice as rows of this many columns.
    pub(crate) fn of(data: &'a mut [f32], columns: usize) -> MatrixMut<'a> {
        assert!(data.len().is_multiple_of(columns), "whole rows");
        let rows = data.len() / columns;
        MatrixMut::new(data, rows, columns, columns)
    }

    /// Some columns of a row.
    #[inline(always)]
    pub(super) fn row(&mut self, row: usize, columns: Range<usize>) -> &mut [f32] {
        assert!(row < self.rows && columns.start <= columns.end && columns.end <= self.columns, "inside the matrix");
        // SAFETY: the row lies in the slice, as the constructor checked, and `self` is borrowed for as long.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.data.add(row * self.stride + columns.start),
                columns.end - columns.start,
            )
        }
    }

    /// The address of an element, which need not be in the matrix: for hints.
    #[inline(always)]
    pub(super) fn address(&self, row: usize, column: usize) -> *const f32 {
        self.data.wrapping_add(row * self.stride + column)
    }

    /// Its first element.
    pub(super) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.data
    }

    /// Cuts it into parts of at most so many rows and columns, each with its place: the rows one after another, for the
    /// first columns, then for the next.
    pub(super) fn cut(self, row_step: usize, column_step: usize) -> impl Iterator<Item = Part<'a>> {
        let (rows, columns) = (self.rows, self.columns);
        let starts = move || {
            (0..columns).step_by(column_step).flat_map(move |c| (0..rows).step_by(row_step).map(move |r| (r, c)))
        };
        starts().map(move |(row, column)| {
            let (to_row, to_column) = ((row + row_step).min(rows), (column + column_step).min(columns));
            // SAFETY: `row` and `column` are inside, so the element is; ranges of different parts are disjoint.
            let data = unsafe { self.data.add(row * self.stride + column) };
            let to = MatrixMut { data, rows: to_row - row, columns: to_column - column, ..self };
            Part { to, rows: row..to_row, columns: column..to_column }
        })
    }
}

/// A part of a matrix and its place in it.
pub(super) struct Part<'a> {
    pub(super) to: MatrixMut<'a>,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

/// Whether all rows end inside a slice.
fn fits(len: usize, rows: usize, columns: usize, stride: usize) -> bool {
    columns <= stride && (rows == 0 || (rows - 1) * stride + columns <= len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_matrix_once() {
        let mut data = vec![0.0; 7 * 11];
        for mut part in MatrixMut::new(&mut data, 7, 10, 11).cut(3, 4) {
            assert_eq!((part.rows.len(), part.columns.len()), (part.to.rows, part.to.columns));
            for row in 0..part.to.rows {
                let width = part.to.columns;
                part.to.row(row, 0..width).iter_mut().for_each(|x| *x += 1.0);
            }
        }
        assert!(data.chunks(11).all(|row| row[..10] == [1.0; 10] && row[10] == 0.0));
    }

    #[test]
    #[should_panic(expected = "a matrix lies in its slice")]
    fn what_does_not_fit_is_no_matrix() {
        MatrixMut::new(&mut [0.0; 11], 3, 4, 4);
    }
}

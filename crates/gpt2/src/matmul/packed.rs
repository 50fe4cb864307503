//! Matrix products whose panels are packed so that one small kernel reads them in order.
//!
//! The kernel holds `ROWS` rows × up to three vectors of columns of the result in registers (8 × 48 with AVX-512,
//! 4 × 24 with AVX2); for each lane along the sum it reads three vectors of `b` and broadcasts `ROWS` lanes of `a`. `b`
//! is packed by three vectors right before it is used, `a` once for all columns of a task. Everything here is plain code
//! over [`Lanes`], compiled for each processor.
//!
//! Sums go along blocks of fixed length in order, so an element's bits depend on its row, its column and the operands
//! alone: not on the tasks that a product is cut into.

#![expect(
    clippy::needless_range_loop,
    reason = "loops over registers: iterators' closures would be compiled without vectors"
)]

use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

use rayon::prelude::*;

use super::lanes::{Base, Lanes, Work, prefetch, with_packed_lanes};
use super::matrix::Part;
use super::{Matrix, MatrixMut, Start, Threads};

/// Vectors of columns in registers.
const VECTORS: usize = 3;
/// Maximum number of lanes along the sum that are packed at a time: three vectors of them stay in the L1 cache.
const SUM_LANES: usize = 256;
/// Blocks of as many lanes for which `a` is packed at a time. Packed rows are read in order, so that they need not stay
/// in the L2 cache.
const PACKED_BLOCKS: usize = 3;

/// `to = start + scale · a · b`, cut into tasks.
pub(super) fn product<L: Lanes<ROWS, WIDTH>, const ROWS: usize, const WIDTH: usize>(
    lanes: L,
    to: MatrixMut<'_>,
    start: Start<'_>,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
) {
    let run = |part: Part<'_>| {
        let start = match start {
            Start::Bias(bias) => Start::Bias(&bias[part.columns.clone()]),
            other => other,
        };
        let (a, b) = (a.rows(part.rows), b.columns(part.columns));
        with_packed_lanes(|packed_a, packed_b| {
            let packed_a = packed_a.first(a.rows.next_multiple_of(WIDTH) * PACKED_BLOCKS * SUM_LANES);
            let packed_b = packed_b.first(VECTORS * WIDTH * SUM_LANES);
            lanes.compile(Task { lanes, to: part.to, start, scale, a, b, packed_a, packed_b });
        });
    };
    let wanted = if threads == Threads::All { 2 * rayon::current_num_threads() } else { 1 };
    let (row_step, column_step) = task_shape::<L, ROWS, WIDTH>(to.rows, to.columns, wanted);
    let is_one = to.rows <= row_step && to.columns <= column_step;
    let parts = to.cut(row_step, column_step);
    if is_one || threads == Threads::One {
        parts.for_each(run);
    } else {
        parts.collect::<Vec<_>>().into_par_iter().with_max_len(1).for_each(run);
    }
}

/// Rows and columns of a task: at least as many tasks as wanted, cut so that the fewest bytes are packed. `a` is packed
/// once for each cut of the columns, `b` once for each cut of the rows.
fn task_shape<L: Lanes<ROWS, WIDTH>, const ROWS: usize, const WIDTH: usize>(
    rows: usize,
    columns: usize,
    wanted: usize,
) -> (usize, usize) {
    let fewest = rows.div_ceil(L::TASK_ROWS);
    let most = fewest.max(wanted.min(rows.div_ceil(WIDTH)));
    let panels = columns.div_ceil(VECTORS * WIDTH);
    let cuts = (fewest..=most).map(|row_tasks| (row_tasks, wanted.div_ceil(row_tasks).min(panels)));
    let packed = |&(row_tasks, column_tasks): &(usize, usize)| rows * column_tasks + columns * row_tasks;
    let (row_tasks, column_tasks) = cuts.min_by_key(packed).expect("at least one cut");
    let row_step = rows.div_ceil(row_tasks).next_multiple_of(WIDTH);
    (row_step, columns.div_ceil(column_tasks).next_multiple_of(VECTORS * WIDTH))
}

/// One thread's part of a product.
struct Task<'a, L, const ROWS: usize, const WIDTH: usize> {
    lanes: L,
    to: MatrixMut<'a>,
    start: Start<'a>,
    scale: f32,
    a: Matrix<'a>,
    b: Matrix<'a>,
    /// `[panel][lane][ROWS]` of one block of the sum.
    packed_a: &'a mut [u32],
    /// `[lane][three vectors or less]` of one block of the sum.
    packed_b: &'a mut [u32],
}

/// A stretch of the sum that is packed at a time.
struct Block {
    /// The elements along the sum.
    sum: Range<usize>,
    /// The lanes that hold them: how many, and the first.
    lanes: usize,
    first_lane: usize,
}

/// The blocks of a sum, of nearly equal length: a function of the sum's length alone. An empty sum has one.
fn blocks(len: usize, per_lane: usize, width: usize) -> impl Iterator<Item = Block> {
    let all = len.div_ceil(per_lane);
    let step = all.div_ceil(all.div_ceil(SUM_LANES).max(1)).next_multiple_of(width).max(width);
    (0..all.max(1)).step_by(step).map(move |first| {
        let lanes = step.min(all - first);
        Block { sum: first * per_lane..((first + lanes) * per_lane).min(len), lanes, first_lane: first }
    })
}

impl<L: Lanes<ROWS, WIDTH>, const ROWS: usize, const WIDTH: usize> Work for Task<'_, L, ROWS, WIDTH> {
    type Output = ();

    /// A few blocks along the sum, all panels of `b` in each, all panels of `a` for each of those. Several blocks at a
    /// time find the result in the cache, to which they add in turn.
    #[inline(always)]
    fn run(mut self) {
        let all: Vec<Block> = blocks(self.a.columns, L::PER_LANE, WIDTH).collect();
        for blocks in all.chunks(PACKED_BLOCKS) {
            for block in blocks {
                self.pack_rows(block, blocks[0].first_lane);
            }
            for column in (0..self.to.columns).step_by(VECTORS * WIDTH) {
                let width = (VECTORS * WIDTH).min(self.to.columns - column);
                for block in blocks {
                    self.pack_columns(block, column, width);
                    let place = self.place(block, blocks[0].first_lane);
                    match width.div_ceil(WIDTH) {
                        1 => self.tiles::<1>(block, place, column..column + width),
                        2 => self.tiles::<2>(block, place, column..column + width),
                        _ => self.tiles::<VECTORS>(block, place, column..column + width),
                    }
                }
            }
        }
    }
}

impl<L: Lanes<ROWS, WIDTH>, const ROWS: usize, const WIDTH: usize> Task<'_, L, ROWS, WIDTH> {
    /// Where a block of packed `a` begins, if the first one that is packed begins with this lane.
    #[inline(always)]
    fn place(&self, block: &Block, first_lane: usize) -> usize {
        (block.first_lane - first_lane) * self.a.rows.next_multiple_of(WIDTH)
    }

    /// Packs `a` by panels of `ROWS` rows, two at a time: their rows are a vector.
    #[inline(always)]
    fn pack_rows(&mut self, block: &Block, first_lane: usize) {
        let place = self.place(block, first_lane);
        for row in (0..self.a.rows).step_by(WIDTH) {
            let present = WIDTH.min(self.a.rows - row);
            let panels = &mut self.packed_a[place + row * block.lanes..][..WIDTH * block.lanes];
            let to = Packed { to: panels, second: ROWS * block.lanes, stride: ROWS, ahead: AHEAD };
            pack::<L, ROWS, WIDTH>(self.lanes, self.a.transposed(), &block.sum, row, present, to);
        }
    }

    /// Packs some columns of `b`, in whole vectors.
    #[inline(always)]
    fn pack_columns(&mut self, block: &Block, column: usize, width: usize) {
        let stride = width.next_multiple_of(WIDTH);
        for part in (0..width).step_by(WIDTH) {
            let present = WIDTH.min(width - part);
            let to =
                Packed { to: &mut self.packed_b[part..stride * block.lanes.max(1)], second: ROWS, stride, ahead: 0 };
            pack::<L, ROWS, WIDTH>(self.lanes, self.b, &block.sum, column + part, present, to);
        }
    }

    /// All rows of some columns of the result.
    #[inline(always)]
    fn tiles<const V: usize>(&mut self, block: &Block, place: usize, columns: Range<usize>) {
        let base = match self.start {
            _ if block.first_lane > 0 => Base::Present,
            Start::Zero => Base::Zero,
            Start::Keep => Base::Present,
            Start::Bias(bias) => Base::Other(&bias[columns.clone()]),
        };
        let (a, _) = self.packed_a[place..].as_chunks::<ROWS>();
        let (b, _) = self.packed_b.as_chunks::<WIDTH>();
        let (b, _) = b.as_chunks::<V>();
        let panels = self.to.rows.div_ceil(ROWS);
        for row in (0..self.to.rows).step_by(ROWS) {
            self.prefetch(block, columns.end, row / ROWS, panels);
            self.lanes.compile(Tile {
                lanes: self.lanes,
                a: &a[row / ROWS * block.lanes..][..block.lanes],
                b: &b[..block.lanes],
                to: &mut self.to,
                row,
                columns: columns.clone(),
                base,
                scale: self.scale,
            });
        }
    }
}

impl<L: Lanes<ROWS, WIDTH>, const ROWS: usize, const WIDTH: usize> Task<'_, L, ROWS, WIDTH> {
    /// Has one of `parts` parts of the next columns of `b` read in time to be packed: they lie far from each other, where
    /// the processor itself does not foresee them.
    #[inline(always)]
    fn prefetch(&self, block: &Block, column: usize, part: usize, parts: usize) {
        let width = (VECTORS * WIDTH).min(self.b.columns - column);
        if width == 0 {
            return;
        }
        let len = block.sum.len();
        if self.b.column_stride == 1 {
            for k in block.sum.start + len * part / parts..block.sum.start + len * (part + 1) / parts {
                for step in (0..width).step_by(LINE) {
                    prefetch(self.b.address(k, column + step));
                }
                prefetch(self.b.address(k, column + width - 1));
            }
        } else {
            for i in width * part / parts..width * (part + 1) / parts {
                for k in block.sum.clone().step_by(LINE) {
                    prefetch(self.b.address(k, column + i));
                }
            }
        }
    }
}

/// What the kernel computes at a time: `ROWS` rows × `V` vectors of the result.
struct Tile<'t, 'a, L, const ROWS: usize, const WIDTH: usize, const V: usize> {
    lanes: L,
    /// By lane along the sum.
    a: &'t [[u32; ROWS]],
    b: &'t [[[u32; WIDTH]; V]],
    to: &'t mut MatrixMut<'a>,
    row: usize,
    columns: Range<usize>,
    base: Base<'t>,
    scale: f32,
}

impl<L: Lanes<ROWS, WIDTH>, const ROWS: usize, const WIDTH: usize, const V: usize> Work
    for Tile<'_, '_, L, ROWS, WIDTH, V>
{
    type Output = ();

    /// `to = base + scale · Σ a · b`
    #[inline(always)]
    fn run(self) {
        let lanes = self.lanes;
        for row in 0..ROWS {
            prefetch(self.to.address(self.row + row, self.columns.start));
            prefetch(self.to.address(self.row + row, self.columns.end - 1));
        }
        let mut sums = [[lanes.zero(); V]; ROWS];
        for (a, b) in self.a.iter().zip(self.b) {
            let mut right = [lanes.zero(); V];
            for vector in 0..V {
                right[vector] = lanes.load(&b[vector]);
            }
            for row in 0..ROWS {
                let left = lanes.splat_in_turn(&a[row]);
                for vector in 0..V {
                    sums[row][vector] = lanes.multiply_add(sums[row][vector], left, right[vector]);
                }
            }
        }
        for row in 0..ROWS {
            if self.row + row >= self.to.rows {
                return;
            }
            let to = self.to.row(self.row + row, self.columns.clone());
            for vector in 0..V {
                let columns = vector * WIDTH..((vector + 1) * WIDTH).min(to.len());
                let base = match self.base {
                    Base::Other(base) => Base::Other(&base[columns.clone()]),
                    base => base,
                };
                lanes.write(sums[row][vector], self.scale, base, &mut to[columns]);
            }
        }
    }
}

/// Where packed vectors go: the first half of each `stride` lanes after that of the one before, the other half `second`
/// lanes further on.
struct Packed<'a> {
    to: &'a mut [u32],
    second: usize,
    stride: usize,
    /// How many columns further on to prefetch, if at all.
    ahead: usize,
}

impl Packed<'_> {
    #[inline(always)]
    fn put<L: Lanes<ROWS, WIDTH>, const ROWS: usize, const WIDTH: usize>(
        &mut self,
        lanes: L,
        lane: usize,
        vector: L::Vector,
    ) {
        let to = &mut self.to[lane * self.stride..];
        if self.second == ROWS {
            lanes.store(to, vector);
        } else {
            let (first, second) = to.split_at_mut(self.second);
            lanes.store_halves(first, second, vector);
        }
    }
}

/// Packs the lanes of `sum` with `WIDTH` columns of `matrix` from `column` on, of which `present` exist.
#[inline(always)]
fn pack<L: Lanes<ROWS, WIDTH>, const ROWS: usize, const WIDTH: usize>(
    lanes: L,
    matrix: Matrix<'_>,
    sum: &Range<usize>,
    column: usize,
    present: usize,
    mut to: Packed<'_>,
) {
    if matrix.column_stride == 1 {
        // Columns are adjacent: a row of the matrix is a vector as it is.
        for (lane, k) in sum.clone().step_by(L::PER_LANE).enumerate() {
            if to.ahead > 0 {
                prefetch(matrix.address(k, column + to.ahead));
            }
            let even = matrix.run(k, column, present);
            let odd = if k + 1 < sum.end && L::PER_LANE == 2 { matrix.run(k + 1, column, present) } else { &[] };
            to.put(lanes, lane, lanes.across(even, odd));
        }
        return;
    }
    // The sum is contiguous: squares are read along it and transposed.
    debug_assert_eq!(matrix.row_stride, 1);
    for k in sum.clone().step_by(WIDTH * L::PER_LANE) {
        let len = (WIDTH * L::PER_LANE).min(sum.end - k);
        let mut square = [lanes.zero(); WIDTH];
        for i in 0..WIDTH {
            if i < present {
                square[i] = lanes.along(matrix.run(k, column + i, len));
            }
        }
        lanes.transpose(&mut square);
        let first_lane = (k - sum.start) / L::PER_LANE;
        let count = len.div_ceil(L::PER_LANE);
        for i in 0..WIDTH {
            if i < count {
                to.put(lanes, first_lane + i, square[i]);
            }
        }
    }
}

/// Elements of a line of the cache.
const LINE: usize = 16;

/// Columns of a transposed `a`, whose rows lie far from each other, that are packed a few vectors later.
const AHEAD: usize = 64;

/// About a millisecond of a thread.
const PEAK_ROUNDS: u64 = 1 << 18;
const PEAK_TRIES: usize = 60;

/// Multiplications and additions in registers alone, as many as the processor can do: its peak rate.
struct Peak<L, const ROWS: usize, const WIDTH: usize> {
    lanes: L,
    rounds: u64,
}

impl<L: Lanes<ROWS, WIDTH>, const ROWS: usize, const WIDTH: usize> Work for Peak<L, ROWS, WIDTH> {
    /// Floating-point operations.
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let lanes = self.lanes;
        let mut sums = [[lanes.zero(); VECTORS]; ROWS];
        let factor = lanes.splat(black_box(0x3f00_3f00)); // 0.5, as one f32 or as two bf16
        for _ in 0..self.rounds {
            for row in 0..ROWS {
                for vector in 0..VECTORS {
                    sums[row][vector] = lanes.multiply_add(sums[row][vector], factor, factor);
                }
            }
        }
        for vector in sums.as_flattened() {
            let mut stored = [0; WIDTH];
            lanes.store(&mut stored, *vector);
            black_box(stored);
        }
        self.rounds * (2 * ROWS * VECTORS * WIDTH * L::PER_LANE) as u64
    }
}

/// The rate of [`Peak`] on all threads in GFLOP/s: the highest of a few tries.
pub(super) fn peak_gflops<L: Lanes<ROWS, WIDTH>, const ROWS: usize, const WIDTH: usize>(lanes: L) -> f64 {
    let rate = |rounds: u64| {
        let begun = Instant::now();
        let counts = rayon::broadcast(|_| lanes.compile(Peak { lanes, rounds }));
        counts.iter().sum::<u64>() as f64 / begun.elapsed().as_secs_f64() / 1e9
    };
    (0..PEAK_TRIES).map(|_| rate(PEAK_ROUNDS)).fold(0.0, f64::max)
}

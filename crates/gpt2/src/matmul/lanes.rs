//! What the loops of `packed.rs` need of a processor's vectors.

use std::cell::Cell;

/// Vectors of `WIDTH` lanes, of which a kernel holds `ROWS` × three in registers. `WIDTH` is twice `ROWS`.
///
/// A *lane* is 32 bits along the sum: one f32, or two bf16 ([`Lanes::PER_LANE`]) that one instruction multiplies and
/// adds. A value of the type proves that the processor has the instructions, so its functions are safe; they check the
/// lengths of slices, which costs nothing where they are known.
///
/// All functions but [`Lanes::compile`] are `#[inline(always)]`: they become instructions only inside of what that one
/// compiles.
pub(super) trait Lanes<const ROWS: usize, const WIDTH: usize>: Copy + Send + Sync {
    /// A register.
    type Vector: Copy;
    /// Elements along the sum in a lane.
    const PER_LANE: usize;
    /// Maximum number of rows of a task: as many rows of packed `a` stay in the L2 cache.
    const TASK_ROWS: usize;

    /// Runs work that is compiled for this processor.
    fn compile<W: Work>(self, work: W) -> W::Output;

    /// All lanes 0.
    fn zero(self) -> Self::Vector;
    /// The first `WIDTH` lanes.
    fn load(self, from: &[u32]) -> Self::Vector;
    /// Sets the first `WIDTH` lanes.
    fn store(self, to: &mut [u32], vector: Self::Vector);
    /// Sets the first `ROWS` lanes of each to a half of the vector.
    fn store_halves(self, first: &mut [u32], second: &mut [u32], vector: Self::Vector);
    /// The same lane everywhere.
    fn splat(self, lane: u32) -> Self::Vector;
    /// The same, not read before what precedes it in the code: for kernels that need every register.
    fn splat_in_turn(self, lane: &u32) -> Self::Vector {
        self.splat(*lane)
    }
    /// `sum + left · right`: sums are f32, the others packed lanes.
    fn multiply_add(self, sum: Self::Vector, left: Self::Vector, right: Self::Vector) -> Self::Vector;

    /// Lanes of at most `WIDTH` columns, from one row of a matrix, or with two elements in a lane from two adjacent
    /// ones, of which the second may be empty. Missing elements are 0.
    fn across(self, even: &[f32], odd: &[f32]) -> Self::Vector;
    /// Lanes along the sum from adjacent elements, of which a lane takes [`Lanes::PER_LANE`]. Missing ones are 0.
    fn along(self, run: &[f32]) -> Self::Vector;
    /// Turns rows into columns.
    fn transpose(self, square: &mut [Self::Vector; WIDTH]);

    /// `to = scale · sum`, plus what `base` says; at most `WIDTH` elements.
    fn write(self, sum: Self::Vector, scale: f32, base: Base<'_>, to: &mut [f32]);
}

/// What sums are added to.
#[derive(Clone, Copy)]
pub(super) enum Base<'a> {
    /// Nothing.
    Zero,
    /// The present content.
    Present,
    /// As many other elements.
    Other(&'a [f32]),
}

/// What [`Lanes::compile`] runs; its `run` is `#[inline(always)]`.
pub(super) trait Work {
    type Output;
    fn run(self) -> Self::Output;
}

/// Has the line of an element read into the L2 cache, in time for whoever reads it.
#[inline(always)]
pub(super) fn prefetch(at: *const f32) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: a hint, which any address may be given to.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) };
}

/// Packed lanes, aligned so that no vector lies in two lines of the cache.
#[derive(Default)]
pub(super) struct PackedLanes(Vec<CacheLine>);

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct CacheLine([u32; 16]);

impl PackedLanes {
    /// The first `len` lanes, whatever they hold.
    pub(super) fn first(&mut self, len: usize) -> &mut [u32] {
        let lines = len.div_ceil(16);
        if self.0.len() < lines {
            self.0.resize(lines, CacheLine([0; 16]));
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..len]
    }
}

thread_local! {
    /// Packed lanes of `a` and of `b`, kept for the thread's next product.
    static PACKED: Cell<(PackedLanes, PackedLanes)> = Cell::default();
}

/// Lends the thread's packed lanes.
pub(super) fn with_packed_lanes<R>(work: impl FnOnce(&mut PackedLanes, &mut PackedLanes) -> R) -> R {
    let (mut a, mut b) = PACKED.take();
    let result = work(&mut a, &mut b);
    PACKED.set((a, b));
    result
}

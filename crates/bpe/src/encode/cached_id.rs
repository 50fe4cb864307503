//! The width of ids in caches and on the way out of the encoder: 16 bits where the vocabulary allows it, which doubles
//! what a cache line holds.

use bytemuck::Pod;

/// The bytes of a cache entry's ids.
pub(crate) type IdBytes = [u32; 4];

/// An id of 16 or 32 bits.
pub(crate) trait CachedId: Pod + Into<u32> {
    /// Ids that an entry has room for.
    const PER_ENTRY: usize = size_of::<IdBytes>() / size_of::<Self>();

    /// The id of a number that fits.
    fn of(id: u32) -> Self;
    /// Copies all ids of an entry to the beginning of a slice, which has room for them.
    fn copy_entry(ids: &IdBytes, to: &mut [Self]);
}

impl CachedId for u16 {
    #[inline(always)]
    fn of(id: u32) -> u16 {
        id as u16
    }

    #[inline(always)]
    fn copy_entry(ids: &IdBytes, to: &mut [u16]) {
        *to.first_chunk_mut::<8>().expect("room for an entry") = bytemuck::cast(*ids);
    }
}

impl CachedId for u32 {
    #[inline(always)]
    fn of(id: u32) -> u32 {
        id
    }

    #[inline(always)]
    fn copy_entry(ids: &IdBytes, to: &mut [u32]) {
        *to.first_chunk_mut::<4>().expect("room for an entry") = *ids;
    }
}

/// The ids of an entry, at most [`CachedId::PER_ENTRY`].
pub(crate) fn entry_of<I: CachedId>(ids: &[I]) -> IdBytes {
    let mut bytes = IdBytes::default();
    bytemuck::cast_slice_mut(&mut bytes)[..ids.len()].copy_from_slice(ids);
    bytes
}

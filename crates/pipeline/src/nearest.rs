//! The known name that a mistyped one means.

/// Similarity (Jaro-Winkler) from which a name is taken for another one that is mistyped: `n_layr` and `layers` have 0.78,
/// `train` and `extract` 0.68.
const MIN_SIMILARITY: f64 = 0.72;

/// The known name that is most similar to `name`, if one is similar at all.
pub(crate) fn nearest_name<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let with_similarity = known.map(|known| (strsim::jaro_winkler(name, known), known));
    let nearest = with_similarity.max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY).map(|(_, known)| known)
}

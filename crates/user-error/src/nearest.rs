//! The name that a mistyped one means.

/// Similarity (Jaro-Winkler) from which a name is taken for another one that is mistyped: `n_layr` and `layers` have 0.78,
/// `train` and `extract` 0.68.
const MIN_SIMILARITY: f64 = 0.72;

/// The known name that a mistyped one means: the most similar one, if one is similar at all.
///
/// ```
/// let rules = ["length", "repetition", "urls"];
/// assert_eq!(user_error::nearest_name("lenght", rules), Some("length"));
/// assert_eq!(user_error::nearest_name("colour", rules), None);
/// ```
pub fn nearest_name<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let with_similarity = known.into_iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let nearest = with_similarity.max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY).map(|(_, known)| known)
}

/// What a message adds to a mistyped name: the known one that is meant, as a question in brackets behind a space; nothing
/// if none is similar.
///
/// ```
/// assert_eq!(user_error::did_you_mean("gpt2-smal", ["gpt2-small", "gpt1"]), " (did you mean gpt2-small?)");
/// ```
pub fn did_you_mean<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest_name(name, known).map(|nearest| format!(" (did you mean {nearest}?)")).unwrap_or_default()
}

/// What is said of a file that serde refuses: `whole` is the error as it is displayed, `message` its sentence without the
/// place. Where that quotes a name it does not know and those that it expects, a line with the name that is meant follows.
///
/// ```
/// let message = "unknown field `stpes`, expected one of `steps`, `batch`";
/// let explained = user_error::explain_unknown(&format!("line 3: {message}"), message);
/// assert!(explained.ends_with("`batch`\ndid you mean `steps`?"));
/// assert_eq!(user_error::explain_unknown("missing field `steps`", "missing field `steps`"), "missing field `steps`");
/// ```
pub fn explain_unknown(whole: &str, message: &str) -> String {
    let whole = whole.trim_end();
    let meant = message.strip_prefix("unknown").and_then(|message| {
        let mut quoted = message.split('`').skip(1).step_by(2);
        nearest_name(quoted.next()?, quoted)
    });
    match meant {
        Some(meant) => format!("{whole}\ndid you mean `{meant}`?"),
        None => whole.to_owned(),
    }
}

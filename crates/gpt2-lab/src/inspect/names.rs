//! Names of activations, and patterns over them.

use user_error::did_you_mean;

use crate::inspect::InspectError;

/// Whether a name fits a pattern, in which `*` stands for any text: `blocks.*.attn.pattern`.
///
/// ```
/// assert!(gpt2_lab::inspect::matches("blocks.*.attn.pattern", "blocks.11.attn.pattern"));
/// assert!(!gpt2_lab::inspect::matches("blocks.1.*", "blocks.11.ln_1"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches(after, &rest[at..]))
}

/// The names that fit any of the patterns, in the model's order.
///
/// # Errors
/// A pattern that fits none.
pub fn select_names<'a>(names: &'a [String], patterns: &[&str]) -> Result<Vec<&'a str>, InspectError> {
    for &pattern in patterns {
        if !names.iter().any(|name| matches(pattern, name)) {
            let meant = did_you_mean(pattern, names.iter().map(String::as_str));
            return Err(InspectError::UnknownName { pattern: pattern.to_owned(), meant });
        }
    }
    let fits = |name: &&str| patterns.iter().any(|pattern| matches(pattern, name));
    Ok(names.iter().map(String::as_str).filter(fits).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: Option<&[&str]>) {
        let names = ["embed", "blocks.0.ln_1", "blocks.0.attn.z", "blocks.1.attn.z", "ln_f"].map(str::to_owned);
        assert_eq!(select_names(&names, &[pattern]).ok().as_deref(), expected, "{pattern}");
    }

    #[test]
    fn patterns() {
        check("embed", Some(&["embed"]));
        check("*.z", Some(&["blocks.0.attn.z", "blocks.1.attn.z"]));
        check("blocks.0.*", Some(&["blocks.0.ln_1", "blocks.0.attn.z"]));
        check("*ln*", Some(&["blocks.0.ln_1", "ln_f"]));
        check("*embed*", Some(&["embed"]));
        check("embe", None);
        check("", None);
    }

    #[test]
    fn an_unknown_name_is_told_the_nearest() {
        let names = ["embed", "blocks.0.attn.pattern"].map(str::to_owned);
        let error = select_names(&names, &["blocks.0.attn.patern"]).unwrap_err();
        assert!(error.to_string().ends_with("(did you mean blocks.0.attn.pattern?)"), "{error}");
    }
}

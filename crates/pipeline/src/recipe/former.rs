//! Recipe keys of earlier versions, each with its present name.

use crate::error::{Result, bail};

/// Former key, present key. `pages` stands for every source, whether it is one section or several.
const FORMER: &[(&str, &str)] = &[
    ("links.karma", "`min_karma = 3` and `karma_of = \"any submission\"`"),
    ("links.url_len_max_bytes", "`max_url_bytes`"),
    ("links.record_len_max_bytes", "`max_record_bytes`"),
    ("pages.page_len_max_bytes", "`max_page_bytes`"),
    ("pages.fetch.delay_ms", "`min_delay_ms`"),
    ("pages.fetch.delay_max_ms", "`max_delay_ms`"),
    ("pages.fetch.hosts_at_once", "`max_concurrent_hosts`"),
    ("pages.fetch.requests_at_once", "`max_concurrent_requests`"),
    ("pages.fetch.requests_a_domain", "`max_requests_per_domain`"),
    ("pages.fetch.requests_an_address", "`max_requests_per_address`"),
    ("pages.fetch.rate_min_bytes", "`min_bytes_per_second`"),
    ("pages.fetch.body_max_bytes", "`max_body_bytes`"),
    ("pages.fetch.decoded_max_bytes", "`max_decoded_bytes`"),
    ("pages.fetch.redirects_max", "`max_redirects`"),
    ("pages.fetch.tries_max", "`max_tries`"),
    ("pages.fetch.faults_in_a_row_max", "`max_consecutive_faults`"),
    ("pages.fetch.pages_a_domain_max", "`max_pages_per_domain`"),
    ("pages.fetch.warc_max_bytes", "`max_warc_bytes`"),
    ("documents.language", "a section `[[filter]]` with `rule = \"language\"`, `keep` and `min_confidence`"),
    ("documents.drop_wikipedia", "a section `[[filter]]` with `rule = \"wikipedia\"`"),
    ("documents.words_at_least", "a section `[[filter]]` with `rule = \"length\"` and `min_words`"),
    ("documents.words_at_most", "a section `[[filter]]` with `rule = \"length\"` and `max_words`"),
    ("documents.comments", "`comments` in the section `[extract]`"),
    ("documents.title", "`title` in the section `[extract]`"),
    ("documents.nodes_max", "`max_nodes` in the section `[extract]`"),
    ("documents.depth_max", "`max_depth` in the section `[extract]`"),
    ("documents", "the sections `[extract]` and `[[filter]]`"),
    ("filter.max_duplicate_paragraphs", "`max_duplicate_paragraph_fraction`"),
    ("filter.max_duplicate_paragraph_chars", "`max_duplicate_paragraph_char_fraction`"),
    ("filter.max_duplicate_lines", "`max_duplicate_line_fraction`"),
    ("filter.max_duplicate_line_chars", "`max_duplicate_line_char_fraction`"),
    ("filter.max_top_2_gram", "`max_top_2_gram_char_fraction`"),
    ("filter.max_top_3_gram", "`max_top_3_gram_char_fraction`"),
    ("filter.max_top_4_gram", "`max_top_4_gram_char_fraction`"),
    ("filter.max_duplicate_5_grams", "`max_duplicate_5_gram_char_fraction`"),
    ("filter.max_duplicate_6_grams", "`max_duplicate_6_gram_char_fraction`"),
    ("filter.max_duplicate_7_grams", "`max_duplicate_7_gram_char_fraction`"),
    ("filter.max_duplicate_8_grams", "`max_duplicate_8_gram_char_fraction`"),
    ("filter.max_duplicate_9_grams", "`max_duplicate_9_gram_char_fraction`"),
    ("filter.max_duplicate_10_grams", "`max_duplicate_10_gram_char_fraction`"),
    ("filter.max_bullet_lines", "`max_bullet_line_fraction`"),
    ("filter.max_ellipsis_lines", "`max_ellipsis_line_fraction`"),
    ("filter.max_short_lines", "`max_short_line_fraction`"),
    ("filter.max_removed_words", "`max_removed_word_fraction`"),
    ("filter.min_alphabetic_words", "`min_alphabetic_word_fraction`"),
    ("filter.min_terminal_punctuation_lines", "`min_terminal_punctuation_line_fraction`"),
    ("filter.max_uppercase_chars", "`max_uppercase_char_fraction`"),
    ("filter.max_digit_chars", "`max_digit_char_fraction`"),
    ("filter.short_line_chars", "`max_short_line_chars`"),
    ("filter.min_share", "`min_byte_fraction`"),
    ("pages.fetch.group_pages", "`max_group_pages`"),
    ("pages.fetch.group_ms", "`max_group_ms`"),
    ("pages.common_crawl.min_wait_ms", "`min_backoff_ms`"),
    ("pages.common_crawl.max_wait_ms", "`max_backoff_ms`"),
    ("pages.common_crawl.capture", "`capture` in the section `[[pages]]` itself"),
    ("pages.common_crawl.max_page_bytes", "`max_page_bytes` in the section `[[pages]]` itself"),
    ("pages.common_crawl.sort_memory_bytes", "`max_sort_memory_mib` in the section `[limits]`"),
    ("pages.sample", "`sample_fraction`"),
    ("shards.validation", "`validation_fraction`"),
    ("limits.sort_memory_mib", "`max_sort_memory_mib`"),
    ("dedup.near.jaccard_at_least", "`min_jaccard`"),
];

/// Refuses a recipe with a former key; the message gives the present name.
pub(super) fn refuse(recipe: &toml::Table) -> Result<()> {
    let of_train = gpt2::TrainConfig::FORMER_KEYS.map(|(key, now)| (format!("model.train.{key}"), format!("`{now}`")));
    let of_recipe = FORMER.iter().map(|(key, now)| ((*key).to_owned(), (*now).to_owned()));
    let recipe = toml::Value::Table(recipe.clone());
    for (key, now) in of_recipe.chain(of_train) {
        let path: Vec<&str> = key.split('.').collect();
        if has(&recipe, &path) {
            bail!(Recipe, "the key `{key}` has another name now: write {now}");
        }
    }
    Ok(())
}

fn has(value: &toml::Value, path: &[&str]) -> bool {
    let Some((part, rest)) = path.split_first() else { return true };
    match value {
        toml::Value::Table(table) => table.get(*part).is_some_and(|inner| has(inner, rest)),
        toml::Value::Array(entries) => entries.iter().any(|entry| has(entry, path)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_key_is_refused_with_its_new_name() {
        let check = |text: &str, expected: &str| {
            let message = refuse(&text.parse().unwrap()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check("[links]\nkarma = { at_least = 3 }", "`min_karma = 3`");
        check("[pages]\npage_len_max_bytes = 1", "`max_page_bytes`");
        check("[[pages]]\nfrom = \"html\"\n[[pages]]\n[pages.fetch]\nhosts_at_once = 1", "`max_concurrent_hosts`");
        let copied = |setting: &str| format!("[[pages]]\nfrom = \"common-crawl\"\n[pages.common_crawl]\n{setting}");
        check(&copied("capture = \"latest\""), "`capture` in the section `[[pages]]`");
        check(&copied("max_page_bytes = 1"), "`max_page_bytes` in the section `[[pages]]`");
        check(&copied("sort_memory_bytes = 1"), "`max_sort_memory_mib` in the section `[limits]`");
        check("[documents]\nwords_at_least = 1", "`min_words`");
        check("[documents]", "`[extract]`");
        check("[model]\ntrain = { clip_norm = 1.0 }", "`max_gradient_norm`");
        check("[dedup]\nnear = { jaccard_at_least = 0.7 }", "`min_jaccard`");
        assert!(refuse(&"[dedup]\nnear = { min_jaccard = 0.7 }".parse().unwrap()).is_ok());
    }
}

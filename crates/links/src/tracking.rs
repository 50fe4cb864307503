//! Parameters that record where a reader came from. The open list is `tracking.tsv`, with its sources.

use std::sync::LazyLock;

const TABLE: &str = include_str!("tracking.tsv");

static LIST: LazyLock<List> = LazyLock::new(|| List::read(TABLE));

/// Whether a parameter of this name says nothing about the page, on a site of this registrable domain.
pub(crate) fn is_tracking(name: &str, domain: &str) -> bool {
    LIST.has(name, domain)
}

struct List {
    /// Sorted by name.
    names: Vec<Entry>,
    prefixes: Vec<Entry>,
}

struct Entry {
    /// In lower case.
    name: String,
    /// Registrable domains; `None` for every site.
    sites: Option<Vec<&'static str>>,
}

impl List {
    fn read(table: &'static str) -> List {
        let mut list = List { names: Vec::new(), prefixes: Vec::new() };
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let mut columns = line.split('\t');
            let (Some(name), Some(sites)) = (columns.next(), columns.next()) else { continue };
            let sites = (sites != "*").then(|| sites.split(',').collect());
            let (name, entries) = match name.strip_suffix('*') {
                Some(prefix) => (prefix, &mut list.prefixes),
                None => (name, &mut list.names),
            };
            entries.push(Entry { name: name.to_ascii_lowercase(), sites });
        }
        list.names.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }

    fn has(&self, name: &str, domain: &str) -> bool {
        let lower = || name.bytes().map(|b| b.to_ascii_lowercase());
        let found = self.names.binary_search_by(|entry| entry.name.bytes().cmp(lower()));
        found.is_ok_and(|at| self.names[at].is_on(domain))
            || self.prefixes.iter().any(|entry| {
                let head = name.get(..entry.name.len());
                head.is_some_and(|head| head.eq_ignore_ascii_case(&entry.name)) && entry.is_on(domain)
            })
    }
}

impl Entry {
    fn is_on(&self, domain: &str) -> bool {
        self.sites.as_ref().is_none_or(|sites| sites.contains(&domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, domain: &str, expected: bool) {
        assert_eq!(is_tracking(name, domain), expected, "{name} on {domain}");
    }

    #[test]
    fn names_prefixes_and_sites() {
        check("fbclid", "a.example", true);
        check("FBCLID", "a.example", true);
        check("fbclids", "a.example", false);
        check("utm_source", "a.example", true);
        check("UTM_anything", "a.example", true);
        check("utm", "a.example", false);
        check("feature", "youtube.com", true);
        check("feature", "a.example", false);
        check("smid", "nytimes.com", true);
        check("smid", "amazon.com", false);
        check("", "a.example", false);
        check("é", "a.example", false);
    }

    #[test]
    fn each_line_has_its_sources() {
        let lines: Vec<Vec<&str>> =
            TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect()).collect();
        assert_eq!(lines.len(), LIST.names.len() + LIST.prefixes.len());
        for line in &lines {
            let [name, sites, lists, whose] = line[..] else { panic!("{line:?} has not four columns") };
            assert!(!name.is_empty() && !sites.is_empty() && !whose.is_empty(), "{line:?}");
            assert!(!lists.is_empty() && lists.bytes().all(|list| b"ABCL".contains(&list)), "{line:?}");
            let stands_beside_another = whose.contains("beside");
            assert!(sites != "*" || lists.len() > 1 || stands_beside_another, "{line:?} is held by one list");
        }
    }
}

//! Folders of HTML files: `pages.pack` packs them into archives, which are then read like any others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use records::Reason;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::pack::{MAX_BYTES_PER_TASK, MEAN_FILES_PER_TASK, NamedFile, Packed, Packer, shared_folder};
use super::{Captured, LinksLeft, warc};
use crate::engine::{External, File, Flow, Product, Task, Work, expand_folders, read_text, stable_runs};
use crate::error::{Error, Result, bail, ensure};
use crate::recipe::Pages;

/// The list that gives files URLs: lines of `path<TAB>url`, the path relative to the list's folder.
const URL_LIST: &str = "urls.tsv";

/// Adds the stages.
pub(super) fn add(flow: &mut Flow, number: usize, settings: &Pages, left: LinksLeft, buckets: u32) -> Captured {
    let pages = settings.clone();
    let pack = flow.stage_of_source("pages.pack", number, move |_| {
        let folders = expand_folders(&pages.paths)?;
        let files = html_files(&folders, number)?;
        ensure!(!files.is_empty(), Input, "there is no .html or .htm file below {}", pages.paths.join(", "));
        let runs = stable_runs(files, MEAN_FILES_PER_TASK, MAX_BYTES_PER_TASK, |page| {
            (&page.named.name, page.named.file.len_bytes)
        });
        let task = |files: Vec<HtmlFile>| {
            let name = format!("{:016x}", xxh3_64(files[0].named.name.as_bytes()));
            (name, PackHtml { files, max_page_bytes: pages.max_page_bytes })
        };
        Ok(runs.into_iter().map(task).collect())
    });
    warc::add(flow, number, settings, left, Some(pack.product(PackHtml::ARCHIVE)), buckets)
}

/// A file with the URL of its page.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct HtmlFile {
    #[serde(flatten)]
    named: NamedFile,
    page_url: String,
}

/// Packs a run of files.
#[derive(Serialize, Deserialize)]
struct PackHtml {
    files: Vec<HtmlFile>,
    max_page_bytes: u64,
}

impl PackHtml {
    const ARCHIVE: Product<PackHtml, File> = Product::new("archive", "pages/html{suffix}-{name}.warc.gz");
}

impl Task for PackHtml {
    const REVISION: u32 = 2; // files by their names in the source's folder

    fn run(&self, work: &mut Work<'_>) -> Result<()> {
        let mut packer = Packer::new(work.create_file(PackHtml::ARCHIVE)?, self.max_page_bytes);
        for HtmlFile { named: NamedFile { file, name }, page_url } in &self.files {
            if work.is_stopping() {
                return Err(Error::Interrupted);
            }
            if file.len_bytes > self.max_page_bytes {
                packer.drop_too_large(work, name, file.len_bytes);
                continue;
            }
            let html = match file.read() {
                Ok(html) => html,
                Err(error) => {
                    work.counts.drop(Reason::MalformedPage);
                    work.unreadable(&file.url, &error);
                    continue;
                }
            };
            let page = Packed { url: page_url, content_type: "text/html", bytes: &html, file: name };
            packer.push(work, &page)?;
        }
        packer.finish()
    }

    fn min_output_bytes(&self) -> u64 {
        // gzip makes HTML a fifth, seldom a tenth.
        self.files.iter().map(|page| page.named.file.len_bytes).sum::<u64>() / 10
    }
}

/// The HTML files below folders with their URLs, sorted by path. A file that `urls.tsv` does not name has the URL
/// `file:///` and its path relative to the closest common parent of all given folders; from the second source on, the
/// number of the source comes before the path.
fn html_files(folders: &[PathBuf], source: usize) -> Result<Vec<HtmlFile>> {
    let shared = shared_folder(folders);
    let mut files = Vec::new();
    for folder in folders {
        let list = folder.join(URL_LIST);
        let below = External::below(folder)?;
        let has_list = below.iter().any(|file| Path::new(&file.url) == list);
        let text = if has_list { read_text(&list)? } else { String::new() };
        let mut urls = read_url_list(&list, &text)?;
        for file in below.into_iter().filter(|file| is_html(Path::new(&file.url))) {
            let path = Path::new(&file.url);
            let in_list = urls.remove(&*path.strip_prefix(folder).unwrap_or(path).to_string_lossy());
            let named = NamedFile::new(file, &shared, source);
            let page_url = in_list.map_or_else(|| format!("file:///{}", named.name), |(_, url)| url.to_owned());
            files.push(HtmlFile { named, page_url });
        }
        if let Some((path, (line, _))) = urls.into_iter().min_by_key(|(_, (line, _))| *line) {
            bail!(
                Input,
                "{}, line {line}: there is no file {path} that ends in .html or .htm below {}",
                list.display(),
                folder.display()
            );
        }
    }
    files.sort_by(|a, b| a.named.file.url.cmp(&b.named.file.url));
    files.dedup_by(|a, b| a.named.file.url == b.named.file.url);
    Ok(files)
}

/// The URLs of a list by path, with the numbers of their lines. A path may begin with `./`, the list with a byte order mark.
fn read_url_list<'t>(list: &Path, text: &'t str) -> Result<BTreeMap<&'t str, (usize, &'t str)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut urls = BTreeMap::new();
    for (number, line) in text.lines().enumerate().map(|(number, line)| (number + 1, line.trim_end())) {
        if line.is_empty() {
            continue;
        }
        let fault = || Error::Input(format!("{}, line {number}: not a path, a tab and a URL", list.display()));
        let (path, url) = line.split_once('\t').filter(|(_, url)| !url.contains('\t')).ok_or_else(fault)?;
        let path = path.strip_prefix("./").unwrap_or(path);
        ensure!(
            ::links::Canonical::parse(url).is_ok(),
            Input,
            "{}, line {number}: {url} is no URL of a page",
            list.display()
        );
        if let Some((before, _)) = urls.insert(path, (number, url)) {
            bail!(Input, "{}, line {number}: {path} has a URL in line {before} already", list.display());
        }
    }
    Ok(urls)
}

fn is_html(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("html") || extension.eq_ignore_ascii_case("htm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }

    fn urls(folders: &[PathBuf]) -> Vec<String> {
        html_files(folders, 0).unwrap().into_iter().map(|file| file.page_url).collect()
    }

    #[test]
    fn files_of_two_folders_keep_apart() {
        let data = folder(&[("a/1.html", ""), ("a/sub/2.HTM", ""), ("b/1.html", ""), ("b/note.txt", "")]);
        let (a, b) = (data.path().join("a"), data.path().join("b"));
        assert_eq!(urls(std::slice::from_ref(&a)), ["file:///1.html", "file:///sub/2.HTM"]);
        assert_eq!(urls(&[a, b]), ["file:///a/1.html", "file:///a/sub/2.HTM", "file:///b/1.html"]);
    }

    #[test]
    fn a_list_names_urls_and_only_files_that_are_there() {
        let data = folder(&[("1.html", ""), ("urls.tsv", "1.html\thttps://a.example/\n")]);
        assert_eq!(urls(&[data.path().to_path_buf()]), ["https://a.example/"]);
        std::fs::write(data.path().join("urls.tsv"), "\u{feff}./1.html\thttps://a.example/b\r\n").unwrap();
        assert_eq!(urls(&[data.path().to_path_buf()]), ["https://a.example/b"]);
        for (list, expected) in [
            ("1.html\thttps://a.example/\n2.html\thttps://b.example/\n", "line 2: there is no file"),
            ("1.html https://a.example/\n", "line 1: not a path"),
            ("1.html\tnot a url\n", "line 1: not a url is no URL of a page"),
            ("1.html\thttps://a.example/\tseen\n", "line 1: not a path, a tab and a URL"),
            ("1.html\thttps://a.example/\n./1.html\thttps://b.example/\n", "line 2: 1.html has a URL in line 1"),
            ("../1.html\thttps://a.example/\n", "line 1: there is no file"),
        ] {
            std::fs::write(data.path().join("urls.tsv"), list).unwrap();
            let error = html_files(&[data.path().to_path_buf()], 0).unwrap_err();
            let error = crate::error::chain(&error);
            assert!(error.contains(expected), "{error}");
        }
    }
}

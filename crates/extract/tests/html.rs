//! Compares the parser with the public vectors of html5lib, and with scraper, its readable twin, on real pages.
//!
//! scraper's tree is what html5ever builds by the same standard, with a string for every name and text.
//!
//! Both need `../shared/data` beside the checkout and are skipped, with the reason printed, without it.

#[path = "../../../tests/support/share.rs"]
mod share;
#[path = "../../../tests/support/skip.rs"]
mod skip;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use extract::html::{self, Name, Namespace, ParseOptions, ROOT, Tree};
use scraper::{Html, Node};
use skip::{skip, tell};

/// With scripting and without limits, as the vectors and the twin require.
fn options() -> ParseOptions {
    let mut options = ParseOptions::default();
    (options.max_nodes, options.max_depth, options.scripting) = (4_000_000, 100_000, true);
    options
}

fn data(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).expect("the checkout stands in a folder");
    let path = root.join("shared/data").join(path);
    if !path.exists() {
        tell(format!("skipped: {} is not there", path.display()));
        return None;
    }
    Some(path)
}

/// One case of a `.dat` file.
#[derive(Default, Debug)]
struct Case {
    data: String,
    document: String,
    is_fragment: bool,
    without_scripting: bool,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut section = "";
    for line in text.split('\n') {
        match line {
            "#data" if section != "#data" => {
                cases.push(Case::default());
                section = line;
                continue;
            }
            "#errors" | "#new-errors" | "#document" | "#document-fragment" | "#script-on" | "#script-off" => {
                section = line;
                let case = cases.last_mut().expect("#data comes first");
                case.is_fragment |= line == "#document-fragment";
                case.without_scripting |= line == "#script-off";
                continue;
            }
            _ => {}
        }
        let Some(case) = cases.last_mut() else { continue };
        let part = match section {
            "#data" => &mut case.data,
            "#document" => &mut case.document,
            _ => continue,
        };
        part.push_str(line);
        part.push('\n');
    }
    for case in &mut cases {
        case.data.pop();
        case.document.truncate(case.document.trim_end_matches('\n').len());
    }
    cases
}

/// The tree as the vectors write it.
fn dump(tree: &Tree) -> String {
    let mut lines = Vec::new();
    let mut depths = vec![0usize; tree.node_count()];
    for id in tree.preorder(ROOT).skip(1) {
        let depth = depths[tree.node(id).parent as usize];
        depths[id as usize] = depth + 1;
        let indent = format!("| {}", "  ".repeat(depth));
        lines.push(match tree.name(id) {
            Name::TEXT => format!("{indent}\"{}\"", tree.text(id)),
            Name::COMMENT => format!("{indent}<!-- {} -->", tree.text(id).replace('\0', "\u{fffd}")),
            Name::CONTENT => format!("{indent}content"),
            Name::DOCTYPE => format!("{indent}{}", html::doctype_as_written(tree.text(id))),
            name => {
                let mut attributes: Vec<String> = tree
                    .attributes(id)
                    .into_iter()
                    .map(|(key, value)| {
                        format!("| {}{}=\"{value}\"", "  ".repeat(depth + 1), adjusted_attribute(name, &key))
                    })
                    .collect();
                attributes.sort();
                let prefix = match name.namespace() {
                    Namespace::Svg => "svg ",
                    Namespace::MathMl => "math ",
                    _ => "",
                };
                let tag =
                    if prefix == "svg " { adjusted_tag(&tree.tag_name(id)) } else { tree.tag_name(id).into_owned() };
                lines.push(format!("{indent}<{prefix}{tag}>"));
                lines.append(&mut attributes);
                continue;
            }
        });
    }
    lines.join("\n")
}

/// Restores SVG's capitals, which the tree does not keep.
fn adjusted_tag(tag: &str) -> String {
    let cased = "altGlyph altGlyphDef altGlyphItem animateColor animateMotion animateTransform clipPath feBlend \
        feColorMatrix feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap \
        feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feImage feMerge \
        feMergeNode feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile feTurbulence \
        foreignObject glyphRef linearGradient radialGradient textPath";
    cased.split_whitespace().find(|c| c.eq_ignore_ascii_case(tag)).unwrap_or(tag).to_owned()
}

fn adjusted_attribute(name: Name, key: &str) -> String {
    let cased = "attributeName attributeType baseFrequency baseProfile calcMode clipPathUnits diffuseConstant \
        edgeMode filterUnits glyphRef gradientTransform gradientUnits kernelMatrix kernelUnitLength keyPoints \
        keySplines keyTimes lengthAdjust limitingConeAngle markerHeight markerUnits markerWidth maskContentUnits \
        maskUnits numOctaves pathLength patternContentUnits patternTransform patternUnits pointsAtX pointsAtY \
        pointsAtZ preserveAlpha preserveAspectRatio primitiveUnits refX refY repeatCount repeatDur \
        requiredExtensions requiredFeatures specularConstant specularExponent spreadMethod startOffset \
        stdDeviation stitchTiles surfaceScale systemLanguage tableValues targetX targetY textLength viewBox \
        viewTarget xChannelSelector yChannelSelector zoomAndPan";
    match (name.namespace(), key) {
        (Namespace::MathMl, "definitionurl") => "definitionURL".to_owned(),
        (
            Namespace::Svg | Namespace::MathMl,
            "xlink:actuate" | "xlink:arcrole" | "xlink:href" | "xlink:role" | "xlink:show" | "xlink:title"
            | "xlink:type" | "xml:lang" | "xml:space" | "xmlns:xlink",
        ) => key.replace(':', " "),
        (Namespace::Svg, _) => cased.split_whitespace().find(|c| c.eq_ignore_ascii_case(key)).unwrap_or(key).to_owned(),
        _ => key.to_owned(),
    }
}

#[test]
fn html5lib_tree_construction() {
    let Some(folder) = data("html5lib/tree-construction") else { return };
    let (mut run, mut failed) = (0, Vec::new());
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "dat")) {
        let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        for (number, case) in cases(&text).iter().enumerate() {
            // What these ask for beyond the tree of the source is left out (module `html`).
            if case.is_fragment || case.without_scripting || case.data.contains("<selectedcontent>") {
                continue;
            }
            run += 1;
            let source = html::with_plain_newlines(case.data.as_str().into());
            let found = dump(&html::parse(&source, options()).unwrap());
            if found != case.document {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                failed.push(format!("{name} {number}: {:?}\nexpected\n{}\nfound\n{found}\n", case.data, case.document));
            }
        }
    }
    assert!(run > 1_000, "{run} cases were found");
    assert!(failed.is_empty(), "{} of {run} cases:\n{}", failed.len(), failed.join("\n"));
}

/// The pages of all sets of a folder of `SET.tar.zst`, unpacked to another; none without `zstd` and `tar`.
fn unpacked(sets: &Path, to: &Path) -> Vec<PathBuf> {
    let command = format!(
        "for set in '{}'/*.tar.zst; do zstd -dcq --long=27 \"$set\" | tar x -C '{}' || exit 1; done",
        sets.display(),
        to.display()
    );
    if !Command::new("sh").args(["-c", &command]).status().is_ok_and(|status| status.success()) {
        skip("real pages", format!("{} cannot be unpacked", sets.display()));
        return Vec::new();
    }
    let sets = fs::read_dir(to).expect("it was just written");
    sets.map(|set| set.expect("it was just written").path().join("html")).collect()
}

/// A page's nodes in document order, each with its depth: elements with their attributes by name, texts and comments.
type Outline = Vec<(usize, String)>;

/// An element's line of an outline.
fn element_line<'a>(name: &str, attributes: impl Iterator<Item = (String, &'a str)>) -> String {
    let mut attributes: Vec<String> = attributes.map(|(name, value)| format!(" {name}={value:?}")).collect();
    attributes.sort();
    format!("<{}{}>", name.to_ascii_lowercase(), attributes.concat())
}

fn outline(html: &str) -> Outline {
    let tree = html::parse(html, options()).expect("a real page keeps the limits");
    let mut outline = Vec::new();
    let mut depths = vec![0usize; tree.node_count()];
    for id in tree.preorder(ROOT).skip(1) {
        let depth = depths[tree.node(id).parent as usize] + 1;
        depths[id as usize] = depth;
        let line = match tree.name(id) {
            Name::TEXT => format!("\"{}", tree.text(id)),
            Name::COMMENT => format!("<!--{}", tree.text(id)),
            name if name.is_element() => {
                let attributes = tree.attributes(id);
                let attributes = attributes.iter().map(|(name, value)| (name.clone(), &**value));
                element_line(&tree.tag_name(id), attributes)
            }
            _ => continue,
        };
        outline.push((depth, line));
    }
    outline
}

/// The twin's outline of a page.
fn outline_of_twin(html: &str) -> Outline {
    let page = Html::parse_document(html);
    let mut outline = Vec::new();
    let mut stack = vec![(page.tree.root(), 0)];
    while let Some((node, depth)) = stack.pop() {
        match node.value() {
            Node::Element(element) => {
                let attributes = element.attrs.iter().map(|(name, value)| {
                    // The tokenizer of html5ever parts `xlink:href` in SVG, and gives `xmlns` an empty prefix.
                    let prefix = name.prefix.as_deref().filter(|prefix| !prefix.is_empty());
                    let prefix = prefix.map_or(String::new(), |prefix| format!("{prefix}:"));
                    (format!("{prefix}{}", name.local).to_ascii_lowercase(), &**value)
                });
                outline.push((depth, element_line(element.name(), attributes)));
            }
            Node::Text(text) => outline.push((depth, format!("\"{}", &**text))),
            Node::Comment(comment) => outline.push((depth, format!("<!--{}", &**comment))),
            _ => {}
        }
        stack.extend(node.children().rev().map(|child| (child, depth + 1)));
    }
    outline
}

/// With texts that follow each other as one: ours are in pieces where joining them would copy much.
fn joined(outline: Outline) -> Outline {
    let mut joined: Outline = Vec::new();
    for (depth, entry) in outline {
        match joined.last_mut() {
            Some((last_depth, last)) if *last_depth == depth && last.starts_with('"') && entry.starts_with('"') => {
                last.push_str(&entry[1..]);
            }
            _ => joined.push((depth, entry)),
        }
    }
    joined
}

/// Real pages, one in four or all, have the tree that scraper has of them, attributes and comments included.
#[test]
fn real_pages_have_the_tree_of_scraper() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders = vec![golden];
    // A gigabyte, in memory where the temporary folder is.
    let to = tempfile::tempdir().expect("a folder");
    folders.extend(data("extract").map(|sets| unpacked(&sets, to.path())).unwrap_or_default());
    for folder in folders {
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.retain(|file| file.extension().is_some_and(|e| e == "html"));
        for file in files.iter().step_by(share::one_in(4)) {
            let bytes = fs::read(file).unwrap();
            let source = html::with_plain_newlines(extract::charset::decode(&bytes, None).text);
            let (ours, theirs) = (joined(outline(&source)), joined(outline_of_twin(&source)));
            if let Some(at) = (0..ours.len().max(theirs.len())).find(|&at| ours.get(at) != theirs.get(at)) {
                panic!("{}: node {at} is {:?}, expected {:?}", file.display(), ours.get(at), theirs.get(at));
            }
        }
    }
}

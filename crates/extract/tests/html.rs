//! The parser against the public vectors of html5lib, and against html5ever on real pages.
//!
//! Both need `../shared/data` beside the checkout and are skipped, with the reason printed, without it.

mod twin;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use extract::html::{self, Limits, Name, Namespace, ROOT, Tree};

const LIMITS: Limits = Limits { nodes_max: 4_000_000, depth_max: 100_000, scripting: true };

fn data(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).expect("the checkout stands in a folder");
    let path = root.join("shared/data").join(path);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
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

/// SVG's capitals, which the tree does not keep.
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
            let found = dump(&html::parse(&source, LIMITS).unwrap());
            if found != case.document {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                failed.push(format!("{name} {number}: {:?}\nexpected\n{}\nfound\n{found}\n", case.data, case.document));
            }
        }
    }
    assert!(run > 1_000, "{run} cases were found");
    assert!(failed.is_empty(), "{} of {run} cases:\n{}", failed.len(), failed.join("\n"));
}

/// The pages of all sets of a folder of `SET.tar.zst`, unpacked beside the build; none without `zstd` and `tar`.
fn unpacked(sets: &Path) -> Vec<PathBuf> {
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&to).expect("the build's folder can be written");
    let command = format!(
        "for set in '{}'/*.tar.zst; do zstd -dcq --long=27 \"$set\" | tar x -C '{}' || exit 1; done",
        sets.display(),
        to.display()
    );
    if !Command::new("sh").args(["-c", &command]).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: real pages: {} cannot be unpacked", sets.display());
        return Vec::new();
    }
    let sets = fs::read_dir(to).expect("it was just written");
    sets.map(|set| set.expect("it was just written").path().join("html")).collect()
}

/// Our tree as the twin gives its own.
fn outline(html: &str) -> Vec<(usize, String)> {
    let tree = html::parse(html, LIMITS).expect("a real page keeps the limits");
    let mut outline = Vec::new();
    let mut depths = vec![0usize; tree.node_count()];
    let mut next = Some(ROOT);
    while let Some(id) = next {
        let name = tree.name(id);
        if id != ROOT {
            depths[id as usize] = depths[tree.node(id).parent as usize] + 1;
            match name {
                Name::TEXT => outline.push((depths[id as usize], format!("\"{}", tree.text(id)))),
                name if name.is_element() => outline.push((depths[id as usize], tree.tag_name(id).into_owned())),
                _ => {}
            }
        }
        next = tree.following(id, ROOT, name != Name::CONTENT);
    }
    outline
}

/// With texts that follow each other as one: ours are in pieces where joining them would copy much.
fn joined(outline: Vec<(usize, String)>) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
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

/// Real pages have the tree that html5ever builds. Where the two differ, the page uses `<select>`, whose rules
/// the standard changed in 2025 and html5ever has not taken over.
#[test]
fn real_pages_have_the_tree_of_html5ever() {
    let (mut pages, mut different) = (0, Vec::new());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders = vec![golden];
    folders.extend(data("extract").map(|sets| unpacked(&sets)).unwrap_or_default());
    for folder in folders {
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "html")) {
            let bytes = fs::read(file).unwrap();
            let source = html::with_plain_newlines(extract::charset::decode(&bytes, None).text);
            pages += 1;
            let (ours, theirs) = (joined(outline(&source)), joined(twin::outline(&source)));
            if ours != theirs {
                let at = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap_or(ours.len().min(theirs.len()));
                let has_select = source.contains("<select") || source.contains("<SELECT");
                different.push((file.clone(), has_select, ours.get(at).cloned(), theirs.get(at).cloned()));
            }
        }
    }
    let unexplained: Vec<_> = different.iter().filter(|(_, has_select, ..)| !has_select).collect();
    eprintln!("{} of {pages} pages differ: {different:?}", different.len());
    assert!(unexplained.is_empty(), "{} of {pages} pages: {unexplained:#?}", unexplained.len());
}

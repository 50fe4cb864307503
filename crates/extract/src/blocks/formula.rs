//! Formulas, each once: from its TeX where the page has it, else from its MathML.
//!
//! KaTeX, MathJax and MediaWiki write a formula up to three times: as MathML for screen readers, as positioned glyphs or
//! an image, and as TeX. Left out: formulas that are images without a text, and the layout of matrices.

use memchr::memmem;

use super::white_space::push_collapsed;
use crate::html::{Name, NameSet, Namespace, NodeId, Tree, attribute, tag, tags};

/// What stands in every page with formulas.
const MARKS: [&[u8]; 7] = [b"<math", b"katex", b"MathJax", b"mjx-", b"math/tex", b"mwe-math", b"<MATH"];
/// Classes of elements that hold one formula in all its forms.
const WHOLE: [&str; 3] = ["katex", "mwe-math-element", "ltx_Math"];
/// Classes of MathJax's output beside the script that has the TeX.
const OUTPUT: [&str; 8] = [
    "MathJax",
    "MathJax_Preview",
    "MathJax_Display",
    "MathJax_SVG",
    "MathJax_SVG_Display",
    "MathJax_CHTML",
    "MathJax_MathML",
    "mjx-chtml",
];
/// Classes of images whose alternative text is TeX.
const IMAGES: [&str; 5] =
    ["tex", "latex", "mwe-math-fallback-image-inline", "mwe-math-fallback-image-display", "math-tex"];
/// Elements below which a formula is looked for.
const HOLDERS: NameSet = tags![SPAN DIV NOBR];
/// Elements of MathML that hold text.
const TOKENS: [Name; 5] = [tag::MI, tag::MN, tag::MO, tag::MS, tag::MTEXT];
/// Nodes between MathJax's output and its script.
const MAX_NODES_TO_SCRIPT: usize = 4;

/// Whether the page may have formulas. Without them nothing is looked for.
pub(super) fn has_formulas(tree: &Tree) -> bool {
    let source = tree.source().as_bytes();
    MARKS.iter().any(|mark| memmem::find(source, mark).is_some()) || memmem::find(source, b"tex\"").is_some()
}

/// The text of a formula if this element is one, or one of its forms; empty for a form that another one repeats.
pub(super) fn formula(tree: &Tree, id: NodeId) -> Option<String> {
    let name = tree.name(id);
    if name == tag::MATH.within(Namespace::MathMl) {
        // Text that stands in it outside all tokens keeps its distance from the words around it.
        let is_loose =
            tree.children(id).any(|child| tree.name(child) == Name::TEXT && !tree.text(child).trim().is_empty());
        let formula = of_math(tree, id);
        return Some(if is_loose { format!(" {formula} ") } else { formula });
    }
    if name == tag::SCRIPT {
        let kind = tree.raw_attribute(id, attribute::TYPE)?;
        let is_tex = kind.get(..8).is_some_and(|kind| kind.eq_ignore_ascii_case("math/tex"));
        return is_tex.then(|| tidy(&tree.text_below(id)));
    }
    if name == tag::IMG {
        let is_formula = tree.has_class(id, &IMAGES);
        return is_formula.then(|| tree.attribute(id, attribute::ALT).map(|alt| tidy(&alt))).flatten();
    }
    if HOLDERS.has(name) && tree.has_class(id, &WHOLE) {
        return of_whole(tree, id);
    }
    if HOLDERS.has(name) && tree.has_class(id, &OUTPUT) {
        let is_before_script = tree
            .siblings_after(id)
            .take(MAX_NODES_TO_SCRIPT)
            .any(|next| tree.name(next) == tag::SCRIPT && formula(tree, next).is_some());
        return if is_before_script { Some(String::new()) } else { of_whole(tree, id) };
    }
    if name.is_element() && name.known().is_none() && tree.tag_name(id) == "mjx-container" {
        return of_whole(tree, id);
    }
    None
}

/// The formula of an element that holds several forms, from the best one; `None` when it has glyphs alone.
fn of_whole(tree: &Tree, id: NodeId) -> Option<String> {
    let math = tree.preorder(id).find(|&node| tree.name(node) == tag::MATH.within(Namespace::MathMl));
    if let Some(math) = math {
        return Some(of_math(tree, math));
    }
    let image = tree.preorder(id).find(|&node| tree.name(node) == tag::IMG);
    image.and_then(|image| tree.attribute(image, attribute::ALT)).map(|alt| tidy(&alt))
}

/// The TeX that annotates a formula, else its alternative text, else its MathML on one line.
fn of_math(tree: &Tree, math: NodeId) -> String {
    let annotation = tree.preorder(math).find(|&node| {
        tree.name(node) == tag::ANNOTATION.within(Namespace::MathMl)
            && tree
                .raw_attribute(node, attribute::ENCODING)
                .is_some_and(|kind| kind.to_ascii_lowercase().contains("tex"))
    });
    if let Some(annotation) = annotation {
        return tidy(&tree.text_below(annotation));
    }
    if let Some(text) = tree.attribute(math, attribute::ALTTEXT).filter(|text| !text.trim().is_empty()) {
        return tidy(&text);
    }
    let mut line = String::new();
    write_math(tree, math, &mut line);
    tidy(&line)
}

/// One line, without the wrapper that MediaWiki puts around all formulas.
fn tidy(tex: &str) -> String {
    let mut line = String::new();
    push_collapsed(&mut line, 0, tex);
    let line = line.trim();
    let inner = line.strip_prefix("{\\displaystyle").or_else(|| line.strip_prefix("{\\textstyle"));
    let line = inner.and_then(|inner| inner.strip_suffix('}')).unwrap_or(line).trim();
    // Comments in scripts.
    let line = line.strip_prefix("% <![CDATA[").unwrap_or(line);
    line.strip_suffix("%]]>").unwrap_or(line).trim().to_owned()
}

/// Steps of writing a formula on one line: no recursion, since depth is up to the page.
enum Step {
    Node(NodeId),
    Text(&'static str),
}

/// Writes MathML on one line: `x^2`, `a_i`, `(a + b)/c`, `√(x)`.
fn write_math(tree: &Tree, math: NodeId, to: &mut String) {
    let mut steps = vec![Step::Node(math)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Text(text) => to.push_str(text),
            Step::Node(id) if tree.name(id) == Name::TEXT => {
                let text = tree.text(id).trim();
                // The signs for application and multiplication have no shape.
                if matches!(text, "\u{2061}" | "\u{2062}" | "\u{2063}" | "\u{2064}") {
                    continue;
                }
                let parent = tree.node(id).parent;
                let is_token = TOKENS.iter().any(|&token| tree.name(parent) == token.within(Namespace::MathMl));
                match is_token {
                    true if tree.children(parent).nth(1).is_none() => to.push_str(text),
                    // Several pieces of a token are a page's own text, whose blanks part its words.
                    true => to.push_str(tree.text(id)),
                    // Text in no token of a formula is that of a page that forgot to end it.
                    false => to.extend([" ", text, " "]),
                }
            }
            // A formula that was not ended holds the page's own elements.
            Step::Node(id) if tree.name(id).namespace() != Namespace::MathMl && super::is_invisible(tree, id) => {}
            // Whether it breaks the line is not asked: a page's own element keeps the words around it apart.
            Step::Node(id) if tree.name(id).namespace() != Namespace::MathMl => {
                to.push(' ');
                push_steps(tree, id, &mut steps);
            }
            Step::Node(id) => push_steps(tree, id, &mut steps),
        }
    }
}

fn push_steps(tree: &Tree, id: NodeId, steps: &mut Vec<Step>) {
    let parts: Vec<NodeId> =
        tree.children(id).filter(|&part| tree.name(part).is_element() || !tree.text(part).trim().is_empty()).collect();
    let part = |at: usize| parts.get(at).copied();
    let between: &[&'static str] = match &*tree.tag_name(id) {
        "annotation" | "annotation-xml" | "mphantom" => return,
        "msup" | "mover" => &["^"],
        "msub" | "munder" => &["_"],
        "msubsup" | "munderover" => &["_", "^"],
        "mfrac" => &["/"],
        "msqrt" => &["√"],
        "mtd" => &[" "],
        "mtr" => &["; "],
        _ => &[],
    };
    match between {
        ["√"] => {
            steps.push(Step::Text(")"));
            steps.extend(parts.iter().rev().map(|&part| Step::Node(part)));
            steps.push(Step::Text("√("));
        }
        [end @ (" " | "; ")] => {
            steps.push(Step::Text(end));
            steps.extend(parts.iter().rev().map(|&part| Step::Node(part)));
        }
        [] => steps.extend(parts.iter().rev().map(|&part| Step::Node(part))),
        signs => {
            for (at, sign) in signs.iter().enumerate().rev() {
                if let Some(part) = part(at + 1) {
                    push_grouped(tree, part, steps);
                    steps.push(Step::Text(sign));
                }
            }
            if let Some(base) = part(0) {
                push_grouped(tree, base, steps);
            }
        }
    }
}

/// A part of several signs stands in brackets.
fn push_grouped(tree: &Tree, id: NodeId, steps: &mut Vec<Step>) {
    let leaves = tree.preorder(id).filter(|&node| tree.name(node) == Name::TEXT && !tree.text(node).trim().is_empty());
    let is_group = leaves.take(2).count() > 1;
    if is_group {
        steps.push(Step::Text(")"));
    }
    steps.push(Step::Node(id));
    if is_group {
        steps.push(Step::Text("("));
    }
}

#[cfg(test)]
mod tests {
    use crate::blocks::blocks;
    use crate::html::{ParseOptions, parse};

    fn check(html: &str, expected: &str) {
        let page = blocks(&parse(html, ParseOptions::default()).unwrap());
        let texts: Vec<&str> = page.blocks.iter().map(|block| page.text_of(block)).collect();
        assert_eq!(texts.join("|"), expected, "{html}");
    }

    #[test]
    fn each_formula_once() {
        let math = "<math><semantics><mrow><mi>x</mi></mrow><annotation encoding='application/x-tex'>x_1</annotation></semantics></math>";
        check(&format!("<p>Let {math} be."), "Let x_1 be.");
        check(
            &format!(
                "<p>Let <span class=katex><span class=katex-mathml>{math}</span><span class=katex-html aria-hidden=true>x1</span></span> be."
            ),
            "Let x_1 be.",
        );
        check(
            &format!(
                "<p>Let <mjx-container><mjx-math aria-hidden=true>x</mjx-math><mjx-assistive-mml>{math}</mjx-assistive-mml></mjx-container> be."
            ),
            "Let x_1 be.",
        );
        check(
            "<p>Let <span class=MathJax_Preview>x1</span><span class=MathJax><nobr>x1</nobr></span><script type='math/tex'>x_1</script> be.",
            "Let x_1 be.",
        );
        check(
            "<p>Let <span class=mwe-math-element><span style='display:none'><math alttext='{\\displaystyle x_{1}}'></math></span><img alt='{\\displaystyle x_{1}}'></span> be.",
            "Let x_{1} be.",
        );
        check("<p>Let <img class=tex alt='x_1'> be, <math></math>not <img alt=photo>.", "Let x_1 be, not .");
    }

    #[test]
    fn mathml_on_one_line() {
        check(
            "<p>a <math><msup><mi>c</mi><mn>2</mn></msup><mo>=</mo><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>",
            "a c^2=(a+b)/2",
        );
        check(
            "<p><math><msqrt><mi>x</mi></msqrt><msubsup><mi>y</mi><mi>i</mi><mn>2</mn></msubsup></math>",
            "√(x)y_i^2",
        );
        check("<p><math> one <tbody> two. </math>", "one two.");
        check("<p><math><mi> one <br> two.</math>", "one two.");
        check("<p><math><mi> one <svg> label </svg> two.</math>", "one two.");
        check("<p><math><mi> one <script></script> two<!-- -->.</math>", "one two.");
    }
}

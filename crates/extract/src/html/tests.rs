//! Small cases that say what the tree is, and the same tree from any text. The html5lib vectors and the
//! comparison with scraper are in `tests/html.rs` of this crate.

use super::*;

const OPTIONS: ParseOptions = ParseOptions { max_nodes: 1_000_000, max_depth: 2_048, scripting: true };

fn outline(html: &str) -> String {
    let tree = parse(html, OPTIONS).unwrap();
    let describe = |id: NodeId| match tree.name(id) {
        Name::DOCUMENT => "/".to_owned(),
        Name::TEXT => format!("{:?}", tree.text(id)),
        Name::COMMENT => format!("!{}", tree.text(id)),
        Name::CONTENT => "content".to_owned(),
        _ => tree.tag_name(id).into_owned(),
    };
    tree.preorder(ROOT).map(describe).collect::<Vec<_>>().join(" ")
}

#[test]
fn trees_are_those_of_browsers() {
    assert_eq!(outline(""), "/ html head body");
    assert_eq!(outline("<p>a<p>b"), "/ html head body p \"a\" p \"b\"");
    assert_eq!(outline("<b>1<p>2</b>3"), "/ html head body b \"1\" p b \"2\" \"3\"");
    assert_eq!(outline("<table>x<tr><td>y"), "/ html head body \"x\" table tbody tr td \"y\"");
    assert_eq!(
        outline("<script>a</script><template><p>b</template>c"),
        "/ html head script \"a\" template content p \"b\" body \"c\""
    );
    assert_eq!(outline("a<!-- b -->c"), "/ html head body \"a\" ! b  \"c\"");
    assert_eq!(
        outline("<script>'</p>'<!--<script></script>--></script>x"),
        "/ html head script \"'</p>'<!--<script></script>-->\" body \"x\""
    );
}

#[test]
fn texts_are_decoded_and_joined() {
    assert_eq!(outline("a &amp; b&notit;&#x41;"), "/ html head body \"a & b¬it;A\"");
    assert_eq!(outline("a<1"), "/ html head body \"a<1\"");
    assert_eq!(outline("<pre>\n\nx"), "/ html head body pre \"\\nx\"");
    assert_eq!(outline("a\0b"), "/ html head body \"ab\"");
    let tree = parse("<a HREF='x?a=1&amp;b=&copy=2' href=y Class>", OPTIONS).unwrap();
    let link = tree.preorder(ROOT).find(|&id| tree.name(id) == tag::A).unwrap();
    assert_eq!(tree.attribute(link, attribute::HREF).as_deref(), Some("x?a=1&b=&copy=2"));
    assert_eq!(tree.attribute(link, attribute::CLASS).as_deref(), Some(""));
    assert_eq!(tree.attributes(link).len(), 2);
}

#[test]
fn limits_are_kept() {
    let options = ParseOptions { max_nodes: 1_000, max_depth: 100, scripting: true };
    assert_eq!(parse(&"<p>".repeat(1_001), options).err(), Some(ParseError::TooManyNodes(1_000)));
    // Each block opens the formatting elements again: this is limited by nodes, not by depth.
    let fonts: String = (0..90).map(|i| format!("<font a{i}>")).collect();
    assert_eq!(parse(&format!("{fonts}{}", "<p>x</p>".repeat(100)), options).err(), None);
    let reopened: String = (0..90).map(|i| format!("<p><font a{i}></p>")).collect();
    assert_eq!(parse(&reopened, options).err(), Some(ParseError::TooManyNodes(1_000)));
}

#[test]
fn depth_is_flattened() {
    let mut options = OPTIONS;
    options.max_depth = 4;
    let depths = |html: &str| {
        let tree = parse(html, options).unwrap();
        let depth =
            |id: NodeId| std::iter::successors(Some(id), |&id| Some(tree.node(id).parent)).take_while(|&id| id != ROOT);
        let texts = tree.preorder(ROOT).filter(|&id| tree.name(id) == Name::TEXT);
        texts.map(|id| format!("{}{}", tree.text(id), depth(id).count())).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(depths("<div>a<div>b<div>c<div>d</div>e</div>f</div>g"), "a4 b4 c4 defg4");
    assert_eq!(depths("<p>a<b>b<i>c<u>d</u>e</i>f</b>g<p>h"), "a4 b4 c4 defg4 h4");
    let deep = format!("{}x", "<div>".repeat(5_000));
    assert!(depths(&deep).ends_with("x4"));
}

#[test]
fn nothing_gets_out_of_noscript() {
    let read = |before: &str, contents: &str| {
        let html = format!("{before}<p>a<noscript>{contents}</noscript>b<p>c");
        let tree = parse(&html, ParseOptions::default()).unwrap();
        let outside = |id: &NodeId| {
            !std::iter::successors(Some(*id), |&id| Some(tree.node(id).parent).filter(|&up| up != NONE))
                .any(|id| tree.name(id) == tag::NOSCRIPT)
        };
        let texts = tree.preorder(ROOT).filter(|&id| tree.name(id) == Name::TEXT).filter(outside);
        let parent = |id: NodeId| tree.tag_name(tree.node(id).parent).into_owned();
        texts.map(|id| format!("{}:{}", parent(id), tree.text(id))).collect::<Vec<_>>().join(" ")
    };
    for contents in [
        "",
        "x",
        "<iframe src=x>",
        "<iframe/>",
        "<div><b>x",
        "<table><tr>",
        "<!-- x",
        "<script>x",
        "<img src='x",
        "<template><form>",
        "<plaintext>",
        "<textarea>",
        "<noscript>x",
        "<svg><title>",
        "<select><option>",
        "</body>",
        "<form>",
        "<caption><template>",
        "<tr><td><template>",
        "<template><tr></template><td>",
        "<frameset>",
        "</table>",
    ] {
        for before in ["", "<table>", "<table><td>", "<table><tr><div>"] {
            assert_eq!(read(before, contents), "p:a p:b p:c", "{before} {contents}");
        }
    }
}

#[test]
fn lines_end_with_line_feeds() {
    assert_eq!(with_plain_newlines(Cow::Borrowed("a\r\nb\rc\n\r\r\n")), "a\nb\nc\n\n\n");
    assert!(matches!(with_plain_newlines(Cow::Borrowed("a\nb")), Cow::Borrowed(_)));
}

proptest::proptest! {
    /// Links between nodes agree with each other, whatever the page.
    #[test]
    fn trees_are_trees(html in "(<(/?(p|div|table|caption|colgroup|col|td|tr|b|a|i|ul|li|svg|math|mi|desc|template|select|option|pre|form|body|html|head|frameset|button|nobr|noscript|h1|x)|br|!--|--|script|!doctype html)( class=(nav|x))?>|[a-z \0&;<]{0,9}){0,60}") {
        let tree = parse(&html, OPTIONS).unwrap();
        let mut reached = vec![0; tree.node_count()];
        for id in tree.preorder(ROOT) {
            reached[id as usize] += 1;
            let mut previous = NONE;
            for child in tree.children(id) {
                assert_eq!(tree.node(child).parent, id);
                assert_eq!(tree.node(child).previous, previous);
                previous = child;
            }
            assert_eq!(tree.node(id).last_child, previous);
            let _ = (tree.text(id), tree.attributes(id));
        }
        assert!(reached.iter().all(|&times| times <= 1));
    }
}

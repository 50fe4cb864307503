//! The XML of the RTE challenges: pairs of a text and a hypothesis.
//!
//! Only what those files use: elements, attributes in quotes, comments, the five named entities and numeric
//! ones. Left out: CDATA, entities of a DTD, anything inside `<t>` and `<h>` but text.

use crate::finetune::examples::{ExampleTexts, LabelledExample, LineFault, line_at};

/// Reads all pairs of a file.
///
/// # Errors
/// The line and the fault of the first thing that is not as the challenges write it.
pub(crate) fn parse(text: &str) -> Result<Vec<LabelledExample>, LineFault> {
    let mut reader = Reader { text, at: 0 };
    let mut examples = Vec::new();
    while let Some(tag) = reader.next_tag()? {
        if tag.name() == "pair" {
            examples.push(reader.pair(&tag)?);
        }
    }
    Ok(examples)
}

/// A place in the text.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// The content between `<` and `>`: a name, a slash before it when it closes, attributes after it.
struct Tag<'a>(&'a str);

impl<'a> Reader<'a> {
    /// What follows `<pair …>`, up to `</pair>`.
    fn pair(&mut self, tag: &Tag<'_>) -> Result<LabelledExample, LineFault> {
        let label = label(tag).map_err(|what| self.fault(what))?;
        let (mut premise, mut hypothesis) = (None, None);
        loop {
            let tag = self.next_tag()?.ok_or_else(|| self.fault("the file ends inside a pair"))?;
            match tag.name() {
                "t" => premise = Some(self.content("</t>")?),
                "h" => hypothesis = Some(self.content("</h>")?),
                "/pair" => break,
                name => return Err(self.fault(format!("<{name}> inside a pair"))),
            }
        }
        let premise = premise.ok_or_else(|| self.fault("a pair without <t>"))?;
        let hypothesis = hypothesis.ok_or_else(|| self.fault("a pair without <h>"))?;
        Ok(LabelledExample { texts: ExampleTexts::Entailment { premise, hypothesis }, label })
    }

    /// The next tag that is not a comment, a declaration or an instruction.
    fn next_tag(&mut self) -> Result<Option<Tag<'a>>, LineFault> {
        loop {
            let rest = &self.text[self.at..];
            let Some(open) = rest.find('<') else { return Ok(None) };
            let rest = &rest[open..];
            let end = if rest.starts_with("<!--") { "-->" } else { ">" };
            let close = rest.find(end).ok_or_else(|| self.fault("a tag without an end"))?;
            self.at += open + close + end.len();
            if !rest.starts_with("<!") && !rest.starts_with("<?") {
                return Ok(Some(Tag(&rest[1..close])));
            }
        }
    }

    /// The text up to a closing tag, entities decoded and white space at both ends cut off.
    fn content(&mut self, close: &str) -> Result<String, LineFault> {
        let rest = &self.text[self.at..];
        let end = rest.find(close).ok_or_else(|| self.fault(format!("no {close}")))?;
        if rest[..end].contains('<') {
            return Err(self.fault(format!("a tag before {close}")));
        }
        let decoded = unescape(rest[..end].trim()).map_err(|what| self.fault(what))?;
        self.at += end + close.len();
        Ok(decoded)
    }

    /// A fault at the present place.
    fn fault(&self, what: impl Into<String>) -> LineFault {
        (line_at(self.text.as_bytes(), self.at), what.into())
    }
}

impl<'a> Tag<'a> {
    fn name(&self) -> &'a str {
        self.0.split(char::is_whitespace).next().unwrap_or_default()
    }

    /// The value of `name="value"`.
    fn attribute(&self, name: &str) -> Option<&'a str> {
        let mut parts = self.0.split('"');
        loop {
            let key = parts.next()?.trim().strip_suffix('=')?;
            let value = parts.next()?;
            if key.split_whitespace().next_back() == Some(name) {
                return Some(value);
            }
        }
    }
}

/// The first challenge says `value="TRUE"`, the later ones `entailment="YES"`.
fn label(tag: &Tag<'_>) -> Result<usize, String> {
    match tag.attribute("entailment").or_else(|| tag.attribute("value")) {
        Some("YES" | "TRUE") => Ok(1),
        Some("NO" | "FALSE") => Ok(0),
        Some(other) => Err(format!("the label is {other:?}, not YES, NO, TRUE or FALSE")),
        None => Err("a pair without entailment or value".to_owned()),
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut parts = text.split('&');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').ok_or("an & that begins no entity")?;
        let character = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => numeric(name),
        };
        decoded.push(character.ok_or_else(|| format!("the unknown entity &{name};"))?);
        decoded.push_str(rest);
    }
    Ok(decoded)
}

/// The character of `#163` or `#xA3`.
fn numeric(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let code = match digits.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    code.ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(xml: &str, expected: Result<&[(&str, &str, usize)], LineFault>) {
        let examples = parse(xml).map(|examples| {
            let pair = |example: LabelledExample| match example.texts {
                ExampleTexts::Entailment { premise, hypothesis } => (premise, hypothesis, example.label),
                other => panic!("{other:?}"),
            };
            examples.into_iter().map(pair).collect::<Vec<_>>()
        });
        let expected = expected.map(|pairs| pairs.iter().map(|&(t, h, l)| (t.into(), h.into(), l)).collect());
        assert_eq!(examples, expected);
    }

    #[test]
    fn pairs_of_all_challenges() {
        let first = "<?xml version=\"1.0\"?>\n<!DOCTYPE c SYSTEM \"rte.dtd\">\n<c>\n<!-- a > b <pair> -->\n\
            <pair id=\"8\" value=\"FALSE\" task=\"IR\">\n\t<t> &#163;5 &apos;now&apos; </t>\n\
            \t<h>&#xA3;</h>\n</pair></c>";
        check(first, Ok(&[("£5 'now'", "£", 0)]));
        let third = "<c><pair id=\"1\" entailment=\"YES\" length=\"short\" ><t>a</t><h>b</h></pair></c>";
        check(third, Ok(&[("a", "b", 1)]));
        check("", Ok(&[]));
    }

    #[test]
    fn faults_have_a_line() {
        check("<c>\n<pair value=\"MAYBE\">", Err((2, "the label is \"MAYBE\", not YES, NO, TRUE or FALSE".into())));
        check("<pair id=\"1\">", Err((1, "a pair without entailment or value".into())));
        check("<pair value=\"TRUE\">\n<t>a</t>\n", Err((2, "the file ends inside a pair".into())));
        check("<pair value=\"TRUE\"><t>a</t></pair>", Err((1, "a pair without <h>".into())));
        check("<pair value=\"TRUE\"><t>a", Err((1, "no </t>".into())));
        check("<pair value=\"TRUE\"><t>a<b></t>", Err((1, "a tag before </t>".into())));
        check("<pair value=\"TRUE\"><t>&nope;</t>", Err((1, "the unknown entity &nope;".into())));
        check("<pair value=\"TRUE\"><t>&#xD800;</t>", Err((1, "the unknown entity &#xD800;".into())));
        check("<pair value=\"TRUE", Err((1, "a tag without an end".into())));
    }
}

//! The tokens that a post-processor puts around a text, where a caller asks for them.

use serde_json::Value;

use crate::{TokenId, Tokenizer};

/// The tokens before and behind a text, as Hugging Face's `encode(…, add_special_tokens=True)` gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    /// Before the text, in their order.
    pub before: Vec<TokenId>,
    /// Behind it.
    pub behind: Vec<TokenId>,
}

/// A post-processor that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("the post-processor {0}")]
pub struct UnknownPostProcessor(String);

impl Tokenizer {
    /// What the tokenizer's post-processor puts around a single text; nothing without one.
    ///
    /// # Errors
    /// For one that is not known. The types of Hugging Face's tokenizers 0.23 are `ByteLevel`, `TemplateProcessing`,
    /// `BertProcessing`, `RobertaProcessing` and `Sequence`.
    pub fn template(&self) -> Result<Template, UnknownPostProcessor> {
        let Some(json) = &self.kept_json().post_processor else { return Ok(Template::default()) };
        let template = Template::parse(json).map_err(UnknownPostProcessor)?;
        let is_there = |id: &&TokenId| (id.0 as usize) < self.vocab_size();
        match template.before.iter().chain(&template.behind).find(|id| !is_there(id)) {
            Some(id) => Err(UnknownPostProcessor(format!("adds the id {}, which no token has", id.0))),
            None => Ok(template),
        }
    }
}

impl Template {
    fn parse(json: &Value) -> Result<Template, String> {
        let kind = json["type"].as_str().unwrap_or_default();
        match kind {
            _ if json.is_null() => Ok(Template::default()),
            // It moves the offsets of tokens alone.
            "ByteLevel" => Ok(Template::default()),
            "Sequence" => {
                let steps = json["processors"].as_array().ok_or("Sequence has no processors")?;
                steps.iter().try_fold(Template::default(), |inner, step| Ok(Template::parse(step)?.around(inner)))
            }
            "BertProcessing" | "RobertaProcessing" => {
                let id = |key: &str| id_of(&json[key][1]).ok_or_else(|| format!("{kind} has no {key}"));
                Ok(Template { before: vec![id("cls")?], behind: vec![id("sep")?] })
            }
            "TemplateProcessing" => Template::of_pieces(json),
            _ => Err(format!("{kind:?} is not known")),
        }
    }

    fn of_pieces(json: &Value) -> Result<Template, String> {
        let pieces = json["single"].as_array().ok_or("TemplateProcessing has no template for a single text")?;
        let (mut template, mut has_text) = (Template::default(), false);
        for piece in pieces {
            if let Some(name) = piece["SpecialToken"]["id"].as_str() {
                let ids = json["special_tokens"][name]["ids"].as_array().into_iter().flatten().map(id_of);
                let ids = ids.collect::<Option<Vec<_>>>().filter(|ids| !ids.is_empty());
                let ids = ids.ok_or_else(|| format!("TemplateProcessing has no ids of {name:?}"))?;
                if has_text { template.behind.extend(ids) } else { template.before.extend(ids) }
            } else if piece["Sequence"]["id"] == "A" && !has_text {
                has_text = true;
            } else {
                return Err(format!("TemplateProcessing has the piece {piece} for a single text"));
            }
        }
        if has_text { Ok(template) } else { Err("TemplateProcessing leaves the text out".to_owned()) }
    }

    /// This template around the text of another.
    fn around(self, inner: Template) -> Template {
        let (mut before, mut behind) = (self.before, inner.behind);
        before.extend(inner.before);
        behind.extend(self.behind);
        Template { before, behind }
    }
}

fn id_of(json: &Value) -> Option<TokenId> {
    json.as_u64().and_then(|id| u32::try_from(id).ok()).map(TokenId)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(json: Value, expected: Result<(&[u32], &[u32]), &str>) {
        let found = Template::parse(&json);
        let ids = |ids: &[u32]| ids.iter().copied().map(TokenId).collect();
        let expected = expected.map(|(before, behind)| Template { before: ids(before), behind: ids(behind) });
        assert_eq!(found, expected.map_err(str::to_owned), "{json}");
    }

    #[test]
    fn each_kind_has_its_tokens() {
        let special = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        let template = |single: Value| {
            let tokens = json!({"<s>": {"id": "<s>", "ids": [7], "tokens": ["<s>"]}, "<2>": {"ids": [8, 9]}});
            json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": tokens})
        };
        let around = template(json!([special("<s>"), text, special("<2>")]));
        let roberta = json!({"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]});
        check(Value::Null, Ok((&[], &[])));
        check(json!({"type": "ByteLevel"}), Ok((&[], &[])));
        check(around.clone(), Ok((&[7], &[8, 9])));
        check(roberta.clone(), Ok((&[0], &[2])));
        check(json!({"type": "Sequence", "processors": [around, roberta]}), Ok((&[0, 7], &[8, 9, 2])));
        check(template(json!([special("<s>")])), Err("TemplateProcessing leaves the text out"));
        check(template(json!([special("<t>"), text])), Err("TemplateProcessing has no ids of \"<t>\""));
        check(json!({"type": "Other"}), Err("\"Other\" is not known"));
    }
}

//! Describes how two tasks or two recipes differ.

use std::collections::BTreeSet;

use serde_json::Value;

/// Changed settings that a message names.
pub(super) const MAX_CHANGES_SHOWN: usize = 3;

/// How two serialised tasks differ, for people: settings with both values, inputs by name.
pub(super) fn changes(old: &Value, new: &Value) -> String {
    let mut found = Vec::new();
    let mut inputs = 0;
    compare("", old, new, &mut |path, old, new| {
        let last = path.rsplit('.').next().unwrap_or(path).trim_start_matches('@');
        match last {
            "digest" | "checksum" | "version" | "len_bytes" | "key" | "url" => inputs += 1,
            _ => found.push(format!("{} {} → {}", path, short(old), short(new))),
        }
    });
    if found.is_empty() {
        return if inputs > 0 { "what it reads has changed".into() } else { "the task has another form".into() };
    }
    let more = found.len().saturating_sub(MAX_CHANGES_SHOWN);
    found.truncate(MAX_CHANGES_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", found.join(", "))
}

fn short(value: &Value) -> String {
    if value.is_object() {
        return "{…}".to_owned();
    }
    let text = match value.as_f64() {
        // Numbers of 32 bits are shown with the digits that a recipe gives them.
        Some(number) if value.is_f64() && f64::from(number as f32) == number => (number as f32).to_string(),
        _ => value.to_string(),
    };
    if text.chars().count() <= 40 { text } else { format!("{}…", text.chars().take(39).collect::<String>()) }
}

/// Calls `differs` with the path of each leaf that is not equal.
fn compare(path: &str, old: &Value, new: &Value, differs: &mut dyn FnMut(&str, &Value, &Value)) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let side = |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or(Value::Null);
                compare(&join(name), &side(old), &side(new), differs);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                // Counted from 1, as settings on the command line are.
                compare(&join(&(at + 1).to_string()), old, new, differs);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let lengths = [Value::from(old.len()), Value::from(new.len())];
            let came = new.iter().find(|entry| !old.contains(entry)).and_then(name_of);
            let went = old.iter().find(|entry| !new.contains(entry)).and_then(name_of);
            let came = came.map(|name| format!(" ({name} came)"));
            let went = went.map(|name| format!(" ({name} went)"));
            let path = format!("number of {path}{}", came.or(went).unwrap_or_default());
            differs(&path, &lengths[0], &lengths[1]);
        }
        _ => differs(path, old, new),
    }
}

/// The name of a list's entry: the file or URL in it, or the entry itself if people can read it.
fn name_of(entry: &Value) -> Option<String> {
    let named = ["url", "name", "key"].iter().find_map(|member| entry.get(member)?.as_str());
    let nested = || entry.as_object()?.values().find_map(|inner| inner.get("url")?.as_str());
    named.or_else(nested).map(str::to_owned).or_else(|| (!entry.is_object()).then(|| short(entry)))
}

/// The keys of two recipes that differ.
pub(super) fn changed_keys(old: &str, new: &str) -> Vec<String> {
    let read = |text: &str| text.parse::<toml::Table>().ok().and_then(|table| serde_json::to_value(table).ok());
    let (Some(old), Some(new)) = (read(old), read(new)) else { return Vec::new() };
    let mut keys = Vec::new();
    compare("", &old, &new, &mut |path, _, _| keys.push(path.to_owned()));
    keys
}

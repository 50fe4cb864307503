//! `--set KEY=VALUE`: another value for a key of a recipe.

use user_error::nearest_name;

use crate::error::{Error, Result, bail};

/// Applies `a.b.c=value`; the value is TOML, or a string where it is none. A number in the path counts the sources of
/// `[[pages]]` or the rules of `[[filter]]` from 1; without one, a single source is meant. Rules may also be named.
pub(super) fn apply(table: &mut toml::Table, setting: &str) -> Result<()> {
    let (path, value) = path_and_value(setting)?;
    let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
    let value = parsed.unwrap_or_else(|| value.trim().into());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    set(table, &path, value)
}

/// The parts of a key, and what is behind its `=`. As in TOML, a part in quotes may have dots.
fn path_and_value(setting: &str) -> Result<(Vec<String>, &str)> {
    let (mut path, mut part, mut quote) = (Vec::new(), String::new(), None);
    for (at, c) in setting.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '.') => path.push(std::mem::take(&mut part).trim().to_owned()),
            (None, '=') => {
                path.push(part.trim().to_owned());
                return Ok((path, &setting[at + 1..]));
            }
            _ => part.push(c),
        }
    }
    bail!(Recipe, "not of the form KEY=VALUE")
}

fn set(table: &mut toml::Table, path: &[&str], value: toml::Value) -> Result<()> {
    let (part, rest) = path.split_first().ok_or_else(|| Error::Recipe("a key has a name".to_owned()))?;
    if rest.is_empty() {
        table.insert((*part).to_owned(), value);
        return Ok(());
    }
    match table.entry(*part).or_insert_with(|| toml::Table::new().into()) {
        toml::Value::Table(inner) => set(inner, rest, value),
        toml::Value::Array(entries) => {
            let (entry, rest) = entry_of(part, entries, rest)?;
            set(entry, rest, value)
        }
        _ => bail!(Recipe, "{part} is not a section"),
    }
}

/// The entry of a list of sections that a path addresses, and the rest of the path.
fn entry_of<'t, 'p>(
    list: &str,
    entries: &'t mut [toml::Value],
    path: &'p [&'p str],
) -> Result<(&'t mut toml::Table, &'p [&'p str])> {
    let of_rule = |entry: &toml::Value| entry.get("rule").and_then(toml::Value::as_str) == Some(path[0]);
    let at = match path[0].parse::<usize>() {
        Ok(number) => Some((number.wrapping_sub(1), &path[1..])),
        Err(_) => match entries.iter().position(of_rule) {
            Some(at) => Some((at, &path[1..])),
            None if entries.len() == 1 => Some((0, path)),
            None => None,
        },
    };
    let several = || {
        let names = entries.iter().filter_map(|entry| entry.get("rule")?.as_str());
        let nearest = nearest_name(path[0], names).map(|name| format!("; did you mean {list}.{name}?"));
        let which = nearest.unwrap_or_else(|| format!("; say {list}.1.… for the first"));
        let noun = if entries.len() == 1 { "entry" } else { "entries" };
        Error::Recipe(format!("[[{list}]] has {} {noun}{which}", entries.len()))
    };
    let (at, rest) = at.filter(|(at, rest)| *at < entries.len() && !rest.is_empty()).ok_or_else(several)?;
    let entry = entries[at].as_table_mut().ok_or_else(|| Error::Recipe(format!("{list} is not a list of sections")))?;
    Ok((entry, rest))
}

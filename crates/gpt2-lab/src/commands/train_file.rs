//! The TOML file that `gpt2 train` reads; `docs/formats.md` has its keys.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use console::Usage;
use gpt2::{ModelConfig, TrainConfig};
use serde::{Deserialize, Serialize};
use user_error::explain_unknown;

/// The settings of a training.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainFile {
    pub(crate) data: DataSection,
    pub(crate) model: ModelConfig,
    pub(crate) train: TrainConfig,
    /// Absent: no samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) samples: Option<SamplesSection>,
}

/// `[data]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataSection {
    /// Token files to train on: a file, a pattern with `*`, or a list of these.
    pub(crate) train: FilePatterns,
    /// Token files to validate on.
    pub(crate) validation: FilePatterns,
    /// Tokenizer that is copied beside the model.
    pub(crate) tokenizer: String,
    /// Folder for the model.
    pub(crate) output: PathBuf,
    /// Folder of a model whose weights the training begins with. Absent: random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start_from: Option<PathBuf>,
    /// What relative paths of this section begin at.
    #[serde(default, skip_serializing_if = "RelativeTo::is_working_folder")]
    pub(crate) relative_to: RelativeTo,
}

/// Where relative paths begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RelativeTo {
    /// At the folder that the command is called in.
    #[default]
    WorkingFolder,
    /// At the folder of the file of settings, so that a folder with its settings can be moved.
    SettingsFile,
}

impl RelativeTo {
    fn is_working_folder(&self) -> bool {
        *self == RelativeTo::WorkingFolder
    }
}

impl DataSection {
    /// Resolves relative paths against the folder of the settings, where the section says so.
    fn resolve(&mut self, settings: &Path) {
        if self.relative_to == RelativeTo::WorkingFolder {
            return;
        }
        let folder = settings.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Without the `.` of `output = "."`, but not without all of it.
        let below = |path: &Path| match folder.join(path).components().collect::<PathBuf>() {
            path if path.as_os_str().is_empty() => PathBuf::from("."),
            path => path,
        };
        self.train.resolve(folder);
        self.validation.resolve(folder);
        self.output = below(&self.output);
        self.start_from = self.start_from.as_deref().map(below);
        // A tokenizer may have a name instead of a path.
        let tokenizer = below(Path::new(&self.tokenizer));
        if tokenizer.exists() {
            self.tokenizer = tokenizer.to_string_lossy().into_owned();
        }
        self.relative_to = RelativeTo::WorkingFolder;
    }
}

/// `[samples]`: what the model writes after each validation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SamplesSection {
    /// The text to continue.
    pub(crate) prompt: String,
    /// Tokens to add at most.
    pub(crate) max_tokens: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum FilePatterns {
    One(String),
    Many(Vec<String>),
}

impl FilePatterns {
    /// Makes relative patterns begin in a folder.
    fn resolve(&mut self, folder: &Path) {
        let patterns = match self {
            FilePatterns::One(pattern) => std::slice::from_mut(pattern),
            FilePatterns::Many(patterns) => patterns,
        };
        for pattern in patterns.iter_mut().filter(|pattern| Path::new(pattern).is_relative()) {
            *pattern = format!("{}/{pattern}", glob::Pattern::escape(&folder.to_string_lossy()));
        }
    }

    /// The files, in the order of the patterns and of their names.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let patterns = match self {
            FilePatterns::One(pattern) => std::slice::from_ref(pattern),
            FilePatterns::Many(patterns) => patterns,
        };
        let mut files = Vec::new();
        for pattern in patterns {
            let before = files.len();
            for path in glob::glob(pattern).with_context(|| format!("{pattern} is not a pattern of file names"))? {
                files.push(path?);
            }
            if files.len() == before {
                bail!("no file matches {pattern}");
            }
        }
        Ok(files)
    }
}

impl TrainFile {
    /// Reads a file and applies settings of the form `section.key=value`.
    pub(crate) fn read(path: &Path, overrides: &[String]) -> anyhow::Result<TrainFile> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = TrainFile::parse(&text, path, overrides);
        let mut file = file.map_err(|error| Usage(format!("{error:#}")))?;
        file.data.resolve(path);
        Ok(file)
    }

    /// These settings with others of the form `section.key=value`.
    pub(crate) fn with(&self, overrides: &[String]) -> anyhow::Result<TrainFile> {
        let mut table = toml::Table::try_from(self).context("the settings are no TOML")?;
        let mut apply_all = || {
            overrides
                .iter()
                .try_for_each(|setting| apply(&mut table, setting).with_context(|| format!("in --set {setting}")))?;
            refuse_former_keys(&table)?;
            table.clone().try_into::<TrainFile>().map_err(explain).context("in --set")
        };
        apply_all().map_err(|error| Usage(format!("{error:#}")).into())
    }

    /// The settings as they are written to a file.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        toml::to_string_pretty(self).context("the settings are no TOML")
    }

    fn parse(text: &str, path: &Path, overrides: &[String]) -> anyhow::Result<TrainFile> {
        let in_file = || format!("in {}", path.display());
        let mut table: toml::Table = text.parse().with_context(in_file)?;
        let is_right_without = || !overrides.is_empty() && TrainFile::parse(text, path, &[]).is_ok();
        for setting in overrides {
            apply(&mut table, setting).with_context(|| format!("in --set {setting}"))?;
        }
        refuse_former_keys(&table).with_context(in_file)?;
        let file = table.try_into::<TrainFile>().map_err(explain);
        let file = file.with_context(|| if is_right_without() { "in --set".to_owned() } else { in_file() })?;
        file.model.check().context("in [model]").with_context(in_file)?;
        file.train.check().context("in [train]").with_context(in_file)?;
        Ok(file)
    }
}

/// Applies `section.key=value`; the value is TOML, or a string where it is not.
fn apply(table: &mut toml::Table, setting: &str) -> anyhow::Result<()> {
    let (key, value) = setting.split_once('=').context("it is not KEY=VALUE")?;
    let (section, key) = key.split_once('.').context("the key has no section, as in train.steps=100")?;
    let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
    let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
    let section = section.as_table_mut().context("the key's first part is not a section")?;
    section.insert(key.to_owned(), parsed.unwrap_or_else(|| value.into()));
    Ok(())
}

/// Adds the key that is meant to the message about an unknown one.
fn explain(error: toml::de::Error) -> anyhow::Error {
    anyhow!(explain_unknown(&error.to_string(), error.message()))
}

/// Refuses a former key; the message gives its present name.
fn refuse_former_keys(table: &toml::Table) -> anyhow::Result<()> {
    let of_train = TrainConfig::FORMER_KEYS.map(|(former, now)| ("train", former, now));
    for (section, former, now) in of_train.into_iter().chain([("samples", "tokens", "max_tokens")]) {
        if table.get(section).is_some_and(|section| section.get(former).is_some()) {
            bail!("the key `{former}` of [{section}] has another name now: write `{now}`");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn paths_begin_at_the_settings_where_these_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run [1]").join("train.toml");
        std::fs::create_dir_all(path.parent().unwrap().join("tokenizer")).unwrap();
        let read = |relative_to: &str| {
            let text = format!(
                "[data]\ntrain = [\"a.bin\", \"/b.bin\"]\nvalidation = \"c*.bin\"\ntokenizer = \"tokenizer\"\n\
                 output = \".\"\nstart_from = \"first\"\n{relative_to}\n[model]\nlayers = 1\nheads = 1\nchannels = 2\n\
                 context = 2\nvocab_size = 7\n[train]\nsteps = 1\nbatch = 1\nlearning_rate = 0.004\nwarmup_steps = 1\n\
                 weight_decay = 0.1\nmax_gradient_norm = 1.0\nseed = 1\nevaluate_every = 1\nevaluate_batches = 1\n"
            );
            std::fs::write(&path, text).unwrap();
            TrainFile::read(&path, &[]).unwrap()
        };
        let there = read("relative_to = \"settings_file\"").data;
        let root = path.parent().unwrap();
        let FilePatterns::Many(train) = &there.train else { panic!("a list stays a list") };
        assert_eq!(train[1], "/b.bin");
        assert!(train[0].ends_with("run [[]1[]]/a.bin"), "{train:?}");
        assert_eq!((&there.output, there.start_from), (&root.to_path_buf(), Some(root.join("first"))));
        assert_eq!(there.tokenizer, root.join("tokenizer").to_string_lossy());
        let here = read("");
        assert_eq!((&here.data.output, &here.data.tokenizer[..]), (&PathBuf::from("."), "tokenizer"));
        let toml = here.with(&["train.batch=3".to_owned()]).unwrap().to_toml().unwrap();
        assert!(toml.contains("batch = 3\n") && toml.contains("learning_rate = 0.004\n"), "{toml}");
    }

    #[test]
    fn a_former_key_is_refused_with_its_new_name() {
        let check = |text: &str, expected: &str| {
            let message = refuse_former_keys(&text.parse().unwrap()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check("[train]\nclip_norm = 1.0", "write `max_gradient_norm`");
        check("[samples]\ntokens = 5", "write `max_tokens`");
        assert!(refuse_former_keys(&"[train]\nmax_gradient_norm = 1.0".parse().unwrap()).is_ok());
    }

    /// Every section, and required keys only.
    const REQUIRED: &str = "[data]\ntrain = \"a.bin\"\nvalidation = \"b.bin\"\ntokenizer = \"gpt2\"\noutput = \"model\"\n\
        [model]\nlayers = 1\nheads = 1\nchannels = 2\ncontext = 2\nvocab_size = 7\n\
        [train]\nsteps = 1\nbatch = 1\nlearning_rate = 0.1\nwarmup_steps = 1\nweight_decay = 0.1\nmax_gradient_norm = 1.0\n\
        seed = 1\nevaluate_every = 1\nevaluate_batches = 1\n[samples]\nprompt = \"The\"\nmax_tokens = 9\n";

    /// The defaults that `docs/formats.md` has, by `section.key`.
    fn documented() -> BTreeMap<String, String> {
        let formats = include_str!("../../../../docs/formats.md");
        let (_, table) = formats.split_once("### Settings of `gpt2 train`").expect("the part about these settings");
        let (_, table) = table.split_once("| key | default | meaning |").expect("the table of keys");
        let (table, _) = table.split_once("\n\n").expect("the table ends");
        let mut defaults = BTreeMap::new();
        for row in table.lines().skip(2) {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let [names, default, _] = cells[..] else { panic!("three cells: {row}") };
            let (section, names) = names.trim_start_matches("`[").split_once("] ").expect("a section and its keys");
            for name in names.split(", ") {
                defaults.insert(format!("{section}.{}", name.trim_matches('`')), default.replace('`', ""));
            }
        }
        defaults
    }

    /// The keys of a section, as `section.key`, from the error message for an unknown key.
    fn known_keys(section: &str) -> Vec<String> {
        let mut table: toml::Table = REQUIRED.parse().unwrap();
        table[section].as_table_mut().unwrap().insert("no_such_key".into(), 1.into());
        let error = toml::from_str::<TrainFile>(&table.to_string()).unwrap_err();
        let (_, known) = error.message().split_once("expected ").unwrap();
        known.split('`').skip(1).step_by(2).map(|name| format!("{section}.{name}")).collect()
    }

    #[test]
    fn the_documented_settings_are_those_of_the_code() {
        let documented = documented();
        let known: BTreeSet<String> = ["data", "model", "train", "samples"].into_iter().flat_map(known_keys).collect();
        assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), known);

        let required: toml::Table = REQUIRED.parse().unwrap();
        let file: TrainFile = toml::from_str(REQUIRED).unwrap();
        let mut resolved: toml::Table = file.to_toml().unwrap().parse().unwrap();
        // It is not written where it is the default.
        let relative_to = toml::Value::try_from(file.data.relative_to).unwrap();
        resolved["data"].as_table_mut().unwrap().insert("relative_to".into(), relative_to);
        for (key, said) in &documented {
            let (section, name) = key.split_once('.').unwrap();
            let is_given = required[section].get(name).is_some();
            match resolved[section].get(name) {
                _ if section == "samples" => assert_eq!(said, "no samples", "{key}"),
                _ if is_given => {
                    assert_eq!(said, "required", "{key}");
                    let mut without = required.clone();
                    without[section].as_table_mut().unwrap().remove(name);
                    assert!(toml::from_str::<TrainFile>(&without.to_string()).is_err(), "{key} is not required");
                }
                Some(toml::Value::String(text)) => assert_eq!(*said, format!("{text:?}"), "{key}"),
                Some(value) => assert_eq!(said.parse::<f64>(), value.to_string().parse::<f64>(), "{key}"),
                None => assert!(["never", "random weights"].contains(&said.as_str()), "{key} has no default {said}"),
            }
        }
    }
}

//! What commands that run stages over files have in common: flags, working files, and what may be an input.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use pipeline::Options;
use tempfile::TempDir;

use super::stage_progress::StageProgress;
use super::{Usage, stop_on_ctrl_c};

/// How the stages run.
#[derive(clap::Args)]
pub struct RunFlags {
    /// Threads. The outputs are the same for any number. [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Memory of one sort, of which each thread does one at a time.
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    max_sort_memory_mib: u32,
}

impl RunFlags {
    /// The options of a run.
    pub fn options(&self) -> anyhow::Result<Options> {
        let threads = self.threads.map_or_else(super::all_cores, |threads| threads as usize);
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")?;
        let options = Options::quiet()
            .with_threads(threads)
            .with_sort_memory_bytes((self.max_sort_memory_mib as usize) << 20)
            .with_observer(Arc::new(StageProgress::default()));
        Ok(options.with_stop(stop_on_ctrl_c()?))
    }
}

/// Refuses pipes and folders, and outputs that would overwrite an input; makes the folders of the outputs.
pub fn check_files<'p>(
    inputs: impl Iterator<Item = &'p PathBuf> + Clone,
    outputs: impl Iterator<Item = &'p PathBuf> + Clone,
) -> anyhow::Result<()> {
    let is_pipe = |path: &&PathBuf| *path == Path::new("-") || path.exists() && !path.is_file();
    if let Some(pipe) = inputs.clone().find(is_pipe) {
        return Err(Usage(format!("{} is no file, and inputs are read several times", pipe.display())).into());
    }
    console::check_outputs(inputs.map(PathBuf::as_path), outputs.clone().map(PathBuf::as_path))?;
    super::prepare_outputs(outputs)
}

/// Of a run that Ctrl-C ended, says that nothing of it is kept: its working files are gone.
pub fn unless_stopped<T>(result: pipeline::Result<T>) -> anyhow::Result<T> {
    result.map_err(|error| match error.is_interrupted() {
        true => anyhow::Error::new(console::Stopped).context("nothing was written"),
        false => error.into(),
    })
}

/// An empty folder for working files, which is removed at the end: beside the output, or where the system has its
/// temporary files.
pub fn working_folder(output: Option<&Path>) -> anyhow::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(".webtext-");
    let Some(output) = output.filter(|output| *output != Path::new("-")) else {
        return builder.tempdir().context("cannot make a temporary folder");
    };
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    builder.tempdir_in(folder).with_context(|| format!("cannot make a folder beside {}", output.display()))
}

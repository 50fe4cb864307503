//! Where the tasks of a build run, if not on its own threads: Slurm, Ray, or Kubernetes, to which people give them.
//!
//! The build plans and seals; an executor asks it for missing tasks and has each done by `webtext build … --stage S
//! --tasks LIST`. What is done is read from manifests alone, so a build that is killed goes on where it was, and a task
//! that two nodes do at once is done once.

pub(crate) mod attempts;
mod command;
mod kubernetes;
mod ray;
mod slurm;
mod slurm_commands;
mod waiting;

use std::path::Path;
use std::sync::Arc;

use crate::engine::Executor;
use crate::error::Result;
use crate::recipe::{ExecutorName, ExecutorSettings};
use command::TaskCommand;

/// The executor that a recipe asks for; `None` for the threads of this process.
///
/// # Errors
/// When the path of this program, or the current folder, is not known.
pub fn of(settings: &ExecutorSettings, run: &Path) -> Result<Option<Arc<dyn Executor>>> {
    let command = || TaskCommand::new(settings, run);
    Ok(match settings.name {
        ExecutorName::Local => None,
        ExecutorName::Slurm => Some(Arc::new(slurm::Slurm::new(settings, command()?, run)?)),
        ExecutorName::Ray => Some(Arc::new(ray::Ray::new(settings, command()?))),
        ExecutorName::Kubernetes => Some(Arc::new(kubernetes::Kubernetes::new(settings, command()?))),
    })
}

//! All ids in one file, and what is beside it.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use atomic_file::AtomicFile;

use super::Encoded;
use crate::commands::{beside, check_usage};
use crate::tokens::{IdWidth, TokenFormat, TokenLayout, llmc_header, write_megatron_index};

/// Writes ids to their file, and keeps the lengths of its documents.
pub(super) struct TokenWriter {
    path: PathBuf,
    layout: TokenLayout,
    output: Output,
    lengths: Vec<u64>,
    tokens: u64,
}

/// Where ids are written.
enum Output {
    Standard(io::Stdout),
    File(AtomicFile),
    /// llm.c's header has the number of tokens: the ids are kept in an unnamed file until it is known.
    AfterHeader {
        ids: BufWriter<File>,
        file: AtomicFile,
    },
}

impl Output {
    fn create(path: &Path, format: TokenFormat) -> anyhow::Result<Output> {
        if path == Path::new("-") {
            check_usage(format == TokenFormat::Ids, "standard output takes --format ids only")?;
            return Ok(Output::Standard(io::stdout()));
        }
        if format != TokenFormat::Llmc {
            return Ok(Output::File(AtomicFile::create(path)?));
        }
        let file = AtomicFile::create(path)?;
        check_usage(!file.is_in_place(), "llm.c's header is written last: the output must be a file")?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let ids =
            tempfile::tempfile_in(folder).with_context(|| format!("cannot create a file in {}", folder.display()))?;
        Ok(Output::AfterHeader { ids: BufWriter::with_capacity(1 << 20, ids), file })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Output::Standard(stdout) => stdout,
            Output::File(file) => file,
            Output::AfterHeader { ids, .. } => ids,
        }
    }

    /// The complete file; `None` for standard output.
    fn into_file(self, tokens: u64, width: IdWidth) -> io::Result<Option<AtomicFile>> {
        match self {
            Output::Standard(_) => Ok(None),
            Output::File(file) => Ok(Some(file)),
            Output::AfterHeader { ids, mut file } => {
                file.write_all(&llmc_header(tokens, width))?;
                let mut ids = ids.into_inner()?;
                ids.rewind()?;
                io::copy(&mut ids, &mut file)?;
                Ok(Some(file))
            }
        }
    }
}

impl TokenWriter {
    pub(super) fn create(path: &Path, layout: TokenLayout) -> anyhow::Result<TokenWriter> {
        let output = Output::create(path, layout.format)?;
        Ok(TokenWriter { path: path.to_path_buf(), layout, output, lengths: Vec::new(), tokens: 0 })
    }

    pub(super) fn push(&mut self, encoded: &Encoded) -> anyhow::Result<()> {
        self.tokens += encoded.lengths.iter().sum::<u64>();
        let begun = encoded.begun_lengths();
        if let (true, Some(first), Some(last)) =
            (begun.len() < encoded.lengths.len(), encoded.lengths.first(), self.lengths.last_mut())
        {
            *last += first;
        }
        self.lengths.extend_from_slice(begun);
        let longest = self.lengths[self.lengths.len().saturating_sub(encoded.lengths.len())..].iter().max();
        self.layout.check_counts(self.tokens, longest.copied().unwrap_or_default())?;
        let written = self.output.writer().write_all(&encoded.bytes);
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let TokenLayout { format, width } = self.layout;
        let Some(ids) = self.output.into_file(self.tokens, width).with_context(failed)? else { return Ok(()) };
        if ids.is_in_place() {
            // No second file can be beside it.
            ids.commit()?;
            return Ok(());
        }
        let mut others = Vec::new();
        if format != TokenFormat::Ids {
            let mut offsets = AtomicFile::create(&beside(&self.path, ".offsets"))?;
            let mut offset = 0u64;
            for length in [0].iter().chain(&self.lengths) {
                offset += length;
                offsets.write_all(&offset.to_le_bytes()).with_context(failed)?;
            }
            others.push(offsets);
        }
        if format == TokenFormat::Megatron {
            let mut index = AtomicFile::create(&self.path.with_extension("idx"))?;
            write_megatron_index(&self.lengths, width, &mut index).with_context(failed)?;
            others.push(index);
        }
        // An older output must never be beside newer offsets, whenever this process ends.
        if ids.path().exists() {
            std::fs::remove_file(ids.path()).with_context(failed)?;
        }
        for file in others.into_iter().chain([ids]) {
            file.commit()?;
        }
        Ok(())
    }
}

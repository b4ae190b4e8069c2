//! What lies in a partition's folder, brought in order before it is opened: half-finished work of an earlier life is
//! finished or removed.
//!
//! `.deleted` and `.cleaned` go; a `.swap` (a compacted segment whose clean-up was interrupted) takes the place of the
//! segments it was made from. Source: Kafka `LogLoader`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::batch_scan::BatchScanner;
use super::error::LogError;
use super::file_names::{
    CLEANED, DELETED, LOG, SEGMENT_SUFFIXES, SNAPSHOT, SWAP, TXN_INDEX, parse_segment_file, segment_file, with_added,
};
use super::log_dir::{LogDir, io_error};

/// The files that matter, by base offset.
#[derive(Debug, Default)]
pub struct Folder {
    /// Log files and their lengths.
    pub logs: BTreeMap<i64, u64>,
    /// Segments that have a transaction index.
    pub txn_indexes: BTreeSet<i64>,
    /// Offsets of producer snapshots.
    pub snapshots: BTreeSet<i64>,
}

/// Finishes or removes what was left half done, then lists the folder.
///
/// # Errors
/// [`LogError::Io`].
pub fn tidy(log_dir: &LogDir, dir: &Path) -> Result<Folder, LogError> {
    let names = list(log_dir, dir)?;
    // A cleaned file beside swap files: the swap had not begun for all of them, so the originals are whole.
    let first_cleaned = names.iter().filter_map(|name| split(name, CLEANED)).map(|(base, _)| base).min();
    let mut swaps = BTreeSet::new();
    for name in &names {
        let path = dir.join(name);
        if name.ends_with(DELETED) || name.ends_with(CLEANED) || name.ends_with(".tmp") {
            remove(log_dir, &path)?;
        } else if let Some((base, suffix)) = split(name, SWAP) {
            if first_cleaned.is_some_and(|first| base >= first) {
                remove(log_dir, &path)?;
            } else if suffix == LOG {
                swaps.insert(base);
            }
        }
    }
    if !names.iter().any(|name| name.ends_with(SWAP)) {
        return collect(log_dir, dir, &names);
    }
    for base in &swaps {
        remove_replaced(log_dir, dir, *base)?;
    }
    for name in list(log_dir, dir)? {
        if let Some(plain) = name.strip_suffix(SWAP) {
            let result = log_dir.fs.rename(&dir.join(&name), &dir.join(plain));
            log_dir.changed("rename", &dir.join(&name), result)?;
        }
    }
    collect(log_dir, dir, &list(log_dir, dir)?)
}

fn collect(log_dir: &LogDir, dir: &Path, names: &[String]) -> Result<Folder, LogError> {
    let mut folder = Folder::default();
    for name in names {
        let Some((base, suffix)) = parse_segment_file(name) else { continue };
        match suffix {
            LOG => {
                let path = dir.join(name);
                let len = log_dir.fs.file_len(&path).map_err(|source| io_error("look at", &path, source))?;
                folder.logs.insert(base, len);
            }
            TXN_INDEX => {
                folder.txn_indexes.insert(base);
            }
            SNAPSHOT => {
                folder.snapshots.insert(base);
            }
            _ => {}
        }
    }
    // Indexes without a log file are of no use to anyone.
    for name in names {
        if let Some((base, suffix)) = parse_segment_file(name)
            && SEGMENT_SUFFIXES.contains(&suffix)
            && !folder.logs.contains_key(&base)
        {
            remove(log_dir, &dir.join(name))?;
            folder.txn_indexes.remove(&base);
        }
    }
    Ok(folder)
}

/// Removes the segments whose offsets the swap file at `base` covers.
fn remove_replaced(log_dir: &LogDir, dir: &Path, base: i64) -> Result<(), LogError> {
    let path = with_added(&segment_file(dir, base, LOG), SWAP);
    let failed = |source: io::Error| io_error("read", &path, source);
    let file = log_dir.fs.open(&path, false).map_err(failed)?;
    let mut scanner = BatchScanner::new(&*file, 0, file.len().map_err(failed)?);
    let mut last_offset = base;
    while let Some(found) = scanner.next_batch().map_err(failed)? {
        last_offset = found.header.last_offset();
    }
    for name in list(log_dir, dir)? {
        if let Some((other, suffix)) = parse_segment_file(&name)
            && SEGMENT_SUFFIXES.contains(&suffix)
            && (base..=last_offset).contains(&other)
        {
            remove(log_dir, &dir.join(&name))?;
        }
    }
    Ok(())
}

/// Base offset and plain suffix of a file that ends in `added`.
fn split<'a>(name: &'a str, added: &str) -> Option<(i64, &'a str)> {
    parse_segment_file(name.strip_suffix(added)?)
}

fn list(log_dir: &LogDir, dir: &Path) -> Result<Vec<String>, LogError> {
    let entries = log_dir.fs.list(dir).map_err(|source| io_error("list", dir, source))?;
    Ok(entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect())
}

/// Removes a file; one that is not there is no error.
pub(super) fn remove(log_dir: &LogDir, path: &Path) -> Result<(), LogError> {
    match log_dir.fs.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => log_dir.changed("remove", path, Err(error)),
        _ => Ok(()),
    }
}

//! Looking things up in the part of an entry file that is on disk: pages of 4 KiB, of which one is held, and the first
//! entry of each page that a search has met.
//!
//! A lookup in the held page reads nothing; the next page costs one read; a far one the binary search over pages that
//! were not met before, once. The memory is a page and an entry a page (20 KiB for the 2 MiB index of a 1 GiB segment),
//! and goes with the index when nobody uses it (`entry_file`). What is on disk never changes but by truncation, after
//! which everything here must be [`EntryPages::forget`]-ten.

use std::io;

use crate::fs::LogFile;

/// Bytes of a page, as far as whole entries fit.
const PAGE_BYTES: usize = 4096;

/// What is remembered of one file.
pub(super) struct EntryPages<const N: usize> {
    /// First entry of each page, where it was met.
    firsts: Vec<Option<[u8; N]>>,
    /// Which page is held.
    page: u64,
    held: Vec<[u8; N]>,
}

impl<const N: usize> Default for EntryPages<N> {
    fn default() -> Self {
        Self { firsts: Vec::new(), page: 0, held: Vec::new() }
    }
}

impl<const N: usize> EntryPages<N> {
    const ENTRIES: u64 = (PAGE_BYTES / N) as u64;

    /// Forgets everything: the file was cut.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// The entry at `index`, when its page is held.
    pub fn get(&self, index: u64) -> Option<[u8; N]> {
        let at = index.checked_sub(self.page * Self::ENTRIES)?;
        self.held.get(usize::try_from(at).ok()?).copied()
    }

    /// Number of leading entries, among the first `count`, for which `before` holds; it must hold for a prefix only.
    ///
    /// # Errors
    /// The file has fewer entries; whatever the system says.
    pub fn partition_point(
        &mut self,
        file: &dyn LogFile,
        count: u64,
        before: impl Fn(&[u8; N]) -> bool,
    ) -> io::Result<u64> {
        if let Some(point) = self.held_point(count, &before) {
            return Ok(point);
        }
        let (mut low, mut high) = (0, count.div_ceil(Self::ENTRIES));
        while low < high {
            let middle = low + (high - low) / 2;
            if before(&self.first(file, middle)?) { low = middle + 1 } else { high = middle }
        }
        let Some(page) = low.checked_sub(1) else { return Ok(0) };
        self.hold(file, page, count)?;
        Ok(page * Self::ENTRIES + self.held.partition_point(before) as u64)
    }

    /// The answer, if the held page has it.
    fn held_point(&self, count: u64, before: impl Fn(&[u8; N]) -> bool) -> Option<u64> {
        let start = self.page * Self::ENTRIES;
        let ends_there = start + self.held.len() as u64 >= count;
        let inside = before(self.held.first()?) && (ends_there || !before(self.held.last()?));
        inside.then(|| count.min(start + self.held.partition_point(before) as u64))
    }

    fn first(&mut self, file: &dyn LogFile, page: u64) -> io::Result<[u8; N]> {
        let at = usize::try_from(page).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if let Some(Some(first)) = self.firsts.get(at) {
            return Ok(*first);
        }
        let mut first = [0; N];
        file.read_exact_at(&mut first, page * Self::ENTRIES * N as u64)?;
        if self.firsts.len() <= at {
            self.firsts.resize(at + 1, None);
        }
        self.firsts[at] = Some(first);
        Ok(first)
    }

    /// Holds a page, as far as the first `count` entries go.
    fn hold(&mut self, file: &dyn LogFile, page: u64, count: u64) -> io::Result<()> {
        let start = page * Self::ENTRIES;
        let entries = (count - start).min(Self::ENTRIES) as usize;
        if self.page == page && self.held.len() == entries {
            return Ok(());
        }
        self.page = page;
        self.held.clear();
        let mut held = std::mem::take(&mut self.held);
        held.resize(entries, [0; N]);
        file.read_exact_at(held.as_flattened_mut(), start * N as u64)?;
        self.held = held;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::fs::FileSystem;
    use crate::fs::faulty::{FaultyFileSystem, Operation};

    const COUNT: u64 = 512 * 40 + 7;

    /// A file of the even numbers 0, 2, 4, ... as entries of 8 bytes.
    fn even_numbers() -> (FaultyFileSystem, Arc<dyn LogFile>) {
        let fs = FaultyFileSystem::new();
        fs.create_dir_all(Path::new("/d")).expect("a folder");
        let file = fs.open(Path::new("/d/index"), true).expect("a file");
        let bytes: Vec<u8> = (0..COUNT).flat_map(|n| (2 * n).to_be_bytes()).collect();
        file.write_all_at(&bytes, 0).expect("written");
        (fs, file)
    }

    fn up_to(target: u64) -> impl Fn(&[u8; 8]) -> bool {
        move |entry| u64::from_be_bytes(*entry) <= target
    }

    #[test]
    fn every_search_finds_what_a_search_of_all_entries_finds() {
        let (_fs, file) = even_numbers();
        let mut pages = EntryPages::<8>::default();
        for count in [0, 1, 511, 512, 513, 1024, 5000, COUNT] {
            for target in (0..2 * COUNT + 4).step_by(97).chain([0, 1, 1022, 1023, 1024, 2 * COUNT]) {
                let point = pages.partition_point(&*file, count, up_to(target)).expect("found");
                assert_eq!(point, (target / 2 + 1).min(count), "{target} of {count}");
            }
        }
    }

    #[test]
    fn a_reader_that_goes_on_reads_each_page_once() {
        let (fs, file) = even_numbers();
        let mut pages = EntryPages::<8>::default();
        pages.partition_point(&*file, COUNT, up_to(0)).expect("found");
        let (before, mut lookups) = (fs.calls(Operation::Read), 0);
        for target in (0..2 * COUNT).step_by(10) {
            let point = pages.partition_point(&*file, COUNT, up_to(target)).expect("found");
            assert_eq!(pages.get(point - 1), Some((2 * (point - 1)).to_be_bytes()));
            lookups += 1;
        }
        let reads = fs.calls(Operation::Read) - before;
        // 40 pages more and, at most, the first entry of each.
        assert!(reads <= 80 && lookups > 4000, "{reads} reads for {lookups} lookups");
    }

    #[test]
    fn a_page_that_grew_is_read_again() {
        let (_fs, file) = even_numbers();
        let mut pages = EntryPages::<8>::default();
        assert_eq!(pages.partition_point(&*file, 10, up_to(1000)).expect("found"), 10);
        assert_eq!(pages.partition_point(&*file, 20, up_to(1000)).expect("found"), 20);
        assert_eq!(pages.partition_point(&*file, 20, up_to(30)).expect("found"), 16);
    }
}

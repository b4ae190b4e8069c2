//! The check's short cuts refuse what the long way refuses: records that stand in the buffer whole against the reader of
//! decompressed ones, and lz4's plain frames against the library's reader of all frames.

#![allow(clippy::unwrap_used)] // a test that fails is to fail

use std::io::{self, Read};

use lz4_flex::frame::FrameDecoder;
use odradek_core::compress::Compression;
use odradek_core::record::batch::{BatchHeader, HEADER_BYTES};
use odradek_core::record::builder::{BatchBuilder, BatchOptions};
use odradek_core::record::check::{RecordRules, check_records};
use odradek_core::record::reader::{Header, Records, payload};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

const LIMIT: usize = 64 << 20;
const RULES: RecordRules = RecordRules { require_keys: false, consecutive_offsets: true, max_payload_bytes: None };
const CODECS: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Sizes of values: many small ones, and some that are longer than any buffer.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![8 => 0usize..200, 2 => 1000usize..9000, 1 => 60_000usize..140_000];
    vec(size, 1..60)
}

/// A batch without compression, records of these sizes, every third one with headers.
fn batch_of(sizes: &[usize]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for (number, &size) in sizes.iter().enumerate() {
        let value: Vec<u8> = (0..size).map(|at| (at * at / 7 + number) as u8).collect();
        let headers = [Header { key: b"name", value: None }, Header { key: b"other", value: Some(&value[..size / 3]) }];
        let key = (number % 2 == 0).then_some(&value[..size.min(5)]);
        let headers = headers.into_iter().take(if number % 3 == 0 { 2 } else { 0 });
        builder.push(1000 + (number as i64) * 90, key, Some(&value), headers).unwrap();
    }
    builder.finish().unwrap()
}

/// The batch with its records as they are put into a codec.
fn packed(batch: &[u8], codec: Compression) -> Vec<u8> {
    let mut out = batch[..HEADER_BYTES].to_vec();
    out[22] = codec.id();
    codec.compress(&batch[HEADER_BYTES..], None, &mut out).unwrap();
    let length = (out.len() - 12) as u32;
    out[8..12].copy_from_slice(&length.to_be_bytes());
    out
}

/// The rule that is to hold, by the reader of whole payloads: all good and numbered 0, 1, 2, ...
fn is_good(batch: &[u8]) -> bool {
    let header = BatchHeader::parse(batch).unwrap();
    let mut scratch = Vec::new();
    let stored = payload(&header, batch, LIMIT, &mut scratch).unwrap();
    let in_place = |(record, place)| match record {
        Ok(record) => header.offset_of(&record) == Ok(place) && header.timestamp_of(&record).is_ok(),
        Err(_) => false,
    };
    Records::new(stored, header.record_count).unwrap().zip(0..).all(in_place)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn records_with_flipped_bytes_are_refused_as_the_reader_refuses_them(
        sizes in sizes(),
        flips in vec((any::<Index>(), any::<u8>()), 0..3),
        front in any::<bool>(),
        cut in 0usize..6,
    ) {
        let mut batch = batch_of(&sizes);
        // Either anywhere, or where the fields of the first records stand.
        let reach = if front { batch.len().min(HEADER_BYTES + 300) } else { batch.len() } - HEADER_BYTES;
        for (at, value) in flips {
            batch[HEADER_BYTES + at.index(reach)] = value;
        }
        batch.truncate(batch.len() - cut.saturating_sub(3));
        let good = is_good(&packed(&batch, Compression::None));
        let plain = check_records(&BatchHeader::parse(&batch).unwrap(), &batch, RULES);
        prop_assert_eq!(plain.is_ok(), good);
        for codec in CODECS {
            let packed = packed(&batch, codec);
            let checked = check_records(&BatchHeader::parse(&packed).unwrap(), &packed, RULES);
            prop_assert_eq!(checked.is_ok(), good, "{:?}: {:?}", codec, checked);
            if good {
                prop_assert_eq!(&checked, &plain);
            }
        }
    }
}

/// Compressed bytes that tell whether they were asked for more than there is.
struct Source<'a>(&'a [u8], bool);

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 |= self.0.is_empty() && !buffer.is_empty();
        self.0.read(buffer)
    }
}

/// What a frame holds by the library, if it is whole and nothing follows it.
fn by_library(frame: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = FrameDecoder::new(Source(frame, false));
    let mut out = Vec::new();
    decoder.read_to_end(&mut out).ok()?;
    let Source(rest, starved) = decoder.into_inner();
    (!starved && rest.is_empty()).then_some(out)
}

/// What it holds by our decoder, read `step` bytes at a time.
fn by_us(frame: &[u8], step: usize) -> Option<Vec<u8>> {
    let mut decoder = Compression::Lz4.decoder(frame);
    let (mut out, mut buffer) = (Vec::new(), vec![0; step]);
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Some(out),
            Ok(size) => out.extend_from_slice(&buffer[..size]),
            Err(_) => return None,
        }
    }
}

/// Blocks in the plain frame, each as (bytes, stored as they are), with an end mark.
fn frame_of(blocks: &[(&[u8], bool)]) -> Vec<u8> {
    let mut frame = vec![0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
    for (block, stored) in blocks {
        frame.extend_from_slice(&(block.len() as u32 | u32::from(*stored) << 31).to_le_bytes());
        frame.extend_from_slice(block);
    }
    frame.extend_from_slice(&[0; 4]);
    frame
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_plain_frame_holds_what_the_library_says_or_is_refused(
        seed in vec(any::<u8>(), 1..40),
        size in 0usize..150_000,
        flips in vec((any::<Index>(), any::<u8>()), 0..3),
        step in prop_oneof![Just(65_536usize), Just(100), Just(200_000)],
    ) {
        let data: Vec<u8> = (0..size).map(|at| seed[at % seed.len()] ^ (at / 1000) as u8).collect();
        let mut frame = Vec::new();
        Compression::Lz4.compress(&data, None, &mut frame).unwrap();
        let whole = flips.is_empty();
        for (at, value) in flips {
            let at = 7 + at.index(frame.len() - 7);
            frame[at] = value;
        }
        let ours = by_us(&frame, step);
        prop_assert!(ours.is_some() || !whole);
        if ours.is_some() {
            prop_assert_eq!(ours, by_library(&frame));
        }
    }
}

#[test]
fn frames_that_lie_about_their_blocks_are_refused() {
    let big = vec![7; 65_537];
    let full = &big[..65_536];
    let mut zeros = Vec::new(); // 65,537 bytes when decoded: one literal, then a match that goes on
    zeros.extend_from_slice(&[0x1f, 0, 1, 0]);
    zeros.extend_from_slice(&[255; 256]);
    zeros.push((65_537 - 1 - 19 - 256 * 255 - 5) as u8);
    zeros.extend_from_slice(&[0x50, 0, 0, 0, 0, 0]);
    let mut fits = zeros.clone();
    fits[4 + 256] -= 1;
    let good = [frame_of(&[]), frame_of(&[(full, true), (b"x", true)]), frame_of(&[(&fits, false)])];
    for (number, frame) in good.iter().enumerate() {
        let held = by_library(frame);
        assert!(held.is_some(), "frame {number}");
        assert_eq!(by_us(frame, 65_536), held, "frame {number}");
        assert_eq!(by_us(frame, 1000), held, "frame {number}");
        for cut in 0..frame.len().min(20) {
            assert_eq!(by_us(&frame[..frame.len() - 1 - cut], 65_536), None, "frame {number} less {}", cut + 1);
        }
        let longer = [frame.as_slice(), &[0; 4]].concat();
        assert_eq!(by_us(&longer, 65_536), None, "frame {number} and more");
    }
    let bad = [
        frame_of(&[(&big, true)]),
        frame_of(&[(&zeros, false)]),
        frame_of(&[(b"", true)]),
        frame_of(&[(b"", true), (b"x", true)]),
        frame_of(&[(&[0], false), (b"x", true)]),
        frame_of(&[(&[0x10], false)]),
        frame_of(&[(&[0x1f, 0, 2, 0, 0, 0x50, 0, 0, 0, 0, 0], false)]),
    ];
    for (number, frame) in bad.iter().enumerate() {
        for step in [1000, 65_536, 200_000] {
            assert_eq!(by_us(frame, step), None, "bad frame {number} by {step}");
        }
    }
}

#[test]
fn a_zstd_block_larger_than_its_window_is_refused_however_much_room_there_is() {
    // Window 1 KiB, 40 KiB stated, one block that repeats a byte so often.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x00];
    frame.extend_from_slice(&40_960u32.to_le_bytes());
    frame.extend_from_slice(&(1 | 1 << 1 | 40_960u32 << 3).to_le_bytes()[..3]);
    frame.push(0);
    for room in [1000, 65_600, 200_000] {
        assert!(Compression::Zstd.decoder(&frame).read(&mut vec![0; room]).is_err(), "with room for {room}");
    }
}

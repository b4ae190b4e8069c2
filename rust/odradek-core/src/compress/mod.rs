//! The four codecs of the record batch, framed as Kafka's clients frame them. No I/O.
//!
//! [`Compression`] is the one dispatch; each codec's framing is in the file of its name. Decompression either fills a
//! buffer up to a bound, or streams ([`Decoder`]) through a fixed one: what the compressed bytes *claim* to hold is never
//! allocated on their word.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::io::{self, Read};

use thiserror::Error;

/// Why bytes can't be decompressed.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecompressError {
    /// Not this codec's format, cut short, or a checksum inside is wrong.
    #[error("{codec} data is corrupt: {reason}")]
    Corrupt {
        /// Codec by name.
        codec: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// More comes out than the caller takes.
    #[error("decompressed records are over the limit of {limit} bytes")]
    OverLimit {
        /// The limit.
        limit: usize,
    },
}

/// Why bytes can't be compressed.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompressError {
    /// The codec does not have this level.
    #[error("level {level} of {codec} is outside {low}..{high}")]
    Level {
        /// Codec by name.
        codec: &'static str,
        /// Level asked for.
        level: i32,
        /// Lowest there is.
        low: i32,
        /// Highest there is.
        high: i32,
    },
    /// The codec has no levels.
    #[error("compression '{0}' has no levels")]
    NoLevels(&'static str),
    /// The encoder failed, for lack of memory as a rule.
    #[error("{codec} encoder failed: {reason}")]
    Encoder {
        /// Codec by name.
        codec: &'static str,
        /// What it says.
        reason: String,
    },
}

/// What records usually shrink by: room for that much is made at once, for more as it comes.
const USUAL_RATIO: usize = 4;

/// A codec of the record batch; the discriminant is its number in the batch's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Compression {
    /// Records as they are.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy in the framing of snappy-java.
    Snappy = 2,
    /// LZ4 frames.
    Lz4 = 3,
    /// Zstandard frames.
    Zstd = 4,
}

impl Compression {
    /// Every codec in the order of its number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of a number, if there is one.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// The codec's number in the attributes.
    #[must_use]
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The codec of a name as in `compression.type`, `uncompressed` included.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "uncompressed" => Some(Self::None),
            _ => Self::ALL.into_iter().find(|codec| codec.name() == name),
        }
    }

    /// The codec's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Checks a level without compressing anything. LZ4 takes Kafka's 1..17 and has only one.
    ///
    /// # Errors
    /// [`CompressError::Level`] or [`CompressError::NoLevels`].
    pub fn check_level(self, level: Option<i32>) -> Result<(), CompressError> {
        let Some(level) = level else { return Ok(()) };
        let (low, high) = match self {
            Self::None | Self::Snappy => return Err(CompressError::NoLevels(self.name())),
            Self::Gzip => (1, 9),
            Self::Lz4 => (1, 17),
            Self::Zstd => (-131_072, 22),
        };
        if (low..=high).contains(&level) {
            Ok(())
        } else {
            Err(CompressError::Level { codec: self.name(), level, low, high })
        }
    }

    /// Appends `data`, compressed, to `out`. `level`: the codec's own scale, `None` for its default.
    ///
    /// # Errors
    /// [`CompressError`]; `out` may then end with a part.
    pub fn compress(self, data: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<(), CompressError> {
        self.check_level(level)?;
        let encoded = match self {
            Self::None => {
                out.extend_from_slice(data);
                return Ok(());
            }
            Self::Gzip => gzip::encode(data, level, out),
            Self::Snappy => snappy::encode(data, out),
            Self::Lz4 => lz4::encode(data, out),
            Self::Zstd => zstd::encode(data, level, out),
        };
        encoded.map_err(|error| CompressError::Encoder { codec: self.name(), reason: error.to_string() })
    }

    /// Appends what `data` holds to `out`, at most `limit` bytes of it.
    ///
    /// # Errors
    /// [`DecompressError`]; `out` may then end with a part.
    pub fn decompress(self, data: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        if self == Self::None {
            if data.len() > limit {
                return Err(DecompressError::OverLimit { limit });
            }
            out.extend_from_slice(data);
            return Ok(());
        }
        if self == Self::Zstd && zstd::decode_sized(data, limit, out) {
            return Ok(());
        }
        let before = out.len();
        let corrupt = |error: io::Error| DecompressError::Corrupt { codec: self.name(), reason: error.to_string() };
        out.reserve(limit.min(data.len().saturating_mul(USUAL_RATIO)));
        let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        self.decoder(data).take(bound).read_to_end(out).map_err(corrupt)?;
        if out.len() - before > limit {
            return Err(DecompressError::OverLimit { limit });
        }
        Ok(())
    }

    /// A reader of what `data` holds that keeps no more than a window of it.
    #[must_use]
    pub fn decoder(self, data: &[u8]) -> Decoder<'_> {
        match self {
            Self::None => Decoder::None(data),
            Self::Gzip => Decoder::Gzip(Box::new(gzip::decoder(data))),
            Self::Snappy => Decoder::Snappy(snappy::Decoder::new(data)),
            Self::Lz4 => Decoder::Lz4(lz4::Decoder::new(data)),
            Self::Zstd => Decoder::Zstd(zstd::Decoder::new(data)),
        }
    }
}

/// A streaming decoder: an error of `read` means that the data is corrupt.
pub enum Decoder<'a> {
    /// Nothing to decode.
    None(&'a [u8]),
    /// gzip.
    Gzip(Box<gzip::Decoder<'a>>),
    /// snappy.
    Snappy(snappy::Decoder<'a>),
    /// lz4.
    Lz4(lz4::Decoder<'a>),
    /// zstd.
    Zstd(zstd::Decoder<'a>),
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::None(data) => data.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Snappy(decoder) => decoder.read(buffer),
            Self::Lz4(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

fn corrupt(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

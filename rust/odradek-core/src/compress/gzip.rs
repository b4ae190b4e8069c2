//! gzip, RFC 1952: what Kafka's clients send is one member; more of them read as one stream.

use std::io::{self, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

pub type Decoder<'a> = MultiGzDecoder<&'a [u8]>;

pub fn encode(data: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> io::Result<()> {
    let level = level
        .and_then(|level| u32::try_from(level).ok())
        .map_or_else(flate2::Compression::default, flate2::Compression::new);
    let mut encoder = GzEncoder::new(out, level);
    encoder.write_all(data)?;
    encoder.finish()?;
    Ok(())
}

pub fn decoder(data: &[u8]) -> Decoder<'_> {
    MultiGzDecoder::new(data)
}

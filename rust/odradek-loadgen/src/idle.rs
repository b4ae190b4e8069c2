//! `idle`: clients that have connected and now say nothing.

use crate::args::Args;
use crate::failure::{Failure, Result};
use crate::messages;
use crate::report::Report;
use std::io::Read;

/// Open the connections, say so on standard error, hold them until standard input ends.
///
/// # Errors
/// The broker refused one, or closed one meanwhile.
#[allow(clippy::print_stderr, reason = "who started this waits for the line")]
pub fn run(args: &Args) -> Result<String> {
    let address: String = args.required("address")?;
    let count = args.count("connections", 1000)?;
    let mut open = (0..count).map(|_| messages::open(&address)).collect::<Result<Vec<_>>>()?;
    eprintln!("open");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for connection in &mut open {
        messages::api_versions(connection).map_err(|error| Failure::new(format!("after the idle time: {error}")))?;
    }
    Ok(Report::default().number("connections", count as f64).line())
}

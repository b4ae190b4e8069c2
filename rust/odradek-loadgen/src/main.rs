//! Load for any broker that speaks Kafka's protocol, from raw sockets, for `benches/versus`.
//!
//! It is not a client library: it knows one version of each request it sends (see `messages`), sends frames that were
//! encoded once, and checks every answer (correlation ids, error codes, offsets, batch headers). One process, one
//! thread, one JSON line on standard output; exit code 1 with a sentence on standard error when anything was wrong.
//!
//! Module map: `wire` and `batch` are bytes; `messages` and `group_messages` are the requests; `connection` and `driver`
//! are the closed loop, `paced` the open one; `produce`, `fetch`, `storm`, `rejoin`, `writable` and `idle` are the commands. Read `driver` first.

mod args;
mod batch;
mod connection;
mod driver;
mod failure;
mod fetch;
mod group_messages;
mod histogram;
mod idle;
mod members;
mod messages;
mod paced;
mod produce;
mod rejoin;
mod report;
mod storm;
mod wire;
mod writable;

use args::Args;
use failure::{Failure, Result};
use std::process::ExitCode;

const USAGE: &str = "usage: odradek-loadgen COMMAND --address HOST:PORT [--OPTION VALUE ...]

commands and their options (defaults in brackets):
  produce   --topic T --partitions [1] --connections [1] --in-flight [1] --records [1] a batch of --record-bytes [100]
            --key-bytes [0 = no key] --acks [1], and the limits below; connection c writes to partitions c, c + connections, ...
  fetch     --topic T --partitions [1] --connections [1] --max-bytes [1048576] a partition
            --partitions-per-request [1] --verify-crc [no] --scatter [no]: from anywhere in the log, not in order;
            and the limits below
  storm     --kind metadata|heartbeat|commit|rejoin --members [200] in --groups [1] --topics [1000] expected in
            Metadata, --topic T --partitions [12] to commit, and the limits below; without --seconds until standard input ends
  writable  --prefix T --topics [1] --partitions [1] --timeout [120]: until each partition of T0, T1, ... took a record
  ready     --timeout [60]: until ApiVersions is answered
  idle      --connections [1000]: open them, then wait until standard input ends
limits: --seconds [5] after --warmup [1] seconds, --megabytes [none], --rate [none] requests a second in all";

fn run(mut arguments: impl Iterator<Item = String>) -> Result<String> {
    let command = arguments.next().ok_or_else(|| Failure::new(USAGE))?;
    let args = Args::parse(arguments)?;
    match command.as_str() {
        "produce" => produce::run(&args),
        "fetch" => fetch::run(&args),
        "storm" => storm::run(&args),
        "writable" => writable::run(&args),
        "ready" => writable::ready(&args),
        "idle" => idle::run(&args),
        _ => Err(Failure::new(USAGE)),
    }
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the line is what the program is for")]
fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("odradek-loadgen: {failure}");
            ExitCode::FAILURE
        }
    }
}

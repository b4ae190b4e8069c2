//! The closed loop: every connection keeps its number of requests in flight until time or volume is up.
//!
//! One connection with one request in flight is driven blocking, the way a thread of its own would; everything else by
//! one edge-triggered poll. Warm-up traffic is checked like the rest but not counted. With `--rate` requests start on a
//! schedule, and a late one is timed from when it was due: one connection here, several in `paced`.

use crate::args::Args;
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::histogram::Histogram;
use crate::paced;
use crate::report::Report;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FOREVER: Duration = Duration::from_secs(86_400);

/// What one answer carried.
pub struct Answer {
    /// Payload bytes: batches, or the response where there are none.
    pub bytes: u64,
    /// Records.
    pub records: u64,
}

/// A kind of request and how its answers are checked.
pub trait Traffic {
    /// Put the next request of `connection` into `frame`, which holds its previous one (empty at first).
    fn prepare(&mut self, connection: usize, frame: &mut Vec<u8>);

    /// Check an answer (after its correlation id).
    ///
    /// # Errors
    /// It is not what the broker must say: the run ends.
    fn check(&mut self, connection: usize, body: &[u8]) -> Result<Answer>;
}

/// When the run ends, and how hard it goes.
pub struct Limits {
    warmup: Duration,
    seconds: Duration,
    bytes: u64,
    period: Option<Duration>,
    in_flight: usize,
    ended: Arc<AtomicBool>,
}

impl Limits {
    /// From `--seconds`, `--warmup`, `--megabytes`, `--rate`; `in_flight` a connection.
    ///
    /// # Errors
    /// A value out of range.
    pub fn from(args: &Args, in_flight: usize) -> Result<Self> {
        let duration = |name, default| -> Result<Duration> {
            Duration::try_from_secs_f64(args.or(name, default)?)
                .map_err(|error| Failure::new(format!("--{name}: {error}")))
        };
        let rate: Option<f64> = args.optional("rate")?;
        if rate.is_some_and(|rate| !(rate > 0.0 && rate < 1e7)) {
            return Err(Failure::new("--rate must be above 0 and below 10 million"));
        }
        let megabytes: Option<u64> = args.optional("megabytes")?;
        Ok(Self {
            warmup: duration("warmup", 1.0)?,
            seconds: duration("seconds", 5.0)?,
            bytes: megabytes.map_or(u64::MAX, |n| n.saturating_mul(1 << 20)),
            period: rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            in_flight,
            ended: Arc::default(),
        })
    }

    /// The same, but until standard input ends in place of `--seconds`.
    ///
    /// # Errors
    /// There is no thread to wait for that.
    pub fn until_input_ends(self) -> Result<Self> {
        let ended = Arc::clone(&self.ended);
        std::thread::Builder::new().spawn(move || {
            // What can't be read has ended, too.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            ended.store(true, Ordering::Relaxed);
        })?;
        Ok(Self { seconds: FOREVER, ..self })
    }

    /// Whether standard input is waited for: something else is measured meanwhile.
    pub fn is_beside(&self) -> bool {
        self.seconds == FOREVER
    }

    /// Whether standard input was waited for and has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// How long traffic is not counted.
    pub fn warmup(&self) -> Duration {
        self.warmup
    }

    /// How long it is counted.
    pub fn seconds(&self) -> Duration {
        self.seconds
    }

    /// Time from one request's start to the next one's; `None` = as fast as answers come.
    pub fn period(&self) -> Option<Duration> {
        self.period
    }
}

/// Counts what is answered after the warm-up.
pub struct Meter {
    counting_since: Option<Instant>,
    counts_from: Instant,
    ends: Instant,
    bytes_wanted: u64,
    requests: u64,
    bytes: u64,
    records: u64,
    latency: Histogram,
    last: Instant,
    ended: Arc<AtomicBool>,
}

impl Meter {
    /// Begin the warm-up.
    pub fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            counting_since: None,
            counts_from: now + limits.warmup,
            ends: now + limits.warmup + limits.seconds,
            bytes_wanted: limits.bytes,
            requests: 0,
            bytes: 0,
            records: 0,
            latency: Histogram::new(),
            last: now,
            ended: Arc::clone(&limits.ended),
        }
    }

    /// Count an answer to a request that started (or was due) at `started`.
    pub fn count(&mut self, answer: &Answer, started: Instant) {
        let now = Instant::now();
        self.last = now;
        if self.counting_since.is_none() {
            if now >= self.counts_from {
                self.counting_since = Some(now);
            }
            return;
        }
        self.requests += 1;
        self.bytes += answer.bytes;
        self.records += answer.records;
        self.latency.record(u64::try_from((now - started).as_nanos()).unwrap_or(u64::MAX));
    }

    /// Whether time, volume or standard input is up.
    pub fn is_over(&self, now: Instant) -> bool {
        now >= self.ends || self.bytes >= self.bytes_wanted || self.ended.load(Ordering::Relaxed)
    }

    /// Rates and latencies.
    ///
    /// # Errors
    /// Too little was answered after the warm-up.
    pub fn report(&self) -> Result<Report> {
        let since = self.counting_since.ok_or_else(|| Failure::new("nothing was answered after the warm-up"))?;
        if self.requests == 0 {
            return Err(Failure::new("only one request was answered after the warm-up"));
        }
        let seconds = (self.last - since).as_secs_f64();
        Ok(Report::default()
            .number("seconds", seconds)
            .number("requests", self.requests as f64)
            .number("requests_s", self.requests as f64 / seconds)
            .number("records_s", self.records as f64 / seconds)
            .number("payload_bytes", self.bytes as f64)
            .number("mb_s", self.bytes as f64 / seconds / 1e6)
            .number("mean_us", self.latency.mean_us())
            .number("p50_us", self.latency.quantile_us(0.5))
            .number("p99_us", self.latency.quantile_us(0.99))
            .number("p999_us", self.latency.quantile_us(0.999)))
    }
}

/// Drive `traffic` over `connections` and report rates and latencies.
///
/// # Errors
/// A connection broke, an answer was wrong, or nothing was answered after the warm-up.
pub fn run(connections: &mut [Connection], limits: &Limits, traffic: &mut impl Traffic) -> Result<Report> {
    if connections.len() == 1 && limits.in_flight == 1 {
        return run_blocking(&mut connections[0], limits, traffic);
    }
    if let Some(period) = limits.period {
        if limits.in_flight != 1 {
            return Err(Failure::new("--rate is for connections with one request in flight"));
        }
        return paced::run(connections, limits, period, traffic);
    }
    run_polled(connections, limits, traffic)
}

/// Make the connections non-blocking and watch them for answers and for room to write.
///
/// # Errors
/// The operating system refuses.
pub fn register(connections: &[Connection]) -> Result<Poll> {
    let poll = Poll::new()?;
    for (index, connection) in connections.iter().enumerate() {
        connection.stream().set_nonblocking(true)?;
        let fd = connection.stream().as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE | Interest::WRITABLE)?;
    }
    Ok(poll)
}

fn run_blocking(connection: &mut Connection, limits: &Limits, traffic: &mut impl Traffic) -> Result<Report> {
    connection.stream().set_nonblocking(false)?;
    let mut meter = Meter::new(limits);
    let mut due = Instant::now();
    loop {
        let mut start = Instant::now();
        if meter.is_over(start) {
            return meter.report();
        }
        if let Some(period) = limits.period {
            due += period;
            if let Some(wait) = due.checked_duration_since(start).filter(|wait| !wait.is_zero()) {
                std::thread::sleep(wait);
                start = Instant::now();
            } else {
                start = due;
            }
        }
        connection.begin(start, |frame| traffic.prepare(0, frame));
        while !connection.push()? {}
        while connection.in_flight() > 0 {
            connection.pull(|body, started| {
                let answer = traffic.check(0, body)?;
                meter.count(&answer, started);
                Ok(())
            })?;
        }
    }
}

fn run_polled(connections: &mut [Connection], limits: &Limits, traffic: &mut impl Traffic) -> Result<Report> {
    let mut poll = register(connections)?;
    let mut events = Events::with_capacity(connections.len().max(64));
    let mut meter = Meter::new(limits);
    while !meter.is_over(Instant::now()) {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let Token(index) = event.token();
            let connection = &mut connections[index];
            if event.is_readable() {
                while connection.pull(|body, started| {
                    let answer = traffic.check(index, body)?;
                    meter.count(&answer, started);
                    Ok(())
                })? {}
            }
            fill(connection, index, limits.in_flight, traffic)?;
        }
    }
    meter.report()
}

/// Write until the pipeline or the socket is full.
fn fill(connection: &mut Connection, index: usize, in_flight: usize, traffic: &mut impl Traffic) -> Result<()> {
    loop {
        if connection.is_sending() {
            if !connection.push()? {
                return Ok(());
            }
        } else if connection.in_flight() < in_flight {
            connection.begin(Instant::now(), |frame| traffic.prepare(index, frame));
        } else {
            return Ok(());
        }
    }
}

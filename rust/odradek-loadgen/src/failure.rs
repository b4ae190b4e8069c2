//! The one error of the program: a sentence for the person who runs the benchmark.

use std::fmt;

/// What went wrong, as text: nothing in a load generator is handled, everything ends the run.
#[derive(Debug)]
pub struct Failure(String);

/// Result of everything that can end the run.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// Make one from a sentence.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(format!("socket: {error}"))
    }
}

//! The JSON line. Names and numbers only, so no library is needed for it.

use std::fmt::Write;

/// A flat JSON object under construction.
#[derive(Default)]
pub struct Report(String);

impl Report {
    /// Add a number with at most three decimals.
    pub fn number(mut self, name: &str, value: f64) -> Self {
        let comma = if self.0.is_empty() { "" } else { ", " };
        let _ = write!(self.0, "{comma}\"{name}\": {}", (value * 1e3).round() / 1e3);
        self
    }

    /// The line.
    pub fn line(&self) -> String {
        format!("{{{}}}", self.0)
    }
}

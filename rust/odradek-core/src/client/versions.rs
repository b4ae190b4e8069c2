//! What one broker serves: the lowest and highest version of each API, from its ApiVersions answer.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};

use super::error::ClientError;

/// Ranges of one connection's peer.
#[derive(Debug, Clone)]
pub struct Versions {
    peer: String,
    ranges: HashMap<i16, (i16, i16)>,
}

impl Versions {
    /// Takes the ranges out of an answer.
    #[must_use]
    pub fn of(peer: String, answer: &ApiVersionsResponse) -> Self {
        let ranges = answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
        Self { peer, ranges }
    }

    /// Lowest and highest version of an API; `None` when the broker doesn't serve it.
    #[must_use]
    pub fn range(&self, api_key: i16) -> Option<(i16, i16)> {
        self.ranges.get(&api_key).copied()
    }

    /// The highest version that both the broker and `ours` have.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`], naming API and both ranges.
    pub fn highest(&self, api_key: i16, ours: RangeInclusive<i16>) -> Result<i16, ClientError> {
        let name = api_name(api_key);
        let Some((low, high)) = self.range(api_key) else {
            return Err(ClientError::Unsupported { detail: format!("{} does not serve {name}", self.peer) });
        };
        let best = high.min(*ours.end());
        if best < low || best < *ours.start() {
            let (from, to) = ours.into_inner();
            let detail = format!(
                "{} serves versions {low} to {high} of {name}, needed is one of {from} to {to}: \
                 a newer or older broker than this client works with",
                self.peer
            );
            return Err(ClientError::Unsupported { detail });
        }
        Ok(best)
    }

    /// All rows (API key, lowest, highest), by key.
    #[must_use]
    pub fn rows(&self) -> Vec<(i16, i16, i16)> {
        let mut rows: Vec<_> = self.ranges.iter().map(|(&key, &(low, high))| (key, low, high)).collect();
        rows.sort_unstable();
        rows
    }
}

/// Kafka's name of an API, or its number.
#[must_use]
pub fn api_name(api_key: i16) -> String {
    ApiKey::try_from(api_key).map_or_else(|()| format!("API {api_key}"), |key| format!("{key:?}"))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::api_versions_response::ApiVersion;

    use super::*;

    fn versions() -> Versions {
        let api = |key, low, high| ApiVersion::default().with_api_key(key).with_min_version(low).with_max_version(high);
        let answer = ApiVersionsResponse::default().with_api_keys(vec![api(0, 3, 9), api(3, 5, 12)]);
        Versions::of("broker 1 at host:9092".to_owned(), &answer)
    }

    #[test]
    fn the_highest_common_version_is_taken() {
        assert_eq!(versions().highest(0, 0..=12).expect("common"), 9);
        assert_eq!(versions().highest(0, 0..=5).expect("common"), 5);
        assert_eq!(versions().highest(0, 3..=3).expect("common"), 3);
    }

    #[test]
    fn no_common_version_names_the_api_and_both_ranges() {
        for ours in [0..=4, 13..=14] {
            let text = versions().highest(3, ours.clone()).expect_err("nothing in common").to_string();
            for part in ["broker 1 at host:9092", "5 to 12", "Metadata", &ours.end().to_string()] {
                assert!(text.contains(part), "{text}");
            }
        }
        let text = versions().highest(68, 0..=1).expect_err("not served").to_string();
        assert!(text.contains("does not serve ConsumerGroupHeartbeat"), "{text}");
    }
}

//! Small property files: `meta.properties` of the data directory and `partition.metadata` of a partition.
//!
//! `meta.properties` (version 1) names the cluster, the node and the directory; `partition.metadata` (version 0) the
//! topic id. Ids are 16 bytes in URL-safe base64 without padding, as Kafka writes them.
//! Source: Kafka `MetaProperties`, `PartitionMetadataFile`.

use std::collections::BTreeMap;
use std::fmt::Write;

use uuid::Uuid;

/// Name of the file in the data directory.
pub const META_PROPERTIES: &str = "meta.properties";

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What `meta.properties` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    /// `cluster.id`
    pub cluster_id: String,
    /// `node.id`
    pub node_id: i32,
    /// `directory.id`
    pub directory_id: String,
}

/// An id as Kafka prints it: 22 characters.
#[must_use]
pub fn id_to_text(id: &Uuid) -> String {
    let mut bits = id.as_u128();
    let mut text = [0; 22];
    // 128 bits are 21 characters and 2 bits; the last character carries 4 bits of padding.
    text[21] = BASE64_URL[((bits & 0x03) << 4) as usize];
    bits >>= 2;
    for slot in text[..21].iter_mut().rev() {
        *slot = BASE64_URL[(bits & 0x3f) as usize];
        bits >>= 6;
    }
    text.iter().map(|byte| char::from(*byte)).collect()
}

/// Reads an id that [`id_to_text`] wrote.
#[must_use]
pub fn id_from_text(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits = 0_u128;
    for (at, byte) in text.bytes().enumerate() {
        let value = BASE64_URL.iter().position(|candidate| *candidate == byte)? as u128;
        bits = if at < 21 { (bits << 6) | value } else { (bits << 2) | (value >> 4) };
    }
    Some(Uuid::from_u128(bits))
}

/// Keys and values of a Java property file, comments left out.
fn properties(bytes: &[u8]) -> Option<BTreeMap<&str, &str>> {
    let text = str::from_utf8(bytes).ok()?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    Some(lines.filter_map(|line| line.split_once(['=', ':'])).map(|(key, value)| (key.trim(), value.trim())).collect())
}

impl MetaProperties {
    /// Text of the file.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::from("#\n");
        let _ = writeln!(text, "cluster.id={}", self.cluster_id);
        let _ = writeln!(text, "directory.id={}", self.directory_id);
        let _ = writeln!(text, "node.id={}\nversion=1", self.node_id);
        text
    }

    /// Reads version 1 (`node.id`) and version 0 (`broker.id`, of ZooKeeper times; it has no directory id).
    ///
    /// # Errors
    /// A sentence that says which key is missing or wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let found = properties(bytes).ok_or("not text")?;
        let number = found.get("node.id").or_else(|| found.get("broker.id")).ok_or("node.id is missing")?;
        let node_id = number.parse().map_err(|_| format!("node.id={number} is not a number"))?;
        let cluster_id = (*found.get("cluster.id").ok_or("cluster.id is missing")?).to_owned();
        let directory_id = found.get("directory.id").copied().unwrap_or_default().to_owned();
        Ok(Self { cluster_id, node_id, directory_id })
    }
}

/// Text of `partition.metadata`.
#[must_use]
pub fn encode_partition_metadata(topic_id: &Uuid) -> String {
    format!("version: 0\ntopic_id: {}", id_to_text(topic_id))
}

/// The topic id in `partition.metadata`; `None` when the file does not parse.
#[must_use]
pub fn decode_partition_metadata(bytes: &[u8]) -> Option<Uuid> {
    id_from_text(properties(bytes)?.get("topic_id")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_kafkas_text_form() {
        let id = Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);
        assert_eq!(id_to_text(&id), "AAECAwQFBgcICQoLDA0ODw");
        assert_eq!(id_from_text("AAECAwQFBgcICQoLDA0ODw"), Some(id));
        assert_eq!(id_from_text("short"), None);
        assert_eq!(decode_partition_metadata(encode_partition_metadata(&id).as_bytes()), Some(id));
    }

    #[test]
    fn meta_properties_round_trip_and_name_what_is_missing() {
        let meta = MetaProperties { cluster_id: "c".into(), node_id: 7, directory_id: "d".into() };
        assert_eq!(MetaProperties::decode(meta.encode().as_bytes()), Ok(meta));
        assert_eq!(MetaProperties::decode(b"cluster.id=c\n"), Err("node.id is missing".to_owned()));
    }
}

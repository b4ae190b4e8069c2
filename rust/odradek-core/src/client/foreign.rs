//! Recognizes peers that speak something other than Kafka's protocol, and says what to check.

/// What the first bytes of an answer look like, and what to do.
#[must_use]
pub fn describe(first: &[u8]) -> String {
    match first {
        [0x15, 0x03, ..] | [0x16, 0x03, ..] => {
            "answers with TLS: this is a TLS port and the connection is in plain text; use the broker's plain-text port"
                .to_owned()
        }
        [b'H', b'T', b'T', b'P', ..] => {
            "answers with HTTP: this is a web server's port, not a Kafka broker's; check the port".to_owned()
        }
        [b'S', b'S', b'H', b'-', ..] => {
            "answers with SSH: this is not a Kafka broker's port; check the port".to_owned()
        }
        _ => {
            let shown = first.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
            format!("answers with bytes that are no Kafka response ({shown}); check host and port")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn each_protocol_is_named_with_what_to_check() {
        for (first, word) in [
            (&b"\x15\x03\x03\x00\x02\x02\x46"[..], "TLS"),
            (b"HTTP/1.1 400 Bad Request\r\n", "web server"),
            (b"SSH-2.0-OpenSSH", "SSH"),
            (b"\xff\xff\xff\xff", "ff ff ff ff"),
        ] {
            let text = describe(first);
            assert!(text.contains(word) && text.contains("port"), "{text}");
        }
    }
}

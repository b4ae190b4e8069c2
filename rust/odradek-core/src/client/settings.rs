//! What the transport acts on. Names and defaults are Kafka's; Python's `config/client.py` validates and documents them.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::error::ClientError;

/// Settings of a [`super::Cluster`].
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// `bootstrap.servers`: (host, port); an IPv6 address is without its brackets.
    pub bootstrap: Vec<(String, u16)>,
    /// `client.id`: what brokers log and count by.
    pub client_id: String,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
    /// `reconnect.backoff.ms`: rest after the first failure to connect to an address; doubles with each further one.
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`
    pub reconnect_backoff_max: Duration,
    /// `retry.backoff.ms`: least time between two refreshes of the metadata that errors asked for.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub retry_backoff_max: Duration,
    /// `metadata.max.age.ms`: refresh at least that often.
    pub metadata_max_age: Duration,
    /// `connections.max.idle.ms`; `None` = never close an idle connection.
    pub connections_max_idle: Option<Duration>,
    /// `socket.connection.setup.timeout.ms`: for the TCP handshake, and again for the first answer. Doubles with failures.
    pub connection_setup_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms`
    pub connection_setup_timeout_max: Duration,
    /// `send.buffer.bytes`; `None` (-1) = the system decides.
    pub send_buffer: Option<usize>,
    /// `receive.buffer.bytes`; `None` (-1) = the system decides.
    pub receive_buffer: Option<usize>,
    /// `client.rack`
    pub client_rack: Option<String>,
    /// `allow.auto.create.topics`: asking for a topic may make it.
    pub allow_auto_create_topics: bool,
}

impl Default for ClientSettings {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            bootstrap: Vec::new(),
            client_id: "odradek".to_owned(),
            request_timeout: ms(30_000),
            reconnect_backoff: ms(50),
            reconnect_backoff_max: ms(1_000),
            retry_backoff: ms(100),
            retry_backoff_max: ms(1_000),
            metadata_max_age: ms(300_000),
            connections_max_idle: Some(ms(540_000)),
            connection_setup_timeout: ms(10_000),
            connection_setup_timeout_max: ms(30_000),
            send_buffer: None,
            receive_buffer: None,
            client_rack: None,
            allow_auto_create_topics: true,
        }
    }
}

impl ClientSettings {
    /// Reads Kafka's dotted names. Those that the transport has no use for are ignored.
    ///
    /// # Errors
    /// [`ClientError::Setting`] when `bootstrap.servers` is missing or a value can't be read.
    pub fn parse(texts: &BTreeMap<String, String>) -> Result<Self, ClientError> {
        let bootstrap = parse_servers(texts.get("bootstrap.servers").map_or("", String::as_str))?;
        let mut settings = Self { bootstrap, ..Self::default() };
        let ms = |name: &'static str, into: &mut Duration| -> Result<(), ClientError> {
            if let Some(value) = number::<u64>(texts, name)? {
                *into = Duration::from_millis(value);
            }
            Ok(())
        };
        ms("request.timeout.ms", &mut settings.request_timeout)?;
        ms("reconnect.backoff.ms", &mut settings.reconnect_backoff)?;
        ms("reconnect.backoff.max.ms", &mut settings.reconnect_backoff_max)?;
        ms("retry.backoff.ms", &mut settings.retry_backoff)?;
        ms("retry.backoff.max.ms", &mut settings.retry_backoff_max)?;
        ms("metadata.max.age.ms", &mut settings.metadata_max_age)?;
        ms("socket.connection.setup.timeout.ms", &mut settings.connection_setup_timeout)?;
        ms("socket.connection.setup.timeout.max.ms", &mut settings.connection_setup_timeout_max)?;
        if let Some(idle) = number::<i64>(texts, "connections.max.idle.ms")? {
            settings.connections_max_idle = u64::try_from(idle).ok().map(Duration::from_millis);
        }
        settings.send_buffer = size(texts, "send.buffer.bytes")?;
        settings.receive_buffer = size(texts, "receive.buffer.bytes")?;
        if let Some(id) = texts.get("client.id").filter(|id| !id.is_empty()) {
            settings.client_id.clone_from(id);
        }
        settings.client_rack = texts.get("client.rack").filter(|rack| !rack.is_empty()).cloned();
        if let Some(value) = number::<bool>(texts, "allow.auto.create.topics")? {
            settings.allow_auto_create_topics = value;
        }
        Ok(settings)
    }
}

fn number<T: FromStr>(texts: &BTreeMap<String, String>, name: &'static str) -> Result<Option<T>, ClientError> {
    let Some(text) = texts.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| ClientError::Setting { name: name.to_owned(), detail: format!("{text:?} can't be read") })
}

fn size(texts: &BTreeMap<String, String>, name: &'static str) -> Result<Option<usize>, ClientError> {
    Ok(number::<i64>(texts, name)?.and_then(|bytes| usize::try_from(bytes).ok()).filter(|&bytes| bytes > 0))
}

/// Splits `host:port,[::1]:port,...`.
fn parse_servers(list: &str) -> Result<Vec<(String, u16)>, ClientError> {
    let refused = |detail: String| ClientError::Setting { name: "bootstrap.servers".to_owned(), detail };
    let mut servers = Vec::new();
    for server in list.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        let (host, port) = server.rsplit_once(':').ok_or_else(|| refused(format!("{server:?} has no port")))?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse::<u16>().ok().filter(|&port| port > 0);
        let port = port.ok_or_else(|| refused(format!("the port of {server:?} is not between 1 and 65535")))?;
        if host.is_empty() {
            return Err(refused(format!("{server:?} has no host")));
        }
        servers.push((host.to_owned(), port));
    }
    if servers.is_empty() {
        return Err(refused("no server given; expected host:port,host:port".to_owned()));
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[(&str, &str)]) -> Result<ClientSettings, ClientError> {
        ClientSettings::parse(&texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn servers_are_split_and_ipv6_loses_its_brackets() {
        let settings = parse(&[("bootstrap.servers", "a:1, [::1]:9092 ,b.c:65535,")]).expect("parses");
        let expected = [("a", 1), ("::1", 9092), ("b.c", 65535)].map(|(host, port)| (host.to_owned(), port));
        assert_eq!(settings.bootstrap, expected);
    }

    #[test]
    fn a_server_without_host_or_port_is_refused_by_name() {
        for bad in ["", "host", ":9092", "host:0", "host:65536", "host:-1", "host:x"] {
            let error = parse(&[("bootstrap.servers", bad)]).expect_err(bad);
            assert!(error.to_string().contains("bootstrap.servers"), "{error}");
        }
    }

    #[test]
    fn minus_one_leaves_buffers_and_idle_connections_to_the_defaults_of_others() {
        let settings = parse(&[
            ("bootstrap.servers", "a:1"),
            ("send.buffer.bytes", "-1"),
            ("receive.buffer.bytes", "65536"),
            ("connections.max.idle.ms", "-1"),
        ])
        .expect("parses");
        assert_eq!(
            (settings.send_buffer, settings.receive_buffer, settings.connections_max_idle),
            (None, Some(65536), None)
        );
    }

    #[test]
    fn a_value_that_is_no_number_is_refused_with_its_name() {
        let error = parse(&[("bootstrap.servers", "a:1"), ("request.timeout.ms", "soon")]).expect_err("no number");
        assert!(error.to_string().contains("request.timeout.ms"), "{error}");
    }
}

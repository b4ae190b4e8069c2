//! A client's cluster to test with, and peers that answer as a test tells them to.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, BrokerId, MetadataResponse, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use odradek_core::client::{ClientError, ClientSettings, Cluster, MetadataView};
use odradek_core::wire::frame::{ResponseHead, finish, take_header};
use tokio::time::Instant;
use uuid::Uuid;

/// Long enough that only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A cluster with short back-offs.
pub fn cluster(servers: &str, settings: &[(&str, &str)]) -> Arc<Cluster> {
    let mut all = BTreeMap::from([
        ("bootstrap.servers".to_owned(), servers.to_owned()),
        ("reconnect.backoff.ms".to_owned(), "1".to_owned()),
        ("reconnect.backoff.max.ms".to_owned(), "10".to_owned()),
        ("retry.backoff.ms".to_owned(), "1".to_owned()),
        ("retry.backoff.max.ms".to_owned(), "10".to_owned()),
    ]);
    all.extend(settings.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    Cluster::open(ClientSettings::parse(&all).expect("settings")).expect("opens")
}

/// Runs a future on the cluster's thread and waits for it.
pub fn on<T, F>(cluster: &Arc<Cluster>, make: impl FnOnce(Arc<Cluster>) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    start(cluster, make).recv_timeout(PATIENCE).expect("the future ends")
}

/// Runs a future on the cluster's thread; the receiver gets its result.
pub fn start<T, F>(cluster: &Arc<Cluster>, make: impl FnOnce(Arc<Cluster>) -> F) -> Receiver<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (sender, receiver) = channel();
    let future = make(Arc::clone(cluster));
    cluster.spawn(async move {
        let _ = sender.send(future.await);
    });
    receiver
}

/// A refresh with `timeout`.
pub fn refreshed(cluster: &Arc<Cluster>, timeout: Duration) -> Result<Arc<MetadataView>, ClientError> {
    on(cluster, |cluster| async move { cluster.refreshed(Instant::now() + timeout).await })
}

/// A port on which nothing listens.
pub fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("address").port()
}

/// A listener whose connections are served by a script, each in a thread of its own.
pub struct Peer {
    pub port: u16,
    /// A number for each connection accepted.
    pub accepted: Receiver<usize>,
}

impl Peer {
    pub fn start(script: impl Fn(usize, Conversation) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("address").port();
        let (sender, accepted) = channel();
        let script = Arc::new(script);
        spawn(move || accept(&listener, &script, &sender, port));
        Self { port, accepted }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn accept<S: Fn(usize, Conversation) + Send + Sync + 'static>(
    listener: &TcpListener,
    script: &Arc<S>,
    accepted: &Sender<usize>,
    port: u16,
) {
    for (number, stream) in listener.incoming().enumerate() {
        let Ok(stream) = stream else { return };
        let _ = accepted.send(number);
        let script = Arc::clone(script);
        spawn(move || script(number, Conversation { stream, port }));
    }
}

/// The server's side of one connection.
pub struct Conversation {
    pub stream: TcpStream,
    pub port: u16,
}

/// A request that came: API key, version, correlation id.
pub type Asked = (i16, i16, i32);

impl Conversation {
    /// The next request, or `None` when the client has closed.
    pub fn request(&mut self) -> Option<Asked> {
        self.request_with_body().map(|(asked, _)| asked)
    }

    /// The next request with its body, or `None` when the client has closed.
    pub fn request_with_body(&mut self) -> Option<(Asked, Bytes)> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
        self.stream.read_exact(&mut frame).ok()?;
        let mut body = Bytes::from(frame);
        let header = take_header(&mut body).expect("a header");
        Some(((header.api_key, header.api_version, header.correlation_id), body))
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Answers with a response frame.
    pub fn answer(&mut self, (key, version, correlation_id): Asked, response: &impl Encodable) {
        let mut body = BytesMut::new();
        response.encode(&mut body, version).expect("encodes");
        let flexible = ApiKey::try_from(key).expect("known").response_header_version(version) > 0;
        let mut out = Vec::new();
        let start = ResponseHead { correlation_id, flexible }.begin(&mut out);
        out.extend_from_slice(&body);
        finish(&mut out, start, 0);
        self.send(&out);
    }

    /// Answers as a broker that serves a few APIs and is the only one of its cluster, until `other` is asked for.
    pub fn until_other(&mut self) -> Option<Asked> {
        loop {
            let asked = self.request()?;
            match ApiKey::try_from(asked.0).expect("known") {
                ApiKey::ApiVersions => self.answer(asked, &versions()),
                ApiKey::Metadata => self.answer(asked, &metadata(self.port)),
                _ => return Some(asked),
            }
        }
    }
}

pub fn versions() -> ApiVersionsResponse {
    let api = |key: ApiKey, low, high| {
        ApiVersion::default().with_api_key(key as i16).with_min_version(low).with_max_version(high)
    };
    ApiVersionsResponse::default().with_api_keys(vec![
        api(ApiKey::ApiVersions, 0, 3),
        api(ApiKey::Metadata, 0, 12),
        api(ApiKey::ListOffsets, 1, 7),
        api(ApiKey::InitProducerId, 0, 4),
    ])
}

/// [`versions`] with one API more.
pub fn versions_and(key: ApiKey, low: i16, high: i16) -> ApiVersionsResponse {
    let mut versions = versions();
    versions.api_keys.push(ApiVersion::default().with_api_key(key as i16).with_min_version(low).with_max_version(high));
    versions
}

/// Metadata of a topic whose only partition broker 1 leads.
pub fn topic_metadata(name: TopicName, id: Uuid) -> MetadataResponseTopic {
    let partition = MetadataResponsePartition::default().with_leader_id(BrokerId(1));
    MetadataResponseTopic::default().with_name(Some(name)).with_topic_id(id).with_partitions(vec![partition])
}

pub fn metadata(port: u16) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(1))
        .with_host(StrBytes::from_static_str("127.0.0.1"))
        .with_port(i32::from(port));
    MetadataResponse::default().with_brokers(vec![broker]).with_controller_id(BrokerId(1))
}

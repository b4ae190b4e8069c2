//! A real engine on a free port, and a client that speaks raw frames over `kafka-protocol`'s messages.
#![allow(dead_code)]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    ApiKey, FetchRequest, FetchResponse, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use odradek_core::engine::{BrokerInfo, ControlRequest, Engine, PartitionInfo, TopicInfo};
use odradek_core::record::batch::{BatchHeader, HEADER_BYTES};
use odradek_core::record::builder::{BatchBuilder, BatchOptions};
use odradek_core::record::reader::Records;
use tempfile::TempDir;
use uuid::Uuid;

/// Long enough that only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Broker {
    pub engine: Arc<Engine>,
    pub port: u16,
    pub dir: TempDir,
}

impl Broker {
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_with(settings, |settings| Engine::open(settings).expect("opens"))
    }

    pub fn start_with(settings: &[(&str, &str)], open: impl FnOnce(&HashMap<String, String>) -> Engine) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut all = HashMap::from([
            ("log.dirs".to_owned(), dir.path().to_string_lossy().into_owned()),
            ("node.id".to_owned(), "1".to_owned()),
        ]);
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let engine = Arc::new(open(&all));
        let port = engine.bind("127.0.0.1", 0).expect("binds");
        let me = BrokerInfo { node_id: 1, host: "127.0.0.1".to_owned(), port: i32::from(port), rack: None };
        engine.publish_brokers(vec![me], 1);
        engine.start().expect("starts");
        Self { engine, port, dir }
    }

    /// Makes a topic as Python would; its id is told by its name.
    pub fn create(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) -> Uuid {
        let id = topic_id(topic);
        let config = config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let wanted: Vec<_> = (0..partitions).map(|index| (index, 0, 1)).collect();
        self.engine.host_partitions(topic, id, &config, &wanted).expect("hosts");
        self.engine.publish_topics(vec![TopicInfo {
            name: Arc::from(topic),
            id,
            internal: false,
            partitions: (0..partitions).map(partition_info).collect(),
        }]);
        id
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    /// Waits, as Python's loop would, until a request is there; takes one.
    pub fn take_request(&self) -> ControlRequest {
        wait_readable(self.engine.control_doorbell());
        self.engine.take_requests(1).pop().expect("a request")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // A test that made the disk fail has a directory that can't be closed cleanly.
        let _ = self.engine.close();
    }
}

/// Blocks until the descriptor is readable.
pub fn wait_readable(fd: BorrowedFd<'_>) {
    let mut polled = [rustix::event::PollFd::from_borrowed_fd(fd, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
    let ready = rustix::event::poll(&mut polled, Some(&patience)).expect("poll");
    assert_eq!(ready, 1, "nothing became readable");
}

pub fn topic_id(topic: &str) -> Uuid {
    Uuid::from_u128(topic.bytes().fold(7_u128, |id, byte| id.wrapping_mul(131) + u128::from(byte)))
}

fn partition_info(index: i32) -> PartitionInfo {
    PartitionInfo { index, leader: 1, leader_epoch: 0, replicas: vec![1], isr: vec![1], offline: vec![] }
}

pub struct Client {
    pub stream: TcpStream,
    next_id: i32,
}

impl Client {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_nodelay(true).expect("set");
        Self { stream, next_id: 1 }
    }

    /// Sends without waiting; returns the correlation id.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let id = self.next_id;
        self.next_id += 1;
        self.send_raw(&frame(id, version, request));
        id
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("writes");
    }

    /// One response frame without its length, or `None` when the broker closed.
    pub fn receive_raw(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        match self.stream.read(&mut length) {
            Ok(0) => return None,
            Ok(read) => self.stream.read_exact(&mut length[read..]).expect("reads"),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("no answer: {error}"),
        }
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("length")];
        self.stream.read_exact(&mut frame).expect("reads");
        Some(Bytes::from(frame))
    }

    pub fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let mut frame = self.receive_raw().expect("an answer");
        let header_version = <R::Response as HeaderVersion>::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version).expect("header");
        let response = R::Response::decode(&mut frame, version).expect("response");
        assert!(frame.is_empty(), "bytes after the response");
        (header.correlation_id, response)
    }

    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let id = self.send(version, request);
        let (answered, response) = self.receive::<R>(version);
        assert_eq!(answered, id);
        response
    }

    /// Produces one batch; returns the partition's answer.
    pub fn produce(&mut self, topic: &str, index: i32, records: Vec<u8>) -> PartitionProduceResponse {
        let response: ProduceResponse = self.call(9, &produce_request(topic, index, records, -1));
        response.responses[0].partition_responses[0].clone()
    }

    pub fn assert_closed(&mut self) {
        assert!(self.receive_raw().is_none(), "the broker answered instead of closing");
    }
}

pub fn frame<R: Request>(correlation_id: i32, version: i16, request: &R) -> Vec<u8> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    let mut body = BytesMut::new();
    let key = ApiKey::try_from(R::KEY).expect("known key");
    header.encode(&mut body, key.request_header_version(version)).expect("header");
    request.encode(&mut body, version).expect("request");
    let mut out = i32::try_from(body.len()).expect("size").to_be_bytes().to_vec();
    out.extend_from_slice(&body);
    out
}

pub fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// A batch of records with the given values, stamped from 1,000 ms on, 1 ms apart.
pub fn batch(values: &[&[u8]]) -> Vec<u8> {
    batch_with(BatchOptions::default(), 1_700_000_000_000, values)
}

pub fn batch_with(options: BatchOptions, first_timestamp_ms: i64, values: &[&[u8]]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for (at, value) in values.iter().enumerate() {
        builder.push(first_timestamp_ms + at as i64, None, Some(value), [].into_iter()).expect("fits");
    }
    builder.finish().expect("a batch")
}

pub fn produce_request(topic: &str, index: i32, records: Vec<u8>, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(index).with_records(Some(Bytes::from(records)));
    ProduceRequest::default().with_acks(acks).with_timeout_ms(10_000).with_topic_data(vec![
        TopicProduceData::default()
            .with_name(name(topic))
            .with_topic_id(topic_id(topic))
            .with_partition_data(vec![data]),
    ])
}

/// A Fetch of partitions (index, offset) of one topic; change what matters.
pub fn fetch_request(topic: &str, partitions: &[(i32, i64)]) -> FetchRequest {
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![fetch_topic(topic, partitions)])
}

pub fn fetch_topic(topic: &str, partitions: &[(i32, i64)]) -> FetchTopic {
    let partitions = partitions.iter().map(|&(index, offset)| {
        FetchPartition::default().with_partition(index).with_fetch_offset(offset).with_partition_max_bytes(1 << 20)
    });
    FetchTopic::default().with_topic(name(topic)).with_topic_id(topic_id(topic)).with_partitions(partitions.collect())
}

/// (partition, error, bytes of records) of each partition in an answer.
pub fn fetched(response: &FetchResponse) -> Vec<(i32, i16, usize)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|partition| {
            let length = partition.records.as_ref().map_or(0, Bytes::len);
            (partition.partition_index, partition.error_code, length)
        })
        .collect()
}

/// (offset, value) of all records in a run of uncompressed batches.
pub fn records(bytes: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest).expect("a whole batch");
        let payload = &rest[HEADER_BYTES..header.size()];
        for record in Records::new(payload, header.record_count).expect("a count") {
            let record = record.expect("a record");
            let offset = header.base_offset + i64::from(record.offset_delta);
            found.push((offset, record.value.unwrap_or_default().to_vec()));
        }
        rest = &rest[header.size()..];
    }
    found
}

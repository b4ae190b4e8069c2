//! The data path without Python, for profiling: `serve DIR PORT [TOPIC=PARTITIONS ...] [key=value ...]` until killed.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use odradek_core::engine::{BrokerInfo, Engine, PartitionInfo, TopicInfo};
use uuid::Uuid;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(port)) = (arguments.next(), arguments.next()) else {
        return Err("usage: serve DIR PORT [TOPIC=PARTITIONS ...] [setting.name=value ...]".into());
    };
    let mut settings = HashMap::from([("log.dirs".to_owned(), dir), ("node.id".to_owned(), "1".to_owned())]);
    let mut topics = Vec::new();
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or("arguments are name=value")?;
        match value.parse::<i32>() {
            Ok(partitions) if !name.contains('.') => topics.push((name.to_owned(), partitions)),
            _ => drop(settings.insert(name.to_owned(), value.to_owned())),
        }
    }
    let engine = Engine::open(&settings)?;
    let port = engine.bind("127.0.0.1", port.parse()?)?;
    let me = BrokerInfo { node_id: 1, host: "127.0.0.1".to_owned(), port: i32::from(port), rack: None };
    engine.publish_brokers(vec![me], 1);
    for (at, (name, partitions)) in (1..).zip(topics) {
        let id = Uuid::from_u128(at);
        let hosted: Vec<_> = (0..partitions).map(|index| (index, 0, 1)).collect();
        engine.host_partitions(&name, id, &HashMap::new(), &hosted)?;
        let info = |index| PartitionInfo {
            index,
            leader: 1,
            leader_epoch: 0,
            replicas: vec![1],
            isr: vec![1],
            offline: vec![],
        };
        let partitions = (0..partitions).map(info).collect();
        engine.publish_topics(vec![TopicInfo { name: Arc::from(name.as_str()), id, internal: false, partitions }]);
    }
    engine.start()?;
    println!("ready on 127.0.0.1:{port}");
    loop {
        std::thread::park();
    }
}

//! A disk that fails under the server: clients hear 56, Python hears once, nothing is acknowledged any more.

mod net_support;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;

use net_support::{Broker, batch, fetch_request, fetched, records, wait_readable};
use odradek_core::clock::SystemClock;
use odradek_core::engine::Engine;
use odradek_core::fs::faulty::{FaultyFileSystem, Operation};

fn start(fs: &FaultyFileSystem) -> Broker {
    Broker::start_with(&[], |settings: &HashMap<String, String>| {
        Engine::open_with(settings, Arc::new(fs.clone()), Arc::new(SystemClock)).expect("opens")
    })
}

#[test]
fn large_answers_come_whole_from_files_without_a_descriptor() {
    let broker = start(&FaultyFileSystem::new());
    broker.create("orders", 1, &[("max.message.bytes", "4000000")]);
    let mut client = broker.connect();
    let value = vec![b'x'; 3_000_000];
    assert_eq!(client.produce("orders", 0, batch(&[&value])).error_code, 0);
    let response = client.call(12, &fetch_request("orders", &[(0, 0)]));
    assert_eq!(records(response.responses[0].partitions[0].records.as_deref().expect("records")), [(0, value)]);
}

#[test]
fn a_failed_write_is_56_for_clients_and_one_event_for_python() {
    let fs = FaultyFileSystem::new();
    let broker = start(&fs);
    broker.create("orders", 2, &[]);
    let mut client = broker.connect();
    assert_eq!(client.produce("orders", 0, batch(&[b"kept"])).error_code, 0);
    fs.fail_after(Operation::Write, 0, ErrorKind::StorageFull);
    for index in [0, 0, 1] {
        let answer = client.produce("orders", index, batch(&[b"lost"]));
        assert_eq!((answer.error_code, answer.base_offset), (56, -1));
    }
    fs.heal();
    assert_eq!(client.produce("orders", 1, batch(&[b"lost"])).error_code, 56, "offline until a restart");
    assert_eq!(fetched(&client.call(12, &fetch_request("orders", &[(0, 0)]))), [(0, 56, 0)]);
    wait_readable(broker.engine.control_doorbell());
    let events = broker.engine.take_events();
    assert_eq!(events.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["log_dir_offline"]);
    assert!(broker.engine.take_events().is_empty());
}

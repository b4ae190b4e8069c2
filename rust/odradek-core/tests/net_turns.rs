//! Who is served first on an I/O thread to which many have written at once.

mod net_support;

use std::sync::Arc;
use std::thread;

use kafka_protocol::messages::{HeartbeatRequest, ProduceRequest};
use net_support::{Broker, Client, batch, fetch_request, produce_request, records};
use odradek_core::clock::{Clock, SystemClock};
use odradek_core::engine::Engine;
use odradek_core::fs::DiskFileSystem;
use parking_lot::{Condvar, Mutex};

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Gate {
    #[default]
    Open,
    Shut,
    /// Shut, and the I/O thread stands before it.
    Reached,
}

/// A clock before which the I/O thread stands still, in the middle of an append, for as long as a test likes.
#[derive(Default)]
struct GatedClock {
    gate: Mutex<Gate>,
    moved: Condvar,
}

impl GatedClock {
    fn set(&self, gate: Gate) {
        *self.gate.lock() = gate;
        self.moved.notify_all();
    }

    fn wait_until_reached(&self) {
        let mut gate = self.gate.lock();
        while *gate != Gate::Reached {
            self.moved.wait(&mut gate);
        }
    }
}

impl Clock for GatedClock {
    fn now_ms(&self) -> i64 {
        if thread::current().name().is_some_and(|name| name.starts_with("odradek-io")) {
            let mut gate = self.gate.lock();
            while *gate != Gate::Open {
                *gate = Gate::Reached;
                self.moved.notify_all();
                self.moved.wait(&mut gate);
            }
        }
        SystemClock.now_ms()
    }
}

/// More than a ration lets through.
const ASKERS: usize = 60;
/// How many of them may be read on what is left of a ration.
const RATION: usize = 32;

fn produce(client: &mut Client, value: &[u8]) {
    client.send(9, &produce_request("t", 0, batch(&[value]), 1));
}

/// The values of a topic's first partition in the order that they were stored in.
fn stored(client: &mut Client) -> Vec<Vec<u8>> {
    let response = client.call(12, &fetch_request("t", &[(0, 0)]));
    let data = response.responses[0].partitions[0].records.clone().expect("records");
    records(&data).into_iter().map(|(_, value)| value).collect()
}

#[test]
fn a_connection_with_data_is_read_before_many_that_asked_for_other_things() {
    let clock = Arc::new(GatedClock::default());
    let broker = Broker::start_with(&[("num.network.threads", "1")], |settings| {
        Engine::open_with(settings, Arc::new(DiskFileSystem), Arc::clone(&clock) as Arc<dyn Clock>).expect("opens")
    });
    broker.create("t", 1, &[]);
    broker.engine.publish_apis(&[(12, 0, 4)]);
    broker.engine.settle_group(String::new(), 0, vec![(String::new(), None)], 0);
    let (mut first, mut data) = (broker.connect(), broker.connect());
    data.call(9, &produce_request("t", 0, batch(&[b"before"]), 1));
    let mut askers: Vec<Client> = (0..ASKERS).map(|_| broker.connect()).collect();
    for asker in &mut askers {
        for _ in 0..4 {
            assert_eq!(asker.call(4, &HeartbeatRequest::default()).error_code, 0);
        }
    }
    clock.set(Gate::Shut);
    produce(&mut first, b"first");
    clock.wait_until_reached();
    // All of these are there when the I/O thread looks next, the one with data last. What the askers send is data as well, so
    // that the log tells the order; nobody can know that before it is read.
    for asker in &mut askers {
        produce(asker, b"asker");
    }
    produce(&mut data, b"data");
    clock.set(Gate::Open);
    for client in askers.iter_mut().chain([&mut first, &mut data]) {
        client.receive::<ProduceRequest>(9);
    }
    let stored = stored(&mut data);
    assert_eq!(stored.len(), ASKERS + 3);
    let place = stored.iter().position(|value| value == b"data").expect("stored");
    assert!(place <= 2 + RATION, "{place} were served before");
}

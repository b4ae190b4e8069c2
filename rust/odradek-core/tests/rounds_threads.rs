//! Members on threads of their own rebalance again and again: no request that is kept waits for a ring that never comes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use odradek_core::net::rounds::{Awaited, Kept, Rounds};
use odradek_core::wire::join_group::JoinRequest;

const MEMBERS: u64 = 8;
const ROUNDS: usize = 300;
/// Long enough that only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

fn id(number: u64) -> String {
    format!("member {number}")
}

/// Joins as often as there are rounds, each time when the last join is answered; its number is its token.
fn join_again_and_again(rounds: &Rounds, number: u64, ring: &Sender<()>, answers: &Receiver<()>) {
    let member = id(number);
    let request = JoinRequest {
        group: "g",
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member: &member,
        instance: None,
        protocol_type: "consumer",
        protocols: vec![],
    };
    let kept =
        || Kept { token: number, api_version: 5, client_id: None, peer_host: Arc::default(), body: Bytes::new() };
    for _ in 0..ROUNDS {
        if rounds.keep_join(&request, kept).expect("is kept") {
            ring.send(()).expect("somebody listens");
        }
        answers.recv_timeout(PATIENCE).expect("an answer");
    }
}

/// What Python does: a stable group waits for the first join, one that prepares a rebalance for all the others.
fn coordinate(rounds: &Rounds, ring: &Sender<()>, rings: &Receiver<()>, answers: &HashMap<u64, Sender<()>>) -> usize {
    let (mut waiting, mut completed, mut rung) = (Vec::new(), 0, 0);
    while completed < ROUNDS {
        rings.recv_timeout(PATIENCE).expect("a ring");
        rung += 1;
        waiting.extend(rounds.take("g").joins.iter().map(|kept| kept.token));
        let is_complete = waiting.len() == answers.len();
        let others = answers.keys().filter(|number| !is_complete && !waiting.is_empty() && !waiting.contains(number));
        let joins_of = others.map(|number| id(*number)).collect();
        if rounds.gather("g", Awaited { generation: 1, protocol: None, joins_of, sync_of: None }) {
            ring.send(()).expect("this thread listens");
        }
        if is_complete {
            completed += 1;
            waiting.drain(..).for_each(|number| answers[&number].send(()).expect("the member listens"));
        }
    }
    rung
}

#[test]
fn every_join_is_taken_whatever_the_threads_do_meanwhile() {
    let rounds = Rounds::default();
    let members = (0..MEMBERS).map(|number| (id(number), None, vec![])).collect();
    assert!(!rounds.know("g".to_owned(), "consumer".to_owned(), members));
    assert!(!rounds.gather("g", Awaited::default()));
    let (ring, rings) = channel();
    thread::scope(|scope| {
        let mut answers = HashMap::new();
        for number in 0..MEMBERS {
            let (answer, answered) = channel();
            answers.insert(number, answer);
            let (rounds, ring) = (&rounds, ring.clone());
            scope.spawn(move || join_again_and_again(rounds, number, &ring, &answered));
        }
        let rung = coordinate(&rounds, &ring, &rings, &answers);
        assert!(rung <= ROUNDS * MEMBERS as usize, "{rung} rings");
    });
    let left = rounds.forget("g");
    assert!(left.joins.is_empty() && left.syncs.is_empty());
}

//! JoinGroup and SyncGroup are read in place as the codec has them, or not at all.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{GroupId, JoinGroupRequest, SyncGroupRequest};
use kafka_protocol::protocol::{Encodable, StrBytes};
use odradek_core::wire::{join_group, sync_group};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

type Blobs = Vec<(String, Vec<u8>)>;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn encoded(message: &impl Encodable, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes, version).expect("encodes");
    bytes
}

fn borrowed(blobs: &Blobs) -> Vec<(&str, &[u8])> {
    blobs.iter().map(|(name, blob)| (&**name, &**blob)).collect()
}

fn join(version: i16, names: [&str; 3], instance: Option<&str>, protocols: &Blobs) -> JoinGroupRequest {
    let protocol = |(name, metadata): &(String, Vec<u8>)| {
        JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(Bytes::copy_from_slice(metadata))
    };
    let [group, member, protocol_type] = names.map(text);
    JoinGroupRequest::default()
        .with_group_id(GroupId(group))
        .with_session_timeout_ms(45_000)
        .with_rebalance_timeout_ms(if version >= 1 { 300_000 } else { -1 })
        .with_member_id(member)
        .with_group_instance_id(instance.filter(|_| version >= 5).map(text))
        .with_protocol_type(protocol_type)
        .with_protocols(protocols.iter().map(protocol).collect())
        .with_reason((version >= 8).then(|| text("because")))
}

fn sync(version: i16, names: [&str; 3], options: [Option<&str>; 2], assignments: &Blobs) -> SyncGroupRequest {
    let assignment = |(member, assignment): &(String, Vec<u8>)| {
        let assignment = Bytes::copy_from_slice(assignment);
        SyncGroupRequestAssignment::default().with_member_id(text(member)).with_assignment(assignment)
    };
    let [group, member, protocol_type] = names.map(text);
    let [instance, protocol] = options;
    SyncGroupRequest::default()
        .with_group_id(GroupId(group))
        .with_generation_id(7)
        .with_member_id(member)
        .with_group_instance_id(instance.filter(|_| version >= 3).map(text))
        .with_protocol_type((version >= 5).then_some(protocol_type))
        .with_protocol_name(protocol.filter(|_| version >= 5).map(text))
        .with_assignments(assignments.iter().map(assignment).collect())
}

fn plain_join(version: i16) -> JoinGroupRequest {
    let protocols = vec![("range".to_owned(), b"meta".to_vec()), ("sticky".to_owned(), vec![])];
    join(version, ["g", "m", "consumer"], Some("i"), &protocols)
}

fn plain_sync(version: i16) -> SyncGroupRequest {
    let assignments = vec![("m".to_owned(), b"mine".to_vec()), ("n".to_owned(), vec![])];
    sync(version, ["g", "m", "consumer"], [Some("i"), Some("range")], &assignments)
}

fn blobs() -> impl Strategy<Value = Blobs> {
    vec((".{0,200}", vec(any::<u8>(), 0..300)), 0..40)
}

proptest! {
    #[test]
    fn a_join_is_read_as_the_codec_has_it(
        version in 0..=9_i16, group in ".{0,200}", member in ".{0,20}", instance in option::of(".{0,20}"),
        protocol_type in ".{0,20}", protocols in blobs(),
    ) {
        let bytes = encoded(&join(version, [&group, &member, &protocol_type], instance.as_deref(), &protocols), version);
        let expected = join_group::JoinRequest {
            group: &group,
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: if version >= 1 { 300_000 } else { 45_000 },
            member: &member,
            instance: instance.as_deref().filter(|_| version >= 5),
            protocol_type: &protocol_type,
            protocols: borrowed(&protocols),
        };
        prop_assert_eq!(join_group::read(version, &bytes), Some(expected));
    }

    #[test]
    fn a_sync_is_read_as_the_codec_has_it(
        version in 0..=5_i16, group in ".{0,200}", member in ".{0,20}", instance in option::of(".{0,20}"),
        protocol_type in ".{0,20}", protocol in option::of(".{0,20}"), assignments in blobs(),
    ) {
        let options = [instance.as_deref(), protocol.as_deref()];
        let bytes = encoded(&sync(version, [&group, &member, &protocol_type], options, &assignments), version);
        let expected = sync_group::SyncRequest {
            group: &group,
            generation: 7,
            member: &member,
            instance: instance.as_deref().filter(|_| version >= 3),
            protocol_type: (version >= 5).then_some(&*protocol_type),
            protocol: protocol.as_deref().filter(|_| version >= 5),
            assignments: borrowed(&assignments),
        };
        prop_assert_eq!(sync_group::read(version, &bytes), Some(expected));
    }

    #[test]
    fn any_bytes_are_read_without_harm(version in -1..=12_i16, bytes in vec(any::<u8>(), 0..200)) {
        let _ = join_group::read(version, &bytes);
        let _ = sync_group::read(version, &bytes);
    }

    #[test]
    fn any_changes_of_bytes_are_read_without_harm(
        version in 0..=9_i16, changes in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let changed = |mut bytes: Vec<u8>| {
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes
        };
        let _ = join_group::read(version, &changed(encoded(&plain_join(version), version)));
        let _ = sync_group::read(version.min(5), &changed(encoded(&plain_sync(version.min(5)), version.min(5))));
    }
}

#[test]
fn no_part_of_a_request_and_nothing_longer_is_one() {
    for version in 0..=9 {
        let mut bytes = encoded(&plain_join(version), version);
        assert!(join_group::read(version, &bytes).is_some(), "version {version}");
        for end in 0..bytes.len() {
            assert_eq!(join_group::read(version, &bytes[..end]), None, "version {version} up to {end}");
        }
        bytes.push(0);
        assert_eq!(join_group::read(version, &bytes), None, "version {version}");
    }
    for version in 0..=5 {
        let mut bytes = encoded(&plain_sync(version), version);
        assert!(sync_group::read(version, &bytes).is_some(), "version {version}");
        for end in 0..bytes.len() {
            assert_eq!(sync_group::read(version, &bytes[..end]), None, "version {version} up to {end}");
        }
        bytes.push(0);
        assert_eq!(sync_group::read(version, &bytes), None, "version {version}");
    }
}

#[test]
fn versions_that_nobody_knows_are_not_read() {
    let (join, sync) = (encoded(&plain_join(9), 9), encoded(&plain_sync(5), 5));
    for version in [-1, 10, i16::MIN, i16::MAX] {
        assert_eq!(join_group::read(version, &join), None, "version {version}");
    }
    for version in [-1, 6, i16::MIN, i16::MAX] {
        assert_eq!(sync_group::read(version, &sync), None, "version {version}");
    }
}

#[test]
fn tagged_fields_are_left_to_python() {
    let tag = || Bytes::from_static(b"from the future");
    for version in 6..=9 {
        let request = plain_join(version);
        let mut inner = request.clone();
        inner.protocols[1].unknown_tagged_fields.insert(9, tag());
        for tagged in [request.with_unknown_tagged_field(9, tag()), inner] {
            assert_eq!(join_group::read(version, &encoded(&tagged, version)), None, "version {version}");
        }
    }
    for version in 4..=5 {
        let request = plain_sync(version);
        let mut inner = request.clone();
        inner.assignments[1].unknown_tagged_fields.insert(9, tag());
        for tagged in [request.with_unknown_tagged_field(9, tag()), inner] {
            assert_eq!(sync_group::read(version, &encoded(&tagged, version)), None, "version {version}");
        }
    }
}

/// A body of JoinGroup 9 with the given bytes in place of the group, of the array of protocols, and of the reason.
fn join_9(group: &[u8], protocols: &[u8], reason: &[u8]) -> Vec<u8> {
    let timeouts = [0, 0, 0, 1, 0, 0, 0, 2];
    [group, &timeouts, &[2, b'm', 0, 2, b'c'], protocols, reason, &[0]].concat()
}

#[test]
fn lengths_that_lie_and_what_is_no_text_are_not_read() {
    let (group, protocols, reason): (&[u8], &[u8], &[u8]) = (&[2, b'g'], &[2, 2, b'r', 2, b'x', 0], &[0]);
    assert!(join_group::read(9, &join_9(group, protocols, reason)).is_some());
    assert!(join_group::read(9, &join_9(&[0x82, 0, b'g'], protocols, reason)).is_some(), "longer than need be");
    for group in [
        &[0][..],                                 // null
        &[2, 0xff],                               // no UTF-8
        &[3, 0xc3],                               // cut UTF-8
        &[0x82, 0x80, 0x80, 0x80, 0x80, 0, b'g'], // six bytes of length
        &[0xff, 0xff, 0xff, 0xff, 0x0f, b'g'],    // 4 GiB
        &[0xff, 0xff, 0xff, 0xff, 0x7f, b'g'],    // more than 32 bits
    ] {
        assert_eq!(join_group::read(9, &join_9(group, protocols, reason)), None, "{group:?}");
    }
    for protocols in [
        &[0][..],                                       // a null array
        &[3, 2, b'r', 2, b'x', 0],                      // one more than there are
        &[0xff, 0xff, 0xff, 0xff, 0x0f],                // 4 Gi of them
        &[2, 0, 2, b'x', 0],                            // a null name
        &[2, 2, b'r', 0, 0],                            // null metadata
        &[2, 2, b'r', 0xff, 0xff, 0xff, 0xff, 0x0f, 0], // 4 GiB of metadata
    ] {
        assert_eq!(join_group::read(9, &join_9(group, protocols, reason)), None, "{protocols:?}");
    }
    assert_eq!(join_group::read(9, &join_9(group, protocols, &[2, 0xff])), None, "no UTF-8");
    for (group, count) in [([0xff, 0xff], 0), ([0x80, 0], 0), ([0, 0], -1), ([0, 0], i32::MIN), ([0, 0], i32::MAX)] {
        // SyncGroup 0: group, generation, member, count.
        let body = [&group[..], &[0, 0, 0, 7, 0, 0], &i32::to_be_bytes(count)].concat();
        assert_eq!(sync_group::read(0, &body), None, "{group:?} {count}");
    }
    let long = text(&"x".repeat(usize::from(i16::MAX.unsigned_abs()) + 1));
    assert_eq!(
        sync_group::read(5, &encoded(&plain_sync(5).with_member_id(long), 5)),
        None,
        "longer than a string may be"
    );
}

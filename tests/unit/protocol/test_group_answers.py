"""The answers of a rebalance that are encoded by hand are kio's, byte for byte, in every version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odradek.broker.handlers import join_group, sync_group
from odradek.errors import ErrorCode
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import encode, schema
from odradek.protocol.group_answers import join_group_answer, sync_group_answer

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
blobs = st.binary(max_size=300)
members = st.lists(st.tuples(texts, st.none() | texts, blobs), max_size=4)
codes = st.sampled_from(list(ErrorCode))
JOIN_VERSIONS = range(join_group.VERSIONS[0], join_group.VERSIONS[1] + 1)
SYNC_VERSIONS = range(sync_group.VERSIONS[0], sync_group.VERSIONS[1] + 1)


def kio_join(version, *, error, generation, protocol, members, **fields):
    m = schema(ApiKey.JOIN_GROUP, version)
    return encode(
        m.JoinGroupResponse(
            error_code=error,
            generation_id=generation,
            protocol_name=protocol if version >= 7 else protocol or "",
            members=tuple(
                m.JoinGroupResponseMember(member_id=one, group_instance_id=instance, metadata=blob)
                for one, instance, blob in members
            ),
            **fields,
        )
    )


@pytest.mark.parametrize("version", JOIN_VERSIONS)
@given(
    error=codes,
    generation=st.integers(-(2**31), 2**31 - 1),
    protocol_type=st.none() | texts,
    protocol=st.none() | texts,
    leader=texts,
    skip_assignment=st.booleans(),
    member_id=texts,
    members=members,
)
def test_a_join_group_answer_is_kios(version, **fields):
    assert join_group_answer(version, **fields) == kio_join(version, **fields)


@pytest.mark.parametrize("version", SYNC_VERSIONS)
@given(error=codes, protocol_type=st.none() | texts, protocol=st.none() | texts, assignment=blobs)
def test_a_sync_group_answer_is_kios(version, error, protocol_type, protocol, assignment):
    m = schema(ApiKey.SYNC_GROUP, version)
    expected = m.SyncGroupResponse(
        error_code=error, protocol_type=protocol_type, protocol_name=protocol, assignment=assignment
    )
    ours = sync_group_answer(
        version, error=error, protocol_type=protocol_type, protocol=protocol, assignment=assignment
    )
    assert ours == encode(expected)


@pytest.mark.parametrize("version", JOIN_VERSIONS)
@pytest.mark.parametrize("count", [126, 127, 128])
def test_the_members_of_large_groups_are_counted_as_kio_does(version, count):
    fields = {
        "error": ErrorCode.NONE,
        "generation": 1,
        "protocol_type": "consumer",
        "protocol": "range",
        "leader": "m",
        "skip_assignment": False,
        "member_id": "m",
        "members": [("m" * 130, None, b"x" * 20_000 if number == 0 else b"") for number in range(count)],
    }
    assert join_group_answer(version, **fields) == kio_join(version, **fields)

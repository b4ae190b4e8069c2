"""What every MetadataStore promises. A store joins by adding its opener to `OPENERS`."""

import asyncio

import pytest

from odradek.metadata.embedded import EmbeddedStore
from odradek.metadata.store import (
    BadVersionError,
    Check,
    Create,
    Delete,
    Node,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    SessionState,
    Set,
)

OPENERS = {"embedded": EmbeddedStore.open}


@pytest.fixture(params=OPENERS)
async def store(request, tmp_path):
    opened = await OPENERS[request.param](tmp_path)
    yield opened
    await opened.close()


async def test_a_created_node_reads_back_with_version_zero(store):
    await store.create("/a", b"1")
    assert await store.get("/a") == Node(b"1", 0)


async def test_a_missing_node_reads_as_none_and_has_no_children(store):
    assert await store.get("/a") is None
    assert await store.children("/a") == []


async def test_create_refuses_an_existing_node_and_keeps_its_value(store):
    await store.create("/a", b"1")
    with pytest.raises(NodeExistsError, match="/a"):
        await store.create("/a", b"2")
    assert await store.get("/a") == Node(b"1", 0)


async def test_create_refuses_a_node_without_a_parent(store):
    with pytest.raises(NoNodeError, match="/a"):
        await store.create("/a/b")
    assert await store.get("/a/b") is None


async def test_set_counts_the_version_up(store):
    await store.create("/a", b"1")
    await store.set("/a", b"2")
    await store.set("/a", b"3", version=1)
    assert await store.get("/a") == Node(b"3", 2)


async def test_set_refuses_a_version_that_is_not_the_node_s(store):
    await store.create("/a", b"1")
    await store.set("/a", b"2")
    with pytest.raises(BadVersionError, match="version is 1, expected 0"):
        await store.set("/a", b"3", version=0)
    assert await store.get("/a") == Node(b"2", 1)


async def test_of_many_writers_with_one_version_exactly_one_wins(store):
    await store.create("/a", b"0")
    results = await asyncio.gather(
        *(store.set("/a", str(n).encode(), version=0) for n in range(10)), return_exceptions=True
    )
    assert [type(result) for result in results if result is not None] == [BadVersionError] * 9
    assert (await store.get("/a")).version == 1


async def test_set_and_delete_refuse_a_missing_node(store):
    with pytest.raises(NoNodeError, match="/a"):
        await store.set("/a", b"")
    with pytest.raises(NoNodeError, match="/a"):
        await store.delete("/a")


async def test_delete_removes_a_leaf_and_refuses_a_parent(store):
    await store.create("/a")
    await store.create("/a/b")
    with pytest.raises(NotEmptyError, match="/a"):
        await store.delete("/a")
    await store.delete("/a/b")
    await store.delete("/a")
    assert await store.get("/a") is None


async def test_delete_refuses_a_version_that_is_not_the_node_s(store):
    await store.create("/a")
    with pytest.raises(BadVersionError):
        await store.delete("/a", version=3)
    assert await store.get("/a") is not None


async def test_children_are_names_in_order_and_only_direct_ones(store):
    for path in ("/a", "/a/c", "/a/b", "/a/b/d", "/ab"):
        await store.create(path)
    assert await store.children("/a") == ["b", "c"]
    assert await store.children("/") == ["a", "ab"]


async def test_subtree_reads_everything_below_parents_first(store):
    for path in ("/a", "/a/b", "/a/b/d", "/a/c", "/a-b", "/a0", "/ab"):
        await store.create(path, path.encode())
    below = await store.subtree("/a")
    assert sorted(path for path, _ in below) == ["/a/b", "/a/b/d", "/a/c"]
    paths = [path for path, _ in below]
    assert paths.index("/a/b") < paths.index("/a/b/d")
    assert all(node.value == path.encode() for path, node in below)
    assert len(await store.subtree("/")) == 7


async def test_multi_does_all_in_order(store):
    await store.multi([Create("/a", b"1"), Create("/a/b"), Set("/a", b"2"), Delete("/a/b"), Check("/a", 1)])
    assert await store.get("/a") == Node(b"2", 1)
    assert await store.children("/a") == []


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (Create("/there"), NodeExistsError),
        (Create("/no/b"), NoNodeError),
        (Set("/there", b"x", 7), BadVersionError),
        (Check("/there", 7), BadVersionError),
        (Check("/no"), NoNodeError),
        (Delete("/parent"), NotEmptyError),
    ],
)
async def test_multi_does_nothing_when_one_operation_fails(store, last, error):
    await store.multi([Create("/there", b"1"), Create("/parent"), Create("/parent/child")])
    with pytest.raises(error):
        await store.multi([Create("/new"), Set("/there", b"2"), last])
    assert await store.get("/new") is None
    assert await store.get("/there") == Node(b"1", 0)


async def test_names_may_hold_any_character_a_topic_name_may(store):
    await store.create("/t")
    for name in ("a.b-c_D9", "%", "it's", "é"):
        await store.create(f"/t/{name}")
    assert await store.children("/t") == sorted(["a.b-c_D9", "%", "it's", "é"])


async def test_watch_yields_what_changed_since_it_was_called(store):
    await store.create("/before")
    changes = store.watch()
    await store.multi([Create("/a"), Create("/a/b"), Check("/before")])
    assert await anext(changes) == {"/a", "/a/b"}
    await store.set("/before", b"x")
    await store.delete("/a/b")
    assert await anext(changes) == {"/before", "/a/b"}
    await changes.aclose()


async def test_watch_asks_for_a_resync_rather_than_grow_without_bound(store):
    changes = store.watch()
    await store.multi([Create(f"/n{n}") for n in range(10_001)])
    assert await anext(changes) is None
    await store.create("/after")
    assert await anext(changes) == {"/after"}
    await changes.aclose()


async def test_a_failed_write_is_not_a_change(store):
    changes = store.watch()
    with pytest.raises(NoNodeError):
        await store.multi([Create("/a"), Set("/no", b"")])
    await store.create("/b")
    assert await anext(changes) == {"/b"}
    await changes.aclose()


async def test_ephemeral_nodes_end_with_the_session_and_others_stay(store, tmp_path):
    await store.create("/stays", b"1")
    await store.create("/goes", ephemeral=True)
    assert store.session_state is SessionState.CONNECTED
    await store.close()
    await store.close()
    assert store.session_state is SessionState.LOST
    again = await type(store).open(tmp_path)
    assert await again.get("/goes") is None
    assert await again.get("/stays") == Node(b"1", 0)
    await again.close()

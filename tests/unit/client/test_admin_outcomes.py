"""What the admin client makes of answered error codes."""

import pytest

from odradek.client.admin.outcomes import check, refusal, settle_rows
from odradek.errors import ErrorCode, GroupIdNotFoundError, KafkaError, TopicAlreadyExistsError

EXISTS = int(ErrorCode.TOPIC_ALREADY_EXISTS)


def test_no_error_is_none_and_raises_nothing() -> None:
    assert refusal(0, "topic 'orders'") is None
    check(0, "topic 'orders'")


@pytest.mark.parametrize(
    ("theirs", "text"),
    [
        (None, f"topic 'orders': {ErrorCode.TOPIC_ALREADY_EXISTS.text}"),
        ("", f"topic 'orders': {ErrorCode.TOPIC_ALREADY_EXISTS.text}"),
        ("there is one", "topic 'orders': there is one"),
        ("Topic 'orders' already exists.", "Topic 'orders' already exists."),
    ],
)
def test_an_error_says_once_what_it_is_about(theirs: str | None, text: str) -> None:
    error = refusal(EXISTS, "topic 'orders'", theirs)
    assert isinstance(error, TopicAlreadyExistsError)
    assert str(error) == text
    with pytest.raises(TopicAlreadyExistsError):
        check(EXISTS, "topic 'orders'", theirs)


def test_a_code_from_the_future_is_an_error_of_the_server() -> None:
    error = refusal(31_999, "topic 'orders'")
    assert error is not None
    assert error.error_code == ErrorCode.UNKNOWN_SERVER_ERROR


def test_of_several_the_first_error_is_raised_with_all_errors_and_results() -> None:
    first = KafkaError.of(ErrorCode.GROUP_ID_NOT_FOUND, "group 'b': none")
    second = KafkaError.of(ErrorCode.NON_EMPTY_GROUP, "group 'c': full")
    with pytest.raises(GroupIdNotFoundError, match=r"group 'b': none; group 'c': full") as caught:
        settle_rows([("a", None, 1), ("b", first, 2), ("c", second, 3)])
    assert caught.value.results == {"a": 1}
    assert caught.value.errors == {"b": first, "c": second}
    assert settle_rows([("a", None, 1)]) == {"a": 1}

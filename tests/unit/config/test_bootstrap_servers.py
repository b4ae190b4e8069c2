"""`bootstrap_servers`: what is taken, and what is refused with which words."""

import pytest

from odradek.config.client import parse_bootstrap
from odradek.errors import ConfigError


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ("localhost:9092", (("localhost", 9092),)),
        ("a:1, b:2,", (("a", 1), ("b", 2))),
        (["a:1", " b:2 "], (("a", 1), ("b", 2))),
        (("a:1", "a:1"), (("a", 1),)),
        ("[::1]:9092", (("::1", 9092),)),
        ("10.0.0.1:65535,[fe80::1%eth0]:1", (("10.0.0.1", 65535), ("fe80::1%eth0", 1))),
    ],
)
def test_servers_are_host_and_port_each_once_in_order(servers, expected):
    assert parse_bootstrap(servers) == expected


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        ("localhost", r"'localhost' names no port; .* 'localhost:9092'"),
        (["a:1", "b"], "'b' names no port"),
        ("[::1]", r"'\[::1\]' names no port"),
        ("::1:9092", "put an IPv6 address in brackets"),
        ("http://h:80/", r"begins with http://; give 'h:80' alone"),
        ("PLAINTEXT://h:9092", "begins with PLAINTEXT://; give 'h:9092' alone"),
        ("h:0", "a port from 1 to 65535"),
        ("h:65536", "a port from 1 to 65535"),
        ("h:http", "a port from 1 to 65535"),
        ("h:", "a port from 1 to 65535"),
        (":9092", "the host is no name or address"),
        ("a b:9092", "the host is no name or address"),
        ("h/chroot:9092", "the host is no name or address"),
        ("[host]:9092", "brackets go round an IPv6 address only"),
        ("", "there is no server"),
        (" , ", "there is no server"),
        ([], "there is no server"),
        ([("h", 1)], "is not text"),
        (b"h:1", "neither text nor a sequence"),
        (9092, "neither text nor a sequence"),
        (None, "neither text nor a sequence"),
    ],
)
def test_what_is_no_server_is_refused_by_name(servers, told):
    with pytest.raises(ConfigError, match=told) as refusal:
        parse_bootstrap(servers)
    assert str(refusal.value).startswith("bootstrap_servers: ")

"""The memory holes of a default gRPC server: each one closed, each one tried."""
import socket
import struct
import threading

import grpc
import pytest

import harness
from sample import case, send

MIB = 1 << 20


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


class Peak:
    """The highest resident size of a process while the block runs."""

    def __init__(self, pid):
        self.pid, self.peak, self.before = pid, 0, rss(pid)
        self.stop = threading.Event()

    def watch(self):
        while not self.stop.wait(0.01):
            self.peak = max(self.peak, rss(self.pid))

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        self.thread.join()

    @property
    def grown(self):
        return max(self.peak, rss(self.pid)) - self.before


def raw_call(channel, body, compression=None, timeout=30):
    call = channel.unary_unary("/trien.v1.Issuance/SubmitBatch", request_serializer=None,
                               response_deserializer=None)
    return call(body, timeout=timeout, compression=compression)


def still_works(shared):
    answer = send(shared.stubs(), [case()])
    assert answer.accepted == 1


def test_a_300_mb_message_is_refused_within_the_quota(shared):
    channel = shared.channel(options=[("grpc.max_send_message_length", -1)])
    with Peak(shared.children()["engine"]) as p, pytest.raises(grpc.RpcError) as e:
        raw_call(channel, b"\x0a" + b"\0" * (300 * MIB), timeout=60)
    assert e.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE,
                              grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED)
    assert p.grown < (128 + 64) * MIB
    still_works(shared)


def test_a_gzip_bomb_is_not_inflated(shared):
    channel = shared.channel(options=[("grpc.max_send_message_length", -1)])
    with Peak(shared.children()["engine"]) as p, pytest.raises(grpc.RpcError) as e:
        raw_call(channel, bytes(200 * MIB), grpc.Compression.Gzip, timeout=60)
    assert e.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert p.grown < 32 * MIB
    still_works(shared)


def test_a_message_over_the_limit_says_so(shared):
    with pytest.raises(grpc.RpcError) as e:
        raw_call(shared.channel(options=[("grpc.max_send_message_length", -1)]), bytes(3 * MIB))
    assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    still_works(shared)


def test_objects_by_the_million_do_not_grow_it(shared):
    """2 MB of empty sub-messages: a million objects for a decoder that builds them."""
    body = b"\x0a\x00" * (MIB - 8)
    with Peak(shared.children()["engine"]) as p, pytest.raises(grpc.RpcError) as e:
        raw_call(shared.channel(options=[("grpc.max_send_message_length", -1)]), body)
    assert harness.details(e.value)["reason"] == "TOO_MANY"
    case_body = b"\x1a\x00" * 500_000           # half a million empty results in one case
    body = b"\x0a" + varint(len(case_body)) + case_body
    answer = harness.modules()["issuance"].SubmitBatchResponse.FromString(raw_call(
        shared.channel(), body))
    assert answer.rejects[0].reason == "TOO_LARGE"
    assert p.grown < 48 * MIB
    still_works(shared)


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def test_too_many_streams_wait_instead_of_growing(shared):
    """More streams than a connection may have: the rest queues at the client."""
    stub = shared.stubs().issuance
    hold = threading.Event()

    def quiet():
        hold.wait(20)
        return
        yield

    calls = [stub.SubmitStream(quiet(), timeout=30) for _ in range(400)]
    try:
        status = shared.stubs().operations.GetStatus(
            harness.modules()["operations"].GetStatusRequest(), timeout=20)
        assert status.numbering
    finally:
        hold.set()
        for c in calls:
            c.cancel()
    still_works(shared)


def test_a_second_server_cannot_share_the_port(shared):
    port = shared.port()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError):
            s.bind(("127.0.0.1", port))


def test_bytes_that_are_no_http2_end_only_their_connection(shared):
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 64,
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0xffffffff) * 64):
        with socket.create_connection(("127.0.0.1", shared.port()), 5) as s:
            s.settimeout(5)
            try:
                s.sendall(garbage)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    still_works(shared)


def test_headers_beyond_their_limit(shared):
    m = harness.modules()["operations"]
    with pytest.raises(grpc.RpcError):
        shared.stubs().operations.GetStatus(m.GetStatusRequest(), timeout=20,
                                            metadata=[("x-large", "y" * (64 << 10))])
    still_works(shared)


def test_a_slow_reader_costs_one_chunk(shared):
    """Downloads that nobody reads do not pile up in memory."""
    m = harness.modules()["repository"]
    stubs = shared.stubs()
    r = send(stubs, [case()]).receipts[0]
    shared.wait_stored(stubs, [r.result_id])
    with Peak(shared.children()["engine"]) as p:
        calls = [stubs.repository.DownloadResult(m.DownloadResultRequest(result_id=r.result_id),
                                                 timeout=30) for _ in range(100)]
        first = [next(iter(c)) for c in calls[:20]]
        for c in calls:
            c.cancel()
    assert all(f.file_size for f in first) and p.grown < 64 * MIB
    still_works(shared)


def test_a_flood_of_large_requests_stays_within_the_quota(shared):
    """Requests of 2 MB on many connections at once: refused or answered, never piled up."""
    body = b"\x0a\x00" * (MIB - 8)
    channels = [shared.channel(options=[("grpc.max_send_message_length", -1),
                                        ("grpc.use_local_subchannel_pool", 1)])
                for _ in range(8)]
    with Peak(shared.children()["engine"]) as p:
        calls = [c.unary_unary("/trien.v1.Issuance/SubmitBatch").future(body, timeout=60)
                 for c in channels for _ in range(40)]
        codes = {c.code() for c in calls}
    assert codes <= {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED,
                     grpc.StatusCode.UNAVAILABLE}
    assert p.grown < 2 * 128 * MIB and p.before + p.grown < 512 * MIB
    still_works(shared)

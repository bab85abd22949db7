"""SubmitStream: cumulative acknowledgements; WatchResults: every change, then the end."""
import threading

import grpc
import pytest

import harness
from sample import UNITS, case, send


def messages(groups, start=1, want_receipts=True):
    m = harness.modules()["issuance"]
    for i, cases in enumerate(groups):
        yield m.SubmitStreamRequest(client_seq=start + i, cases=cases, want_receipts=want_receipts)


def test_acks_are_cumulative_and_complete(shared, stubs):
    groups = [[case() for _ in range(20)] for _ in range(30)]
    acked, receipts = 0, []
    for answer in stubs.issuance.SubmitStream(messages(groups), timeout=60):
        assert answer.acked_through > acked
        acked = answer.acked_through
        receipts += answer.receipts
    assert acked == 30 and len(receipts) == 600 and answer.accepted == 600
    assert len({r.number for r in receipts}) == 600
    assert [r.case_code for r in receipts] == [c.code for g in groups for c in g]
    shared.wait_stored(stubs, [r.result_id for r in receipts])


def test_rejects_name_message_and_position(stubs):
    groups = [[case() for _ in range(3)] for _ in range(3)]
    groups[1][2].results[0].signer = "khong-co"
    rejects, last = [], None
    for last in stubs.issuance.SubmitStream(messages(groups, 100, False), timeout=30):
        rejects += last.rejects
        assert not last.receipts
    assert last.acked_through == 102 and last.accepted == 8
    assert [(r.client_seq, r.reject.index, r.reject.reason) for r in rejects] == [
        (101, 2, "SIGNER_UNKNOWN")]


def test_a_number_left_out_breaks_the_stream(stubs):
    m = harness.modules()["issuance"]

    def jump():
        yield m.SubmitStreamRequest(client_seq=5, cases=[case()])
        yield m.SubmitStreamRequest(client_seq=7, cases=[case()])

    with pytest.raises(grpc.RpcError) as e:
        list(stubs.issuance.SubmitStream(jump(), timeout=20))
    assert harness.details(e.value)["reason"] == "SEQUENCE_BROKEN"


def test_what_a_broken_stream_had_not_acknowledged_is_sent_again(shared, stubs):
    groups = [[case() for _ in range(10)] for _ in range(20)]
    stop = threading.Event()

    def slowly():
        for msg in messages(groups):
            if stop.is_set():
                return
            yield msg

    call = stubs.issuance.SubmitStream(slowly(), timeout=30)
    acked = next(iter(call)).acked_through
    stop.set()
    call.cancel()
    rest = groups[acked:]
    receipts = []
    for answer in stubs.issuance.SubmitStream(messages(rest, acked + 1), timeout=30):
        receipts += answer.receipts
    assert {r.case_code for r in receipts} == {c.code for g in rest for c in g}
    again = send(stubs, [c for g in groups for c in g], timeout=30)
    assert len(again.receipts) == 200 and all(r.duplicate for r in again.receipts)
    assert len({r.result_id for r in again.receipts}) == 200


def test_watch_by_case_ends_when_all_is_stored(stubs):
    m = harness.modules()["issuance"]
    c = case()
    c.results.add().CopyFrom(c.results[0])
    c.results[1].ordinal = 1
    send(stubs, [c])
    request = m.WatchResultsRequest(cases=[m.CaseName(unit=UNITS[0], code=c.code)])
    changes = list(stubs.issuance.WatchResults(request, timeout=30))
    assert {(x.ordinal, x.state) for x in changes} >= {(0, 6), (1, 6)}
    for ordinal in (0, 1):
        states = [x.state for x in changes if x.ordinal == ordinal]
        assert states == sorted(states) and states[-1] == 6
    assert all(x.number_text and x.case_code == c.code for x in changes)


def test_watch_by_id_and_unknown_ids(stubs):
    m = harness.modules()["issuance"]
    receipts = send(stubs, [case() for _ in range(50)]).receipts
    request = m.WatchResultsRequest(result_ids=[r.result_id for r in receipts])
    last = {}
    for change in stubs.issuance.WatchResults(request, timeout=30):
        last[change.result_id] = change.state
    assert last == {r.result_id: 6 for r in receipts}
    with pytest.raises(grpc.RpcError) as e:
        list(stubs.issuance.WatchResults(m.WatchResultsRequest(), timeout=10))
    assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_each_of_many_watches_gets_its_end(stubs):
    """Readers are few, wakes are many: no change may fall between two of them."""
    m = harness.modules()["issuance"]
    for _ in range(12):
        cases = [case() for _ in range(64)]
        for c in cases:
            c.results.add().CopyFrom(c.results[0])
            c.results[1].ordinal = 1
        watches = [stubs.issuance.WatchResults(m.WatchResultsRequest(
            cases=[m.CaseName(unit=UNITS[0], code=c.code)]), timeout=30) for c in cases]
        for i in range(0, 64, 4):
            send(stubs, cases[i:i + 4])
        for c, watch in zip(cases, watches):
            assert {(x.case_code, x.ordinal) for x in watch if x.state == 6} == {
                (c.code, 0), (c.code, 1)}

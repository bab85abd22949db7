"""One case, several results of several agencies: one submission, each result with its own state,
and the case shows which are done."""
import datetime
import json
import subprocess

import grpc
import pytest

import harness
from sample import SIGNER, UNITS, case, send

STORED, HELD, VOID = 6, 5, 10
VIETNAM = datetime.timezone(datetime.timedelta(hours=7))


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    e = harness.Engine(tmp_path_factory.mktemp("linked"))
    e.prepare().start()
    yield e
    e.kill()


def linked(n=3, **kw):
    """A case with n results: of the first agency, of the second, of the first again, …"""
    c = case(**kw)
    for i in range(1, n):
        r = c.results.add()
        r.CopyFrom(c.results[0])
        r.unit, r.ordinal = UNITS[i % 2], i
        r.signer = SIGNER[r.unit]
    return c


def get_case(stubs, code, unit=UNITS[0]):
    m = harness.modules()["repository"]
    return stubs.repository.GetCase(m.GetCaseRequest(unit=unit, code=code), timeout=20)


def refused(call):
    with pytest.raises(grpc.RpcError) as e:
        call()
    d = harness.details(e.value)
    return d["reason"], d["fields"]


def watch(stubs, code, unit):
    """The states of a case's results of one agency, until all are at their end."""
    m = harness.modules()["issuance"]
    return list(stubs.issuance.WatchResults(m.WatchResultsRequest(
        cases=[m.CaseName(unit=unit, code=code)]), timeout=30))


def states(answer):
    return {(r.unit, r.ordinal): r.state for r in answer.results}


@pytest.mark.parametrize("numbered", [True, False])
def test_one_submission_is_done_when_all_are(engine, numbered):
    """Of a child without a number, too, whose results lie in lanes of their own."""
    stubs = engine.stubs()
    c = linked(code=f"H99.LK-1.{int(numbered)}")
    if not numbered:
        c.holders[0].id_kind, c.holders[0].number = 0, ""
    answer = send(stubs, [c])
    assert answer.accepted == 1 and len(answer.receipts) == 3
    ids = {(r.unit, r.ordinal): r.result_id for r in answer.receipts}
    early = get_case(stubs, c.code)
    assert early.total == 3 and set(states(early)) == set(ids)
    for unit in UNITS:
        told = watch(stubs, c.code, unit)
        assert {t.result_id for t in told} == {i for (u, _), i in ids.items() if u == unit}
        assert {t.result_id for t in told if t.state == STORED} == {t.result_id for t in told}
    for unit in UNITS:
        done = get_case(stubs, c.code, unit)
        assert (done.total, done.stored, done.ended) == (3, 3, 0)
        assert {(r.unit, r.ordinal): r.result_id for r in done.results} == ids
        assert done.results[0].unit == unit and all(r.number_text for r in done.results)
    assert send(stubs, [c]).receipts[1].duplicate
    assert refused(lambda: get_case(stubs, "H99.LK-0")) == ("CASE_NOT_FOUND", ["code"])
    assert refused(lambda: get_case(stubs, "")) == ("ARGUMENT_INVALID", ["code"])
    assert refused(lambda: get_case(stubs, c.code, "")) == ("ARGUMENT_INVALID", ["unit"])


def test_one_wrong_result_refuses_the_whole_case(engine):
    stubs = engine.stubs()
    c = linked(code="H99.LK-2")
    c.results[2].signer = SIGNER[UNITS[1]]
    answer = send(stubs, [c])
    assert answer.accepted == 0 and answer.rejects[0].field.startswith("results[2]")
    assert refused(lambda: get_case(stubs, c.code))[0] == "CASE_NOT_FOUND"


def test_half_done(tmp_path):
    """One agency's key is over: the other's results are issued, its own is held, then void."""
    m = harness.modules()["operations"]
    with harness.Engine(tmp_path) as e:
        e.prepare()
        path = e.data / "certs" / "keys.json"
        doc = json.loads(path.read_text())
        for key in doc["keys"]:
            if key["role"] == "person" and key["unit"] == UNITS[1]:
                key["to"] = (datetime.date.today() - datetime.timedelta(days=3)).isoformat()
        path.write_text(json.dumps(doc))
        e.start()
        stubs = e.stubs()
        c = linked(code="H99.LK-3")
        send(stubs, [c])

        def settled():
            now = get_case(stubs, c.code, UNITS[1])
            return now.stored == 2 and HELD in states(now).values() and now

        now = harness.wait_for(settled)
        assert (now.total, now.stored, now.ended) == (3, 2, 0)
        held = next(r for r in now.results if r.state == HELD)
        assert held.unit == UNITS[1] and held.held_reason
        # Whoever may read one of the agencies sees where the others' stand, and no more.
        e.principals([{"name": "tester", "roles": ["read"], "units": [UNITS[0]]}])
        e.hup()
        seen = get_case(stubs, c.code)
        assert states(seen) == states(now)
        assert [bool(r.result_id) for r in seen.results] == [r.unit == UNITS[0]
                                                             for r in seen.results]
        assert not any(r.number_text for r in seen.results if r.unit != UNITS[0])
        assert refused(lambda: get_case(stubs, c.code, UNITS[1])) == ("UNIT_DENIED", ["unit"])
        e.prepare_principals()
        e.hup()
        sequence = stubs.operations.ListHeld(m.ListHeldRequest(), timeout=20).held[0].sequence
        stubs.operations.VoidHeld(m.VoidHeldRequest(sequence=sequence,
                                                    reason="Cơ quan đã giải thể"), timeout=20)
        e.kill()
        e.start(registers=False)
        stubs = e.stubs()
        for unit in UNITS:
            harness.wait_for(lambda: get_case(stubs, c.code, unit).ended == 1)
            end = get_case(stubs, c.code, unit)
            assert (end.total, end.stored, end.ended) == (3, 2, 1)
        assert [t.state for t in watch(stubs, c.code, UNITS[1])] == [VOID]


# ---- a birth: certificate, residence and health insurance card (Decree 63/2024) ----

BIRTH = ("ubnd-lac-xuan", "cong-an-lac-xuan", "bhxh-lac-xuan")
KINDS = ("giay-khai-sinh", "thong-bao-dang-ky-cu-tru", "the-bao-hiem-y-te")


def birth(engine, code):
    """As the sample has it, of a child that has no number yet."""
    path = harness.ROOT / "loadtest" / "cases" / "linked.jsonl"
    c = harness.as_case(path.read_text().splitlines()[0])
    c.code = code
    assert tuple((r.unit, r.kind) for r in c.results) == tuple(zip(BIRTH, KINDS))
    c.holders[0].id_kind, c.holders[0].number = 0, ""
    engine.open_for(c)
    return c


def test_a_birth_is_one_submission(engine, tmp_path):
    stubs = engine.stubs()
    m = harness.modules()
    c = birth(engine, "H99.LK-KS-1")
    watching = stubs.issuance.WatchResults(m["issuance"].WatchResultsRequest(
        cases=[m["issuance"].CaseName(unit=u, code=c.code) for u in BIRTH]), timeout=60)
    answer = send(stubs, [c])
    assert not answer.rejects and [r.number_text for r in answer.receipts] == \
        [f"01/{datetime.datetime.now(VIETNAM).year}", "01/TB-CAP", "01/BHYT-BHXH"]
    ids = [r.result_id for r in answer.receipts]
    # Each is reported until it is done, one by one.
    done = set()
    for change in watching:
        if change.state == STORED:
            done.add(change.result_id)
        if done == set(ids):
            break
    watching.cancel()
    stored = engine.wait_stored(stubs, ids)
    texts = []
    for unit, result_id in zip(BIRTH, ids):
        seen = get_case(stubs, c.code, unit)
        assert (seen.total, seen.stored, seen.ended) == (3, 3, 0)
        assert len(stored[result_id].signatures) == 2
        path = tmp_path / f"{result_id}.pdf"
        path.write_bytes(engine.download(stubs, result_id)[0])
        texts.append(subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True,
                                    check=True, timeout=20).stdout)
    engine.trien("verify", "--data", engine.data, *tmp_path.glob("*.pdf"))
    name = c.holders[0].name.upper()
    assert all(name in text for text in texts)
    for text, words in zip(texts, ("GIẤY KHAI SINH", "Đăng ký thường trú", "THẺ BẢO HIỂM Y TẾ")):
        assert words in text
    card = stored[ids[2]]
    assert (card.valid_until.year, card.valid_until.month, card.valid_until.day) == (2032, 9, 30)
    # Both parents have all three.
    for holder in c.holders[1:]:
        page = stubs.repository.ListResults(m["repository"].ListResultsRequest(
            id_kind=1, number=holder.number), timeout=20)
        assert {h.result.result_id for h in page.holdings} == set(ids)
    shown = engine.trien("case", BIRTH[0], c.code, "--data", engine.data).stdout
    assert all(kind in shown for kind in KINDS)


def test_a_birth_whose_card_has_to_wait(tmp_path):
    """The insurer's key is missing: certificate and residence are issued, the card is held; once
    the key is there it follows, under the number that it had."""
    with harness.Engine(tmp_path) as e:
        e.prepare()
        path = e.data / "certs" / "keys.json"
        whole = path.read_text()
        doc = json.loads(whole)
        doc["keys"] = [k for k in doc["keys"] if k["unit"] != BIRTH[2]]
        path.write_text(json.dumps(doc))
        e.start()
        stubs = e.stubs()
        m = harness.modules()["issuance"]
        c = birth(e, "H99.LK-KS-2")
        receipts = send(stubs, [c]).receipts
        ids = dict(zip(BIRTH, (r.result_id for r in receipts)))
        e.wait_stored(stubs, [ids[BIRTH[0]], ids[BIRTH[1]]])
        for unit in BIRTH:
            harness.wait_for(lambda: HELD in states(get_case(stubs, c.code, unit)).values())
            seen = get_case(stubs, c.code, unit)
            assert (seen.total, seen.stored, seen.ended) == (3, 2, 0)
            assert {u: s for (u, _), s in states(seen).items()} == \
                {BIRTH[0]: STORED, BIRTH[1]: STORED, BIRTH[2]: HELD}
        held = next(r for r in seen.results if r.unit == BIRTH[2])
        assert held.held_reason == "KEY_MISSING"
        assert [r.state for r in watch(stubs, c.code, BIRTH[0])] == [STORED]
        # A power cut meanwhile changes nothing of it.
        e.kill()
        path.write_text(whole)
        e.start(registers=False)
        stubs = e.stubs()
        changes = stubs.issuance.WatchResults(m.WatchResultsRequest(
            result_ids=[ids[BIRTH[2]]]), timeout=60)
        assert STORED in [change.state for change in changes]
        card = e.wait_stored(stubs, [ids[BIRTH[2]]])[ids[BIRTH[2]]]
        assert (card.number, card.number_text) == (1, receipts[2].number_text)
        assert get_case(stubs, c.code, BIRTH[0]).stored == 3

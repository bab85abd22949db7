"""Several engines: each unit belongs to one of them."""
import json
import re
import shutil
import threading

import grpc
import pytest

import harness
import portals
import postgres
from sample import UNITS, case, send
from test_life import CORRECTED, HIDDEN, RESTRICTED, correct, events, get, revoke, show
from test_mirror import officer
from outage import STORED

NUMBER = "001099004321"
ME = {"name": "Người Có Giấy", "about": "công dân",
      "claims": {"citizen_id": NUMBER, "name": "Người Có Giấy"}}


@pytest.fixture
def half(tmp_path):
    """An engine for one of the two agencies."""
    with harness.Engine(tmp_path / "e", units=UNITS[0], address="here:7443") as e:
        yield e.prepare()


def owners(engine):
    return sorted((engine.data / "store/owners").read_text().splitlines())


def open_own(engine, unit=UNITS[0]):
    stubs = engine.stubs()
    m = harness.modules()["operations"]
    for code in sorted(harness.register_codes()):
        stubs.operations.OpenRegister(m.OpenRegisterRequest(unit=unit, code=code, first=1,
                                                            reason="test"), timeout=20)
    return stubs


def test_another_engines_case_is_refused_naming_it(half):
    (half.data / "store").mkdir(exist_ok=True)
    (half.data / "store/owners").write_text(f"{UNITS[1]} 7 there:7443\n")
    half.start(registers=False)
    assert owners(half) == sorted([f"{UNITS[0]} 0 here:7443", f"{UNITS[1]} 7 there:7443"])
    stubs = open_own(half)
    answer = send(stubs, [case(), case(unit=UNITS[1]), case()])
    assert [r.number for r in answer.receipts] == [1, 2]
    assert [(r.index, r.reason, r.field, r.detail, r.retryable) for r in answer.rejects] == [
        (1, "UNIT_ELSEWHERE", "results[0].unit", "engine 7 at there:7443", False)]
    m = harness.modules()
    with pytest.raises(grpc.RpcError) as error:
        stubs.issuance.SubmitCase(m["issuance"].SubmitCaseRequest(case=case(unit=UNITS[1])),
                                  timeout=20)
    told = harness.details(error.value)
    assert (told["reason"], told["metadata"]) == \
        ("UNIT_ELSEWHERE", {"owner": "engine 7 at there:7443"})
    with pytest.raises(grpc.RpcError) as error:
        stubs.operations.OpenRegister(m["operations"].OpenRegisterRequest(
            unit=UNITS[1], code="XNTTHN", first=1, reason="x"), timeout=20)
    assert "engine 7 at there:7443" in error.value.details()
    assert {r.unit for r in half.registers()} == {UNITS[0]}
    # Who looks for their case is not told that there is none.
    with portals.Portal(half.data.parent / "portal", data=half.data) as p:
        for unit, status in ((UNITS[1], 503), (UNITS[0], 404)):
            asked = {"code": "H99.11-261124-999999", "digits": "1234", "unit": unit}
            page = p.browser().request("POST", "/track", body=asked)
            assert (page.status, "hệ thống khác" in page.text) == (status, status == 503)
        said = p.browser().request("POST", "/api/v1/track", body=json.dumps(
            {**asked, "unit": UNITS[1]}), headers={"Content-Type": "application/json"}).json()
        assert (said["error"]["status"], said["error"]["reason"]) == (503, "elsewhere")


def test_a_case_of_two_engines_is_refused_whole(half):
    half.start(registers=False)
    stubs = open_own(half)
    both = case()
    both.results.append(case(unit=UNITS[1]).results[0])
    both.results[1].ordinal = 2
    answer = send(stubs, [both, case()])
    assert [(r.reason, r.field) for r in answer.rejects] == [("UNIT_ELSEWHERE", "results[1].unit")]
    assert [r.number for r in answer.receipts] == [1]


@pytest.mark.parametrize("row", [f"{UNITS[0]} 7 there:7443", "* 7 there:7443"])
def test_a_unit_has_one_engine(half, row):
    (half.data / "store").mkdir(exist_ok=True)
    (half.data / "store/owners").write_text(row + "\n")
    half.start(ready=False)
    assert half.wait_end() != 0
    assert "engine 7 at there:7443" in half.log()


def elsewhere(what, *args, **kw):
    with pytest.raises(grpc.RpcError) as error:
        what(*args, **kw)
    told = harness.details(error.value)
    assert (told["code"], told["reason"], told["metadata"]) == \
        ("FAILED_PRECONDITION", "UNIT_ELSEWHERE", {"owner": "engine 7 at there:7443"})


def test_what_was_issued_here_before_is_still_answered_here(half):
    half.settings["units"] = ",".join(UNITS)
    half.start()
    c = case(unit=UNITS[1], number="001099000981")
    first = send(half.stubs(), [c]).receipts[0]
    r, = half.wait_stored(half.stubs(), [first.result_id]).values()
    done = correct(half.stubs(), r)
    assert half.stop() == 0
    half.settings["units"] = UNITS[0]
    (half.data / "store/owners").write_text(f"{UNITS[1]} 7 there:7443\n")
    half.start(registers=False)
    stubs = half.stubs()
    again = send(stubs, [c, case(unit=UNITS[1])])
    assert again.receipts[0].result_id == first.result_id
    assert [r.reason for r in again.rejects] == ["UNIT_ELSEWHERE"]
    # So is an act that was done here; a new one is the owner's, who alone knows what came since.
    assert correct(stubs, r).etag == done.etag
    r = get(stubs, first.result_id)
    elsewhere(correct, stubs, r, number="13/ĐC-UBND")
    elsewhere(revoke, stubs, r)
    elsewhere(show, stubs, r, RESTRICTED)
    elsewhere(show, stubs, r, HIDDEN, number="001099000981")
    m = harness.modules()
    elsewhere(stubs.issuance.LinkHolder, m["issuance"].LinkHolderRequest(
        result_id=r.result_id, reason="x", holder=m["case"].Holder(
            id_kind=1, number="001099000982", name="Nguyễn Văn An")), timeout=20)
    assert [e.kind for e in events(stubs, r.result_id)] == [CORRECTED]


class Office:
    """A case system of one agency: submits until its engine is gone."""

    def __init__(self, engine, unit):
        self.engine, self.unit, self.cases, self.receipts = engine, unit, {}, {}
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        stubs = self.engine.stubs()
        while not self.stop.is_set():
            cases = [case(unit=self.unit) for _ in range(30)]
            self.cases.update({c.code: c for c in cases})
            try:
                self.receipts.update({r.case_code: r for r in send(stubs, cases).receipts})
            except (grpc.RpcError, ValueError):
                return

    def end(self):
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()

    def again(self, stubs):
        """Every case once more: no receipt is another one, no number is missing."""
        got, codes = {}, list(self.cases)
        for i in range(0, len(codes), 300):
            answer = send(stubs, [self.cases[c] for c in codes[i:i + 300]], timeout=60)
            assert not answer.rejects
            got.update({r.case_code: r for r in answer.receipts})
        for code, r in self.receipts.items():
            assert (r.result_id, r.number) == (got[code].result_id, got[code].number)
        assert sorted(r.number for r in got.values()) == list(range(1, len(codes) + 1))
        return got


def refused(call, request):
    with pytest.raises(grpc.RpcError) as error:
        call(request, timeout=20)
    told = harness.details(error.value)
    return told["code"], told["reason"], told["metadata"]


def track(portal, c, digits="4321"):
    """(status, whether it says that it is on hold)"""
    page = portal.browser().request("POST", "/track", body={
        "code": c.code, "digits": digits, "unit": c.results[0].unit})
    return page.status, "Tạm dừng" in page.text


def what_another_engine_has(owner, stubs, other, name, portal):
    """Accepted there and not stored yet: of this nobody else says that it is not there."""
    m = harness.modules()["repository"]
    elsewhere = ("FAILED_PRECONDITION", "UNIT_ELSEWHERE", {"owner": name})
    officer(owner.data, False)
    owner.hup()
    c = case(number=NUMBER)
    c.results.add().CopyFrom(c.results[0])
    c.results[1].ordinal = 2
    receipt, second = send(stubs, [c]).receipts
    rid, unit = receipt.result_id, c.results[0].unit
    harness.wait_for(lambda: track(portal, c) == (200, True))
    assert track(portal, c, "1234") == (404, False)
    leader = portal.browser()
    assert portals.sign_in(leader, portals.LEADER["name"]).status == 303
    agencies = [a for w in leader.get("/api/v1/lead").json()["wards"] for a in w["agencies"]]
    assert {a["code"]: a["numbers"]["pending"] for a in agencies}[unit] == 2
    assert refused(other.repository.GetResult, m.GetResultRequest(result_id=rid)) == elsewhere
    assert refused(other.repository.GetCase, m.GetCaseRequest(unit=unit, code=c.code)) == elsewhere
    for digits in ("4321", "1234"):
        assert refused(other.repository.TrackCase, m.TrackCaseRequest(
            unit=unit, code=c.code, last_digits=digits)) == elsewhere
    i = harness.modules()["issuance"]
    by_case = i.WatchResultsRequest(cases=[i.CaseName(unit=unit, code=c.code)])

    def watch(request, timeout):
        return list(other.issuance.WatchResults(request, timeout=timeout))
    assert refused(watch, i.WatchResultsRequest(result_ids=[rid])) == elsewhere
    assert refused(watch, by_case) == elsewhere
    got = other.repository.BatchGetResults(m.BatchGetResultsRequest(
        result_ids=[rid, "0" * 26]), timeout=20)
    assert (got.elsewhere_ids, got.missing_ids) == ([rid], ["0" * 26])
    # Nor is an etag stale that it cannot have yet.
    for act in (revoke, correct):
        assert refused(lambda q, timeout, act=act: act(other, receipt, etag=q), "0" * 24) == \
            elsewhere
    # As a holder sees it, it is not there before it is stored, wherever it is.
    as_holder = m.Person(id_kind=1, number=NUMBER)
    assert refused(lambda q, timeout: show(other, receipt, HIDDEN, number=NUMBER, etag=q),
                   "0" * 24)[1] == "RESULT_NOT_FOUND"
    assert refused(other.repository.GetResult, m.GetResultRequest(
        result_id=rid, as_holder=as_holder))[1] == "RESULT_NOT_FOUND"
    officer(owner.data, True)
    owner.hup()
    socket = f"unix:{owner.data}/engine.sock"
    owner.trien("held", "retry", rid, "--connect", socket)
    owner.wait_stored(stubs, [rid])
    # Nor that what is stored is all.
    asked = m.TrackCaseRequest(unit=unit, code=c.code, last_digits="4321")
    assert refused(other.repository.TrackCase, asked) == elsewhere
    assert refused(other.repository.GetCase, m.GetCaseRequest(unit=unit, code=c.code)) == elsewhere
    assert refused(watch, by_case) == elsewhere
    assert track(portal, c) == (200, True)
    owner.trien("held", "retry", "--connect", socket)
    owner.wait_stored(stubs, [second.result_id])
    assert other.repository.GetResult(m.GetResultRequest(result_id=rid), timeout=20).number == \
        receipt.number
    whole = other.repository.GetCase(m.GetCaseRequest(unit=unit, code=c.code), timeout=20)
    assert whole.stored == 2
    assert {(change.result_id, change.state) for change in watch(by_case, 20)} == \
        {(i, STORED) for i in (rid, second.result_id)}
    assert other.repository.TrackCase(asked, timeout=20).stored == 2
    # Wrong digits do not tell that the case is there.
    asked.last_digits = "1234"
    assert refused(other.repository.TrackCase, asked) == elsewhere
    return rid


def share(browser, result):
    return browser.post(f"/results/{result}/shares", {
        "kind": "link", "scope": "data", "seconds": 180, "views": 2})


def what_a_portal_shares(portal, ids, stop):
    """Made and used at whichever engine it is; of one that is away only its own rest."""
    me = portal.browser()
    assert portals.sign_in(me, ME["name"]).status == 303
    tokens = []
    for id in ids:
        page = share(me, id)
        assert page.status == 201
        tokens.append(re.search(r'value="http://[^"]*/s/([0-9A-Z]+)"', page.text).group(1))
    assert [portal.browser().get(f"/s/{t}").status for t in tokens] == [200, 200]
    stop()
    assert [portal.browser().get(f"/s/{t}").status for t in tokens] == [503, 200]
    assert [share(me, id).status for id in ids] == [503, 201]
    assert me.get("/shares").status == 200


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_two_engines_on_one_store_and_one_is_taken_over(tmp_path):
    store = postgres.Store()
    store.init()
    engines = [harness.Engine(tmp_path / f"e{i}", algorithm="p256", engine=i, units=unit,
                              address=f"office-{i}:7443", **store.settings()).prepare()
               for i, unit in enumerate(UNITS)]
    try:
        engines[0].start(registers=False)
        # One secret behind the ids: each engine reads those of the other's results.
        shutil.copytree(engines[0].data / "identity", engines[1].data / "identity")
        engines[1].start(registers=False)
        stubs = [open_own(e, unit) for e, unit in zip(engines, UNITS)]
        # The first one looks again by itself.
        harness.wait_for(lambda: "engine 1 at office-1:7443" in send(
            stubs[0], [case(unit=UNITS[1])]).rejects[0].detail, 20, 0.5)
        assert send(stubs[1], [case(unit=UNITS[0])]).rejects[0].detail == \
            "engine 0 at office-0:7443"
        offices = [Office(e, unit) for e, unit in zip(engines, UNITS)]
        harness.wait_for(lambda: all(len(o.receipts) > 600 for o in offices), 60)
        engines[0].kill()
        offices[0].end()
        done = engines[0].trien("takeover", "--data", engines[0].data, "--journal-segment-mb", 4,
                                "--journal-slots", 6)
        assert "epoch 65536" in done.stdout
        # On another machine: another address, told to the other engine.
        engines[0].settings["address"] = "elsewhere:7443"
        engines[0].start(registers=False)
        stubs[0] = engines[0].stubs()
        harness.wait_for(lambda: send(stubs[1], [case(unit=UNITS[0])]).rejects[0].detail ==
                         "engine 0 at elsewhere:7443", 20, 0.5)
        offices[1].end()
        for s, e, office in zip(stubs, engines, offices):
            got = office.again(s)
            e.wait_stored(s, [r.result_id for r in got.values()], 60)
            rows = store.sql("SELECT number FROM number_register WHERE unit = "
                             f"'{office.unit}' AND register = 'XNTTHN'")
            assert sorted(int(r[0]) for r in rows) == list(range(1, len(got) + 1))
        other = next(iter(offices[0].receipts.values()))
        engines[1].wait_stored(stubs[1], [other.result_id])
        assert sorted(store.sql("SELECT unit, engine, address FROM unit_owner")) == sorted(
            [[UNITS[0], "0", "elsewhere:7443"], [UNITS[1], "1", "office-1:7443"]])
        with portals.with_dev_provider(
                tmp_path / "portal", ME, portals.LEADER, data=engines[1].data, **store.settings(),
                portal_engine=[f"unix:{e.data}/engine.sock" for e in reversed(engines)]) as p:
            theirs = what_another_engine_has(engines[0], stubs[0], stubs[1],
                                             "engine 0 at elsewhere:7443", p)
            mine = case(unit=UNITS[1], number=NUMBER)
            ours, = engines[1].wait_stored(stubs[1], [
                send(stubs[1], [mine]).receipts[0].result_id])
            assert track(p, mine) == (200, False)
            what_a_portal_shares(p, [theirs, ours], engines[0].kill)
            assert track(p, case(), "1234")[0] == 503
            assert track(p, mine) == (200, False)
            assert track(p, mine, "1234") == (404, False)
        # One who left out its number would give the first one's sequences, and take its rows away.
        third = harness.Engine(tmp_path / "third", algorithm="p256", units=UNITS[0],
                               address="third:7443", **store.settings()).prepare()
        engines.append(third)
        shutil.copytree(engines[0].data / "identity", third.data / "identity")
        rows = store.sql("SELECT * FROM unit_owner ORDER BY unit")
        third.start(ready=False)
        assert third.wait_end() == 65
        assert "engine = 0: the engine at elsewhere:7443 has this number" in third.log()
        assert store.sql("SELECT * FROM unit_owner ORDER BY unit") == rows
        # The first one is gone for good, says a person.
        third.settings["accept_behind"] = "true"
        third.start(registers=False)
        assert send(third.stubs(), [case()]).receipts[0].number > len(offices[0].cases)
    finally:
        for e in engines:
            e.kill()

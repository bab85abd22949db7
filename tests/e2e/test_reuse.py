"""A citizen's results in another procedure, and who read them: noted before each answer, where the
holder sees it."""
import itertools
import json
import os
import threading
import time

import grpc
import pytest

import harness
from copying import REGISTER, copy_case, issue_copy
from sample import KIND, UNITS, case, over, send
from test_life import CORRECTED, EXPIRED, RESTRICTED, REVOKED, VALID, correct, revoke, show

PORTAL = ["submit", "read", "portal", "audit", "registry", "sign"]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """On its socket the tester, who may do all; on its port whoever a test needs."""
    e = harness.Engine(tmp_path_factory.mktemp("reuse"), insecure_loopback="school")
    e.prepare()
    who(e, ["reuse"])
    e.start(registers=False)
    harness.wait_for(e.is_ready)
    ops = harness.modules()["operations"]
    for unit, code in itertools.product(UNITS, sorted(harness.register_codes(e.schemas))):
        owner(e).operations.OpenRegister(
            ops.OpenRegisterRequest(unit=unit, code=code, first=1, reason="x"), timeout=20)
    yield e
    e.kill()


def who(e, roles, units=(UNITS[1],)):
    e.principals([{"name": "tester", "roles": PORTAL, "units": ["*"], "signers": ["*"],
                   "uids": [os.getuid()]},
                  {"name": "school", "roles": roles, "units": list(units)}])
    if e.process:
        e.hup()
    return e.stubs() if e.process else None


def owner(e):
    return e.stubs(e.channel(f"unix:{e.data}/engine.sock"))


def repository():
    return harness.modules()["repository"]


def purpose(**kw):
    return repository().Purpose(**{"purpose": "Nhập học lớp 1", "legal_basis": "Luật CCCD Đ.10",
                                   "case_code": "H99.20-1", "requester": "Phòng Giáo dục", **kw})


def person(number):
    return repository().Person(id_kind=1, number=number)


def citizen():
    return f"0010991{next(_numbers):05d}"


def issued(e, number, n=1, **kw):
    """Ids of n new results of one citizen, oldest first. Not read by anybody yet."""
    r = send(owner(e), [case(number=number, **kw) for _ in range(n)])
    assert not r.rejects, r.rejects
    ids = [x.result_id for x in r.receipts]
    m = harness.modules()["issuance"]
    list(owner(e).issuance.WatchResults(m.WatchResultsRequest(result_ids=ids), timeout=30))
    return ids


def reads(e, number=None, result_id="", stubs=None, page_size=0):
    out, token, pages = [], "", 0
    while True:
        page = (stubs or owner(e)).repository.ListReads(repository().ListReadsRequest(
            holder=person(number) if number else None, result_id=result_id, page_size=page_size,
            page_token=token), timeout=20)
        out += page.reads
        token, pages = page.next_page_token, pages + 1
        if not token:
            return out


def find(stubs, number, kinds=(), why=None, **kw):
    return stubs.repository.FindReusable(repository().FindReusableRequest(
        holder=person(number), kinds=kinds, purpose=why or purpose(), **kw), timeout=20)


def get(stubs, rid, **kw):
    return stubs.repository.GetResult(repository().GetResultRequest(result_id=rid, **kw),
                                      timeout=20)


def download(stubs, rid, **kw):
    parts = list(stubs.repository.DownloadResult(
        repository().DownloadResultRequest(result_id=rid, **kw), timeout=20))
    return b"".join(p.chunk for p in parts)


def refused(call):
    with pytest.raises(grpc.RpcError) as e:
        call()
    d = harness.details(e.value)
    return d["reason"], d["fields"]


def test_another_procedure_finds_what_is_valid_and_the_holder_sees_it(engine):
    m = repository()
    number = citizen()
    ids = issued(engine, number, 3)
    school = who(engine, ["reuse"])
    found = find(school, number, [KIND])
    assert [h.result.result_id for h in found.holdings] == ids[::-1]
    assert not found.holdings[0].result.HasField("facts")
    assert find(school, number, ["trich-luc-ket-hon"]).holdings == []
    assert get(school, ids[0], purpose=purpose()).result_id == ids[0]
    assert download(school, ids[0], purpose=purpose())[:5] == b"%PDF-"
    seen = reads(engine, number)
    assert [r.call for r in seen] == [m.Read.DOWNLOAD, m.Read.GET, m.Read.FIND_REUSABLE,
                                      m.Read.FIND_REUSABLE]
    assert {(r.reader, r.reuse, r.purpose.purpose, r.purpose.legal_basis, r.purpose.case_code,
             r.purpose.requester) for r in seen} == {
        ("school", True, "Nhập học lớp 1", "Luật CCCD Đ.10", "H99.20-1", "Phòng Giáo dục")}
    assert [list(r.result_ids) for r in seen] == [[ids[0]], [ids[0]], [], ids[::-1]]
    assert [r.results for r in seen] == [1, 1, 0, 3]
    assert all(abs(r.read_time.ToMilliseconds() / 1000 - time.time()) < 60 for r in seen)
    # By result: those alone, and only its own id.
    about = reads(engine, result_id=ids[1])
    assert [(r.call, list(r.result_ids), r.results) for r in about] == \
        [(m.Read.FIND_REUSABLE, [ids[1]], 1)]
    assert "Nhập học" not in engine.log() and number not in engine.log()


def test_pages_of_what_was_found_and_of_who_read(engine):
    number = citizen()
    ids = issued(engine, number, 5)
    school = who(engine, ["reuse"])
    page = find(school, number, page_size=2)
    got = [h.result.result_id for h in page.holdings]
    while page.next_page_token:
        page = find(school, number, page_size=2, page_token=page.next_page_token)
        got += [h.result.result_id for h in page.holdings]
    assert got == ids[::-1]
    for _ in range(4):
        get(school, ids[2], purpose=purpose())
    seen = reads(engine, number)
    assert len(seen) == 7 and seen == reads(engine, number, page_size=2)
    assert [r.call for r in reads(engine, result_id=ids[2], page_size=1)] == [1] * 4 + [6]
    token = owner(engine).repository.ListReads(repository().ListReadsRequest(
        holder=person(number), page_size=1), timeout=20).next_page_token
    other = repository().ListReadsRequest(holder=person(citizen()), page_token=token)
    assert refused(lambda: owner(engine).repository.ListReads(other, timeout=20)) == \
        ("PAGE_TOKEN_INVALID", ["page_token"])


def test_what_is_hidden_replaced_or_over_is_not_found(engine):
    m = harness.modules()["case"]
    number = citizen()
    old = issued(engine, number)[0]
    hidden = case(number=number)
    hidden.holders[0].visibility = m.Holder.HIDDEN
    over = case(number="001099000001")
    over.holders.add(id_kind=m.Holder.CITIZEN, number=number, name="Giám Hộ Cũ",
                     role=m.Holder.GUARDIAN, to=m.Date(year=2020, month=1, day=1),
                     **{"from": m.Date(year=2019, month=1, day=1)})
    answer = send(owner(engine), [hidden, over])
    assert answer.accepted == 2, answer.rejects
    engine.wait_stored(owner(engine), [r.result_id for r in answer.receipts])
    school = who(engine, ["reuse"])
    assert [h.result.result_id for h in find(school, number).holdings] == [old]
    newer = case(code=get(owner(engine), old).case_code, number=number)
    newer.results[0].replaces, newer.results[0].revision = old, 1
    answer = send(owner(engine), [newer])
    assert answer.accepted == 1, answer.rejects
    new = answer.receipts[0].result_id
    engine.wait_stored(owner(engine), [new])
    assert [h.result.result_id for h in find(school, number).holdings] == [new]


def test_only_what_is_in_force_and_not_restricted_is_found(engine):
    number, stubs = citizen(), owner(engine)
    ids = issued(engine, number, 4)
    ended = send(stubs, [over(number)]).receipts[0].result_id
    engine.wait_stored(stubs, [ended])
    school = who(engine, ["reuse"])
    assert [h.result.result_id for h in find(school, number).holdings] == ids[::-1]
    correct(stubs, get(stubs, ids[1]))
    revoke(stubs, get(stubs, ids[2]))
    restricted = show(stubs, get(stubs, ids[3]), RESTRICTED)
    assert [get(stubs, i).life for i in (*ids, ended)] == [VALID, CORRECTED, REVOKED, VALID,
                                                           EXPIRED]
    assert [(h.result.result_id, h.result.life) for h in find(school, number).holdings] == [
        (ids[1], CORRECTED), (ids[0], VALID)]
    show(stubs, get(stubs, ids[3]), 1, etag=restricted.etag)
    assert [h.result.result_id for h in find(school, number).holdings] == [ids[3], ids[1], ids[0]]
    # What is not found is not told either.
    assert [list(r.result_ids) for r in reads(engine, result_id=ids[2])
            if r.call == repository().Read.FIND_REUSABLE] == [[ids[2]]]


def test_the_holder_leaves_no_trace_and_sees_only_own_results(engine):
    m = repository()
    number, other = citizen(), citizen()
    rid, theirs = issued(engine, number)[0], issued(engine, other)[0]
    portal = owner(engine)
    me = person(number)
    assert get(portal, rid, as_holder=me).fields
    assert download(portal, rid, as_holder=me)[:5] == b"%PDF-"
    batch = portal.repository.BatchGetResults(
        m.BatchGetResultsRequest(result_ids=[rid, theirs], as_holder=me), timeout=20)
    assert [r.result_id for r in batch.results] == [rid] and list(batch.missing_ids) == [theirs]
    mine = portal.repository.ListResults(m.ListResultsRequest(id_kind=1, number=number,
                                                              as_holder=True), timeout=20)
    assert [h.result.result_id for h in mine.holdings] == [rid]
    cert = mine.holdings[0].result.signatures[0].certificate_sha256
    list(portal.repository.DownloadObject(m.DownloadObjectRequest(
        result_id=rid, sha256=cert, as_holder=me), timeout=20))
    assert refused(lambda: get(portal, theirs, as_holder=me)) == ("RESULT_NOT_FOUND",
                                                                  ["result_id"])
    assert refused(lambda: download(portal, theirs, as_holder=me))[0] == "RESULT_NOT_FOUND"
    assert reads(engine, number) == reads(engine, other) == []
    # The same calls for nobody are those of the portal itself.
    get(portal, rid)
    download(portal, rid)
    portal.repository.BatchGetResults(m.BatchGetResultsRequest(result_ids=[rid, theirs, rid]),
                                      timeout=20)
    portal.repository.ListResults(m.ListResultsRequest(id_kind=1, number=number), timeout=20)
    list(portal.repository.DownloadObject(m.DownloadObjectRequest(result_id=rid, sha256=cert),
                                          timeout=20))
    seen = reads(engine, number)
    assert [r.call for r in seen] == [m.Read.DOWNLOAD_OBJECT, m.Read.LIST, m.Read.BATCH_GET,
                                      m.Read.DOWNLOAD, m.Read.GET]
    assert {(r.reader, r.reuse, r.HasField("purpose")) for r in seen} == {("tester", False, False)}
    assert all(list(r.result_ids) == [rid] for r in seen)
    assert [list(r.result_ids) for r in reads(engine, other)] == [[theirs]]


def test_an_agency_s_own_readers_are_seen_too(engine):
    m = repository()
    number = citizen()
    rid = issued(engine, number, unit=UNITS[1])[0]
    clerk = who(engine, ["read"])
    assert get(clerk, rid, purpose=purpose(legal_basis="", requester="")).fields
    assert [(r.reader, r.reuse, r.purpose.purpose, r.purpose.legal_basis)
            for r in reads(engine, number)] == [("school", False, "Nhập học lớp 1", "")]
    # Its unit's results it may ask about, one by one; not about people, nor about others'.
    assert [r.call for r in reads(engine, result_id=rid, stubs=clerk)] == [m.Read.GET]
    assert refused(lambda: reads(engine, number, stubs=clerk)) == ("ROLE_MISSING", ["holder"])
    theirs = issued(engine, number)[0]
    assert refused(lambda: reads(engine, result_id=theirs, stubs=clerk))[0] == "RESULT_NOT_FOUND"
    # What is on its way is a state, not a result.
    assert refused(lambda: get(clerk, rid, as_holder=person(number))) == \
        ("ROLE_MISSING", ["as_holder"])


def test_a_copy_from_the_register_is_seen_by_whose_result_it_is(engine):
    """Whoever the copy is for: the original's bytes are in it."""
    m = repository()
    number, other = citizen(), citizen()
    rid = issued(engine, number, unit=UNITS[0])[0]
    clerk = who(engine, ["submit"], [UNITS[0]])
    c = copy_case(kind=REGISTER)
    c.holders[0].number = other
    issue_copy(clerk, c, rid, validate_only=True)
    stranger = who(engine, ["submit"], [UNITS[1]])
    assert refused(lambda: issue_copy(stranger, c, rid))[0] == "RESULT_NOT_FOUND"
    assert reads(engine, number) == []
    clerk = who(engine, ["submit"], [UNITS[0]])
    copied = issue_copy(clerk, c, rid).result_id
    engine.wait_stored(owner(engine), [copied])
    noted = [(r.reader, r.call, r.reuse, r.purpose.case_code, list(r.result_ids))
             for r in reads(engine, number)]
    assert noted == [("school", m.Read.ISSUE_COPY, False, c.code, [rid])]
    # It is no read of the copy, nor of anything of its holder's.
    assert m.Read.ISSUE_COPY not in [r.call for r in reads(engine, other)]
    told = engine.trien("reads", "--result", rid, "--connect",
                        f"unix:{engine.data}/engine.sock").stdout
    assert "school  ISSUE_COPY  1 result\n" in told and f"case {c.code}" in told


def test_every_holder_sees_it_and_one_who_is_added_later(engine):
    m = harness.modules()
    number, spouse, child = citizen(), citizen(), citizen()
    c = case(number=number)
    c.holders.add(id_kind=1, number=spouse, name="Vợ Chồng", role=m["case"].Holder.SPOUSE)
    rid = send(owner(engine), [c]).receipts[0].result_id
    list(owner(engine).issuance.WatchResults(
        m["issuance"].WatchResultsRequest(result_ids=[rid]), timeout=30))
    school = who(engine, ["reuse"])
    get(school, rid, purpose=purpose())
    link = m["issuance"].LinkHolderRequest(
        result_id=rid, reason="Cấp số", holder=m["case"].Holder(
            id_kind=1, number=child, name="Bé", role=m["case"].Holder.CHILD))
    owner(engine).issuance.LinkHolder(link, timeout=20)
    harness.wait_for(lambda: find(school, child).holdings)
    get(school, rid, purpose=purpose())
    gets = lambda **kw: [r for r in reads(engine, **kw) if r.call == m["repository"].Read.GET]
    assert len(gets(number=number)) == len(gets(number=spouse)) == 2
    assert len(gets(number=child)) == 1 and len(gets(result_id=rid)) == 2


WRONG = [
    (dict(), "ARGUMENT_MISSING", "purpose"),
    (dict(legal_basis=""), "ARGUMENT_MISSING", "purpose"),
    (dict(case_code=""), "ARGUMENT_MISSING", "purpose"),
    (dict(purpose=""), "ARGUMENT_MISSING", "purpose"),
    (dict(purpose="a\nb"), "ARGUMENT_INVALID", "purpose.purpose"),
    (dict(legal_basis="ư" * 101), "ARGUMENT_INVALID", "purpose.legal_basis"),
    (dict(requester="a\u202eb"), "ARGUMENT_INVALID", "purpose.requester"),
    (dict(case_code="c" * 65), "ARGUMENT_INVALID", "purpose.case_code"),
]


def test_wrong_requests_are_refused_and_leave_nothing(engine):
    m = repository()
    number = citizen()
    rid = issued(engine, number)[0]
    school = who(engine, ["reuse"])
    for words, reason, field in WRONG:
        why = purpose(**words) if words else None
        assert refused(lambda: get(school, rid, purpose=why)) == (reason, [field])
        assert refused(lambda: school.repository.FindReusable(m.FindReusableRequest(
            holder=person(number), purpose=why), timeout=20)) == (reason, [field])
    assert refused(lambda: find(school, "")) == ("ARGUMENT_MISSING", ["holder.number"])
    assert refused(lambda: find(school, number, kinds=["k"] * 33)) == ("TOO_MANY", ["kinds"])
    assert refused(lambda: find(school, number, page_token="zz"))[0] == "PAGE_TOKEN_INVALID"
    assert refused(lambda: find(owner(engine), number))[0] == "ROLE_MISSING"
    assert refused(lambda: reads(engine, number, stubs=school))[0] == "ROLE_MISSING"
    assert refused(lambda: reads(engine)) == ("ARGUMENT_INVALID", ["holder"])
    assert refused(lambda: reads(engine, number, result_id=rid)) == ("ARGUMENT_INVALID",
                                                                      ["holder"])
    for roles in (["submit"], ["read"], ["audit"]):
        assert refused(lambda: find(who(engine, roles), number))[0] == "ROLE_MISSING"
    assert reads(engine, number) == []


def test_the_tools(engine):
    number = citizen()
    rid = issued(engine, number)[0]
    who(engine, ["reuse"])
    # The port is the school's, the socket the tester's.
    port, sock = (("--connect", x) for x in (f"127.0.0.1:{engine.port()}",
                                             f"unix:{engine.data}/engine.sock"))
    why = ("--purpose", "Nhập học", "--legal-basis", "Đ.10", "--case", "H99.20-7",
           "--requester", "Phòng Giáo dục")
    assert rid in engine.trien("reuse", "--number", number, "--kinds", KIND, *why, *port).stdout
    assert engine.trien("reuse", "--number", "-", *why[:4], *port, check=False,
                        input=number).returncode == 1
    engine.trien("get", rid, *why, *port)
    engine.trien("get", rid, "--as-holder", number, *sock)
    engine.trien("list", "--number", number, "--as-holder", *sock)
    told = engine.trien("reads", "--number", "-", *sock, input=number).stdout
    assert told.count("school") == 2 and "FIND_REUSABLE reuse  1 result\n" in told
    assert "Nhập học | Đ.10 | case H99.20-7 | for Phòng Giáo dục" in told
    rows = json.loads(engine.trien("reads", "--result", rid, "--json", *sock).stdout)
    assert [r["call"] for r in rows] == ["GET", "FIND_REUSABLE"]
    assert number not in json.dumps(rows)
    assert engine.trien("reads", *sock, check=False).returncode == 2
    code = get(owner(engine), rid, as_holder=person(number)).case_code
    whole = engine.trien("case", UNITS[0], code, *sock).stdout
    assert "STORED" in whole and rid in whole and "1 of 1 issued" in whole
    assert engine.trien("case", UNITS[0], "H99.none", *sock, check=False).returncode == 1


def test_many_at_once_and_a_kill_lose_no_read(engine):
    """What was answered is noted, whatever happens next."""
    number = citizen()
    ids = issued(engine, number, 4)
    who(engine, ["reuse"])
    answered, stop = [], threading.Event()

    def reader(k):
        with engine.new_channel() as channel:
            stubs = engine.stubs(channel)
            for i in itertools.count():
                code = f"H99.{k}-{i}"
                try:
                    get(stubs, ids[k], purpose=purpose(case_code=code))
                except grpc.RpcError:
                    return
                answered.append(code)
                if stop.is_set():
                    return

    threads = [threading.Thread(target=reader, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    harness.wait_for(lambda: len(answered) > 60)
    engine.kill()
    stop.set()
    for t in threads:
        t.join(30)
    engine.close_channels()
    engine.start(registers=False)
    harness.wait_for(engine.is_ready)
    noted = [r.purpose.case_code for r in reads(engine, number)]
    assert set(answered) <= set(noted) and len(noted) == len(set(noted))
    assert len(noted) <= len(answered) + 4

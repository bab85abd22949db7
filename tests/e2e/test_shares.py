"""Shares: links and codes that a holder makes, who uses them, and what is told of it. Public
look-ups; a case followed by who has its receipt."""
import concurrent.futures
import itertools
import json
import os
import signal
import threading
import time

import grpc
import pytest

import harness
import postgres
from harness import UNITS, caller
from outage import engine_on, status
from sample import KIND, case, send
from office import office_schemas
from test_approval import AWAITING, confirm, refuse
from test_held import without_officer      # noqa: F401 (a fixture)
from test_life import HIDDEN, RESTRICTED, SHOWN, get, refused, revoke, show
from test_mirror import Pair

LINK, CODE = 1, 2
STATE, DATA, FILE = 1, 2, 3
OPEN, EXPIRED, USED_UP, REVOKED, TRIED_OUT = 1, 2, 3, 4, 5
NUMBERED, HELD, STORED = 3, 5, 6
USE_SHARE, LOOK_UP, LOOK_UP_NUMBER = 9, 10, 11
TRIES_MAX = 10
_numbers = itertools.count(1)


def repository():
    return harness.modules()["repository"]


def person(number):
    return repository().Person(id_kind=1, number=number)


def citizen():
    return f"0010995{next(_numbers):05d}"


def issued(engine, number, n=1, **kw):
    stubs = engine.stubs()
    receipts = send(stubs, [case(number=number, **kw) for _ in range(n)]).receipts
    stored = engine.wait_stored(stubs, [r.result_id for r in receipts])
    return [stored[r.result_id] for r in receipts]


def create(stubs, result_id, number, kind=LINK, scope=DATA, **kw):
    return stubs.repository.CreateShare(repository().CreateShareRequest(
        result_id=result_id, as_holder=person(number), kind=kind, scope=scope, **kw), timeout=20)


def use(stubs, made, **kw):
    """By what CreateShare gave."""
    if made.code:
        kw = {"result_id": made.share.result_id, "code": made.code, **kw}
    else:
        kw = {"token": made.token, **kw}
    return stubs.repository.UseShare(repository().UseShareRequest(**kw), timeout=20)


def end(stubs, share, number):
    return stubs.repository.RevokeShare(repository().RevokeShareRequest(
        share_id=share.share_id, as_holder=person(number)), timeout=20)


def shares(stubs, number, result_id="", page_size=0):
    out, token = [], ""
    while True:
        page = stubs.repository.ListShares(repository().ListSharesRequest(
            as_holder=person(number), result_id=result_id, page_size=page_size,
            page_token=token), timeout=20)
        out += page.shares
        token = page.next_page_token
        if not token:
            return out


def reads(stubs, number):
    """What came by shares and from the public; the tests' own looks are noted, too."""
    return [r for r in stubs.repository.ListReads(repository().ListReadsRequest(
        holder=person(number), page_size=200), timeout=20).reads if r.call >= USE_SHARE]


def guess(stubs, made, **kw):
    refused("NOT_FOUND", "SHARE_NOT_FOUND",
            lambda: use(stubs, made, **{"code": wrong(made), **kw}))


def wrong(made):
    """A code that is not that one."""
    return ("0" if made.code[0] != "0" else "1") + made.code[1:]


def test_a_link_shows_once_and_says_so(shared, stubs):
    me = citizen()
    r, = issued(shared, me, muc_dich="Vay vốn")
    made = create(stubs, r.result_id, me)
    assert (len(made.token), made.code, made.pending) == (52, "", False)
    assert len(made.share.share_id) == 42 and made.share.share_id.startswith(r.result_id)
    assert made.token[26:] not in made.share.share_id
    s = made.share
    assert (s.kind, s.scope, s.views_max, s.views, s.state) == (LINK, DATA, 1, 0, OPEN)
    assert s.expire_time.ToMilliseconds() - s.create_time.ToMilliseconds() == 3 * 60 * 1000
    # A look whether it is open is no use of it.
    for _ in range(3):
        look = use(stubs, made, validate_only=True)
        assert (look.share, look.HasField("result")) == (s, False)
    assert reads(stubs, me) == []
    seen = use(stubs, made, viewer="mạng di động, Hà Nội")
    assert (seen.share.views, seen.share.state) == (1, USED_UP)
    v = seen.result
    assert (v.result_id, v.unit, v.kind, v.number_text, v.life) == \
        (r.result_id, r.unit, KIND, r.number_text, 1)
    assert "Vay vốn" in [f.text for f in v.fields]
    assert (v.case_code, v.etag, v.file_size, len(v.case_sha256), v.HasField("facts")) == \
        ("", "", 0, 0, False)
    for again in (use, lambda *a: use(*a, validate_only=True)):
        refused("FAILED_PRECONDITION", "SHARE_USED_UP", again, stubs, made)
    row, = shares(stubs, me)
    assert row == seen.share and row.last_view_time.ToMilliseconds() > 0
    seen_by, = reads(stubs, me)
    assert (seen_by.call, seen_by.share_id, seen_by.share_scope, seen_by.viewer) == \
        (USE_SHARE, row.share_id, DATA, "mạng di động, Hà Nội")
    assert (list(seen_by.result_ids), seen_by.reader, seen_by.HasField("purpose")) == \
        ([r.result_id], "tester", False)


def test_what_a_scope_shows(shared, stubs):
    me = citizen()
    r, = issued(shared, me)
    by = {scope: use(stubs, create(stubs, r.result_id, me, scope=scope), file=scope == FILE).result
          for scope in (STATE, DATA, FILE)}
    assert [len(by[s].fields) > 0 for s in by] == [False, True, True]
    assert [by[s].file_size for s in by] == [0, 0, r.file_size]
    assert by[FILE].file_sha256 == r.file_sha256
    assert {(by[s].unit, by[s].kind, by[s].number_text, by[s].issue_time.seconds) for s in by} == \
        {(r.unit, r.kind, r.number_text, r.issue_time.seconds)}
    made = create(stubs, r.result_id, me, scope=DATA)
    refused("FAILED_PRECONDITION", "SHARE_SCOPE", use, stubs, made, file=True)
    assert use(stubs, made).share.views == 1


def test_time_is_over(shared, stubs):
    me = citizen()
    r, = issued(shared, me)
    made = create(stubs, r.result_id, me, ttl_seconds=1, views_max=1000)
    harness.wait_for(lambda: shares(stubs, me)[0].state == EXPIRED)
    refused("FAILED_PRECONDITION", "SHARE_EXPIRED", use, stubs, made)
    # It was over before: that it is revoked now changes nothing.
    end(stubs, made.share, me)
    assert shares(stubs, me)[0].state == EXPIRED
    long = create(stubs, r.result_id, me, ttl_seconds=30 * 24 * 3600).share
    assert long.expire_time.seconds - long.create_time.seconds == 30 * 24 * 3600
    refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", create, stubs, r.result_id, me,
            ttl_seconds=30 * 24 * 3600 + 1)
    refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", create, stubs, r.result_id, me, views_max=1001)
    refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", create, stubs, r.result_id, me, scope=0)


def test_a_holder_revokes_the_own_ones(shared, stubs):
    me, other = citizen(), citizen()
    r, = issued(shared, me)
    theirs, = issued(shared, other)
    made = create(stubs, r.result_id, me, views_max=5)
    assert use(stubs, made).share.state == OPEN
    refused("NOT_FOUND", "RESULT_NOT_FOUND", create, stubs, theirs.result_id, me)
    refused("NOT_FOUND", "SHARE_NOT_FOUND", end, stubs, made.share, other)
    assert shares(stubs, other) == [] and shares(stubs, other, r.result_id) == []
    first = end(stubs, made.share, me)
    assert (first.share_id, first.pending) == (made.share.share_id, False)
    assert end(stubs, made.share, me) == first
    refused("FAILED_PRECONDITION", "SHARE_REVOKED", use, stubs, made)
    row, = shares(stubs, me, r.result_id)
    assert (row.state, row.views) == (REVOKED, 1)


def test_what_opens_nothing_is_not_found(shared, stubs):
    me = citizen()
    r, = issued(shared, me)
    made = create(stubs, r.result_id, me)
    last = "1" if made.token[-1] != "1" else "2"
    for q in ({"token": made.token[:-1] + last}, {"token": made.token[:-1]},
              {"token": "0" * 52}, {"token": r.result_id * 2},
              {"result_id": r.result_id, "code": "ABCD1234"},
              {"result_id": "0" * 26, "code": "ABCD1234"}):
        refused("NOT_FOUND", "SHARE_NOT_FOUND", stubs.repository.UseShare,
                repository().UseShareRequest(**q), timeout=20)
    for q in ({}, {"token": made.token, "code": "ABCD1234"}, {"code": "ABCD1234"},
              {"result_id": r.result_id}, {"share_id": made.share.share_id},
              {"share_id": made.share.share_id, "token": made.token, "validate_only": True},
              {"share_id": made.share.share_id, "result_id": r.result_id,
               "validate_only": True}):
        refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", stubs.repository.UseShare,
                repository().UseShareRequest(**q), timeout=20)
    assert use(stubs, made).share.views == 1


def test_what_was_used_is_looked_at_by_its_name(shared, stubs):
    me = citizen()
    r, = issued(shared, me)

    def look(share_id):
        return stubs.repository.UseShare(repository().UseShareRequest(
            share_id=share_id, validate_only=True), timeout=20)

    made = create(stubs, r.result_id, me, ttl_seconds=1)
    assert (look(made.share.share_id).share.state, made.share.views_max) == (OPEN, 1)
    use(stubs, made)
    answer = look(made.share.share_id)
    assert (answer.share.state, answer.share.views) == (USED_UP, 1)
    assert not answer.HasField("result")
    more = create(stubs, r.result_id, me, ttl_seconds=1)
    time.sleep(1.1)
    assert look(more.share.share_id).share.state == EXPIRED
    last = create(stubs, r.result_id, me)
    end(stubs, last.share, me)
    refused("FAILED_PRECONDITION", "SHARE_REVOKED", look, last.share.share_id)
    nothing = last.share.share_id[:-1] + ("0" if last.share.share_id[-1] != "0" else "1")
    for share_id in (nothing, nothing[:-1], "0" * 42):
        refused("NOT_FOUND", "SHARE_NOT_FOUND", look, share_id)


def test_a_code_for_the_print(shared, stubs):
    me, other = citizen(), citizen()
    r, = issued(shared, me)
    theirs, = issued(shared, other)
    made = create(stubs, r.result_id, me, kind=CODE, views_max=3)
    assert (len(made.code), made.token) == (8, "")
    spoken = f" {made.code[:4].lower()}-{made.code[4:]}".replace("0", "o").replace("1", "l")
    assert use(stubs, made, code=spoken).result.result_id == r.result_id
    # Of its result alone.
    refused("NOT_FOUND", "SHARE_NOT_FOUND", use, stubs, made, result_id=theirs.result_id)
    link = create(stubs, r.result_id, me)
    for _ in range(TRIES_MAX - 1):
        guess(stubs, made)
    assert use(stubs, made).share.views == 2
    guess(stubs, made, validate_only=True)
    refused("FAILED_PRECONDITION", "SHARE_TRIED_OUT", use, stubs, made)
    assert [(s.kind, s.state) for s in shares(stubs, me)] == [(LINK, OPEN), (CODE, TRIED_OUT)]
    # What does not come with the print is as it was; and a new code is one.
    assert use(stubs, link).share.views == 1
    new = create(stubs, r.result_id, me, kind=CODE)
    for _ in range(3):
        guess(stubs, new)
    refused("FAILED_PRECONDITION", "SHARE_TRIED_OUT", use, stubs, made)
    assert use(stubs, new).share.views == 1


def test_it_rests_and_it_tells_of_the_result(shared, stubs):
    me = citizen()
    r, = issued(shared, me)
    made = create(stubs, r.result_id, me, views_max=10)
    show(stubs, r, HIDDEN, number=me)
    for what in (lambda: use(stubs, made), lambda: create(stubs, r.result_id, me)):
        refused("FAILED_PRECONDITION", "SHARE_RESTS", what)
    show(stubs, get(stubs, r.result_id), SHOWN, number=me)
    assert use(stubs, made).share.views == 1
    revoke(stubs, get(stubs, r.result_id))
    seen = use(stubs, made).result
    assert (seen.life, seen.paper_number) == (4, "45/QĐ-UBND")
    show(stubs, get(stubs, r.result_id), RESTRICTED)
    refused("FAILED_PRECONDITION", "SHARE_RESTS", use, stubs, made)
    assert shares(stubs, me)[0].views == 2


def test_many_at_once(shared, stubs):
    me = citizen()
    r, = issued(shared, me)
    made = create(stubs, r.result_id, me, views_max=5)
    ready = threading.Barrier(12)

    def one(_):
        ready.wait()
        try:
            return use(stubs, made).share.views
        except grpc.RpcError as e:
            return harness.details(e)["reason"]

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        got = list(pool.map(one, range(12)))
    assert sorted(g for g in got if isinstance(g, int)) == [1, 2, 3, 4, 5]
    assert [g for g in got if not isinstance(g, int)] == ["SHARE_USED_UP"] * 7
    assert len(reads(stubs, me)) == 5


def test_lists_by_pages(shared, stubs):
    me = citizen()
    results = issued(shared, me, 3)
    made = [create(stubs, r.result_id, me).share for r in results for _ in range(2)]
    assert [s.share_id for s in shares(stubs, me, page_size=1)] == \
        [s.share_id for s in shares(stubs, me)]
    assert sorted(s.share_id for s in shares(stubs, me)) == sorted(s.share_id for s in made)
    assert [s.share_id for s in shares(stubs, me, results[1].result_id)] == \
        [made[3].share_id, made[2].share_id]


def test_who_may(shared):
    me = citizen()
    r, = issued(shared, me)
    stubs = shared.stubs()
    with caller(shared, "read", "registry", "reuse"):
        for call, q in (("CreateShare", repository().CreateShareRequest(result_id=r.result_id)),
                        ("UseShare", repository().UseShareRequest(token="0" * 52)),
                        ("ListShares", repository().ListSharesRequest()),
                        ("RevokeShare", repository().RevokeShareRequest(share_id="0" * 42)),
                        ("RecordRead", repository().RecordReadRequest(result_id=r.result_id)),
                        ("TrackCase", repository().TrackCaseRequest())):
            refused("PERMISSION_DENIED", "ROLE_MISSING", getattr(stubs.repository, call), q,
                    timeout=20)


def test_the_public_looks(shared, stubs):
    me = citizen()
    r, = issued(shared, me)

    def told(**kw):
        return stubs.repository.RecordRead(repository().RecordReadRequest(**{
            "result_id": r.result_id, "call": LOOK_UP, **kw}), timeout=20)

    told(viewer="trong nước")
    told(call=LOOK_UP_NUMBER)
    rows = reads(stubs, me)
    assert [(row.call, row.viewer, list(row.result_ids)) for row in rows] == \
        [(LOOK_UP_NUMBER, "", [r.result_id]), (LOOK_UP, "trong nước", [r.result_id])]
    for kw, why in (({"call": 1}, "ARGUMENT_INVALID"), ({"call": USE_SHARE}, "ARGUMENT_INVALID"),
                    ({"viewer": "a\nb"}, "ARGUMENT_INVALID")):
        refused("INVALID_ARGUMENT", why, told, **kw)
    refused("NOT_FOUND", "RESULT_NOT_FOUND", told, result_id="0" * 26)


def track(stubs, code, digits, unit=UNITS[0]):
    return stubs.repository.TrackCase(repository().TrackCaseRequest(
        unit=unit, code=code, last_digits=digits), timeout=20)


def test_a_case_is_followed(shared, stubs):
    me = "001099598765"
    c = case(number=me)
    c.facts.due_time.seconds = 1900000000
    receipt, = send(stubs, [c]).receipts
    shared.wait_stored(stubs, [receipt.result_id])
    before = len(reads(stubs, me))
    t = track(stubs, c.code, "8765")
    assert [(x.unit, x.kind, x.state) for x in t.results] == [(UNITS[0], KIND, 6)]
    assert (t.total, t.stored, t.ended, t.due_time.seconds) == (1, 1, 0, 1900000000)
    assert t.results[0].change_time.seconds > 0
    assert me not in str(t) and receipt.result_id not in str(t)
    no = refused("NOT_FOUND", "CASE_NOT_FOUND", track, stubs, c.code, "8766")
    assert refused("NOT_FOUND", "CASE_NOT_FOUND", track, stubs, "H99.11-000000-000000",
                   "8765") == no
    for digits in ("", "765", "98765", "876x"):
        refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", track, stubs, c.code, digits)
    assert len(reads(stubs, me)) == before


def test_kept_through_kills(engine):
    """What was answered counts, and no share is used more often than it says."""
    engine.settings["journal_slots"] = 4
    engine.start()
    me = citizen()
    r, = issued(engine, me)
    stubs = engine.stubs()
    many = create(stubs, r.result_id, me, views_max=40, ttl_seconds=3600)
    gone = create(stubs, r.result_id, me, ttl_seconds=3600)
    code = create(stubs, r.result_id, me, kind=CODE, ttl_seconds=3600)
    end(stubs, gone.share, me)
    got = []

    def viewer():
        while True:
            # A new one each time: none waits out its back-off while the engine is there again.
            with engine.new_channel(f"unix:{engine.data}/engine.sock") as channel:
                try:
                    got.append(use(engine.stubs(channel), many).share.views)
                except grpc.RpcError as e:
                    if e.code() == grpc.StatusCode.FAILED_PRECONDITION:
                        return

    viewers = [threading.Thread(target=viewer) for _ in range(3)]
    for v in viewers:
        v.start()
    for seen in (4, 12, 20):
        harness.wait_for(lambda: len(got) >= seen or not any(v.is_alive() for v in viewers), 60)
        for _ in range(3):
            guess(engine.stubs(), code)
        engine.kill()
        engine.start(registers=False)
    for v in viewers:
        v.join(60)
        assert not v.is_alive()
    assert len(got) == len(set(got)) and max(got) <= 40
    stubs = engine.stubs()
    rows = {s.share_id: s for s in shares(stubs, me)}
    assert len(rows) == 3
    assert (rows[many.share.share_id].views, rows[many.share.share_id].state) == (40, USED_UP)
    refused("FAILED_PRECONDITION", "SHARE_REVOKED", use, stubs, gone)
    assert rows[gone.share.share_id].state == REVOKED
    # Each view that somebody was shown is told, and never more of them than were counted.
    assert len(got) <= len(reads(stubs, me)) <= 40
    assert use(stubs, code, validate_only=True).share.state == OPEN
    guess(stubs, code)
    refused("FAILED_PRECONDITION", "SHARE_TRIED_OUT", use, stubs, code)
    assert engine.stop() == 0, engine.log()
    engine.trien("fsck", "--data", engine.data)
    engine.start(registers=False)
    stubs = engine.stubs()
    refused("FAILED_PRECONDITION", "SHARE_USED_UP", use, stubs, many)
    refused("FAILED_PRECONDITION", "SHARE_TRIED_OUT", use, stubs, code)
    assert len(shares(stubs, me)) == 3


@pytest.mark.embedded
def test_another_engines_shares(tmp_path):
    """The engine that issues for the agency keeps them; another one names it."""
    with harness.Engine(tmp_path / "e", address="here:7443") as e:
        e.prepare().start()
        me = citizen()
        r, = issued(e, me, unit=UNITS[1])
        made = create(e.stubs(), r.result_id, me)
        assert e.stop() == 0
        e.settings["units"] = UNITS[0]
        (e.data / "store/owners").write_text(f"{UNITS[1]} 7 there:7443\n")
        e.start(registers=False)
        stubs = e.stubs()
        for what in (lambda: use(stubs, made), lambda: create(stubs, r.result_id, me)):
            with pytest.raises(grpc.RpcError) as error:
                what()
            told = harness.details(error.value)
            assert (told["reason"], told["metadata"]) == \
                ("UNIT_ELSEWHERE", {"owner": "engine 7 at there:7443"})
        assert shares(stubs, me)[0].state == OPEN
        # What it made itself it can always end.
        end(stubs, made.share, me)
        assert shares(stubs, me)[0].state == REVOKED


@pytest.mark.skipif(bool(postgres.missing()), reason=str(postgres.missing()))
def test_the_store_is_away(tmp_path):
    """Nobody is shown what cannot be noted; but to end a share is always possible."""
    cluster = postgres.Cluster(durable=True).start()
    try:
        store = postgres.Store(cluster)
        with engine_on(tmp_path, store) as e:
            away(e, cluster)
        words = ["store", "check", "--deep", "--json", *store.conninfos]
        assert json.loads(e.trien(*words).stdout)["faults"] == 0
    finally:
        cluster.remove()


def away(e, cluster):
    me = citizen()
    r, = issued(e, me)
    stubs = e.stubs()
    stored = case(number=me)
    e.wait_stored(stubs, [send(stubs, [stored]).receipts[0].result_id])
    made = create(stubs, r.result_id, me, views_max=2, ttl_seconds=3600)
    kept = create(stubs, r.result_id, me, kind=CODE, views_max=2, ttl_seconds=3600)
    assert use(stubs, kept).share.views == 1
    cluster.stop()
    harness.wait_for(lambda: not status(e).store_up)
    for what in (lambda: create(stubs, r.result_id, me), lambda: use(stubs, kept),
                 lambda: shares(stubs, me)):
        with pytest.raises(grpc.RpcError) as error:
            what()
        assert error.value.code().name == "UNAVAILABLE", error.value
    for code, digits in ((stored.code, me[-4:]), (stored.code, "9999"), ("X", me[-4:])):
        with pytest.raises(grpc.RpcError) as error:
            track(stubs, code, digits)
        assert error.value.code().name == "UNAVAILABLE", error.value
    first = end(stubs, made.share, me)
    assert first.pending and end(stubs, made.share, me).share_id == first.share_id
    e.kill()
    cluster.start()
    e.start(registers=False)
    stubs = e.stubs()
    refused("FAILED_PRECONDITION", "SHARE_REVOKED", use, stubs, made)
    assert [(s.kind, s.state) for s in shares(stubs, me)] == [(CODE, OPEN), (LINK, REVOKED)]
    assert use(stubs, kept).share.views == 2
    assert [x.call for x in reads(stubs, me)] == [USE_SHARE] * 2
    assert e.stop() == 0


def test_from_the_command_line(shared, stubs):
    me = citizen()
    r, = issued(shared, me)

    def run(*words, code=0, stdin=""):
        done = shared.trien("share", *words, "--data", shared.data, check=False, input=stdin)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout

    token, share = run("create", r.result_id, "--holder", "-", "--views", "2",
                       stdin=me + "\n").split()
    shown = json.loads(run("use", "-", "--viewer", "quầy số 3", "--json", stdin=token + "\n"))
    assert (shown["result"]["resultId"], shown["share"]["views"]) == (r.result_id, 1)
    assert r.number_text in run("use", token)
    run("use", token, code=1)
    row, = json.loads(run("list", "--holder", me, "--json"))
    assert (row["shareId"], row["state"]) == (share, "USED_UP")
    made = json.loads(run("create", r.result_id, "--holder", me, "--kind", "code", "--scope",
                          "file", "--seconds", "60", "--json"))
    assert "OPEN" in run("use", r.result_id, made["code"], "--look")
    assert "ended" in run("revoke", made["share"]["shareId"], "--holder", me)
    assert "REVOKED" in run("list", "--holder", me, "--result", r.result_id)
    for words in ((), ("give",), ("create", r.result_id), ("use",),
                  ("create", r.result_id, "--holder", me, "--kind", "x")):
        run(*words, code=2)


# ---- a folder that is not the one ----

class Kept:
    """Shares in every state, and what has to be true of them wherever the engine goes on."""

    def __init__(self, e):
        self.me = citizen()
        r, = issued(e, self.me)
        stubs = e.stubs()
        self.link = create(stubs, r.result_id, self.me, views_max=2, ttl_seconds=3600)
        self.code = create(stubs, r.result_id, self.me, kind=CODE, ttl_seconds=3600)
        self.gone = create(stubs, r.result_id, self.me, ttl_seconds=3600)
        use(stubs, self.link)
        end(stubs, self.gone.share, self.me)
        for _ in range(TRIES_MAX - 1):
            guess(stubs, self.code)
        self.rows = {s.share_id: s for s in shares(stubs, self.me)}

    def check(self, e):
        stubs = e.stubs()
        assert {s.share_id: s for s in shares(stubs, self.me)} == self.rows
        assert use(stubs, self.link).share.views == 2
        refused("FAILED_PRECONDITION", "SHARE_USED_UP", use, stubs, self.link)
        refused("FAILED_PRECONDITION", "SHARE_REVOKED", use, stubs, self.gone)
        # Wrong codes were counted, too.
        assert use(stubs, self.code, validate_only=True).share.state == OPEN
        guess(stubs, self.code)
        refused("FAILED_PRECONDITION", "SHARE_TRIED_OUT", use, stubs, self.code)
        assert [x.call for x in reads(stubs, self.me)] == [USE_SHARE] * 2


@pytest.mark.embedded
def test_a_backup_has_them(engine, tmp_path):
    engine.start()
    kept = Kept(engine)
    # Taken while it runs: some stand in the journal's segments only, some in the store.
    engine.trien("backup", "--data", engine.data, tmp_path / "copy", "--with-keys")
    assert engine.stop() == 0
    engine.data.rename(tmp_path / "lost")
    engine.trien("restore", tmp_path / "copy", "--data", engine.data)
    engine.start(registers=False)
    kept.check(engine)
    assert engine.stop() == 0
    engine.trien("fsck", "--data", engine.data)


@pytest.mark.parametrize("where", ["embedded", "postgres"])
def test_who_takes_over_has_them(tmp_path, where):
    store = None
    if where == "postgres":
        if postgres.missing():
            pytest.skip(postgres.missing())
        store = postgres.Store()
        store.init()
    pair = Pair(tmp_path, algorithm="p256", store=store)
    try:
        kept = Kept(pair.engine.start())
        kept.check(pair.engine_is_lost(tmp_path).start(registers=False))
    finally:
        pair.close()


class Followed:
    """A case that is told to who knows how its holder's number ends, and to nobody else."""

    def __init__(self, e, **kw):
        self.me = citizen()
        self.case = case(number=self.me, **kw)
        self.receipt, = send(e.stubs(), [self.case]).receipts
        self.e = e

    def track(self):
        return track(self.e.stubs(), self.case.code, self.me[-4:])

    def is_at(self, *state):
        t = harness.wait_for(lambda: [t for t in [self.told()] if t and
                                      t.results[0].state in state])[0]
        assert (t.total, t.results[0].kind) == (1, KIND) and t.results[0].change_time.seconds > 0
        self.nobody_else()

    def told(self):
        try:
            return self.track()
        except grpc.RpcError as error:
            assert harness.details(error)["reason"] == "CASE_NOT_FOUND", error
            return None

    def nobody_else(self):
        stubs, other = self.e.stubs(), f"{(int(self.me[-4:]) + 1) % 10000:04d}"
        wrong = refused("NOT_FOUND", "CASE_NOT_FOUND", track, stubs, self.case.code, other)
        assert wrong == refused("NOT_FOUND", "CASE_NOT_FOUND", track, stubs,
                                self.case.code + "9", self.me[-4:])


def test_a_case_is_followed_while_it_waits(tmp_path):
    with harness.Engine(tmp_path / "e", schemas=office_schemas(tmp_path / "schemas")) as e:
        e.prepare().start()
        stubs = e.stubs()
        waits, back, confirmed = (Followed(e) for _ in range(3))
        for one in (waits, back, confirmed):
            one.is_at(AWAITING)
        refuse(stubs, back.receipt.result_id)
        confirm(stubs, [confirmed.receipt.result_id])
        confirmed.is_at(STORED)
        # Whose it was is forgotten with a case that came to nothing.
        harness.wait_for(lambda: back.told() is None)
        back.nobody_else()
        e.kill()
        e.start(registers=False)
        waits.is_at(AWAITING)
        confirmed.is_at(STORED)
        assert back.told() is None


def test_a_case_is_followed_while_it_is_held(without_officer):
    e, path, good = without_officer
    one = Followed(e)
    one.is_at(HELD)
    path.write_text(good)
    e.hup()
    e.trien("held", "retry", "--connect", f"unix:{e.data}/engine.sock")
    one.is_at(STORED)


def test_a_case_is_followed_on_its_way(engine):
    """No signature comes: it is numbered, and in no place but the journal."""
    engine.start()
    signer = engine.children()["signer"]
    os.kill(signer, signal.SIGSTOP)
    try:
        one = Followed(engine)
        one.is_at(NUMBERED)
    finally:
        os.kill(signer, signal.SIGCONT)
    one.is_at(STORED)

"""Keys on their officers' devices: digests are fetched, signatures brought; what is wrong harms
only itself, and nobody is asked twice."""
import json
import subprocess
import time

import grpc
import pytest

import harness
from authority import DAY, Authority, utc_now
from copying import APPROVED, by_each_call, check_copies, schemas_with_approval
from office import Signer, office_schemas
from officers import (AWAITING_SIGNATURE, GIVEN_BEFORE, HELD, NOT_WAITED_FOR, OTHER_DIGEST, STORED,
                      TAKEN, WRONG, Device, Office, Token, has_pkcs11, key_of, to_devices)
from parked import damaged
from sample import KIND, SIGNER, UNITS, case, send
from test_approval import waits
from test_mirror import Pair

needs_softhsm = pytest.mark.skipif(not has_pkcs11(), reason="SoftHSM or python-pkcs11 is missing")


@pytest.fixture
def office(tmp_path):
    e = Office(tmp_path / "e", "p256", metrics="127.0.0.1:0")
    e.prepare().start()
    yield e
    e.kill()


def submit(engine, n, unit=UNITS[0]):
    answer = send(engine.stubs(), [case(unit=unit) for _ in range(n)])
    assert not answer.rejects
    return [r.result_id for r in answer.receipts]


def state(engine, result_id):
    m = harness.modules()["repository"]
    return engine.stubs().repository.GetResult(m.GetResultRequest(result_id=result_id),
                                               timeout=20)


def files(engine, ids, folder):
    folder.mkdir(exist_ok=True)
    for i in ids:
        (folder / f"{i}.pdf").write_bytes(engine.download(engine.stubs(), i)[0])
    return sorted(folder.glob("*.pdf"))


def refused(call, code):
    with pytest.raises(grpc.RpcError) as e:
        call()
    assert harness.details(e.value)["reason"] == code


# ---- with a token ----

@needs_softhsm
@pytest.mark.parametrize("algorithm", ["rsa2048", "p256", "pss2048"])
def test_two_officers_sign_with_their_tokens(tmp_path, algorithm):
    with Office(tmp_path / "e", algorithm, check_one_in="64") as e:
        e.prepare().start()
        tokens = [Token(e, u) for u in UNITS]
        ids = [submit(e, 12, u) for u in UNITS]
        wait = Device(e, UNITS[0])
        assert {a.key_id for a in wait.taken(12)} == {key_of(UNITS[0])}
        assert state(e, ids[0][0]).state == AWAITING_SIGNATURE
        said = tokens[0].once()
        assert said.count("is signed") == 12, said
        stored = e.wait_stored(e.stubs(), ids[0])
        assert [stored[i].number for i in ids[0]] == list(range(1, 13))
        assert state(e, ids[1][0]).state == AWAITING_SIGNATURE, "the other officer has not signed"
        tokens[1].once()
        e.wait_stored(e.stubs(), ids[1])
        some = files(e, ids[0][:2] + ids[1][:2], tmp_path / "pdf")
        e.trien("verify", "--data", e.data, *some)
        assert tokens[0].once() == "", "nothing is signed twice"
        assert e.stop() == 0, e.log()


@needs_softhsm
def test_what_a_token_cannot_sign_hides_nothing(tmp_path):
    """More than a bridge takes at once wait for another key of the officer's."""
    with Office(tmp_path / "e", "p256") as e:
        e.prepare()
        path = e.data / "certs" / "keys.json"
        mine = json.loads(path.read_text())["keys"]
        Authority(e).issue(SIGNER[UNITS[0]], utc_now() + DAY, "other")
        doc = json.loads(path.read_text())
        other = next(k for k in doc["keys"] if k["id"] == "other")
        other.pop("key")

        def keys(rows):
            path.write_text(json.dumps({**doc, "keys": rows}))

        keys([other, *mine])
        e.start()
        submit(e, 3)
        Device(e, UNITS[0]).taken(3)
        keys([*mine, other])
        e.hup()
        ids = submit(e, 2)
        assert [a.key_id for a in Device(e, UNITS[0]).taken(5)] == \
            ["other"] * 3 + [key_of(UNITS[0])] * 2
        said = Token(e, UNITS[0]).once("--batch", "2")
        assert said.count("is signed") == 2, said
        e.wait_stored(e.stubs(), ids)


@needs_softhsm
def test_copies_are_signed_with_the_officers_token(tmp_path):
    """Issued by machine, and confirmed in a session first."""
    schemas = schemas_with_approval(tmp_path / "schemas")
    with Office(tmp_path / "e", "p256", schemas=schemas) as e:
        e.prepare().start()
        stubs, token, signer = e.stubs(), Token(e, UNITS[0]).start(), Signer(e)
        try:
            first, = submit(e, 1)
            e.wait_stored(stubs, [first])
            source = first, e.download(stubs, first)[0]
            wanted = by_each_call(stubs, source)
            check_copies(e, wanted, tmp_path / "pdf")
            later = by_each_call(stubs, source, kind=APPROVED)
            *approved, _ = later
            harness.wait_for(lambda: {w.result_id for w in signer.waiting()} == set(approved))
            session = signer.open(approved)
            signer.confirm(session)
            got = check_copies(e, later, tmp_path / "confirmed")
            first = e.wait_stored(stubs, wanted)
            numbers = [x[i].number for x, ids in ((first, wanted), (got, later))
                       for i in list(ids)[:3]]
            assert numbers == [1, 2, 3, 4, 5, 6], "one book"
            n = 1 + len(wanted) + len(later)
            harness.wait_for(lambda: token.log().count("is signed") == n)
        finally:
            token.stop()


@needs_softhsm
def test_a_bridge_goes_on_after_its_line_broke(tmp_path):
    with Office(tmp_path / "e", "p256") as e:
        e.prepare().start()
        e.settings["listen"] = f"unix:{e.data}/engine.sock,127.0.0.1:{e.port()}"
        token = Token(e, UNITS[0]).start()
        try:
            ids = submit(e, 5)
            e.wait_stored(e.stubs(), ids)
            e.kill()
            harness.wait_for(lambda: "does not answer" in token.log(), 60)
            e.start()
            ids += submit(e, 5)
            e.wait_stored(e.stubs(), ids)
            assert token.process.poll() is None
            assert token.log().count("is signed") == 10
        finally:
            token.stop()


# ---- wrong ones ----

def test_a_wrong_signature_harms_only_its_item(office):
    ids = submit(office, 8)
    mine, other = Device(office, UNITS[0]), Device(office, UNITS[1])
    a = mine.taken(8)
    by_id = {x.result_id: x for x in a}
    good = mine.value(a[0])
    given = [
        mine.given(a[0], good[:-1]),                            # truncated
        mine.given(a[1], other.value(a[1])),                    # a foreign key's
        mine.given(a[2], mine.value(a[3])),                     # reordered
        mine.given(a[3], mine.value(a[2])),
        mine.given(a[4], b""),
        mine.given(a[5], bytes(384)),
        mine.given(a[6]),
        mine.given(a[7]),
    ]
    assert mine.give(given) == [WRONG] * 6 + [TAKEN] * 2
    assert "ALARM" in office.log() and key_of(UNITS[0]) in office.log()
    assert office.log().count("ALARM") == 1, "one line a call"
    assert office.metrics()["bridge_signatures_wrong_total"] == 6
    office.wait_stored(office.stubs(), [a[6].result_id, a[7].result_id])
    left = mine.taken(6)
    assert {x.result_id for x in left} == {x.result_id for x in a[:6]}
    assert all(x.digest == by_id[x.result_id].digest for x in left), "the same bytes are signed"
    assert mine.give([mine.given(a[0], good)]) == [TAKEN]
    assert mine.give(mine.given(x) for x in left[1:]) == [TAKEN] * 5
    stored = office.wait_stored(office.stubs(), ids)
    assert sorted(r.number for r in stored.values()) == list(range(1, 9))
    assert office.stop() == 0, office.log()


def test_what_was_not_asked_for(office):
    submit(office, 2)
    mine, other = Device(office, UNITS[0]), Device(office, UNITS[1])
    a, b = mine.taken(2)
    submit(office, 1, UNITS[1])
    theirs, = other.taken(1)
    given = [
        mine.given(a, digest=b.digest),
        mine.given(a, digest=a.digest[:-1]),
        mine.given(a, digest=b""),
        mine.given(a, slot=1),
        mine.given(a, result_id="0" * 26),
        mine.given(a, result_id="x"),
        mine.given(a, result_id=""),
    ]
    assert mine.give(given) == [OTHER_DIGEST] * 3 + [NOT_WAITED_FOR] * 4
    assert "ALARM" not in office.log()
    # His key under my name: it is his document, his key decides.
    assert mine.give([other.given(theirs)]) == [TAKEN]
    refused(lambda: mine.give([]), "ARGUMENT_MISSING")
    refused(lambda: mine.give([mine.given(a, b"x")] * 501), "TOO_MANY")
    refused(lambda: mine.take(max_digests=501), "ARGUMENT_INVALID")
    refused(lambda: mine.take(31), "ARGUMENT_INVALID")
    refused(lambda: mine.take(key_id="k" * 65), "ARGUMENT_INVALID")
    assert mine.take(key_id="another") == []
    assert len(mine.take(key_id=key_of(UNITS[0]))) == 2
    assert [x.result_id for x in mine.take(max_digests=1)] == [a.result_id]
    # Page by page, before any is given.
    page = lambda **kw: mine.stub.TakeDigests(mine.m.TakeDigestsRequest(
        signer=mine.signer, max_digests=1, **kw), timeout=20)
    first = page()
    second = page(page_token=first.next_page_token, wait_seconds=30)
    assert [x.result_id for x in second.awaited] == [b.result_id]
    last = page(page_token=second.next_page_token, wait_seconds=30)
    assert (list(last.awaited), last.next_page_token) == ([], "")
    refused(lambda: page(page_token=first.next_page_token, key_id="another"),
            "PAGE_TOKEN_INVALID")


def test_a_row_that_cannot_be_read_harms_no_other(office):
    cases = [case() for _ in range(4)]
    ids = [r.result_id for r in send(office.stubs(), cases).receipts]
    Device(office, UNITS[0]).taken(4)
    ids += submit(office, 1)    # in a later write: what is torn off at the end is no damage
    Device(office, UNITS[0]).taken(5)
    office.kill()
    others = ids[:1] + ids[2:]
    with damaged(office, cases[1].code):
        office.start(registers=False)
        Device(office, UNITS[0]).sign_all(4)
        stored = office.wait_stored(office.stubs(), others)
        assert [stored[i].number for i in others] == [1, 3, 4, 5]
        assert "ALARM" in office.log() and "02/" in office.log()
        assert state(office, ids[1]).state == AWAITING_SIGNATURE
        assert office.stop() == 0, office.log()
    office.start(registers=False)
    Device(office, UNITS[0]).sign_all(1)
    assert office.wait_stored(office.stubs(), ids[1:2])[ids[1]].number == 2
    # A whole segment that is away: nothing is asked for, and no call fails.
    ids = submit(office, 2)
    mine = Device(office, UNITS[0])
    mine.taken(2)
    segment, = (office.data / "waiting").glob("*.seg")
    segment.rename(segment.with_suffix(".away"))
    assert mine.take() == []
    segment.with_suffix(".away").rename(segment)
    mine.sign_all(2)
    office.wait_stored(office.stubs(), ids)
    assert office.stop() == 0, office.log()


# ---- once ----

def test_given_twice(office):
    ids = submit(office, 3)
    mine = Device(office, UNITS[0])
    a = mine.taken(3)
    first = [mine.given(x) for x in a[:2]]
    assert mine.give([first[0], first[0]]) == [TAKEN, GIVEN_BEFORE]
    assert mine.give(first) == [GIVEN_BEFORE, TAKEN]
    office.wait_stored(office.stubs(), ids[:2])
    pdf, _ = office.download(office.stubs(), ids[0])
    # Another good signature of the same key: the first one counts.
    again = mine.given(a[0])
    assert again.signature != first[0].signature
    assert mine.give([again, first[0]]) == [GIVEN_BEFORE] * 2
    assert office.download(office.stubs(), ids[0])[0] == pdf
    assert [x.result_id for x in mine.take()] == [ids[2]]
    other = Device(office, UNITS[1])
    office.principals([{"name": "tester", "roles": ["sign"], "signers": [SIGNER[UNITS[1]]]}])
    office.hup()
    assert other.give([first[0]]) == [NOT_WAITED_FOR], "another's document is as if it were not"


def test_killed_between_take_and_give(office):
    ids = submit(office, 4)
    mine = Device(office, UNITS[0])
    a = mine.taken(4)
    given = [mine.given(x) for x in a]
    office.kill()
    office.start()
    mine = Device(office, UNITS[0])
    assert mine.give(given) == [TAKEN] * 4
    stored = office.wait_stored(office.stubs(), ids)
    assert [stored[i].number for i in ids] == [1, 2, 3, 4]
    assert office.stop() == 0, office.log()


@pytest.mark.parametrize("rounds", [4])
def test_killed_right_after_giving(office, rounds):
    ids = []
    for _ in range(rounds):
        mine = Device(office, UNITS[0])
        ids += submit(office, 20)
        mine.sign_all(20)
        office.kill()
        office.start()
        assert Device(office, UNITS[0]).take() == [], "who has given is not asked again"
    stored = office.wait_stored(office.stubs(), ids)
    assert [stored[i].number for i in ids] == list(range(1, 20 * rounds + 1))
    assert office.stop() == 0, office.log()
    office.start()
    assert Device(office, UNITS[0]).take() == []


@pytest.mark.parametrize("delay_ms", [0, 2, 5, 10, 20])
def test_killed_while_giving(office, delay_ms):
    """Nobody knows which were taken: the same are given again, and no two count."""
    ids = submit(office, 60)
    mine = Device(office, UNITS[0])
    given = [mine.given(x) for x in mine.taken(60)]
    call = mine.stub.GiveSignatures.future(mine.m.GiveSignaturesRequest(given=given), timeout=30)
    time.sleep(delay_ms / 1000)
    office.kill()
    told = [] if call.exception(10) else [a.outcome for a in call.result().answers]
    office.start()
    mine = Device(office, UNITS[0])
    again = {a.result_id for a in mine.take(max_digests=500)}
    assert not again & {g.result_id for g, o in zip(given, told) if o == TAKEN}
    assert set(mine.give(given)) <= {TAKEN, GIVEN_BEFORE}
    stored = office.wait_stored(office.stubs(), ids)
    assert [stored[i].number for i in ids] == list(range(1, 61))
    assert office.stop() == 0, office.log()


def test_taken_over(tmp_path):
    """The mirror has what came, and asks for the rest with the same digests."""
    p = Pair(tmp_path)
    try:
        to_devices(p.engine)
        p.engine.start()
        ids = submit(p.engine, 20)
        mine = Device(p.engine, UNITS[0])
        a = mine.taken(20)
        assert mine.give(mine.given(x) for x in a[:10]) == [TAKEN] * 10
        p.engine.kill()
        p.mirror.kill()
        p.take_over()
        second = p.go_on(start=False)
        second.start(registers=False)
        mine = Device(second, UNITS[0], p.engine.devices)
        left = mine.taken(10)
        assert {(x.result_id, x.digest) for x in left} == {(x.result_id, x.digest) for x in a[10:]}
        assert mine.give(mine.given(x) for x in left) == [TAKEN] * 10
        stored = second.wait_stored(second.stubs(), ids)
        assert [stored[i].number for i in ids] == list(range(1, 21))
    finally:
        p.close()


# ---- other keys ----

def test_what_waits_is_drawn_again_for_the_key_that_is(office):
    """A renewed certificate is a key of another name; the old entry goes."""
    ids = submit(office, 5)
    mine = Device(office, UNITS[0])
    old = mine.taken(5)
    time.sleep(1.1)  # the signing time in a document has seconds
    office.policy(lambda k: k.update(id=k["id"] + "-2"))
    new = harness.wait_for(lambda: [a for a in mine.take() if a.key_id.endswith("-2")][4:] and
                           mine.take())
    assert {a.result_id for a in new} == set(ids)
    assert not {a.digest for a in new} & {a.digest for a in old}
    assert mine.give(mine.given(a) for a in old) == [OTHER_DIGEST] * 5
    assert mine.give(mine.given(a) for a in new) == [TAKEN] * 5
    stored = office.wait_stored(office.stubs(), ids)
    assert [stored[i].number for i in ids] == list(range(1, 6)), "the numbers stay"
    assert office.stop() == 0, office.log()


def test_without_a_key_it_is_held_and_goes_on_later(office):
    ids = submit(office, 3)
    mine = Device(office, UNITS[0])
    mine.taken(3)
    gone = []
    office.policy(lambda k: gone.append(k) or False)
    harness.wait_for(lambda: {(r.state, r.held_reason) for r in
                              (state(office, i) for i in ids)} == {(HELD, "KEY_MISSING")})
    assert mine.take() == []
    # One whose time has not come is named, with its day.
    path = office.data / "certs" / "keys.json"
    policy = json.loads(path.read_text())
    path.write_text(json.dumps({**policy, "keys": policy["keys"] + [
        {**k, "from": "2126-01-01"} for k in gone]}))
    office.hup()
    office.trien("held", "retry", "--connect", f"unix:{office.data}/engine.sock")
    harness.wait_for(lambda: office.trien(
        "held", "list", "--connect", f"unix:{office.data}/engine.sock").stdout.count(
            ": not valid before 2126-01-01") == 3)
    path.write_text(json.dumps(policy))
    path = office.data / "certs" / "keys.json"
    policy = json.loads(path.read_text())
    policy["keys"] += gone
    path.write_text(json.dumps(policy))
    office.hup()
    office.trien("held", "retry", "--connect", f"unix:{office.data}/engine.sock")
    mine.sign_all(3)
    office.wait_stored(office.stubs(), ids)


def test_a_key_that_is_kept_here_from_now_on(office):
    """The officer's key became a file: nobody has to fetch anything."""
    ids = submit(office, 3)
    mine = Device(office, UNITS[0])
    mine.taken(3)

    def home(k):
        name = f"{k['id']}.pem"
        (office.devices / name).rename(office.data / "keys" / name)
        k.update(source="file", key=name)

    office.policy(home)
    office.wait_stored(office.stubs(), ids)
    assert mine.take() == [] and mine.signed == 0


# ---- waiting ----

def test_a_long_poll_hears_of_what_comes(office):
    mine = Device(office, UNITS[0])
    begun = time.monotonic()
    assert mine.take(1) == [] and 1 <= time.monotonic() - begun < 10
    future = mine.stub.TakeDigests.future(mine.m.TakeDigestsRequest(
        signer=SIGNER[UNITS[0]], wait_seconds=30), timeout=60)
    time.sleep(0.5)
    assert not future.done()
    rid, = submit(office, 1)
    assert [a.result_id for a in future.result(20).awaited] == [rid]
    # Another officer's document is no news for this one; a cancelled call leaves nothing behind.
    other = Device(office, UNITS[1])
    future = other.stub.TakeDigests.future(other.m.TakeDigestsRequest(
        signer=SIGNER[UNITS[1]], wait_seconds=30), timeout=60)
    submit(office, 1)
    time.sleep(0.5)
    assert not future.done()
    future.cancel()
    future = other.stub.TakeDigests.future(other.m.TakeDigestsRequest(
        signer=SIGNER[UNITS[1]], wait_seconds=30), timeout=60)
    time.sleep(0.3)
    begun = time.monotonic()
    assert office.stop() == 0, office.log()
    assert time.monotonic() - begun < 15, "a stop does not wait for who waits"
    assert future.exception(10) is not None


def test_what_stands_on_it(office):
    rid, = submit(office, 1)
    a, = Device(office, UNITS[0]).taken(1)
    r = state(office, rid)
    assert (a.result_id, a.slot, a.kind, a.unit) == (rid, 0, KIND, UNITS[0])
    assert a.number_text == r.number_text and a.number_text
    assert (a.key_id, len(a.digest)) == (key_of(UNITS[0]), 32)
    assert a.sign_time.seconds == r.issue_time.seconds
    rows = office.trien("keys", "list", "--data", office.data, "--json").stdout
    assert '"bridge"' in rows and a.certificate_sha256.hex() in rows


def test_the_console_says_that_the_bridge_is_waited_for(tmp_path):
    """A confirmed session, whose documents wait for the token of the one who confirmed it."""
    schemas = office_schemas(tmp_path / "schemas")
    with Office(tmp_path / "e", "p256", schemas=schemas) as e:
        e.prepare().start()
        receipts = send(e.stubs(), [case() for _ in range(3)]).receipts
        waits(e.stubs(), receipts)
        ids = [r.result_id for r in receipts]
        signer, mine = SIGNER[UNITS[0]], Device(e, UNITS[0])
        assert mine.take() == [], "what is not confirmed is not signed"
        console = subprocess.Popen(
            [str(harness.TRIEN), "sign", "confirm", "--all", "--signer", signer, "--yes",
             "--connect", f"unix:{e.data}/engine.sock"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            line = console.stderr.readline()
            assert line == f"documents=3 wait for key {key_of(UNITS[0])}: start the signer's " \
                           "bridge\n"
            mine.sign_all(3)
            out, err = console.communicate(timeout=60)
        finally:
            console.kill()
        assert (console.returncode, err) == (0, ""), out
        assert out.count("AWAITING_SIGNATURE") == 3 and "3 of 3 approved, 3 at their end" in out
        stored = e.wait_stored(e.stubs(), ids)
        assert sorted(r.number for r in stored.values()) == [1, 2, 3]


def test_five_hundred_at_once(office):
    ids = submit(office, 250) + submit(office, 250) + submit(office, 100)
    mine = Device(office, UNITS[0])
    a = harness.wait_for(lambda: [x for x in [mine.take(max_digests=500)] if len(x) == 500])[0]
    assert len({(x.result_id, x.digest) for x in a}) == 500
    assert mine.give(mine.given(x) for x in a) == [TAKEN] * 500
    mine.sign_all(100)
    stored = office.wait_stored(office.stubs(), ids)
    assert sorted(r.number for r in stored.values()) == list(range(1, 601))
    assert office.stop() == 0, office.log()


# ---- who ----

def test_who_may(office):
    rid, = submit(office, 1)
    mine = Device(office, UNITS[0])
    a, = mine.taken(1)
    office.principals([{"name": "tester", "roles": ["submit", "read", "registry"],
                        "units": ["*"]}])
    office.hup()
    refused(lambda: mine.take(), "ROLE_MISSING")
    refused(lambda: mine.give([mine.given(a)]), "ROLE_MISSING")
    office.principals([{"name": "tester", "roles": ["sign"], "signers": [SIGNER[UNITS[1]]]}])
    office.hup()
    refused(lambda: mine.take(), "SIGNER_DENIED")
    assert mine.give([mine.given(a)]) == [NOT_WAITED_FOR]
    assert mine.take(signer="") == []
    office.principals([{"name": "tester", "roles": ["sign", "read"], "units": ["*"],
                        "signers": [SIGNER[UNITS[0]]]}])
    office.hup()
    assert [x.result_id for x in mine.take(signer="")] == [rid]
    assert mine.give([mine.given(a)]) == [TAKEN]
    harness.wait_for(lambda: state(office, rid).state == STORED)

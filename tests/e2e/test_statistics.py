"""Statistics: counters against what is stored, one by one, in both stores."""
import collections
import contextlib
import datetime
import json
import os
import random
import shutil
import signal
import subprocess
import time

import grpc
import pytest

import harness
import originals
import postgres
from copying import CERTIFIED, REGISTER, certify, copy_case, issue_copy
from office import office_schemas, submit
from sample import UNITS, SIGNER, KIND, case, send
from test_clock import LIBRARY, Clock, in_vietnam
from test_held import held
from test_life import caller, correct, events, revoke
from test_register_book import without_key

VIETNAM = datetime.timezone(datetime.timedelta(hours=7))
OTHER = "thong-bao-tu-choi"
DAY, MONTH, QUARTER, YEAR = 1, 2, 3, 4
CHANNEL = {1: "online", 2: "at_counter", 3: "by_post", 4: "proactive"}
DELIVERY = {1: "electronic", 2: "handed_over", 3: "posted"}
FEE = {1: "fee_free", 2: "paid_online", 3: "paid_cash", 4: "fee_exempt", 5: "fee_due"}
PROCEDURE, FIELD, SIGNED_BY, LATE_CAUSE = 1, 2, 3, 4
BY_ALL = (PROCEDURE, FIELD, SIGNED_BY, LATE_CAUSE)
PARTS = ("procedure_code", "procedure_field", "signer", "late_cause")
TIMELINESS = {1: "early", 2: "on_time", 3: "late"}


def with_facts(rng, now):
    """A case with whatever its facts may be; now and then with a second agency's result."""
    c = case(unit=rng.choice(UNITS))
    f = c.facts
    f.channel, f.delivery, f.fee = rng.randrange(6), rng.randrange(4), rng.randrange(6)
    if rng.random() < 0.7:
        f.received_time.FromSeconds(now - rng.randrange(30 * 86400))
    if rng.random() < 0.8:
        f.due_time.FromSeconds(now + rng.randrange(-2 * 86400, 2 * 86400))
        f.extended_minutes = rng.choice((0, 0, 30, 1440))
    f.reused_results.extend("KQ.1" for _ in range(rng.choice((0, 0, 1, 3))))
    f.data_sources.extend(harness.modules()["case"].DataSource(database=rng.choice((
        "CSDLQGDC", "CSDLDN"))) for _ in range(rng.choice((0, 1, 2))))
    f.procedure_code = rng.choice(("1.004873", "2.000815", ""))
    f.procedure_field = rng.choice(("Hộ tịch", "Chứng thực"))
    f.late_cause = rng.choice(("PHOI_HOP", "NHAN_SU", ""))
    f.papers, f.papers_digitised = rng.choice(((0, 0), (4, 4), (4, 3), (300, 300), (300, 299)))
    if rng.random() < 0.2:
        other = UNITS[1 - UNITS.index(c.results[0].unit)]
        r = c.results.add()
        r.CopyFrom(c.results[0])
        r.unit, r.signer = other, SIGNER[other]
    return c


def ask(stubs, **kw):
    m = harness.modules()["audit"]
    rows, token = [], ""
    while True:
        a = stubs.audit.GetStatistics(m.GetStatisticsRequest(page_token=token, **kw), timeout=30)
        rows += a.rows
        token = a.next_page_token
        if not token:
            return rows, a.total


def flat(counts):
    return {f.name: v for f, v in counts.ListFields()}


def vietnam(stamp):
    return stamp.ToDatetime(datetime.timezone.utc).astimezone(VIETNAM)


def dossier(c, f):
    """What its first result says of a dossier."""
    c["cases_reusing"] += bool(f.reused_results)
    c["cases_citizen_data"] += any(s.database == "CSDLQGDC" for s in f.data_sources)
    c["cases_with_papers"] += bool(f.papers)
    c["cases_digitised"] += 0 < f.papers <= f.papers_digitised
    c["papers"] += min(f.papers, 255)
    c["papers_digitised"] += min(f.papers_digitised, 255 - (f.papers > f.papers_digitised))


def parts_of(r, f, late, by):
    """What a result is told apart by."""
    values = (f.procedure_code, f.procedure_field, SIGNER[r.unit], f.late_cause if late else "")
    return tuple(values[i - 1] if i in by else "" for i in (1, 2, 3, 4)) if by else ()


def expected(stubs, ids, leads, by=()):
    """By (agency, kind, day), and what it is told apart by: counted from each result by itself."""
    none = ("",) * 4 if by else ()
    m = harness.modules()["repository"]
    out = collections.defaultdict(collections.Counter)
    for i in ids:
        r = stubs.repository.GetResult(m.GetResultRequest(result_id=i), timeout=20)
        day = vietnam(r.issue_time).date()
        f, later = r.facts, out[(r.unit, r.kind, day) + none]
        signed = max(s.sign_time.ToMilliseconds() for s in r.signatures)
        due = f.due_time.ToMilliseconds() + f.extended_minutes * 60000
        when = 0 if not f.HasField("due_time") else 3 if signed > due else \
            1 if vietnam_day(signed) < vietnam_day(due) else 2
        assert r.timeliness == when
        c = out[(r.unit, r.kind, day) + parts_of(r, f, when == 3 and not r.replaces, by)]
        c["results"] += 1
        c["accepted"] += vietnam(r.accept_time).date() == day
        c["replacements"] += bool(r.replaces)
        acts = [e.kind for e in events(stubs, i)]
        later["corrected"] += acts.count(m.Event.CORRECTED)
        later["revoked"] += acts.count(m.Event.REVOKED)
        if r.replaces:
            # Not where nobody relied on it any more.
            old = stubs.repository.GetResult(m.GetResultRequest(result_id=r.replaces), timeout=20)
            out[(old.unit, old.kind, vietnam(old.issue_time).date()) + none]["replaced"] += \
                old.life != m.REVOKED
        for names, value in ((CHANNEL, f.channel), (DELIVERY, f.delivery), (FEE, f.fee)):
            if value in names:
                c[names[value]] += 1
        c["reused"] += len(f.reused_results)
        c["reusing"] += bool(f.reused_results)
        c["sources"] += len(f.data_sources)
        c["sourced"] += bool(f.data_sources)
        c["e_results"] += not r.replaces
        c["solved"] += not r.replaces
        c["received"] += 1
        if r.replaces:
            continue
        c["certified_copies"] += r.kind == CERTIFIED
        c["register_copies"] += r.kind == REGISTER
        lead = leads[r.case_code] == r.unit
        c["cases"] += lead
        if lead:
            dossier(c, f)
        if when:
            c[TIMELINESS[when]] += 1
            c[f"cases_{TIMELINESS[when]}"] += lead
        if f.HasField("received_time"):
            c["timed"] += 1
            c["minutes"] += (signed - f.received_time.ToMilliseconds()) // 60000
    told_apart = {k: {n: v for n, v in c.items() if v} for k, c in out.items()}
    return {k: c for k, c in told_apart.items() if c}


def vietnam_day(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, VIETNAM).date()


def told(stubs, period=DAY, **kw):
    rows = ask(stubs, period=period, **kw)[0]
    return {(r.unit, r.kind, datetime.date(r.first_day.year, r.first_day.month, r.first_day.day)) +
            (tuple(getattr(r, p) for p in PARTS) if kw.get("by") else ()): flat(r.counts)
            for r in rows}


def waiting(stubs, **kw):
    """What is pending, by agency; and the sum."""
    a = stubs.audit.GetStatistics(harness.modules()["audit"].GetStatisticsRequest(
        pending=True, **kw), timeout=20)
    rows = {r.unit: flat(r.counts) for r in a.pending}
    total = collections.Counter()
    for counts in rows.values():
        total.update(counts)
    assert flat(a.pending_total) == total
    return rows


def rate(part, whole):
    return (part, whole, (20000 * part + whole) // (2 * whole)) if whole else (0, 0, 0)


def rates_of(c):
    """Each by its definition."""
    in_time, cases_in_time = c.early + c.on_time, c.cases_early + c.cases_on_time
    return {"e_results": rate(c.results - c.replacements, c.solved),
            "e_results_of_received": rate(c.results - c.replacements, c.accepted + c.outside),
            "on_time": rate(in_time, in_time + c.late),
            "cases_on_time": rate(cases_in_time, cases_in_time + c.cases_late),
            "on_time_of_received": rate(in_time, c.accepted + c.outside),
            "reuse": rate(c.cases_reusing, c.cases),
            "digitised": rate(c.cases_digitised, c.cases),
            "citizen_data": rate(c.cases_citizen_data, c.cases),
            "online": rate(c.online, c.online + c.at_counter + c.by_post + c.proactive),
            "paid_online": rate(c.paid_online, c.paid_online + c.paid_cash)}


@pytest.fixture(scope="module", params=["embedded", "postgres"])
def office(request, tmp_path_factory):
    """The first agency takes over from the second one."""
    folder = tmp_path_factory.mktemp("statistics")
    store, settings = harness.store_of(request.param)
    shutil.copytree(harness.ROOT / "schemas", folder / "schemas")
    path = folder / "schemas" / "agencies" / f"{UNITS[1]}.json"
    agency = json.loads(path.read_text())
    agency["versions"][-1]["successor"] = UNITS[0]
    path.write_text(json.dumps(agency, ensure_ascii=False))
    short_lived(folder / "schemas" / "results" / f"{CERTIFIED}.json")
    e = harness.Engine(folder, schemas=folder / "schemas", **settings)
    e.prepare()
    e.good = without_key(e, UNITS[1])
    e.good()
    e.start()
    e.store, e.ids, e.leads = store, [], {}
    yield e
    e.kill()


def short_lived(path):
    """A kind that was not there when the year began, and is not there when it ends."""
    kind, today = json.loads(path.read_text()), datetime.datetime.now(VIETNAM).date()
    version = kind["versions"][-1]
    version["from"] = str(today - datetime.timedelta(days=2))
    version["to"] = str(today + datetime.timedelta(days=2))
    kind["versions"] = [version]
    path.write_text(json.dumps(kind, ensure_ascii=False))


def whole(office):
    """Counters and records agree, says who compares all of them."""
    if office.store is not None:
        checked = office.trien("store", "check", "--deep", *office.store.conninfos,
                               "--postgres-distribution", office.store.cluster.distribution)
        assert "counters" not in checked.stdout
    else:
        before = told(office.stubs(), by=BY_ALL)
        assert office.stop() == 0, office.log()
        office.trien("fsck", "--data", office.data)
        # Counted anew from the records alone.
        for path in (office.data / "store").glob("index.db*"):
            path.unlink()
        office.start(registers=False)
        assert told(office.stubs(), by=BY_ALL) == before


def test_counted_is_what_is_stored(office):
    rng, now = random.Random(9), int(datetime.datetime.now().timestamp())
    cases = [with_facts(rng, now) for _ in range(90)]
    stubs = office.stubs()
    for i in range(0, 60, 20):
        send(stubs, cases[i:i + 20])
    # Some are durable, some on their way, some not sent: all are sent again.
    future = stubs.issuance.SubmitBatch.future(
        harness.modules()["issuance"].SubmitBatchRequest(cases=cases[60:]), timeout=20)
    office.kill()
    future.exception()
    office.start(registers=False)
    stubs = office.stubs()
    for i in range(0, 90, 30):
        answer = send(stubs, cases[i:i + 30])
        assert not answer.rejects
        office.ids += [r.result_id for r in answer.receipts]
    office.leads.update({c.code: c.results[0].unit for c in cases})
    office.wait_stored(stubs, office.ids)
    want = expected(stubs, office.ids, office.leads)
    assert told(stubs) == want
    rows, total = ask(stubs, period=YEAR)
    assert total.results == len(office.ids) and total.cases == 90
    assert total.results == sum(c["results"] for c in want.values())
    # By dossier and by document.
    assert 0 < sum(getattr(total, f"cases_{by}") for by in TIMELINESS.values()) < \
        sum(getattr(total, by) for by in TIMELINESS.values())
    # Told apart, by one and by all of it; and together again the same.
    for by in (PROCEDURE,), (FIELD, LATE_CAUSE), BY_ALL:
        assert told(stubs, by=by) == expected(stubs, office.ids, office.leads, by), by
        assert ask(stubs, period=YEAR, by=by)[1] == total
    apart, _ = ask(stubs, period=YEAR, by=[PROCEDURE])
    assert {r.procedure_code for r in apart} == {"", "1.004873", "2.000815"}
    assert ask(stubs, period=YEAR, by=[PROCEDURE], page_size=1)[0] == apart
    # Causes are of what is late, and of nothing else.
    causes = ask(stubs, period=YEAR, by=[LATE_CAUSE])[0]
    assert all(r.counts.late == r.counts.results for r in causes if r.late_cause)
    for r in rows:
        assert {f.name: (v.part, v.whole, v.per_10000) for f in r.rates.DESCRIPTOR.fields
                for v in (getattr(r.rates, f.name),)} == rates_of(r.counts)
    assert 0 < rows[0].rates.digitised.per_10000 < 10000
    # A page at a time, one agency, nothing of another kind or another year.
    assert ask(stubs, period=YEAR, page_size=1) == (rows, total)
    one = ask(stubs, units=[UNITS[0]], kinds=[KIND])[1]
    assert one.results == sum(c["results"] for k, c in want.items() if k[0] == UNITS[0])
    assert not ask(stubs, kinds=[OTHER])[0]
    date = harness.modules()["case"].Date
    assert not ask(stubs, to=date(year=2021, month=2, day=28))[0]
    # A start folds; a crash after it changes nothing.
    office.kill()
    office.start(registers=False)
    assert told(office.stubs()) == want
    assert told(office.stubs(), by=[PROCEDURE, FIELD]) == \
        expected(office.stubs(), office.ids, office.leads, [PROCEDURE, FIELD])
    whole(office)


def test_what_is_pending(office):
    """In time, late and without a deadline; held, on its way, and gone; over a restart."""
    without_key(office, UNITS[1])
    office.hup()
    stubs, date = office.stubs(), harness.modules()["case"].Date
    cases = [case(unit=UNITS[1]) for _ in range(4)]
    now, today = int(time.time()), datetime.datetime.now(VIETNAM).date()
    cases[0].facts.due_time.FromSeconds(now - 3600)
    cases[1].facts.due_time.FromSeconds(now + 86400)
    # Late but for what it was moved by.
    cases[2].facts.due_time.FromSeconds(now - 3600)
    cases[2].facts.extended_minutes = 1440
    office.leads.update({c.code: UNITS[1] for c in cases})
    ids = [r.result_id for r in send(stubs, cases).receipts]
    harness.wait_for(lambda: len(held(office)) == 4)
    now_there = {UNITS[1]: {"pending": 4, "in_time": 2, "late": 1}}
    assert waiting(stubs) == now_there
    assert waiting(stubs, units=[UNITS[0]]) == {}
    assert waiting(stubs, kinds=[OTHER]) == {}
    assert waiting(stubs, by=[PROCEDURE]) == now_there
    # As of a day that begins later, all of it was carried over to it.
    before = date(year=today.year - 1, month=1, day=1)
    later = today + datetime.timedelta(days=2)
    later = date(year=later.year, month=later.month, day=later.day)
    assert waiting(stubs, **{"from": before}) == now_there
    carried = {UNITS[1]: {"pending": 4, "in_time": 2, "late": 1, "from_before": 4,
                          "carried_over": 4}}
    assert waiting(stubs, **{"from": later}) == carried
    # Nothing is told that was not asked for.
    a = stubs.audit.GetStatistics(harness.modules()["audit"].GetStatisticsRequest(), timeout=20)
    assert not a.pending and not a.HasField("pending_total")
    office.kill()
    office.start(registers=False)
    stubs = office.stubs()
    assert waiting(stubs, **{"from": later}) == carried
    # On its way, without a row in the waiting room, and those that come from there. The signer
    # that had not this key ends, and another one begins.
    before = office.children()["signer"]
    office.good()
    office.hup()
    harness.wait_for(lambda: office.children().get("signer", before) != before)
    signer = office.children()["signer"]
    harness.wait_for(lambda: f"signer[{signer}] signer: keys=" in office.log())
    os.kill(signer, signal.SIGSTOP)
    try:
        more = case(unit=UNITS[0])
        more.facts.due_time.FromSeconds(now - 3600)
        office.leads[more.code] = UNITS[0]
        ids += [r.result_id for r in send(stubs, [more]).receipts]
        assert waiting(stubs) == {UNITS[0]: {"pending": 1, "late": 1}, **now_there}
        office.trien("held", "retry", "--connect", f"unix:{office.data}/engine.sock")
        assert waiting(stubs, **{"from": later}) == {
            UNITS[0]: {"pending": 1, "late": 1, "from_before": 1, "carried_over": 1}, **carried}
    finally:
        os.kill(signer, signal.SIGCONT)
    office.ids += ids
    office.wait_stored(stubs, ids)
    harness.wait_for(lambda: waiting(stubs) == {})
    assert waiting(stubs, **{"from": later}) == {}


@contextlib.contextmanager
def no_writes(store, table):
    """A table can be read, and whoever writes into it waits."""
    with subprocess.Popen([str(store.cluster.bin / "psql"), "-X", "-q", "-d",
                           store.cluster.conninfo(store.names[0])], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdin.write(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE;\n\\echo locked\n")
        other.stdin.flush()
        assert other.stdout.readline() == "locked\n"
        yield
        other.stdin.close()


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_what_ended_is_not_pending_before_the_store_has_it(tmp_path):
    """Sent back or withdrawn, in time, late, or without a deadline: in none of the counts."""
    store, now = postgres.Store(), int(time.time())
    store.init()
    with harness.Engine(tmp_path, schemas=office_schemas(tmp_path / "schemas"),
                        **store.settings()) as e:
        e.prepare().start()
        stubs, cases = e.stubs(), [case() for _ in range(6)]
        for c, due in zip(cases, (3600, 3600, -3600, -3600)):
            c.facts.due_time.FromSeconds(now + due)
        ids = submit(e, cases)
        there = {UNITS[0]: {"pending": 6, "in_time": 2, "late": 2}}
        assert waiting(stubs) == there
        issuance, signing = harness.modules()["issuance"], harness.modules()["signing"]
        # Each is answered once the store has it.
        for end, then in (
                (lambda: stubs.issuance.WithdrawResult.future(issuance.WithdrawResultRequest(
                    result_id=ids[0], reason="người dân rút hồ sơ"), timeout=60),
                 {"pending": 5, "in_time": 1, "late": 2}),
                (lambda: stubs.signing.RefuseWaiting.future(signing.RefuseWaitingRequest(
                    result_id=ids[2], reason="thiếu giấy tờ"), timeout=60),
                 {"pending": 4, "in_time": 1, "late": 1})):
            with no_writes(store, "voided"):
                answer = end()
                harness.wait_for(lambda: waiting(stubs)[UNITS[0]]["pending"] == then["pending"])
                assert waiting(stubs) == {UNITS[0]: then}
                assert not answer.done()
            answer.result()
            assert waiting(stubs) == {UNITS[0]: then}
        total = ask(stubs)[1]
        assert (total.withdrawn, total.refused, total.accepted) == (1, 1, 2)


def test_what_happens_later_is_added_to_the_day_of_issue(office):
    stubs, m = office.stubs(), harness.modules()
    first = office.ids[:3]
    old = [stubs.repository.GetResult(m["repository"].GetResultRequest(result_id=i), timeout=20)
           for i in first]
    for act, r in ((revoke, old[0]), (correct, old[1])):
        for _ in range(2):
            act(stubs, r)
    # A correction, a decision and a new one; the same for what was revoked; and by a successor.
    merged = [r for r in office.wait_stored(stubs, office.ids[3:]).values() if r.unit == UNITS[1]]
    news = [instead(old[i]) for i in range(3)] + [instead(merged[0], unit=UNITS[0])]
    harness.wait_for(lambda: told(stubs) == expected(stubs, office.ids, office.leads))
    answer = send(stubs, news)
    assert not answer.rejects, answer.rejects
    office.ids += [r.result_id for r in answer.receipts]
    for c in news:
        office.leads.setdefault(c.code, c.results[0].unit)
    office.wait_stored(stubs, office.ids[-4:])
    send(stubs, news)
    # And the newer one once more: each is replaced once, on its own day.
    last = office.wait_stored(stubs, office.ids[-1:])[office.ids[-1]]
    news = [instead(last)]
    office.ids.append(send(stubs, news).receipts[0].result_id)
    office.wait_stored(stubs, office.ids[-1:])
    want = expected(stubs, office.ids, office.leads)
    harness.wait_for(lambda: told(stubs) == want)
    total = ask(stubs)[1]
    assert (total.revoked, total.corrected, total.replacements, total.replaced) == (1, 1, 5, 4)
    assert total.e_results == len(office.ids) - 5
    standing = [r for r in office.wait_stored(stubs, office.ids).values()
                if r.life in (m["repository"].VALID, m["repository"].CORRECTED)]
    assert total.results - total.replaced - total.revoked == len(standing)
    # The agency that is no more and the one in its place: apart, and together.
    apart = [ask(stubs, units=[u])[1] for u in UNITS]
    assert apart[1].replaced > 0 and apart[0].replacements > 0
    both = ask(stubs, units=list(UNITS))[1]
    assert both == total
    for f in total.DESCRIPTOR.fields:
        assert sum(getattr(t, f.name) for t in apart) == getattr(total, f.name), f.name
        for unit, t in zip(UNITS, apart):
            assert getattr(t, f.name) == sum(c.get(f.name, 0) for k, c in want.items()
                                             if k[0] == unit), f.name
    whole(office)


def instead(old, unit=None):
    """The case of a result in another one's place: its agency's, or a successor's of its own."""
    c = case(code=old.case_code if unit in (None, old.unit) else None, unit=unit or old.unit,
             ho_ten="Trần Thị Bích Ngà")
    c.results[0].replaces = old.result_id
    if c.code == old.case_code:
        c.results[0].ordinal, c.results[0].revision = old.ordinal, old.revision + 1
    return c


NEW = ("cases_reusing", "cases_citizen_data", "cases_with_papers", "cases_digitised", "papers",
       "papers_digitised")
VERSION_6 = f"""
DROP TABLE server_lane;
ALTER TABLE unit_owner DROP COLUMN folder;
ALTER TABLE result DROP COLUMN papers, DROP COLUMN parts;
DROP INDEX counter_day;
ALTER TABLE counter DROP COLUMN parts, {", ".join("DROP COLUMN " + n for n in NEW)};
DELETE FROM trien_schema WHERE version > 6;
"""
VERSION_3 = VERSION_6 + """
ALTER TABLE result DROP COLUMN facts; DROP TABLE object, claim;
DROP FUNCTION trien_claim, trien_release;
DELETE FROM counter WHERE coalesce(results, 0) = 0;
DO $$ DECLARE c text; BEGIN
  FOR c IN SELECT column_name FROM information_schema.columns WHERE table_name = 'counter'
    AND column_name NOT IN ('lane', 'unit', 'kind', 'day', 'engine', 'watermark', 'results') LOOP
    EXECUTE format('ALTER TABLE counter DROP COLUMN %I', c);
  END LOOP;
END $$;
ALTER TABLE counter ALTER results SET NOT NULL;
DELETE FROM trien_schema WHERE version > 3;
"""


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
@pytest.mark.parametrize("version, earlier", ((3, VERSION_3), (6, VERSION_6)), ids=("3", "6"))
def test_what_an_earlier_version_stored_is_counted(tmp_path, version, earlier):
    """Tables as they were before: their records say what counted then; new counts begin with what
    is stored from then on, and so does what it is told apart by."""
    store = postgres.Store()
    store.init()
    rng, now = random.Random(3), int(datetime.datetime.now().timestamp())
    with harness.Engine(tmp_path, **store.settings()) as e:
        e.prepare().start()
        stubs = e.stubs()
        cases = [with_facts(rng, now) for _ in range(150)]
        ids = [r.result_id for r in send(stubs, cases).receipts]
        old = e.wait_stored(stubs, ids)
        for act, i in ((revoke, ids[0]), (correct, ids[1])):
            act(stubs, old[i])
        ids.append(send(stubs, [instead(old[ids[0]])]).receipts[0].result_id)
        e.wait_stored(stubs, ids[-1:])
        leads = {c.code: c.results[0].unit for c in cases}
        want = expected(stubs, ids, leads)
        harness.wait_for(lambda: told(stubs) == want)
        want = {k: {n: v for n, v in c.items() if n not in NEW} for k, c in want.items()}
        facts = store.sql("SELECT lane, sequence, facts FROM result ORDER BY 1, 2")
        assert e.stop() == 0
        store.sql(earlier)
        assert f"from version {version}" in store.init().stdout
        assert store.sql("SELECT lane, sequence, facts FROM result ORDER BY 1, 2") == facts
        checked = e.trien("store", "check", "--deep", *store.conninfos)
        assert "all as it should be" in checked.stdout
        # Folded at the start, with what comes.
        e.start(registers=False)
        assert told(e.stubs()) == want
        ids.append(send(e.stubs(), [case()]).receipts[0].result_id)
        got = e.wait_stored(e.stubs(), ids[-1:])[ids[-1]]
        want = expected(e.stubs(), ids, {**leads, got.case_code: got.unit})
        want = {k: {n: v for n, v in c.items() if n not in NEW} for k, c in want.items()}
        assert told(e.stubs()) == want
        apart = [r for r in ask(e.stubs(), by=[SIGNED_BY])[0] if r.signer]
        assert [(r.signer, r.counts.results) for r in apart] == [(SIGNER[got.unit], 1)]
        checked = e.trien("store", "check", "--deep", *store.conninfos)
        assert "all as it should be" in checked.stdout


def test_late_is_what_was_signed_late(office):
    """Numbered in time, held past the due time, then signed: that nobody was at fault, or that it
    was closed in time, does not count."""
    without_key(office, UNITS[1])
    office.hup()
    stubs, m = office.stubs(), harness.modules()
    before = ask(stubs, units=[UNITS[1]])[1]
    c = case(unit=UNITS[1])
    due = time.time() + 3
    c.facts.due_time.FromMilliseconds(int(due * 1000))
    r = send(stubs, [c]).receipts[0]
    office.leads[c.code] = UNITS[1]
    office.ids.append(r.result_id)
    assert r.issue_time.ToMilliseconds() < due * 1000
    harness.wait_for(lambda: len(held(office)) == 1)
    harness.wait_for(lambda: time.time() > due)
    office.good()
    office.hup()
    office.trien("held", "retry", "--connect", f"unix:{office.data}/engine.sock")
    stored = office.wait_stored(stubs, [r.result_id])[r.result_id]
    assert stored.issue_time == r.issue_time
    assert all(s.sign_time.ToMilliseconds() > due * 1000 for s in stored.signatures)
    got = stubs.repository.GetResult(
        m["repository"].GetResultRequest(result_id=r.result_id), timeout=20)
    assert got.timeliness == m["repository"].LATE
    want = expected(stubs, office.ids, office.leads)
    harness.wait_for(lambda: told(stubs) == want)
    after = ask(stubs, units=[UNITS[1]])[1]
    assert (after.results, after.early, after.on_time, after.late) == \
        (before.results + 1, before.early, before.on_time, before.late + 1)
    whole(office)


def test_copies_and_reuse_are_counted(office):
    """Each copy by its own act, once, replaced or not; the same paper is reused once a reader and
    case."""
    stubs, m = office.stubs(), harness.modules()
    before, one = ask(stubs)[1], office.ids[5]
    copies = [certify(stubs, copy_case(), originals.jpeg()).result_id for _ in range(2)]
    wrong = office.wait_stored(stubs, copies)[copies[0]]
    again = copy_case(code=wrong.case_code, ten_ban_chinh="Bằng tốt nghiệp trung học")
    again.results[0].replaces = wrong.result_id
    again.results[0].ordinal, again.results[0].revision = wrong.ordinal, wrong.revision + 1
    copies += [certify(stubs, again, originals.jpeg()).result_id,
               issue_copy(stubs, copy_case(kind=REGISTER), one_of(office)).result_id]
    for r in office.wait_stored(stubs, copies).values():
        office.leads[r.case_code] = r.unit
    office.ids += copies
    want = expected(stubs, office.ids, office.leads)
    harness.wait_for(lambda: told(stubs) == want)
    with caller(office, "reuse", units=[UNITS[0]]):
        for code in ("H99.20-1", "H99.20-1", "H99.20-2"):
            reading = m["repository"].Purpose(purpose="Nhập học", legal_basis="Luật CCCD Đ.10",
                                              case_code=code, requester="Phòng Giáo dục")
            for i in (one, office.ids[6]):
                stubs.repository.GetResult(m["repository"].GetResultRequest(
                    result_id=i, purpose=reading), timeout=20)
    harness.wait_for(lambda: ask(stubs)[1].reuses == before.reuses + 4)
    # What the reader's own agency issued is no reuse, whatever it is asked for with.
    both = {r.unit: r.result_id for r in office.wait_stored(stubs, office.ids).values()}
    with caller(office, "reuse", "read", units=[UNITS[1]]):
        reading.case_code = "H99.20-3"
        stubs.repository.BatchGetResults(m["repository"].BatchGetResultsRequest(
            result_ids=[both[unit] for unit in UNITS], purpose=reading), timeout=20)
    harness.wait_for(lambda: ask(stubs)[1].reuses == before.reuses + 5)
    after = ask(stubs)[1]
    for kinds, certified, from_register in ((), 2, 1), ([CERTIFIED], 2, 0), ([REGISTER], 0, 1):
        for period in (DAY, MONTH, QUARTER, YEAR):
            total = ask(stubs, kinds=kinds, period=period)[1]
            assert (total.certified_copies, total.register_copies) == (certified, from_register)
    assert (after.results, after.replacements) == (before.results + 4, before.replacements + 1)
    whole(office)


def one_of(office):
    """A result of the first agency that is in force."""
    m = harness.modules()["repository"]
    return next(r.result_id for r in office.wait_stored(office.stubs(), office.ids).values()
                if r.unit == UNITS[0] and r.kind == KIND and r.life == m.VALID)


def test_ends_count_on_their_day(office):
    without_key(office, UNITS[1])
    office.hup()
    stubs = office.stubs()
    r = send(stubs, [case(unit=UNITS[1])]).receipts[0]
    harness.wait_for(lambda: len(held(office)) == 1)
    before = ask(stubs)[1]
    office.trien("held", "void", r.result_id, "--reason", "Cấp nhầm", "--connect",
                 f"unix:{office.data}/engine.sock")
    after = ask(stubs)[1]
    assert (after.voided, after.accepted - before.accepted) == (before.voided + 1, 1)
    assert after.results == before.results
    office.good()
    office.hup()
    whole(office)
    shown = office.trien("statistics", UNITS[1], "--json", "--connect",
                         f"unix:{office.data}/engine.sock")
    assert json.loads(shown.stdout)["total"]["voided"] == "1"
    table = office.trien("statistics", "--period", "year", "--connect",
                         f"unix:{office.data}/engine.sock").stdout.splitlines()
    assert len(table) == 6 and table[-1].split()[:2] == ["total", str(after.results)]
    wanted = [f"{after.register_copies:8}", f"{after.cases:8}",
              f"{10000 * after.e_results // after.solved / 100:8.2f}"]
    assert all(w in table[-1] for w in wanted) and "reg-copy" in table[0], table
    table = office.trien("statistics", "--by", "procedure,signer", "--pending", "--connect",
                         f"unix:{office.data}/engine.sock").stdout.splitlines()
    assert table[0].split()[2:] == ["pending", "in-time", "late", "before", "carried"]
    assert any(f"signer={SIGNER[UNITS[0]]}" in line for line in table)


def test_who_may_ask_and_for_what(office):
    stubs, date = office.stubs(), harness.modules()["case"].Date
    for more, field in (({"units": [UNITS[0]] * 2}, "units"), ({"kinds": [""]}, "kinds"),
                        ({"units": ["x"] * 501}, "units"), ({"period": 9}, "period"),
                        ({"from": date(year=2026, month=2, day=29)}, "from"),
                        ({"from": date(year=2026, month=2)}, "from"),
                        ({"from": date(year=2026, month=3, day=1),
                          "to": date(year=2026, month=2, day=1)}, "to"),
                        ({"by": [1, 1]}, "by"), ({"by": [0]}, "by"), ({"by": [5]}, "by"),
                        ({"page_token": "ff"}, "page_token")):
        request = harness.modules()["audit"].GetStatisticsRequest(**more)
        with pytest.raises(grpc.RpcError) as e:
            stubs.audit.GetStatistics(request, timeout=20)
        assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT, more
        assert harness.details(e.value)["fields"] == [field]
    try:
        for role in ("audit", "registry", "read"):
            office.principals([{"name": "tester", "roles": [role], "units": [UNITS[1]],
                                "uids": []}])
            office.hup()
            assert {r.unit for r in ask(stubs)[0]} == {UNITS[1]}
            with pytest.raises(grpc.RpcError) as e:
                ask(stubs, units=[UNITS[0]])
            assert harness.details(e.value)["reason"] == "UNIT_DENIED"
        office.principals([{"name": "tester", "roles": ["submit"], "units": [UNITS[1]],
                            "uids": []}])
        office.hup()
        with pytest.raises(grpc.RpcError) as e:
            ask(stubs)
        assert harness.details(e.value)["reason"] == "ROLE_MISSING"
    finally:
        office.prepare_principals()
        office.hup()


@pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed")
def test_a_year_turns_in_vietnam(tmp_path):
    """17:00 UTC: the day, the month, the quarter and the year are others."""
    e = harness.Engine(tmp_path, crl_hours_max="8760")
    e.prepare()
    without_key(e, UNITS[1])
    clock = Clock(e)
    now = datetime.datetime.now(VIETNAM)
    try:
        clock.set(in_vietnam(now.year, 12, 31, 23, 59, 30))
        e.start()
        ids = [send(e.stubs(), [case()]).receipts[0].result_id]
        e.wait_stored(e.stubs(), ids)
        stuck = send(e.stubs(), [case(unit=UNITS[1])]).receipts[0].result_id
        harness.wait_for(lambda: len(held(e)) == 1)
        e.stop()
        clock.set(in_vietnam(now.year + 1, 1, 1, 0, 0, 5))
        e.start(registers=False)
        e.open_registers()
        ids += [send(e.stubs(), [case()]).receipts[0].result_id for _ in range(2)]
        e.wait_stored(e.stubs(), ids)
        for period in (DAY, MONTH, QUARTER, YEAR):
            rows = ask(e.stubs(), period=period)[0]
            assert [(r.first_day.year, r.counts.results) for r in rows] == [
                (now.year, 1), (now.year + 1, 2)]
            assert rows[0].last_day == harness.modules()["case"].Date(year=now.year, month=12,
                                                                      day=31)
        # What is replaced counts as that where it counted as a result: in the old year.
        old = e.wait_stored(e.stubs(), ids[:1])[ids[0]]
        e.wait_stored(e.stubs(), [send(e.stubs(), [instead(old)]).receipts[0].result_id])
        for period in (DAY, YEAR):
            assert [(r.counts.results, r.counts.replacements, r.counts.replaced)
                    for r in ask(e.stubs(), period=period)[0]] == [(1, 0, 1), (3, 1, 0)]
        # What the old year carried over stays that, whatever comes of it in the new one.
        new_year = {"from": harness.modules()["case"].Date(year=now.year + 1, month=1, day=1)}
        assert waiting(e.stubs(), **new_year) == {
            UNITS[1]: {"pending": 1, "from_before": 1, "carried_over": 1}}
        e.trien("held", "void", stuck, "--reason", "Cấp nhầm", "--connect",
                f"unix:{e.data}/engine.sock")
        assert waiting(e.stubs(), **new_year) == {UNITS[1]: {"carried_over": 1}}
        assert waiting(e.stubs()) == {}
    finally:
        e.kill()

"""Every subcommand of `trien` and its documented exit codes, as a person types them."""
import datetime
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

import pytest

import harness
from harness import TRIEN, UNITS

NO_ID = "0" * 26
COMMANDS = ("serve", "keys", "schema", "register", "submit", "certify", "copy", "get", "list",
            "case", "reuse", "reads", "share", "statistics", "held", "withdraw", "revoke",
            "correct", "hide", "history", "sign", "status", "verify", "inspect", "backup",
            "restore", "fsck", "store", "audit", "mirror", "takeover", "portal", "help")
WRONG = f"""
nothing
help nothing
keys
keys steal
keys dev --data x --algorithm rsa512
schema
schema check
schema preview x
register
register open --unit u
register list --year 1999
submit
certify
certify scan.jpg
certify --list x --case y
copy
copy {NO_ID}
submit a b
submit - --batch 0
submit - --json --receipts x
get
get no-id
list
list --number 1 --id-kind shoe
held
held void {NO_ID}
withdraw
withdraw {NO_ID}
revoke
revoke {NO_ID}
correct {NO_ID} --date x
hide {NO_ID} --holder 1 --id-kind shoe
history
sign
sign steal
status now
status --nothing
status --connect example.org:1
verify
fsck --data
mirror word
mirror --nothing x
takeover word
takeover --data
""".splitlines()


def trien(*args, data=None, code=0, env=None, **kw):
    """Runs it, wants this exit code, gives what it printed."""
    around = {k: v for k, v in os.environ.items() if not k.startswith("TRIEN_")}
    if data is not None:
        around["TRIEN_DATA"] = str(data)
    done = subprocess.run([str(TRIEN), *map(str, args)], capture_output=True, text=True,
                          timeout=120, env={**around, **(env or {})}, **kw)
    assert done.returncode == code, f"trien {args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def answer(*args, **kw):
    """What it says as JSON."""
    return json.loads(trien(*args, "--json", **kw).stdout)


def told(done):
    """receipts, rejects and the summary of `submit --json`."""
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return ([r["receipt"] for r in rows if "receipt" in r], [r for r in rows if "reject" in r],
            rows[-1]["summary"])


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    e = harness.Engine(tmp_path_factory.mktemp("cli"), metrics="127.0.0.1:0")
    e.prepare().start()
    yield e
    assert e.stop() == 0, e.log()


@pytest.fixture(scope="module")
def issued(running, tmp_path_factory):
    """Ten stored results: their cases and receipts."""
    lines = harness.generated(10, seed=3, first=1001)
    done = trien("submit", "-", "--wait", "--json", data=running.data, input="\n".join(lines))
    return [json.loads(line) for line in lines], told(done)[0]


@pytest.fixture(scope="module")
def pdf(running, issued, tmp_path_factory):
    path = tmp_path_factory.mktemp("pdf") / "one.pdf"
    trien("get", issued[1][0]["resultId"], "--output", path, data=running.data)
    return path


# ---- help and wrong usage ----

def test_help_lists_all():
    out = trien("help").stdout
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == list(COMMANDS)
    for code in (0, 1, 2, 3, 65, 66, 69, 70, 71, 73, 74, 75, 77, 78):
        assert re.search(rf"\b{code} ", out)
    for command in COMMANDS:
        assert trien("help", command).stdout.startswith(f"trien {command} ")
    for command in set(COMMANDS) - {"serve", "help"}:
        assert trien(command, "--help").stdout.startswith(f"trien {command}")


@pytest.mark.parametrize("command", ("get", "history", "revoke", "hide", "copy", "withdraw"))
def test_a_word_that_is_no_result_id(command, tmp_path):
    more = {"revoke": ("--number", "1", "--date", "2026-11-01", "--ground", "x", "--actor", "y"),
            "hide": ("--holder", "1"), "copy": ("--case", "x"), "withdraw": ("--reason", "x")}
    done = trien(command, "XX", *more.get(command, ()), code=2, data=tmp_path)
    assert done.stderr == f"trien {command}: 'XX' is no result id (26 characters)\n"


@pytest.mark.parametrize("line", WRONG)
def test_wrong_usage(line, tmp_path):
    done = trien(*line.split(), code=2, data=tmp_path, cwd=tmp_path)
    assert done.stderr or not line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line, said", [
    ("revoke " + NO_ID + " --date 29/11/2026", "--date 29/11/2026: it is written YYYY-MM-DD"),
    ("revoke " + NO_ID, "--date YYYY-MM-DD is needed"),
    ("hide " + NO_ID, "--date YYYY-MM-DD is needed, with the rest of a decision; or --holder N"),
    ("get --no-such-flag", "unknown flag --no-such-flag")])
def test_wrong_usage_is_told_below_the_help(line, said):
    told = trien(*line.split(), code=2).stderr.splitlines()
    assert told[-1] == said and told[0].startswith(f"trien {line.split()[0]} ")


# ---- serve's settings ----

def test_print_config_tells_origins(tmp_path):
    (tmp_path / "trien.conf").write_text(
        'batches = 3\nquota_mb = 32\nlisten = {"127.0.0.1:0", "unix:/x/y"}\n')
    args = ("serve", "--data", tmp_path, "--workers", "2", "--print-config")
    rows = answer(*args, env={"TRIEN_QUOTA_MB": "64"})
    assert rows["batches"] == {"value": 3, "origin": "file"}
    assert rows["listen"] == {"value": ["127.0.0.1:0", "unix:/x/y"], "origin": "file"}
    assert rows["quota_mb"] == {"value": 64, "origin": "environment"}
    assert rows["workers"] == {"value": 2, "origin": "flag"}
    assert rows["data"]["origin"] == "flag"
    assert rows["log_level"] == {"value": "info", "origin": "default"}
    assert rows["keys"] == {"value": f"{tmp_path}/keys", "origin": "default"}
    text = trien(*args).stdout
    assert "batches = 3\t# file\n" in text and "workers = 2\t# flag\n" in text
    assert len(text.splitlines()) == len(rows)
    assert trien("serve", "--data", tmp_path, "--check-config").stdout == ""


@pytest.mark.parametrize("line, said", [
    ("batches = 3\nbatch_age = 5", ["trien.conf:2:", "batch_age_ms"]),
    ("batches = many", ["batches", "1 to 8"]),
    ("development = perhaps", ["development", "true or false"]),
    ("store = oracle", ["store"]),
    ('tls_cert = "a.pem"', ["tls_key"]),
    ("listen = {", ["trien.conf:"])])
def test_broken_config(tmp_path, line, said):
    (tmp_path / "trien.conf").write_text(line + "\n")
    for more in ((), ("--check-config",), ("--print-config",)):
        done = trien("serve", "--data", tmp_path, *more, code=78)
        assert all(s in done.stderr for s in said), done.stderr
    trien("serve", "--data", tmp_path / "other", "--config", tmp_path / "nothing.conf", code=78)
    trien("serve", "--data", tmp_path / "other", "--workers", "many", code=78)


@pytest.mark.parametrize("words", [
    "serve --wrokers 2", "serve --", "serve --c x", "serve --conf=x", "serve word",
    "serve --data D --workers", "serve --no-such-flag", "keys", "keys word", "keys dev",
    "keys list word", "keys dev --data D --no-such-flag", "schema", "schema check", "schema word",
    "schema preview one", "schema check --no-such-flag", "register", "register word",
    "register open", "register list word", "register list --no-such-flag", "submit",
    "submit one two", "submit one --no-such-flag", "get", "get --no-such-flag", "get x --output",
    "list", "list --no-such-flag", "list --id-kind", "held", "held word", "held list word",
    "held retry one two", "held void", "held void x", "held list --no-such-flag", "status word",
    "status --no-such-flag", "status --connect", "verify", "verify --no-such-flag", "backup",
    "backup --data D", "backup one two --data D", "backup --no-such-flag", "restore",
    "restore one", "restore --no-such-flag", "fsck", "fsck word", "fsck --no-such-flag",
    "help word", "no-such-command", "--no-such-flag", ""])
def test_wrong_usage_is_exit_code_2_and_does_nothing(tmp_path, words):
    done = trien(*words.split(), code=2, cwd=tmp_path)
    assert (done.stderr or words == "") and list(tmp_path.iterdir()) == []


def test_help_of_serve_names_its_settings(tmp_path):
    done = trien("serve", "--help", cwd=tmp_path)
    assert "journal_segment_mb" in done.stdout and done.stderr == ""
    assert done.stdout == trien("help", "serve").stdout


# ---- keys, schema ----

def test_keys(tmp_path):
    schemas = tmp_path / "schemas"
    shutil.copytree(harness.ROOT / "schemas", schemas)
    data = tmp_path / "data"
    dev = ("keys", "dev", "--data", data, "--schemas", schemas, "--algorithm", "p256")
    trien(*dev, "--expired", "nobody.sign", code=65)
    made = answer(*dev, "--client", "one-stop")
    units = {f.stem for f in (schemas / "agencies").glob("*.json")}
    assert units > set(UNITS)
    assert {(r["role"], r["unit"]) for r in made} == {(x, u) for x in ("agency", "person")
                                                      for u in units}
    assert all(r["algorithm"] == "p256" and r["until"] > r["from"] for r in made)
    assert answer("keys", "list", "--data", data) == made
    listing = trien("keys", "list", "--data", data).stdout
    assert all(r["id"] in listing for r in made)
    assert (data / "tls" / "client-one-stop.pem").exists()
    assert all(f.stat().st_mode & 0o077 == 0 for f in (data / "keys").iterdir())
    assert "never overwritten" in trien(*dev, code=65).stderr
    trien("keys", "list", "--data", tmp_path / "none", code=65)
    assert answer("keys", "list", data=data) == made
    done = trien("backup", tmp_path / "copy", data=data, code=66)
    assert f"{data}: no data folder" in done.stderr


def test_keys_list_says_what_stops_on_which_day(tmp_path):
    schemas = tmp_path / "schemas"
    shutil.copytree(harness.ROOT / "schemas", schemas)
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=7))).date()
    day = lambda n: (today + datetime.timedelta(days=n)).isoformat()
    change = lambda p, f: p.write_text(json.dumps(f(json.loads(p.read_text()))))

    def ended(doc):
        doc["versions"][0]["to"] = day(-1)
        return doc

    def delegated(doc):
        doc["versions"][0].update(to=day(20), authority="TL", delegation="Quyết định 12/QĐ-UBND",
                                  authority_line="TL. CHỦ TỊCH")
        return doc

    change(schemas / "signers" / "suoi-may-ha-thi-mo.json", ended)
    change(schemas / "signers" / "lac-xuan-le-minh-chau.json", delegated)
    data = tmp_path / "data"
    trien("keys", "dev", "--data", data, "--schemas", schemas, "--algorithm", "p256", "--crl-days",
          "3", "--expired", f"{UNITS[1]}.seal", "--revoked", "suoi-may-do-quang-vinh.sign")

    def policy(doc):
        next(k for k in doc["keys"] if k["id"] == f"{UNITS[0]}.seal")["to"] = day(40)
        return doc

    change(data / "certs" / "keys.json", policy)
    rows = {r["id"]: r for r in answer("keys", "list", "--data", data, "--schemas", schemas)}
    seal = rows[f"{UNITS[0]}.seal"]
    assert (seal["state"], seal["until"], seal["source"]) == ("OK", day(40), "file")
    assert seal["last_days"] == {"certificate": day(730), "policy": day(40),
                                 "revocation-list": day(3)}
    chau = rows["lac-xuan-le-minh-chau.sign"]
    assert (chau["state"], chau["until"]) == ("OK", day(20))
    assert chau["last_days"]["delegation"] == day(20) and "office" not in chau["last_days"]
    mo = rows["suoi-may-ha-thi-mo.sign"]
    assert mo["state"] != "OK" and mo["last_days"]["office"] == day(-1)
    assert rows["suoi-may-do-quang-vinh.sign"]["state"] == "CERT_REVOKED"
    assert rows[f"{UNITS[1]}.seal"]["state"] == "CERT_EXPIRED"
    text = trien("keys", "list", "--data", data, "--schemas", schemas).stdout
    lines = [line.split() for line in text.split("LAST DAY")[1].splitlines()[1:]]
    assert [x[0] for x in lines] == sorted(x[0] for x in lines)
    assert [day(20), "delegation", "1", "lac-xuan-le-minh-chau.sign"] in lines
    assert [day(3), "revocation-list", str(len(rows))] in [x[:3] for x in lines]
    name = "Lê Minh Châu"
    row = next(x for x in text.splitlines() if x.startswith("lac-xuan-le-minh-chau.sign "))
    assert f" {name}, " in row
    # Whose work stops, and what goes on with another key.
    stops = lambda: [x.split() for x in trien(
        "keys", "list", "--data", data, "--schemas", schemas).stdout.split(
        "LAST DAY")[2].splitlines()[1:]]
    assert [day(40), f"{UNITS[0]}.seal", UNITS[0], "-", "all"] in stops()

    def renewed(doc):
        old = next(k for k in doc["keys"] if k["id"] == f"{UNITS[0]}.seal")
        new = {**old, "id": f"{UNITS[0]}.seal-2", "from": day(41)}
        del new["to"]
        doc["keys"].append(new)
        return doc

    before = (data / "certs" / "keys.json").read_text()
    change(data / "certs" / "keys.json", renewed)
    assert [day(40), f"{UNITS[0]}.seal", UNITS[0], f"{UNITS[0]}.seal-2", "all"] in stops()
    (data / "certs" / "keys.json").write_text(before)
    # Without lists nothing signs; where they are not required, their end does not matter.
    for crl in (data / "certs").glob("*.crl"):
        crl.unlink()
    listing = ("keys", "list", "--data", data, "--schemas", schemas)
    rows = {r["id"]: r for r in answer(*listing)}
    assert rows[f"{UNITS[0]}.seal"]["state"] == "CRL_STALE"
    assert "missing    revocation-list" in trien(*listing).stdout
    rows = {r["id"]: r for r in answer(*listing, "--crl-hours-max", "0")}
    assert rows[f"{UNITS[0]}.seal"]["state"] == "OK"
    assert "revocation-list" not in rows[f"{UNITS[0]}.seal"]["last_days"]


def test_schema(tmp_path):
    kind = harness.kind_files()[0]
    trien("schema", "check", kind)
    broken = tmp_path / kind.name
    broken.write_text(kind.read_text().replace('"fields"', '"feilds"', 1))
    assert trien("schema", "check", broken, code=1).stderr.startswith(f"{broken}:")
    case = tmp_path / "case.json"
    case.write_text(harness.generated(1, mix=kind.stem)[0])
    draft = ("schema", "preview", kind, case, "--schemas", harness.ROOT / "schemas")
    trien(*draft)
    assert (tmp_path / "case.pdf").read_bytes().startswith(b"%PDF-")
    case.write_text("{}")
    trien(*draft, code=1)
    trien("schema", "preview", kind, tmp_path / "none.json", code=66)


# ---- registers, held, status, metrics ----

def test_register(running):
    year = time.gmtime(time.time() + 7 * 3600).tm_year + 1       # the next one may be opened ahead
    of = ("--unit", UNITS[0], "--code", "XNTTHN", "--year", str(year), "--reason", "thử")
    row = answer("register", "open", *of, "--next", "77", data=running.data)
    assert (row["unit"], row["year"], row["first"], row["next"]) == (UNITS[0], year, "77", "77")
    assert "already open" in trien("register", "open", *of, data=running.data, code=1).stderr
    listing = answer("register", "list", "--unit", UNITS[0], data=running.data)
    assert row in listing and {r["unit"] for r in listing} == {UNITS[0]}
    closed = re.compile(rf"^\S+ +XNTTHN +{year} +77 +- .*closed$", re.M)
    assert not closed.search(trien("register", "list", data=running.data).stdout)
    assert closed.search(trien("register", "close", *of, data=running.data).stdout)
    assert closed.search(trien("register", "list", data=running.data).stdout)
    trien("register", "close", "--unit", UNITS[0], "--code", "KHONG", "--reason", "x",
          data=running.data, code=1)


@pytest.mark.parametrize("line, said", [
    ("statistics khong-co", "there is no agency khong-co"),
    ("statistics --kind khong-co", "there is no kind khong-co"),
    ("statistics --from 2026-13-01", "from"),
    ("register list --unit khong-co", "there is no agency khong-co"),
    ("register list --unit " + UNITS[0] + " --code KHONG", "REGISTER_NOT_FOUND"),
    ("held list --unit khong-co", "there is no agency khong-co")])
def test_a_mistyped_name_is_no_empty_answer(running, line, said):
    done = trien(*line.split(), data=running.data, code=1)
    assert said in done.stderr and done.stdout == ""


def test_held_with_nothing_held(running):
    assert trien("held", "list", data=running.data).stderr == "nothing is held\n"
    assert answer("held", "list", data=running.data) == []
    assert answer("held", "retry", data=running.data) == {"retried": 0}
    trien("held", "void", NO_ID, "--reason", "x", data=running.data, code=1)
    trien("held", "void", "12", "--reason", "x", data=running.data, code=1)


def test_held(tmp_path):
    with harness.Engine(tmp_path) as e:
        e.prepare("--expired", f"{UNITS[0]}.seal").start()
        lines = [x for x in harness.generated(40, seed=8) if f'"{UNITS[0]}"' in x and
                 UNITS[1] not in x][:3]
        done = trien("submit", "-", "--wait", "--json", data=e.data, input="\n".join(lines), code=3)
        receipts, _, summary = told(done)
        assert summary["held"] == len(receipts) >= 3
        held = answer("held", "list", "--unit", UNITS[0], data=e.data)
        assert {h["numberText"] for h in held} == {r["numberText"] for r in receipts}
        assert {h["reason"] for h in held} == {"CERT_EXPIRED"}
        ids = {r["resultId"] for r in receipts}
        assert {h["resultId"] for h in held} == ids
        listed = trien("held", "list", data=e.data).stdout.splitlines()
        assert {line.split()[0] for line in listed if line[0] != " "} == ids
        assert answer("held", "list", "--unit", UNITS[1], data=e.data) == []
        one = receipts[0]["resultId"]
        assert "HELD CERT_EXPIRED" in trien("get", one, data=e.data).stdout
        trien("get", one, "--output", tmp_path / "x.pdf", data=e.data, code=1)
        assert answer("held", "retry", one, data=e.data) == {"retried": 1}
        harness.wait_for(lambda: len(answer("held", "list", data=e.data)) == len(held))
        trien("held", "void", one, "--reason", "thử", data=e.data)
        assert len(answer("held", "list", data=e.data)) == len(held) - 1
        done = trien("submit", "-", "--json", data=e.data, input=lines[0])
        assert [r["state"] for r in told(done)[0] if r["resultId"] == one] == ["VOID"]
        trien("held", "void", one, "--reason", "thử", data=e.data, code=1)


def test_status(running, issued):
    s = answer("status", data=running.data)
    assert s["numbering"] and s["signerUp"] and s["storeUp"]
    assert s["principal"] == "tester" and int(s["stored"]) >= len(issued[1])
    done = trien("status", "--connect", f"unix:{running.data}/engine.sock")
    assert "you are tester" in done.stdout
    trien("status", "--connect", f"127.0.0.1:{running.port()}")


def test_status_until_it_is_there(engine):
    trien("status", data=engine.data, code=69)
    wait = subprocess.Popen([str(TRIEN), "status", "--data", str(engine.data), "--wait", "60"],
                            stdout=subprocess.DEVNULL)
    engine.start(ready=False)
    assert wait.wait(90) == 0


@pytest.mark.parametrize("line", ["status", "register list", f"get {NO_ID}", "list --number 1",
                                  "held list", "submit - --retry-seconds 0"])
def test_not_reached(line, tmp_path):
    done = trien(*line.split(), data=tmp_path, code=69, input=harness.generated(1)[0])
    assert "is the engine running" in done.stderr


def test_metrics(running, issued):
    rows = running.metrics()
    for name in ("cases_accepted", "cases_duplicate", "cases_refused", "results_stored",
                 "results_parked", "results_void", "signatures", "batches", "store_retries",
                 "store_refused", "store_conflicts", "calls", "calls_refused", "downloads",
                 "download_bytes"):
        assert f"{name}_total" in rows
    assert rows["results_stored_total"] >= len(issued[1])
    assert rows["signatures_total"] >= len(issued[1])
    assert {rows[g] for g in ("signer_up", "store_up", "numbering")} == {1}
    assert rows["journal_segments"] == int(running.settings["journal_slots"])
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(running.metrics_url().replace("/metrics", "/"), timeout=10)


# ---- submit ----

def test_submit_from_file_and_again(running, tmp_path):
    path = tmp_path / "cases.jsonl"
    lines = harness.generated(30, seed=4, first=2001)
    path.write_text("\n".join(lines) + "\n")
    results = sum(len(json.loads(line)["results"]) for line in lines)
    checked = trien("submit", path, "--validate-only", "--json", data=running.data)
    assert told(checked)[2]["cases"] == 30 and told(checked)[2]["results"] == 0
    receipts_file = tmp_path / "receipts.jsonl"
    done = trien("submit", path, "--wait", "--receipts", receipts_file, data=running.data)
    assert re.search(rf"^stored +{results} +held 0, not yet 0$", done.stdout, re.M)
    first = [json.loads(line)["receipt"] for line in receipts_file.read_text().splitlines()
             if "receipt" in line]
    again = trien("submit", path, "--json", data=running.data)
    receipts, rejects, summary = told(again)
    assert not rejects and (summary["results"], summary["duplicates"]) == (results, results)
    same = ("resultId", "number", "numberText", "issueTime")
    assert (sorted([r[k] for k in same] for r in receipts) ==
            sorted([r[k] for k in same] for r in first))
    assert all(r["duplicate"] for r in receipts)
    trien("submit", tmp_path / "none.jsonl", data=running.data, code=66)


def test_submit_goes_on_after_a_kill(engine, tmp_path):
    lines = harness.generated(3000, seed=6)
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(lines) + "\n")
    results = sum(len(json.loads(line)["results"]) for line in lines)
    engine.start()

    def count(what):
        return int(answer("status", data=engine.data).get(what, 0))

    def submit(seconds):
        return subprocess.Popen(
            [str(TRIEN), "submit", str(path), "--data", str(engine.data), "--batch", "10",
             "--in-flight", "2", "--wait", "--retry-seconds", seconds, "--json"],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def receipts(out):
        return [r["receipt"] for r in map(json.loads, out.splitlines()) if "receipt" in r]

    one = submit("1")
    harness.wait_for(lambda: count("accepted") > 100)
    engine.kill()
    out, err = one.communicate(timeout=60)
    assert one.returncode == 69 and "run it again to go on" in err, err
    before = receipts(out)
    assert 100 < len(before) < results

    engine.start(registers=False)
    two = submit("60")
    harness.wait_for(lambda: count("duplicates") > 0)
    engine.kill()
    engine.start(registers=False)
    out, err = two.communicate(timeout=120)
    assert two.returncode == 0, err
    after = {r["resultId"]: r for r in receipts(out)}
    assert len(after) == results
    assert all(after[r["resultId"]]["number"] == r["number"] for r in before)
    ours = {f.stem for f in harness.kind_files()
            if not json.loads(f.read_text())["versions"][-1]["number"].get("given")}
    taken = sum(int(r["next"]) - int(r["first"])
                for r in answer("register", "list", data=engine.data))
    assert taken == sum(r["kind"] in ours for r in after.values())


# ---- get, list ----

def test_get(running, issued, tmp_path):
    receipts = issued[1]
    ids = [r["resultId"] for r in receipts]
    rows = answer("get", *ids, data=running.data)
    assert [(r["resultId"], r["numberText"], r["state"]) for r in rows] == [
        (r["resultId"], r["numberText"], "STORED") for r in receipts]
    assert "state        STORED" in trien("get", ids[0].lower(), data=running.data).stdout
    files = answer("get", "-", "--output", tmp_path / "pdf", data=running.data,
                   input="\n".join(ids))
    for f, row in zip(files, rows):
        assert os.path.getsize(f["file"]) == f["bytes"] == int(row["fileSize"])
    streamed = subprocess.run(
        [str(TRIEN), "get", ids[0], "--output", "-", "--data", str(running.data)],
        capture_output=True, check=True, timeout=60).stdout
    assert streamed == (tmp_path / "pdf" / f"{ids[0]}.pdf").read_bytes()
    assert "RESULT_NOT_FOUND" in trien("get", ids[0], NO_ID, data=running.data, code=1).stderr
    trien("get", NO_ID, "--output", tmp_path / "none.pdf", data=running.data, code=1)
    assert not list(tmp_path.glob("none*"))
    trien("get", ids[0], "--output", "/proc/none/x.pdf", data=running.data, code=73)


def test_list(running, issued):
    cases, receipts = issued
    holder = next(h for c in cases for h in c["holders"]
                  if h.get("idKind") == "CITIZEN" and h.get("number"))
    mine = {c["code"] for c in cases
            if any(h.get("number") == holder["number"] for h in c["holders"])}
    rows = answer("list", "--number", holder["number"], data=running.data)
    assert ({r["result"]["resultId"] for r in rows} ==
            {r["resultId"] for r in receipts if r["caseCode"] in mine})
    done = trien("list", "--number", "-", "--limit", "1", data=running.data,
                 input=holder["number"] + "\n")
    assert len(done.stdout.splitlines()) == 1
    assert trien("list", "--number", "099000000000", data=running.data).stderr == "no results\n"
    assert trien("list", "--number", holder["number"], "--id-kind", "tax",
                 data=running.data).stdout == ""


# ---- verify ----

def test_verify(running, pdf, tmp_path):
    certs = running.data / "certs"
    trien("verify", pdf, data=running.data)
    trien("verify", pdf, "--trust", certs / "root.pem", "--crl", certs)
    report = answer("verify", pdf, "--trust", certs)[0]
    assert report["verdict"] == "TOTAL-PASSED" and report["fileBytes"] == pdf.stat().st_size
    assert report["signatures"][-1]["coveredBytes"] == report["fileBytes"]

    changed = tmp_path / "changed.pdf"
    content = bytearray(pdf.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    trien("verify", changed, data=running.data, code=1)
    longer = tmp_path / "longer.pdf"
    longer.write_bytes(pdf.read_bytes() + b"\n% more\n")
    trien("verify", longer, data=running.data, code=1)

    other = harness.Engine(tmp_path / "other")
    other.prepare(own_keys=True)
    assert "INDETERMINATE" in trien("verify", pdf, data=other.data, code=3).stdout
    assert "revocation list" in trien("verify", pdf, "--trust", certs / "root.pem", code=3).stdout
    done = trien("verify", pdf, changed, tmp_path / "none.pdf", data=running.data, code=1)
    assert "1 passed, 1 failed, 0 undetermined" in done.stdout and "none.pdf" in done.stderr
    trien("verify", pdf, tmp_path / "none.pdf", data=running.data, code=66)
    trien("verify", pdf, "--trust", tmp_path / "none", code=66)


# ---- backup, restore, fsck ----

def test_backup_restore_fsck(engine, tmp_path):
    engine.start()
    lines = harness.generated(40, seed=7)
    receipts, _, summary = told(trien("submit", "-", "--wait", "--json", data=engine.data,
                                      input="\n".join(lines)))
    assert "in use" in trien("fsck", "--data", engine.data, code=75).stderr
    copy, back = tmp_path / "copy", tmp_path / "back"
    assert answer("backup", "--data", engine.data, copy, "--with-keys")["files"] > 10
    assert "overwrites" in trien("backup", "--data", engine.data, copy, code=65).stderr
    trien("backup", "--data", tmp_path / "none", tmp_path / "x", code=66)
    assert engine.stop() == 0
    sound = answer("fsck", "--data", engine.data)
    assert (sound["results"], sound["findings"]) == (summary["results"], 0)

    trien("restore", tmp_path / "none", "--data", back, code=66)
    trien("restore", copy, "--data", engine.data, code=65)
    bare = tmp_path / "bare"
    trien("backup", "--data", engine.data, bare)
    assert not (bare / "keys").exists()
    segment = max((bare / "store").glob("*"), key=lambda p: p.stat().st_size)
    flip(segment)
    trien("restore", bare, "--data", back, code=65)
    assert not back.exists()

    trien("restore", copy, "--data", back)
    assert "as it should be" in trien("fsck", "--data", back).stdout
    trien("fsck", "--data", tmp_path / "none", code=66)
    engine.data.rename(tmp_path / "gone")
    back.rename(engine.data)
    engine.start(registers=False)
    rows = answer("get", *[r["resultId"] for r in receipts], data=engine.data)
    assert [r["numberText"] for r in rows] == [r["numberText"] for r in receipts]
    assert engine.stop() == 0

    flip(max((engine.data / "store").glob("*"), key=lambda p: p.stat().st_size))
    done = trien("fsck", "--data", engine.data, code=65)
    assert "DAMAGED" in done.stdout
    assert answer("fsck", "--data", engine.data, code=65)["findings"] > 0


def flip(path):
    """One bit amid what is written."""
    content = bytearray(path.read_bytes())
    content[len(content.rstrip(b"\0")) // 2] ^= 1
    path.write_bytes(content)

"""The commands against a running engine: what they print, and their exit codes."""
import json
import os
import signal
import subprocess
import time

from google.protobuf import json_format

import harness
from harness import UNITS, modules
from sample import send


def sock(engine):
    return ("--connect", f"unix:{engine.data}/engine.sock")


def generated(count, series, **kw):
    """No other test has these codes and given numbers."""
    return harness.generated(count, seed=series, first=series * 10000 + 1, **kw)


def lines_of(path, count, series):
    path.write_text("".join(line + "\n" for line in generated(count, series)))
    return path


def submit(engine, *args, check=True, **kw):
    done = engine.trien("submit", *args, "--json", *sock(engine), check=check, **kw)
    out = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, out[:-1], out[-1]["summary"]


def test_submit_reads_cases_as_protobuf_does(shared, stubs, tmp_path):
    """A repetition through the ordinary client is answered as one: both read the same content."""
    lines = generated(40, 41) + generated(40, 47, mix="edge")
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(lines))
    code, rows, summary = submit(shared, path, "--wait", check=False)
    taken = {r["receipt"]["caseCode"]: r["receipt"]["resultId"] for r in rows if "receipt" in r}
    assert code == (1 if summary["rejects"] else 0) and summary["stored"] == summary["results"]
    for line in lines:
        c = harness.as_case(line)
        answer = send(stubs, [c])
        assert all(r.duplicate for r in answer.receipts), c.code
        if c.code in taken:
            assert taken[c.code] in {r.result_id for r in answer.receipts}
        else:
            assert answer.rejects


def test_submit_again_gives_the_same_receipts(shared, tmp_path):
    path = lines_of(tmp_path / "cases.jsonl", 30, 42)
    first, second = submit(shared, path, "--batch", 7), submit(shared, path, "--in-flight", 1)

    def ids(rows):
        return sorted((r["line"], r["receipt"]["resultId"]) for r in rows if "receipt" in r)

    assert first[0] == second[0] == 0 and ids(first[1]) == ids(second[1])
    assert second[2]["duplicates"] == second[2]["results"] == len(ids(first[1]))
    later = submit(shared, path, "--from-line", 21)
    assert {r["line"] for r in later[1]} == set(range(21, 31))


def test_bad_lines_are_named_and_harm_no_other(shared, tmp_path):
    good = generated(3, 43)
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join([good[0], '{"code": "Trần Văn Bí', good[1], '{"holder": []}', "",
                               '{"code": "H99.11-261124-777"}', good[2]]))
    code, rows, summary = submit(shared, path, "--wait", check=False)
    assert code == 1
    assert {r["line"]: r["reject"]["reason"] for r in rows if "reject" in r} == {
        2: "LINE_INVALID", 4: "LINE_INVALID", 6: "HOLDER_MISSING"}
    assert (summary["cases"], summary["badLines"], summary["rejects"]) == (3, 2, 1)
    assert "Bí" not in json.dumps(rows, ensure_ascii=False), "a value in an error's text"
    told = shared.trien("submit", path, *sock(shared), check=False)
    assert told.returncode == 1 and "line 2:" in told.stderr and "Dòng này" in told.stderr


def test_validate_only_and_standard_input(shared):
    text = "\n".join(generated(5, 44))
    code, rows, summary = submit(shared, "-", "--validate-only", input=text)
    assert code == 0 and rows == [] and summary["cases"] == 5 and summary["results"] == 0


def test_get_list_and_verify(shared, stubs, tmp_path):
    path = lines_of(tmp_path / "cases.jsonl", 12, 45)
    _, rows, _ = submit(shared, path, "--wait")
    ids = [r["receipt"]["resultId"] for r in rows]
    shown = json.loads(shared.trien("get", *ids, "--json", *sock(shared)).stdout)
    m = modules()["repository"]
    for row in shown:
        same = stubs.repository.GetResult(m.GetResultRequest(result_id=row["resultId"]), timeout=20)
        assert json_format.ParseDict(row, m.Result()) == same
    shared.trien("get", "-", "--output", tmp_path / "pdf", *sock(shared), input="\n".join(ids))
    files = sorted((tmp_path / "pdf").iterdir())
    assert [f.stem for f in files] == sorted(ids)
    one = shared.trien("get", ids[0], "--output", "-", *sock(shared), text=False).stdout
    assert one == (tmp_path / "pdf" / f"{ids[0]}.pdf").read_bytes()
    shared.trien("verify", "--data", shared.data, *files)
    # The root alone: nothing says that no certificate is revoked.
    root = shared.data / "certs" / "root.pem"
    assert shared.trien("verify", "--trust", root, files[0], check=False).returncode == 3
    shared.trien("verify", "--trust", root, "--crl", shared.data / "certs", files[0])

    holder = next(h for line in path.read_text().splitlines()
                  for h in json.loads(line)["holders"] if h.get("idKind") == "CITIZEN")
    listed = json.loads(shared.trien("list", "--number", "-", "--json", *sock(shared),
                                     input=holder["number"] + "\n").stdout)
    assert {h["result"]["resultId"] for h in listed} & set(ids)


def test_exit_codes(shared, tmp_path):
    def code(*args):
        return shared.trien(*args, check=False).returncode

    assert code("get", "0" * 26, *sock(shared)) == 1
    assert code("get", "../../etc/passwd", *sock(shared)) == 2
    assert code("status", *sock(shared)) == 0
    assert code("status", "--connect", f"unix:{tmp_path}/none.sock") == 69
    assert code("status", "--connect", "192.0.2.1:50051") == 2
    assert code("status", "--unknown") == 2
    assert code("submit", tmp_path / "none.jsonl", *sock(shared)) == 66
    assert code("list", "--number", "1", "--id-kind", "dog", *sock(shared)) == 2
    assert code("register", "close", "--unit", UNITS[0], "--code", "NONE", "--reason", "x",
                *sock(shared)) == 1
    assert code("verify", __file__, "--data", shared.data) == 1


def test_mutual_tls(engine):
    engine.settings.update(listen="127.0.0.1:0", tls_cert=engine.data / "tls/server.pem",
                           tls_key=engine.data / "tls/server.key",
                           tls_client_ca=engine.data / "tls/ca.pem", insecure_loopback="")
    engine.start(registers=False)
    tls = ["--connect", f"localhost:{engine.port()}", "--tls-ca", engine.data / "tls/ca.pem",
           "--tls-cert", engine.data / "tls/client-one-stop.pem",
           "--tls-key", engine.data / "tls/client-one-stop.key"]
    told = json.loads(engine.trien("status", "--json", *tls).stdout)
    assert told["principal"] == "one-stop"
    denied = engine.trien("register", "list", *tls, check=False)
    assert denied.returncode == 77 and "ROLE_MISSING" in denied.stderr
    assert "one-stop has not role audit or registry (principals.json)" in denied.stderr
    assert engine.stop() == 0


def test_submit_outlives_the_engine(engine, tmp_path):
    """kill -9 of the engine's process under load: the command goes on, nothing is lost."""
    engine.start()
    path = lines_of(tmp_path / "cases.jsonl", 4000, 46)
    told = tmp_path / "told.txt"
    with (tmp_path / "out.jsonl").open("w") as out, told.open("w") as err:
        p = subprocess.Popen([harness.TRIEN, "submit", path, "--wait", "--wait-seconds", "120",
                              "--json", *sock(engine)], stdout=out, stderr=err)
        for _ in range(2):
            time.sleep(0.7)
            if "engine" in engine.children():
                os.kill(engine.children()["engine"], signal.SIGKILL)
        assert p.wait(180) == 0, told.read_text()
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").open()]
    summary = rows.pop()["summary"]
    ids = [r["receipt"]["resultId"] for r in rows if "receipt" in r]
    assert {r["line"] for r in rows} == set(range(1, 4001))
    assert len(ids) == len(set(ids)) == summary["stored"]
    for r in json.loads(engine.trien("register", "list", "--json", *sock(engine)).stdout):
        assert int(r.get("given", 0)) == int(r["next"]) - int(r["first"])
    assert engine.stop() == 0

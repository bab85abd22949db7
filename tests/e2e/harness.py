"""An engine of a test's own: data folder, processes, stubs, and what it left behind.

Everything lives in a temporary folder; ports are free ones; waiting is always bounded.
"""
import contextlib
import hashlib
import importlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import grpc
import pytest

import made
import postgres

ROOT, BUILD = made.ROOT, made.BUILD
TRIEN = BUILD / "engine" / "trien"
CASES = BUILD / "loadtest" / "trien-cases"
UNITS = ("ubnd-lac-xuan", "ubnd-suoi-may")
# TRIEN_CITUS=1: an engine that a test gives no store has it on Citus; stand-in: or on its stand-in.
CITUS = os.environ.get("TRIEN_CITUS", "")
# On how many PostgreSQL servers it has it otherwise; 0: embedded.
SERVERS = 1 if CITUS else int(os.environ.get("TRIEN_SERVERS", "0"))


def sanitized():
    """Such a build keeps what is freed, and its processes have no bound of address space."""
    return b"__asan_init" in TRIEN.read_bytes()


def load_protos(folder):
    """Python classes of proto/, made once a session with the ordinary generator."""
    from grpc_tools import protoc

    folder.mkdir(parents=True, exist_ok=True)
    known = pathlib.Path(importlib.import_module("grpc_tools").__file__).parent / "_proto"
    files = sorted(str(p.relative_to(ROOT / "proto"))
                   for p in (ROOT / "proto/trien").rglob("*.proto"))
    files += ["google/rpc/status.proto", "google/rpc/error_details.proto"]
    code = protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"-I{known}", f"--python_out={folder}",
                        f"--grpc_python_out={folder}", *files])
    assert code == 0
    sys.path.insert(0, str(folder))


def modules():
    names = ("case", "issuance", "repository", "operations", "signing", "audit")
    out = {}
    for n in names:
        out[n] = importlib.import_module(f"trien.v1.{n}_pb2")
        with contextlib.suppress(ModuleNotFoundError):
            out[n + "_grpc"] = importlib.import_module(f"trien.v1.{n}_pb2_grpc")
    return out


def wait_for(what, seconds=20, every=0.02):
    """The first true value of what(), or a failure that names it."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(every)


def made_keys(algorithm, schemas):
    """A folder as `trien keys dev` makes it; the same one for all engines of the tests. An RSA key
    takes longer than what most tests do with it."""
    people = hashlib.sha256(f"{algorithm} {TRIEN.stat().st_mtime_ns}".encode())
    for path in sorted(p for part in ("agencies", "signers") for p in (schemas / part).rglob("*")):
        people.update(str(path.relative_to(schemas)).encode() + b"\0")
        people.update(path.read_bytes() if path.is_file() else b"")

    def make(folder):
        done = subprocess.run([str(TRIEN), *keys_dev(folder, algorithm, schemas)], text=True,
                              capture_output=True, timeout=120)
        assert done.returncode == 0, f"keys dev: {done.returncode}\n{done.stdout}\n{done.stderr}"

    return made.made(f"keys-{people.hexdigest()[:16]}", make)


def keys_dev(data, algorithm, schemas):
    return ("keys", "dev", "--data", str(data), "--schemas", str(schemas), "--algorithm",
            algorithm, "--client", "one-stop")


class Engine:
    def __init__(self, folder, algorithm="p256", schemas=None, **settings):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.log_path = self.folder / "engine.log"
        self.schemas = pathlib.Path(schemas) if schemas else ROOT / "schemas"
        self.algorithm = algorithm
        self.settings = {"development": "true", "insecure_loopback": "tester",
                         "journal_segment_mb": "4", "journal_slots": "6", **settings}
        self.store = None
        if SERVERS and "store" not in settings:
            self.store = postgres.Store(servers=SERVERS)
            self.store.init()
            self.settings.update(self.store.settings())
        self.environment = dict(os.environ)
        self.process = None
        self.channels = []

    # ---- the program ----

    def trien(self, *args, check=True, text=True, timeout=120, **kw):
        done = subprocess.run([str(TRIEN), *map(str, args)], capture_output=True, text=text,
                              timeout=timeout, **kw)
        if check:
            assert done.returncode == 0, \
                f"trien {args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def prepare(self, *keys_args, own_keys=False):
        """Keys of all agencies and officers, and principals: the tester may do all. Other engines
        of the tests have the same keys, but for those with arguments or own_keys."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if keys_args or own_keys:
            self.trien(*keys_dev(self.data, self.algorithm, self.schemas), *keys_args)
        else:
            shutil.copytree(made_keys(self.algorithm, self.schemas), self.data, dirs_exist_ok=True)
        self.prepare_principals()
        return self

    def prepare_principals(self):
        self.principals([
            {"name": "tester", "roles": ["submit", "read", "portal", "audit", "registry", "sign"],
             "units": ["*"], "signers": ["*"], "uids": [os.getuid()]},
            {"name": "one-stop", "roles": ["submit", "read"], "units": [UNITS[0]]},
        ])

    def principals(self, rows):
        (self.data / "principals.json").write_text(json.dumps({"principals": rows}))

    def command(self):
        args = [str(TRIEN), "serve", "--data", str(self.data), "--schemas", str(self.schemas)]
        listen = self.settings.get("listen", f"unix:{self.data}/engine.sock,127.0.0.1:0")
        for one in listen.split(","):
            args += ["--listen", one]
        for name, value in self.settings.items():
            if name != "listen":
                for one in value if isinstance(value, list) else [value]:
                    args += [f"--{name.replace('_', '-')}", str(one)]
        return args

    def start(self, ready=True, limits=None, registers=True):
        self.log_mark = self.log_path.stat().st_size if self.log_path.exists() else 0

        # No code of ours between fork and exec: a fork of a process with gRPC's threads may die.
        words = self.command()
        if limits:
            words = ["prlimit", *(f"--{what}={value}" for what, value in limits.items()), *words]
        self.process = subprocess.Popen(words, env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log_path.open("ab"),
                                        start_new_session=True)
        if ready:
            wait_for(self.is_ready, 40)
            if registers:
                self.open_registers()
        return self

    def log(self):
        with self.log_path.open("rb") as f:
            f.seek(self.log_mark)
            return f.read().decode("utf-8", "replace")

    def metrics_url(self):
        return re.findall(r"metrics: (http://127\.0\.0\.1:\d+/metrics)", self.log())[-1]

    def metrics(self):
        """What the page says, without `trien_`; the setting `metrics` is needed."""
        page = urllib.request.urlopen(self.metrics_url(), timeout=10)
        assert page.headers["Content-Type"] == "text/plain; version=0.0.4"
        rows = re.findall(r"^trien_(\w+(?:\{.*\})?) (\d+)$", page.read().decode(), re.M)
        return {name: int(value) for name, value in rows}

    def is_ready(self):
        assert self.process.poll() is None, "the engine ended:\n" + self.log()
        return "ready on" in self.log()

    def port(self, host="127.0.0.1"):
        """Of the newest life of the engine."""
        ports = re.findall(rf"listening on {re.escape(host)}:\d+ \(port (\d+)\)", self.log())
        return int(ports[-1])

    def wait_end(self, seconds=40):
        code = self.process.wait(seconds)
        self.process = None
        self.close_channels()
        return code

    def stop(self):
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end()

    def kill(self):
        """Everything at once, as a power cut would."""
        if self.process is None:
            return
        self.process.kill()
        self.wait_end()
        wait_for(lambda: not self.children_left(), 10)

    def hup(self):
        def times():
            """So often catalogue and certificates were read, or one of them was left as it was."""
            return len(re.findall("were read again|stay as they were|was read again", self.log()))

        before = times()
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: times() > before)

    def children(self):
        """{"engine": pid, "signer": pid, "foreign": pid, perhaps "remote": pid} of the running
        supervisor."""
        out = {}
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(stat[1]) == self.process.pid and stat[0] != "Z":
                    out[(entry / "cmdline").read_bytes().split(b"\0")[0].decode()] = int(entry.name)
        return out

    def children_left(self):
        data = str(self.data).encode()
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[0] in (b"engine", b"signer", b"remote", b"foreign") and data in words:
                    if (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                        return True
        return False

    def kept(self):
        """The bytes of what the store noted, of a stopped engine."""
        if self.store:
            return b"".join(bytes.fromhex(row[0]) for i in range(len(self.store.names))
                            for row in self.store.sql("SELECT encode(record, 'hex') FROM event", i))
        return b"".join(p.read_bytes() for p in (self.data / "store").glob("*.seg"))

    # ---- its doors ----

    def new_channel(self, target=None, options=()):
        """For who closes it: `with`. A thread whose calls may meet the engine's end has one of its
        own: to close a channel under another thread's call crashes grpcio now and then."""
        return grpc.insecure_channel(target or f"127.0.0.1:{self.port()}", options=[
            ("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1),
            *options])

    def channel(self, target=None, options=()):
        """Closed with the engine."""
        self.channels.append(self.new_channel(target, options))
        return self.channels[-1]

    def close_channels(self):
        for c in self.channels:
            c.close()
        self.channels = []

    def stubs(self, channel=None):
        channel = channel or self.channel()
        m = modules()
        return Stubs(m["issuance_grpc"].IssuanceStub(channel),
                     m["repository_grpc"].RepositoryStub(channel),
                     m["operations_grpc"].OperationsStub(channel),
                     m["signing_grpc"].SigningStub(channel),
                     m["audit_grpc"].AuditStub(channel))

    def open_registers(self, first=1):
        """All registers that the kinds name, for this year; those that are open stay."""
        ops = self.stubs().operations
        m = modules()["operations"]
        open_now = {(r.unit, r.code) for r in self.registers(ops)}
        for unit in UNITS:
            for code in sorted(register_codes(self.schemas)):
                if (unit, code) not in open_now:
                    ops.OpenRegister(m.OpenRegisterRequest(unit=unit, code=code, first=first,
                                                           reason="test"), timeout=20)

    def open_for(self, case):
        """The registers that a case's results need, where they are not open yet."""
        ops = self.stubs().operations
        m = modules()["operations"]
        open_now = {(r.unit, r.code) for r in self.registers(ops)}
        for r in case.results:
            path = self.schemas / "results" / f"{r.kind}.json"
            number = json.loads(path.read_text())["versions"][-1]["number"]
            if (r.unit, number["register"]) not in open_now and not number.get("given"):
                ops.OpenRegister(m.OpenRegisterRequest(unit=r.unit, code=number["register"],
                                                       first=1, reason="test"), timeout=20)

    def registers(self, ops=None):
        ops = ops or self.stubs().operations
        m = modules()["operations"]
        rows, token = [], ""
        while True:
            page = ops.ListRegisters(m.ListRegistersRequest(page_size=200, page_token=token),
                                     timeout=20)
            rows += page.registers
            token = page.next_page_token
            if not token:
                return rows

    # ---- results ----

    def wait_stored(self, stubs, ids, seconds=60):
        """Results by id, all of them stored."""
        m = modules()["repository"]
        ids = list(ids)
        got = {}

        def all_stored():
            for i in range(0, len(ids), 500):
                part = [x for x in ids[i:i + 500] if x not in got]
                if not part:
                    continue
                answer = stubs.repository.BatchGetResults(
                    m.BatchGetResultsRequest(result_ids=part), timeout=20)
                assert not answer.missing_ids, answer.missing_ids
                got.update({r.result_id: r for r in answer.results if r.state == 6})
            return len(got) == len(set(ids))

        wait_for(all_stored, seconds, 0.05)
        return got

    def download(self, stubs, result_id, offset=0):
        m = modules()["repository"]
        parts = list(stubs.repository.DownloadResult(
            m.DownloadResultRequest(result_id=result_id, offset=offset), timeout=30))
        return b"".join(p.chunk for p in parts), parts[0]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.kill()


def store_of(which):
    """(the store, the engine's settings for it); of a fixture played on both. embedded: None, {}"""
    if which == "embedded":
        if SERVERS:
            pytest.skip("all stores are on PostgreSQL here")
        return None, {}
    if postgres.missing():
        pytest.skip(postgres.missing())
    store = postgres.Store()
    store.init()
    return store, store.settings()


@contextlib.contextmanager
def caller(engine, *roles, units=("*",)):
    """Who calls has these roles only."""
    before = (engine.data / "principals.json").read_text()
    engine.principals([{"name": "tester", "roles": list(roles), "units": list(units)}])
    engine.hup()
    try:
        yield
    finally:
        (engine.data / "principals.json").write_text(before)
        engine.hup()


class Stubs:
    def __init__(self, issuance, repository, operations, signing, audit):
        self.issuance, self.repository, self.operations = issuance, repository, operations
        self.signing, self.audit = signing, audit


def all_kind_files(schemas=ROOT / "schemas"):
    return sorted((pathlib.Path(schemas) / "results").glob("*.json"))


def kind_files(schemas=ROOT / "schemas"):
    """Of those that a case is enough for; a copy needs its original."""
    return [f for f in all_kind_files(schemas)
            if "copy" not in json.loads(f.read_text())["versions"][-1]]


def register_codes(schemas=ROOT / "schemas"):
    """Registers that count here; a kind whose numbers the case brings needs none."""
    return {v["number"]["register"] for f in all_kind_files(schemas)
            for v in json.loads(f.read_text())["versions"] if not v["number"].get("given")}


def generated(count, seed=1, mix="one-stop", priority="normal", first=None):
    """Lines of the sample-case generator."""
    args = [str(CASES), "--count", str(count), "--seed", str(seed), "--mix", mix,
            "--priority", priority]
    if first is not None:
        args += ["--first-code", str(first)]
    done = subprocess.run(args, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def as_case(line):
    from google.protobuf import json_format

    return json_format.Parse(line, modules()["case"].Case())


def series(base, k):
    """The same cases under other codes and other given numbers: the k-th run through them."""
    for case, code in base:
        case.code = f"{code}.{k}"
        for r in case.results:
            if r.given_number:
                r.given_number = r.given_number % 10_000_000_000 + (k + 1) * 10_000_000_000
        yield case


def details(error):
    """reason, metadata and field paths of a failed call (google.rpc.Status)."""
    from google.rpc import error_details_pb2, status_pb2

    raw = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    out = {"code": error.code().name, "reason": None, "metadata": {}, "fields": [],
           "retry_ms": None}
    if raw is None:
        return out
    for any_ in status_pb2.Status.FromString(raw).details:
        name = any_.type_url.rsplit("/", 1)[1]
        if name == "google.rpc.ErrorInfo":
            info = error_details_pb2.ErrorInfo.FromString(any_.value)
            out["reason"], out["metadata"] = info.reason, dict(info.metadata)
        elif name == "google.rpc.BadRequest":
            bad = error_details_pb2.BadRequest.FromString(any_.value)
            out["fields"] = [v.field for v in bad.field_violations]
        elif name == "google.rpc.RetryInfo":
            d = error_details_pb2.RetryInfo.FromString(any_.value).retry_delay
            out["retry_ms"] = d.seconds * 1000 + d.nanos // 1000000
    return out

"""A private PostgreSQL: its own cluster in a temporary folder, on a unix socket only; or Citus, a
coordinator with two workers, which speak to each other on loopback.

The server refuses to run as root; there it runs as an unprivileged user that exists already, in a
folder of that user. One cluster serves a session and a database serves a test.
"""
import atexit
import functools
import hashlib
import itertools
import os
import pathlib
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import made

SETTINGS = {
    "listen_addresses": "''", "max_connections": "80", "shared_buffers": "'128MB'",
    "max_wal_size": "'1GB'", "timezone": "'UTC'", "log_min_messages": "'warning'",
    # Errors are what the tests provoke; their rows stand in the log otherwise.
    "log_error_verbosity": "'terse'", "log_line_prefix": "'%d %p %v %x '",
}
# Nothing that a killed server would need: for tests that do not kill it.
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# Of the schema, as this program makes it.
VERSION = len(list((pathlib.Path(__file__).parents[2] / "schemas/store/postgres")
                   .glob("[0-9]*.sql")))
_names = itertools.count(1)


def programs():
    """Folder of the newest server that is installed, or None."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"),
                   key=lambda p: int(p.parts[-3]) if p.parts[-3].isdigit() else 0)
    if found:
        return found[-1].parent
    one = shutil.which("initdb")
    return pathlib.Path(one).resolve().parent if one else None


def unprivileged():
    """Who runs the server: None, or a user's row where we are root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def missing():
    """Why no server can be started here; empty: it can."""
    if programs() is None:
        return "no PostgreSQL server is installed"
    if os.getuid() == 0 and unprivileged() is None:
        return "no unprivileged user to run PostgreSQL as"
    return ""


def shared_files():
    """Where the server's extensions are."""
    config = programs() / "pg_config"
    if config.exists():
        return pathlib.Path(subprocess.run([str(config), "--sharedir"], capture_output=True,
                                           text=True, check=True, timeout=20).stdout.strip())
    # Debian has the program with the development files only.
    home = programs().parent
    return pathlib.Path("/usr/share/postgresql") / home.name


def citus_missing():
    """Why no Citus can be started here; empty: it can."""
    why = missing()
    if not why and not (shared_files() / "extension/citus.control").exists():
        why = "the extension citus is not installed"
    return why


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Cluster:
    """Made by start(), gone after remove(). durable: what it says is on the disk is there.

    initdb: more words for it. full_disk: the module of that name, so that fill() works.
    """

    distribution = "plain"

    def __init__(self, durable=False, initdb=(), full_disk=None, **settings):
        self.bin = programs()
        self.who = unprivileged()
        # Short: a socket's path has a bound.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="trien-pg-", dir="/tmp"))
        self.data = self.folder / "data"
        self.log_path = self.folder / "log"
        self.settings = {**SETTINGS, **({} if durable else FAST), **settings}
        self.settings["unix_socket_directories"] = f"'{self.folder}'"
        if self.who:
            os.chown(self.folder, self.who.pw_uid, self.who.pw_gid)
        # The socket is for the tests' own user; the data folder stays 0700.
        self.folder.chmod(0o711)
        self.initdb = initdb
        self.environment = dict(os.environ)
        self.full = self.folder / "full"
        if full_disk:
            # Where its own user can read it.
            module = shutil.copy(full_disk, self.folder / "full_disk.so")
            os.chmod(module, 0o755)
            self.environment.update(LD_PRELOAD=str(module), TRIEN_FULL_DISK=str(self.full))

    def words(self, program, *args):
        """One of the server's programs, as the user that it runs as."""
        words = [str(self.bin / program), *map(str, args)]
        if self.who:
            words = ["setpriv", f"--reuid={self.who.pw_uid}", f"--regid={self.who.pw_gid}",
                     "--clear-groups", *words]
        return words

    def run(self, program, *args, check=True, timeout=60):
        words = self.words(program, *args)
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=timeout, cwd=self.folder,
                              env=self.environment)
        assert not check or done.returncode == 0, f"{program}: {done.stdout}"
        return done

    def start(self):
        if not self.data.exists():
            self.copy_initial()
            conf = self.data / "postgresql.conf"
            with conf.open("a") as f:
                f.writelines(f"{k} = {v}\n" for k, v in self.settings.items())
        # Not through our pipe: the server would hold it open.
        self.run(*self.started())
        return self

    def copy_initial(self):
        """What initdb makes, which takes seconds."""
        name = hashlib.sha256("\0".join([str(self.bin), *self.initdb]).encode()).hexdigest()[:16]

        def make(folder):
            # In a folder that its own user may enter.
            self.run("initdb", "-D", self.data, "-U", "trien", "-A", "trust", "-E", "UTF8",
                     "--locale=C.UTF-8", "-N", *self.initdb)
            self.data.rename(self.folder / "initial")
            subprocess.run(["cp", "-a", self.folder / "initial", folder], check=True)
            shutil.rmtree(self.folder / "initial")

        initial = made.made(f"postgres-{name}", make) / "initial"
        subprocess.run(["cp", "-a", initial, self.data], check=True, timeout=60)

    def started(self):
        return "pg_ctl", "-D", self.data, "-l", self.log_path, "-w", "-t", "50", "start"

    def outage(self):
        """Command lines: it crashes; it is there again."""
        crash = self.words("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "-t", "50", "stop")
        return [shlex.join(w) for w in (crash, self.words(*self.started()))]

    def running(self):
        return self.run("pg_ctl", "-D", self.data, "status", check=False).returncode == 0

    def stop(self, mode="fast"):
        """immediate: as if it crashed; fast: sessions are cut off, transactions undone."""
        if self.running():
            self.run("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "50", "stop")

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def log(self):
        return self.log_path.read_text(errors="replace")

    # ---- a disk that is full ----

    def fill(self, folder):
        """No file below data/FOLDER gets any longer, until free(). Needs full_disk."""
        new = self.full.with_suffix(".new")
        new.write_text(f"{self.data}/{folder}/")
        new.chmod(0o644)
        new.rename(self.full)

    def free(self):
        self.full.unlink()

    # ---- a standby ----

    def follow(self, primary):
        """As its standby, made anew; from now on the primary confirms nothing without it."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.run("pg_basebackup", "-D", self.data, "-d", f"host={primary.folder} user=trien", "-R",
                 "-X", "stream", "-c", "fast")
        with (self.data / "postgresql.conf").open("a") as f:
            f.write(f"unix_socket_directories = '{self.folder}'\n")
        self.start()
        primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.run("pg_ctl", "-D", primary.data, "reload")
        end = time.monotonic() + 30
        while ["sync"] not in primary.sql("postgres", "SELECT sync_state FROM pg_stat_replication"):
            assert time.monotonic() < end, "the standby does not follow"
            time.sleep(0.05)
        return self

    def promote(self):
        """It goes on alone, until another one follows it."""
        self.run("pg_ctl", "-D", self.data, "-w", "-t", "50", "promote")
        self.sql("postgres", "ALTER SYSTEM RESET synchronous_standby_names")
        self.run("pg_ctl", "-D", self.data, "reload")

    def remove(self):
        if self.data.exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self):
        """The server's processes, the postmaster first."""
        head = int((self.data / "postmaster.pid").read_text().split()[0])
        out = [head]
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == head:
                    out.append(int(entry.name))
            except (OSError, ValueError, IndexError):
                continue
        return out

    def freeze(self):
        """It neither answers nor closes anything, until thaw()."""
        self.frozen = self.pids()
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.frozen:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue

    # ---- databases ----

    def conninfo(self, database):
        port = f" port={self.settings['port']}" if "port" in self.settings else ""
        return f"host={self.folder}{port} dbname={database} user=trien"

    def sql(self, database, text, check=True):
        """Rows as lists of texts; several statements are one transaction each."""
        done = subprocess.run([str(self.bin / "psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-v",
                               "ON_ERROR_STOP=1", "-d", self.conninfo(database), "-f", "-"],
                              input=text, capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def database(self, name=None):
        """A new one, empty; its conninfo in .conninfo(name)."""
        name = name or f"t{os.getpid()}_{next(_names)}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return name

    def drop(self, name):
        self.sql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def cut(self, name):
        """Ends all sessions of a database."""
        self.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                             f"WHERE datname = '{name}'")

    def read_only(self, name, on=True):
        """As a server that has become a standby: it takes no writes."""
        self.sql("postgres", f"ALTER DATABASE {name} SET default_transaction_read_only = "
                             f"{'on' if on else 'off'}")
        self.cut(name)


def stand_in(cluster, database):
    """What takes the extension's place there: it checks what it is told (citus_stand_in.sql)."""
    cluster.sql(database, (pathlib.Path(__file__).parent / "citus_stand_in.sql").read_text())


class Citus(Cluster):
    """A coordinator, which is what the engine knows, and its two workers.

    They start and go with it; what else is done to the cluster is done to the coordinator. Where
    the extension is not installed they are three ordinary servers with the stand-in.
    """

    distribution = "citus"

    def __init__(self, durable=False, **settings):
        self.real = not citus_missing()
        own = {"listen_addresses": "'127.0.0.1'"}
        if self.real:
            own |= {"shared_preload_libraries": "'citus'", "max_prepared_transactions": "200",
                    "max_connections": "200", "wal_level": "logical",
                    "citus.node_conninfo": "'sslmode=prefer'"}
        self.workers = [Cluster(durable, **own, port=str(free_port())) for _ in range(2)]
        super().__init__(durable, **{**own, "port": str(free_port()), **settings})

    def start(self):
        for w in self.workers:
            if not w.running():
                w.start()
        return super().start()

    def remove(self):
        super().remove()
        for w in self.workers:
            w.remove()

    def database(self, name=None):
        name = super().database(name)
        for w in self.workers:
            w.database(name)
        for node in (self, *self.workers):
            if self.real:
                node.sql(name, "CREATE EXTENSION citus")
            else:
                stand_in(node, name)
        self.sql(name, "SELECT citus_set_coordinator_host('127.0.0.1', "
                       f"{self.settings['port']})")
        for w in self.workers:
            self.sql(name, f"SELECT citus_add_node('127.0.0.1', {w.settings['port']})")
        return name

    def drop(self, name):
        super().drop(name)
        for w in self.workers:
            w.drop(name)


@functools.cache
def session():
    """The cluster that a session's tests share; none of them may stop it."""
    cluster = (Citus() if os.environ.get("TRIEN_CITUS") else Cluster()).start()
    atexit.register(cluster.remove)
    return cluster


class Store:
    """A fresh database of a cluster for the store's tables; or several, with the lanes spread."""

    def __init__(self, cluster=None, servers=1):
        self.cluster = cluster or session()
        self.names = [self.cluster.database() for _ in range(servers)]
        lanes = 64 // servers
        self.conninfos = [
            (f"lanes={i * lanes}-{i * lanes + lanes - 1} " if servers > 1 else "") +
            self.cluster.conninfo(n) for i, n in enumerate(self.names)]

    def settings(self):
        return {"store": "postgres", "postgres": self.conninfos,
                "postgres_distribution": self.cluster.distribution}

    def init(self, check=True, **kw):
        import harness  # what the other parts of this file need not know

        words = [str(harness.TRIEN), "store", "init"]
        for c in self.conninfos:
            words.append(c)
        words += ["--postgres-distribution", self.cluster.distribution]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, **kw)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def sql(self, text, server=0, check=True):
        return self.cluster.sql(self.names[server], text, check)

    def count(self, table):
        return sum(int(self.sql(f"SELECT count(*) FROM {table}", i)[0][0])
                   for i in range(len(self.names)))

    def remove(self):
        for n in self.names:
            self.cluster.drop(n)

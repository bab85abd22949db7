"""with_postgres.py PROGRAM [PART] - runs a test program with a private server that ends with it.

TRIEN_POSTGRES is the connection to its first database, t1; t2 to t4 are there as well, and t5 is
distributed over two workers by Citus, or by what stands in for it; for PROGRAM one just t1, for
PROGRAM four no t5. Exit code 77 (skipped) where no server is installed.
"""
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("TRIEN_BUILD", str(pathlib.Path(sys.argv[1]).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import postgres  # noqa: E402


def main():
    why = postgres.missing()
    if why:
        print("skipped:", why)
        return 77
    # A part of a program's tests, that needs less.
    part = sys.argv[2] if len(sys.argv) > 2 else ""
    cluster = postgres.Cluster() if part in ("one", "four") else postgres.Citus()
    try:
        cluster.start()
        for i in range(1, 2 if part == "one" else 5):
            cluster.sql("postgres", f"CREATE DATABASE t{i}")
        if isinstance(cluster, postgres.Citus):
            cluster.database("t5")
        return subprocess.run(sys.argv[1:], env={**os.environ,
                                                 "TRIEN_POSTGRES": cluster.conninfo("t1")},
                              timeout=280).returncode
    finally:
        cluster.remove()


sys.exit(main())

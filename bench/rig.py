"""What the benchmarks have in common: real servers, the workload, processes, numbers. Standard library only."""
import contextlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
STATIC_PROGRAM = PROJECT / "target/x86_64-unknown-linux-gnu/release/schemaward"


class Failure(Exception):
    """A sentence for the person who measures."""


def main(measure):
    """Runs `measure` so that servers and operator end on every way out."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        measure()
    except Failure as failure:
        sys.exit(f"{Path(sys.argv[0]).name}: {failure}")


# ---- what is measured ------------------------------------------------------------------------------------


def program():
    """The program of the image, or SCHEMAWARD_BIN."""
    chosen = Path(os.environ.get("SCHEMAWARD_BIN", STATIC_PROGRAM)).resolve()
    if not chosen.is_file():
        raise Failure(f"{chosen} does not exist: run `make image`, or set SCHEMAWARD_BIN")
    return chosen


class Migrations:
    """The workload: a version is a statement, and five in turn are a small table, an index, a column, a comment and a row."""

    KINDS = [
        ("table", "CREATE TABLE {0} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL)", "DROP TABLE {0}"),
        ("index", "CREATE INDEX {0}_name ON {0} (name)", "DROP INDEX {0}_name"),
        ("column", "ALTER TABLE {0} ADD COLUMN amount integer NOT NULL DEFAULT 0", "ALTER TABLE {0} DROP COLUMN amount"),
        ("comment", "COMMENT ON TABLE {0} IS 'What is kept of this kind'", "COMMENT ON TABLE {0} IS NULL"),
        ("row", "INSERT INTO {0} (name) VALUES ('first')", "DELETE FROM {0} WHERE name = 'first'"),
    ]

    @staticmethod
    def version(number):
        return f"{number:04}"

    @classmethod
    def name(cls, number):
        return f"item_{cls.table(number)}_{cls.kind(number)[0]}"

    @classmethod
    def up(cls, number):
        return cls.kind(number)[1].format(f"item_{cls.table(number)}") + ";\n"

    @classmethod
    def down(cls, number):
        return cls.kind(number)[2].format(f"item_{cls.table(number)}") + ";\n"

    @classmethod
    def kind(cls, number):
        return cls.KINDS[(number - 1) % 5]

    @staticmethod
    def table(number):
        return (number - 1) // 5 + 1

    @classmethod
    def files(cls, first, last):
        """File names and their texts."""
        made = {}
        for number in range(first, last + 1):
            stem = f"{cls.version(number)}_{cls.name(number)}"
            made[f"{stem}_UP.sql"], made[f"{stem}_DOWN.sql"] = cls.up(number), cls.down(number)
        return made

    @classmethod
    def write(cls, folder, first, last):
        folder.mkdir(exist_ok=True)
        for name, text in cls.files(first, last).items():
            (folder / name).write_text(text)


# ---- servers and programs --------------------------------------------------------------------------------


@contextlib.contextmanager
def servers(*arguments):
    """`tests/harness/servers` with these arguments; gives its report. The servers end with its standard input."""
    process = subprocess.Popen([PROJECT / "tests/harness/servers", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        report = json.loads(process.stdout.readline() or "{}")
        if "folder" not in report:
            raise Failure(report.get("error", "the servers do not start"))
        yield report
    finally:
        process.stdin.close()
        process.wait()


def parts():
    """What `parts/env` prints."""
    sys.path.insert(0, str(PROJECT / "tests/harness"))
    sys.dont_write_bytecode = True
    from processes import parts as read
    return read()


def dies_with_us(*command):
    """The kernel ends the program when this process is gone."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)]


class Postgres:
    """SQL by psql, as the superuser."""

    def __init__(self, report):
        self.host, self.port, self.password, self.ca = report["host"], report["port"], report["password"], report["ca"]
        self.psql = Path(report["bin"]) / "psql"

    def environment(self, database):
        return {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": "postgres", "PGPASSWORD": self.password,
                "PGDATABASE": database, "PGSSLMODE": "disable"}

    def command(self, *arguments):
        return [self.psql, "-XqAt", "-F", " ", "-v", "ON_ERROR_STOP=1", *arguments]

    def run(self, sql, database="postgres"):
        done = subprocess.run(self.command("-c", sql), env=self.environment(database), capture_output=True, text=True)
        if done.returncode:
            raise Failure(done.stderr.strip())
        return done.stdout.strip()

    def create(self, database):
        self.run(f"CREATE DATABASE {database} TEMPLATE template0")

    def numbers(self, sql):
        return [int(word) for word in self.run(sql).split()]


class Timed:
    """One run of a program: wall time and CPU in ms, peak memory in MB."""

    def __init__(self, command, environment, folder=None):
        began = time.perf_counter()
        child = subprocess.Popen(list(map(str, command)), env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        sampler = threading.Thread(target=self.sample, args=(child.pid,))
        sampler.start()
        complaint = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        self.wall = (time.perf_counter() - began) * 1000
        child.returncode = os.waitstatus_to_exitcode(status)
        sampler.join()
        self.cpu = (usage.ru_utime + usage.ru_stime) * 1000
        if child.returncode:
            raise Failure(f"{command[0]} ended with {child.returncode}: {complaint.decode(errors='replace').strip()}")

    def sample(self, pid):
        # wait4's own figure is at least that of the process that forked, which is this one.
        self.peak = None
        with contextlib.suppress(OSError, ProcessLookupError):
            while (peak := memory(pid, "VmHWM")) is not None:
                self.peak = peak
                time.sleep(0.02)


def memory(pid, field):
    """A field of /proc/PID/status in MB; None once the process has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return None


# ---- numbers ---------------------------------------------------------------------------------------------


def spread(values, digits=0):
    """`median (min to max)`."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(header, rows):
    """A table in Markdown."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)


def say(text):
    print(text, file=sys.stderr, flush=True)


def conditions(what):
    """When and on what: the first line of a report."""
    commit = subprocess.run(["git", "-C", PROJECT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    size = program().stat().st_size / 1e6
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    print(f"{what}, {now}, commit {commit or 'unknown'}, {os.cpu_count()} cores, Linux {platform.release()}, "
          f"load {os.getloadavg()[0]:.1f}, binary {size:.1f} MB\n", flush=True)

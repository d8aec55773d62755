# SPDX-License-Identifier: MIT
"""Real programs under each allocator: one command each, or a server and its client.

Inputs are generated under the build directory.  Before a program is first measured with an
allocator, the loader is asked who its malloc is bound to; a wrong answer is a failure.  For
servers, what is measured is the server; clients always run on libc's malloc.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from . import inputs, measure


class Program:
    """One command.  `make(dir, small)` writes inputs and returns argv, env, stdin, cwd."""

    def __init__(self, name, needs, make, count=True, warm=512):
        self.name, self.group, self.needs, self.make = name, "real", needs, make
        self.count = {} if count else None
        self.warm, self.made, self.proved = warm, {}, {}

    def identity(self):
        return f"real {self.name} v4"

    def missing(self):
        return [p for p in self.needs if not find(p)]

    def command(self, bench, small):
        if small not in self.made:
            where = os.path.join(bench.build_dir, "real", self.name + ("-small" if small else ""))
            os.makedirs(where, exist_ok=True)
            made = {"env": None, "cwd": where, "stdin": None}
            made.update(self.make(where, small))
            self.made[small] = made
        return self.made[small]

    def prove(self, bench, allocator):
        if allocator.name not in self.proved:
            made = self.command(bench, True)
            self.proved[allocator.name] = measure.prove_program(
                allocator, made.get("proof", made["argv"]), made["env"], made["cwd"],
                made["stdin"])
        return self.proved[allocator.name]

    def measure(self, bench, allocator, count):
        libc = self.prove(bench, allocator)
        made = self.command(bench, count)
        where = dict(env=made["env"], cwd=made["cwd"], stdin=made["stdin"], libc=libc)
        if count:
            return bench.counted(allocator, made["argv"], **where)
        record, _ = bench.timed(allocator, made["argv"], self.warm, timeout=300,
                                stdout=subprocess.DEVNULL, **where)
        return record


def find(program):
    if os.path.isabs(program):
        return program if os.access(program, os.X_OK) else None
    return shutil.which(program, path="/usr/bin:/bin:/usr/sbin")


def write(where, name, text):
    path = os.path.join(where, name)
    with open(path, "w") as f:
        f.write(text)
    return path


# ---- single commands ----

def sqlite(where, small):
    n = 4000 if small else 90000
    return {"argv": [find("sqlite3"), ":memory:"],
            "stdin": write(where, "script.sql", inputs.sqlite(n))}


def python(env):
    def make(where, small):
        script = write(where, "script.py", inputs.PYTHON)
        # no site packages, no hash seeds: the same work each time, on any machine
        return {"argv": [find("python3"), "-s", "-S", script, "800" if small else "10000"],
                "env": {"PYTHONHASHSEED": "0", **env}}
    return make


def perl(where, small):
    return {"argv": [find("perl"), write(where, "script.pl", inputs.PERL),
                     "2000" if small else "50000"], "env": {"PERL_HASH_SEED": "0"}}


def lua(where, small):
    return {"argv": [find("lua5.4"), write(where, "script.lua", inputs.LUA),
                     "1000" if small else "45000"]}


def cc1plus(where, small):
    path = subprocess.run(["g++", "-print-prog-name=cc1plus"], stdout=subprocess.PIPE,
                          text=True).stdout.strip()
    triplet = subprocess.run(["g++", "-print-multiarch"], stdout=subprocess.PIPE,
                             text=True).stdout.strip()
    return {"argv": [path, "-quiet", "-imultiarch", triplet, "-O2", "-D_GNU_SOURCE",
                     "-o", "/dev/null",
                     write(where, "heavy.cc", inputs.cxx(0 if small else 5))]}


def clang(where, small):
    source = write(where, "heavy.cc", inputs.cxx(0 if small else 5))
    # cc1 in the driver's own process: -fintegrated-cc1 is the default
    return {"argv": [find("clang++"), "-O1", "-c", "-o", "/dev/null", source]}


def z3(where, small):
    return {"argv": [find("z3"), "-smt2", write(where, "problem.smt2",
                                                inputs.smt(5, 1) if small else inputs.smt(6, 4))]}


def ghostscript(where, small):
    page = write(where, "pages.ps", inputs.postscript(1 if small else 12))
    return {"argv": [find("gs"), "-q", "-dNOPAUSE", "-dBATCH", "-dSAFER", "-sDEVICE=png16m",
                     "-r50" if small else "-r120", "-sOutputFile=/dev/null", page]}


def xz(where, small):
    data = write(where, "data.txt", inputs.text(100000 if small else 900000))
    return {"argv": [find("xz"), "-T1", "-6", "-c", data]}


def repository(where, small):
    repo = os.path.join(where, "repo")
    if not os.path.exists(os.path.join(repo, "done")):
        shutil.rmtree(repo, ignore_errors=True)
        stream = inputs.git_stream(20 if small else 500, 40 if small else 400)
        subprocess.run(["git", "init", "-q", "--bare", repo], check=True)
        subprocess.run(["git", "-C", repo, "fast-import", "--quiet"], input=stream.encode(),
                       check=True)
        with open(os.path.join(repo, "done"), "w"):
            pass
    return repo


def git(*words):
    def make(where, small):
        repo = repository(where, small)
        words_now = [word.replace("BACK", "15" if small else "480") for word in words]
        return {"argv": [find("git"), "-C", repo, *words_now],
                "env": {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_PAGER": "cat"}}
    return make


def configure(where, small):
    return {"argv": [find("sh"), write(where, "configure", inputs.CONFIGURE),
                     "10" if small else "200"]}


# ---- servers ----

class Server(Program):
    """A server under the launcher, a client outside; the server's own use is the record."""

    def __init__(self, name, needs):
        super().__init__(name, needs, None, count=False)

    def measure(self, bench, allocator, count):
        if allocator.name not in self.proved:
            self.proved[allocator.name] = measure.prove_program(allocator, self.proof())
        scratch = tempfile.mkdtemp(prefix="bench-")
        os.chmod(scratch, 0o755)
        try:
            return self.session(bench, allocator, scratch, self.proved[allocator.name])
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def served(self, bench, allocator, libc, scratch, argv, ready, load, user=None):
        """Start one server, wait until ready() is true, run load(), stop it; the report."""
        with Running(bench, allocator, libc, scratch, argv, self.warm, user) as server:
            server.wait(ready)
            began = time.monotonic()
            load()
            wall = time.monotonic() - began
        return {**server.record, "wall": wall}


class Running:
    """A server under the launcher, from its start to its SIGINT; then its report is `record`."""

    def __init__(self, bench, allocator, libc, scratch, argv, warm=0, user=None, env=None):
        name = os.path.join(scratch, os.path.basename(argv[0]))
        self.allocator, self.report, self.log = allocator, name + ".report", name + ".log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                bench.launch_argv(allocator, self.report, warm, user, libc) + argv,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=measure.clean_env(env))

    def wait(self, ready):
        end = time.time() + 30
        while not ready():
            if self.process.poll() is not None or time.time() > end:
                with open(self.log, errors="replace") as f:
                    raise measure.Failure("server did not start: " + f.read()[-300:])
            time.sleep(0.02)
        prove_running(self.process.pid, self.allocator)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(2)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if kind:
            return
        self.record = measure.read_report(self.report)
        if self.record["status"] not in (0, -2):
            raise measure.Failure(f"the server ended with status {self.record['status']}")
        self.record["cpu"] = self.record["user"] + self.record["sys"]


def prove_running(launcher, allocator):
    """The proof by --version ran as another user, maybe: the loader drops in silence a preload
    that this user cannot read.  So look into the server that is about to be measured."""
    with open(f"/proc/{launcher}/task/{launcher}/children") as f:
        server = f.read().split()[0]
    with open(f"/proc/{server}/maps") as f:
        mapped = {line.split(None, 5)[5].strip() for line in f if line.count("/")}
    if not any(allocator.serves(path) for path in mapped):
        raise measure.Failure(f"{allocator.name} is not mapped in the running server: "
                              "can its user read the file?")


def quiet(argv, user=None, check=True, timeout=120):
    """Runs a client; True if it succeeded."""
    if user:
        argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] + argv
    done = subprocess.run(argv, env=measure.clean_env(), stdin=subprocess.DEVNULL, cwd="/",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    if check and done.returncode:
        raise measure.Failure(f"{argv[0]}: {done.stdout.decode(errors='replace')[-300:]}")
    return done.returncode == 0


class Redis(Server):
    def proof(self):
        return [find("redis-server"), "--version"]

    def session(self, bench, allocator, scratch, libc):
        sock = os.path.join(scratch, "sock")
        argv = [find("redis-server"), "--port", "0", "--unixsocket", sock, "--save", "",
                "--appendonly", "no", "--dir", scratch]
        bench_argv = [find("redis-benchmark"), "-s", sock, "-q", "-P", "16", "-r", "50000"]

        def load():
            quiet(bench_argv + ["-n", "100000", "-t", "set,lpush,sadd,hset,zadd", "-d", "120"])
            quiet(bench_argv + ["-n", "40000", "-t", "set", "-d", "3000"])
        return self.served(bench, allocator, libc, scratch, argv,
                           lambda: quiet([find("redis-cli"), "-s", sock, "ping"], check=False),
                           load)


def postgres_bin(name):
    base = "/usr/lib/postgresql"
    versions = sorted(os.listdir(base), key=float) if os.path.isdir(base) else []
    return os.path.join(base, versions[-1], "bin", name) if versions else base


class Postgres(Server):
    """Started as the user postgres; backends are its children and counted with it."""

    def __init__(self, name):
        super().__init__(name, [postgres_bin("postgres"), "setpriv"])

    def proof(self):
        return [postgres_bin("postgres"), "--version"]

    def session(self, bench, allocator, scratch, libc):
        data = os.path.join(scratch, "data")
        shutil.chown(scratch, "postgres")
        quiet([postgres_bin("initdb"), "-A", "trust", "--no-sync", "-D", data], "postgres")
        argv = [postgres_bin("postgres"), "-D", data, "-k", scratch, "-c", "listen_addresses=",
                "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "autovacuum=off",
                "-c", "jit=off"]
        client = [postgres_bin("pgbench"), "-h", scratch, "-U", "postgres", "-n"]
        heavy = os.path.join(scratch, "heavy.sql")
        with open(heavy, "w") as f:
            f.write("SELECT count(*), string_agg(md5(a::text), ',') FROM (SELECT a, row_number() "
                    "OVER (PARTITION BY a % 7 ORDER BY md5(a::text)) FROM generate_series(1, 2000)"
                    " a) s WHERE a::text LIKE '%1%';\n")

        def load():
            quiet(client + ["-i", "-q", "postgres"])
            quiet(client + ["-c", "4", "-t", "1000", "postgres"])
            quiet(client + ["-c", "4", "-t", "40", "-f", heavy, "postgres"])
        return self.served(bench, allocator, libc, scratch, argv,
                           lambda: quiet([postgres_bin("pg_isready"), "-h", scratch], check=False),
                           load, user="postgres")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Web(Server):
    """nginx in front of php-fpm, both preloaded: costs are sums, the peak is the sum of the two
    largest processes.  php asks malloc for each object (USE_ZEND_ALLOC=0)."""

    ENV = {"USE_ZEND_ALLOC": "0"}

    def __init__(self, name):
        super().__init__(name, ["nginx", php_fpm(), "ab"])

    def proof(self):
        return [find("nginx"), "-v"]

    def session(self, bench, allocator, scratch, libc):
        if (allocator.name, "php") not in self.proved:
            self.proved[allocator.name, "php"] = measure.prove_program(
                allocator, [php_fpm(), "-v"], self.ENV)
        user = "www-data" if os.geteuid() == 0 else None
        if user:
            shutil.chown(scratch, user)
        port = free_port()
        write(scratch, "page.php", inputs.PHP)
        write(scratch, "page.html", inputs.text(30000))
        pages = write(scratch, "php.conf", inputs.PHP_CONF.replace("DIR", scratch))
        web = write(scratch, "nginx.conf",
                    inputs.NGINX_CONF.replace("DIR", scratch).replace("PORT", str(port)))
        site = f"http://127.0.0.1:{port}/"
        with Running(bench, allocator, self.proved[allocator.name, "php"], scratch,
                     [php_fpm(), "-n", "-F", "-y", pages], self.warm, user, self.ENV) as php:
            php.wait(lambda: os.path.exists(os.path.join(scratch, "php.sock")))
            with Running(bench, allocator, libc, scratch,
                         [find("nginx"), "-e", os.path.join(scratch, "nginx.err"), "-c", web],
                         0, user) as nginx:
                nginx.wait(lambda: quiet(["ab", "-q", "-n", "1", site + "page.php"], check=False))
                began = time.monotonic()
                fetched(site + "page.php", 60)
                fetched(site + "page.html", 600)
                wall = time.monotonic() - began
        sums = {key: php.record[key] + nginx.record[key]
                for key in ("user", "sys", "cpu", "rss", "minflt", "majflt", "nvcsw", "nivcsw")}
        return {**sums, "wall": wall, "status": 0}


def php_fpm():
    there = [find(name) for name in ("php-fpm8.2", "php-fpm8.4", "php-fpm")]
    return next((path for path in there if path), "php-fpm")


def fetched(url, n):
    """ab counts an answer that is not 200 as an answer: look."""
    done = subprocess.run(["ab", "-q", "-k", "-c", "4", "-n", str(n), "-H",
                           "Accept-Encoding: gzip", url], env=measure.clean_env(),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=120)
    if done.returncode or "Non-2xx" in done.stdout or f"Complete requests:      {n}\n" not in \
            done.stdout:
        raise measure.Failure(f"ab {url}: {done.stdout[-300:]}")


def rows():
    return [
        Program("sqlite3", ["sqlite3"], sqlite),
        Program("python3", ["python3"], python({})),
        Program("python3-malloc", ["python3"], python({"PYTHONMALLOC": "malloc"})),
        Program("perl", ["perl"], perl),
        Program("lua", ["lua5.4"], lua),
        Program("cc1plus", ["g++"], cc1plus),
        Program("clang", ["clang++"], clang),
        Program("z3", ["z3"], z3),
        Program("ghostscript", ["gs"], ghostscript),
        Program("xz", ["xz"], xz),
        # what `git repack -adf` starts: that one only waits for it
        Program("git-repack", ["git"], git("-c", "pack.threads=1", "pack-objects", "--all", "-q",
                                           "--no-reuse-delta", "--no-reuse-object", "--stdout")),
        Program("git-log", ["git"], git("log", "-p", "--stat", "main")),
        Program("git-diff", ["git"], git("diff", "-p", "--stat", "--minimal", "main~BACK", "main")),
        Program("configure", ["sh", "cc", "awk"], configure, count=False),
        Redis("redis", ["redis-server", "redis-benchmark"]),
        Postgres("postgres"),
        Web("nginx-php"),
    ]


def available(scenarios, bench):
    """Leaves out what is not installed, and says so."""
    out = []
    for s in scenarios:
        missing = s.missing() if isinstance(s, Program) else []
        if missing:
            sys.stderr.write(f"skipped: {s.name}: not installed: {', '.join(missing)}\n")
        else:
            out.append(s)
    return out

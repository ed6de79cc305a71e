#!/usr/bin/env python3
"""Checks `baseline` on what PostgreSQL's own regression tests create, with pg_dump as the judge.

usage: regress.py [--each [--permanent]] [--only FILE,FILE] [--out DIR] [--include DIR] SRC BINDIR XTASK

  SRC        src/test/regress of the sources of the server's version
  BINDIR     the server's programs
  XTASK      the program to check
  --each     a database for each test file, its DROP statements removed, instead of one for all
  --permanent  temporary tables and views become ordinary ones
  --only     with --each: only these files
  --out      the folder for the results (default: a new folder); --include: the server's headers

It starts a disposable server and stops it at the end. The differences are in OUT/differences.txt. "different"
counts the entries of pg_dump that the baseline makes differently from the source, "control" counts those that
a restored dump makes differently, and "beyond" counts those of the first that are not the same in the second.
The exit code is 1 if something is beyond, or if nothing was compared.
"""
import argparse, glob, json, os, pwd, re, shutil, signal, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser(usage=re.search(r"usage: (.*)", __doc__)[1])
parser.add_argument("--each", action="store_true")
parser.add_argument("--permanent", action="store_true")
for word in ("--only", "--out", "--include", "src", "bindir", "xtask"):
    parser.add_argument(word)
ARGS = parser.parse_args()
ARGS.src, ARGS.bindir, ARGS.xtask = map(os.path.abspath, (ARGS.src, ARGS.bindir, ARGS.xtask))
OUT = os.path.abspath(ARGS.out or tempfile.mkdtemp(prefix="regress-"))
RUN = f"{OUT}/server"
ENV = {**os.environ, "PGHOST": RUN, "PGPORT": "5432", "PGUSER": "postgres", "ROUNDTRIP_TEST_BINDIR": ARGS.bindir}
TEST = {**ENV, "PGTZ": "America/Los_Angeles", "PGDATESTYLE": "Postgres, MDY", "LANG": "C", "LC_MESSAGES": "C",
        "PGOPTIONS": "-c intervalstyle=postgres_verbose", "PG_ABS_SRCDIR": ARGS.src, "PG_ABS_BUILDDIR": OUT,
        "PG_LIBDIR": f"{OUT}/lib", "PG_DLSUFFIX": ".so"}
ROW = "{:24}{:>8}{:>9}{:>9}{:>10}{:>8}{:>7}{:>8}{:>11}  {}"

def call(program, *words, env=ENV, limit=900, **more):
    program = program if os.path.sep in program or program == "cc" else f"{ARGS.bindir}/{program}"
    try:
        return subprocess.run([program, *words], env=env, text=True, errors="replace", capture_output=True, timeout=limit, **more)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(program, 124, "", f"not ended after {limit} s")

def sql(database, *texts):
    return call("psql", "-XqAt", "-d", database, *(word for text in texts for word in ("-c", text)))

def library():
    """regress.so, beside links to the server's own: the tests load both from one folder."""
    there, headers = call("pg_config", "--pkglibdir", "--includedir-server").stdout.split()
    shutil.rmtree(f"{OUT}/lib", ignore_errors=True)
    shutil.copytree(there, f"{OUT}/lib", copy_function=os.symlink, ignore=shutil.ignore_patterns("pgxs", "bitcode", "*.a"))
    made = call("cc", "-fPIC", "-shared", "-w", '-DDLSUFFIX=".so"', f"-I{ARGS.include or headers}",
                "-o", f"{OUT}/lib/regress.so", f"{ARGS.src}/regress.c")
    if made.returncode:
        print("without regress.so, so without the C functions of the tests:", made.stderr[:300])

def start():
    who = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    shutil.rmtree(f"{RUN}/data", ignore_errors=True)
    for folder in (OUT, RUN, f"{OUT}/results"):
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        if who and folder != OUT:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    subprocess.run([*who, f"{ARGS.bindir}/initdb", "-D", f"{RUN}/data", "-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8"],
                   check=True, stdout=subprocess.DEVNULL)
    settings = [f"-c{one}" for one in ("listen_addresses=", "fsync=off", "autovacuum=off", "max_locks_per_transaction=1000")]
    server = subprocess.Popen([*who, f"{ARGS.bindir}/postgres", "-D", f"{RUN}/data", "-k", RUN, *settings],
                              stderr=open(f"{OUT}/server.log", "w"))
    while sql("postgres", "SELECT").returncode:
        if server.poll() is not None:
            sys.exit(f"the server did not start: {OUT}/server.log")
        time.sleep(0.1)
    return server

def without_drops(text):
    """The text without the statements that begin with DROP, but for those in quoted bodies."""
    if ARGS.permanent:
        text = re.sub(r"(?i)\b(?:local )?temp(?:orary)?\s+(table|view|sequence|recursive)\b", r"\1", text)
    kept, quote, dropping = [], None, False
    for line in text.split("\n"):
        dropping = dropping or quote is None and re.match(r"\s*DROP\s", line, re.I) is not None
        for tag in re.findall(r"\$\w*\$", line):
            quote = tag if quote is None else None if tag == quote else quote
        if not dropping:
            kept.append(line)
        elif re.sub(r"--.*", "", line).rstrip().endswith(";"):
            dropping = False
    return "\n".join(kept)

def run(file, database, prepare):
    text = open(f"{ARGS.src}/sql/{file}.sql", encoding="utf-8", errors="replace").read()
    call("psql", "-Xqa", "-d", database, env=TEST, cwd=OUT, limit=180, input=prepare(text))

def dump(database):
    """What pg_dump says of each object, but for owners, which a baseline leaves alone, and the order of options and grants."""
    made = call("pg_dump", "-s", database)
    entries, lines, place = {}, [], {}
    for line in made.stdout.split("\n") if made.returncode == 0 else []:
        named = re.match(r"-- Name: (.*; Type: (.*); Schema: .*); Owner: (.*?)(; Tablespace: .*)?$", line)
        setting = re.match(r"SET (default_\w+) = (.*);$", line)
        if named:
            head, kind, owner = named[1], named[2], re.escape(named[3])
            lines = [f"-- {one} = {value}" for one, value in place.items()] if re.match("TABLE$|INDEX$|MAT", kind) else []
            entries.setdefault(head, []).append(lines)
        elif setting:
            place[setting[1]] = setting[2]
        elif entries and line.strip("- ") and not re.match(r"\\|-- PostgreSQL database|ALTER .* OWNER TO .*;$", line):
            line = re.sub(r"\bWITH \(([^()]*)\)", lambda found: f"WITH ({', '.join(sorted(found[1].split(', ')))})", line)
            lines.append(re.sub(rf'\b(FROM|TO) "?{owner}"?;$', r"\1 OWNER;", line) if "ACL" in kind else line)
    for head, texts in entries.items():
        entries[head] = sorted("\n".join(sorted(one) if "Type: ACL" in head else one) for one in texts)
    return entries

def create(name, template):
    sql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    sql("postgres", f"ALTER DATABASE {name} RENAME TO {name}_{time.time_ns()}")  # one with subscriptions is not dropped
    sql("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")

def check(name, files, prepare, template):
    """A row of the table: how many entries were compared, and whether all are equal."""
    began, folder = time.time(), f"{OUT}/migrations/{name}"
    for database, of in (("regression", template), ("again", "template0"), ("control", "template0")):
        create(database, of)
    for file in files:
        run(file, "regression", prepare)
    while sql("postgres", "SELECT 1 FROM pg_stat_activity WHERE datname = 'regression'").stdout:
        time.sleep(0.1)  # temporary objects go only after psql has ended
    filled = time.time()
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    made = call(ARGS.xtask, "baseline", "--format", "json", "--migrations", folder, "--database",
                f"postgres:///regression?host={RUN}&port=5432&user=postgres")
    captured = time.time()
    said = json.loads(made.stdout) if made.stdout.startswith("{") else {}
    said = said.get("result", said)
    left = [" ".join(filter(None, (one["object"], one.get("part"), "|", one["why"], *one["with"]))) for one in said.get("left_out", [])]
    ups, source, why = glob.glob(f"{folder}/*.up.sql"), dump("regression"), ""
    mine, control = {}, {}
    if ups and source:
        whole = [] if "-- migrate: no-transaction" in open(ups[0]).read(100_000) else ["-1"]
        applied = call("psql", "-Xq", *whole, "-v", "ON_ERROR_STOP=1", "-d", "again", "-f", ups[0])
        call("psql", "-Xq", "-d", "control", input=call("pg_dump", "-s", "regression").stdout)
        mine, control, why = dump("again"), dump("control"), applied.stderr.strip() if applied.returncode else ""
    else:
        why = "not compared: " + ((made.stderr or made.stdout).strip() if source else "nothing is in the dump")
    other = lambda one: [head for head in sorted({*source, *one}) if source.get(head) != one.get(head)]
    beyond = [head for head in other(mine) if control.get(head) != mine.get(head)]
    notes = [f"===== {name}", *(f"left out: {one}" for one in left), *(f"different: {one}" for one in said.get("remaining", [])),
             *(f"note: {one}" for one in said.get("notes", [])), *([why] if why else [])]
    for head in beyond if mine else []:
        notes += [f"--- {head}", "source:", *source.get(head, ["nothing"]), "baseline:", *mine.get(head, ["nothing"])]
    with open(f"{OUT}/differences.txt", "a") as file:
        print(*notes, sep="\n", file=file)
    counts = (len(source), len(other(mine)), len(other(control)), len(beyond)) if mine else ("-",) * 4
    print(ROW.format(name, said.get("objects", "-"), len(left), *counts, f"{filled - began:.1f}", f"{captured - filled:.1f}",
                     " ".join(why.split())[:90]), flush=True)
    return len(source) if mine else 0, bool(mine) and not beyond and not why

def main():
    schedule = [name for line in open(f"{ARGS.src}/parallel_schedule") if line.startswith("test:") for name in line[5:].split()]
    wanted = ARGS.only.split(",") if ARGS.only else [one for one in schedule if one != "test_setup"]
    server = start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    try:
        library()
        open(f"{OUT}/differences.txt", "w").close()
        print(call("postgres", "--version").stdout.strip())
        print(ROW.format("file", "objects", "left out", "entries", "different", "control", "beyond", "fill s", "capture s", ""), flush=True)
        if ARGS.each:
            create("prepared", "template0")
            run("test_setup", "prepared", str)
            rows = [check(one, [one], without_drops, "prepared") for one in wanted if one in schedule]
        else:
            rows = [check("regression", schedule, str, "template0")]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()
    compared, equal = sum(1 for entries, _ in rows if entries), sum(1 for _, good in rows if good)
    print(f"{len(rows)} made, {compared} compared, {equal} equal; what differs is in {OUT}/differences.txt")
    sys.exit(0 if compared and equal == len(rows) else 1)

main()

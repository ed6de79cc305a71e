"""Compares our splitter with PostgreSQL's own scanner and grammar, on generated scripts.

Usage: python split.py SPLITTER COUNT [SEED]

SPLITTER is the executable of migrate-base/examples/split.rs. Needs pglast, which contains the scanner and the grammar of
PostgreSQL. Most scripts are valid, and the grammar says where their statements are. For scripts that the grammar refuses,
the scanner says it, unless they contain the body of a function, which only the grammar understands. Scripts that the
scanner refuses as well are left out. Exits with 1 at the first differences, and prints the scripts, shortened as far as
possible.
"""

import random
import subprocess
import sys

from pglast import parser

WORDS = ["a", "b1", "_x", "a$b", "ü", "e", "x", "n", "u", "ended", "cases", "atomic", "begin", "tag"]
LABELS = ["end", "case", "END", "Case", "begin", "atomic", "when", "then", "else", "select", "from", "table", "do"]
QUOTED = ['"a;b"', '"a""b"', '"it\'s"', '"end"', '"/*"', '"--"', '"$$"', 'U&"d\\0061t"', '"BEGIN ATOMIC"', '"\\"']
OPERATORS = ["+", "-", "*", "/", "<", ">", "=", "<>", "<=", "||", "->", "->>", "@>", "~", "!~~*", "#>", "<->", "&&", "?|",
             "*-", "=-", "@-", "^@", "%", "&", "|", "#", "~*", "?"]
NUMBERS = ["1", "0", "1.5", ".5", "1.", "1e10", "1.5E-3", "0x1F", "0b01", "0o17", "1_000", "$1", "$2"]
TAGS = ["", "a", "body", "_", "ü", "A1"]


class Script:
    """Writes one script; every choice comes from `pick`."""

    def __init__(self, pick):
        self.pick = pick

    def chance(self, percent):
        return self.pick.random() * 100 < percent

    def one(self, *choices):
        return self.pick.choice(choices)

    # Between tokens.
    def space(self):
        if not self.chance(15):
            return " "
        return self.one("\n", "\t", "\r\n", "\f", " -- it's; \"a\n", "--\n", "/* ; */", " /* a /* b; */ ' */ ", "/**/",
                        "--/*\r", "/*--*/", "\n\n", "  ", "/*$$*/", "/*/**/*/", "/***/")

    def join(self, parts):
        return "".join(part + self.space() for part in parts)

    # Literals.
    def text(self, hostile):
        return "".join(self.pick.choice(hostile) for _ in range(self.pick.randrange(4)))

    def string(self):
        plain = ["a", ";", "''", "\"", "$$", "--", "/*", "*/", "\\", "\n", "ü", "end", "(", ")", "$a$"]
        escaped = ["a", ";", "''", "\\'", "\\\\", "\\n", "\"", "$$", "--", "/*", "\n", "(", "ü", "\\ü", "\\x41"]
        kind = self.pick.randrange(10)
        if kind < 3:
            return "'" + self.text(plain) + "'"
        if kind < 6:
            return self.one("E", "e") + "'" + self.text(escaped) + "'" + "".join(
                self.line() + "'" + self.text(escaped) + "'" for _ in range(self.one(0, 0, 1, 2)))
        if kind == 6:
            return "'" + self.text(plain) + "'" + self.line() + "'" + self.text(plain) + "'"
        if kind == 7:
            return self.one("B'0101'", "X'1F'", "N'a;'", "U&'d\\0061t;'", "U&'a;''b' UESCAPE '!'", "x'1f' \n '0'",
                            "n'a''b'", "u&'\\\\;'")
        return self.dollar(self.text([part for part in plain if "$" not in part] + ["'"]))

    def line(self):
        return self.one("\n", " \n\t", "\r\n", " -- a'b;\n", "\n--'\n  ", "\f\r")

    def dollar(self, body):
        tag = self.one(*TAGS)
        while f"${tag}$" in body or (body.endswith("$") and not tag) or (f"${tag}" in body and body.endswith(f"${tag}")):
            tag += "q"
        return f"${tag}${body}${tag}$"

    def name(self):
        return self.one(*QUOTED) if self.chance(15) else self.one(*WORDS)

    # Expressions.
    def expression(self, depth=0):
        kind = self.pick.randrange(14 if depth < 3 else 6)
        if kind < 2:
            return self.one(*NUMBERS)
        if kind < 4:
            return self.string()
        if kind == 4:
            return self.name()
        if kind == 5:
            return self.name() + self.one(".", " . ", "./**/") + self.one(*LABELS, *WORDS)
        inner = lambda: self.expression(depth + 1)
        if kind == 6:
            return self.join([inner(), self.one(*OPERATORS), inner()])
        if kind == 7:
            return "(" + self.space() + inner() + self.space() + ")"
        if kind in (8, 9):
            return self.case(depth)
        if kind == 10:
            return "(" + self.select(depth + 1) + ")"
        if kind == 11:
            return "f(" + inner() + "," + self.space() + inner() + ")"
        if kind == 12:
            return self.join(["array[", inner(), "]", self.one("", "[1:2]", "[1]")])
        return self.join(["cast(", inner(), "as", self.one("int", "text", "numeric(1,2)"), ")"])

    def case(self, depth):
        inner = lambda: self.expression(depth + 1)
        parts = [self.one("case", "CASE", "Case"), self.one("", inner())]
        for _ in range(self.one(1, 1, 2)):
            parts += ["when", inner(), "then", inner()]
        parts += ["else", inner()] if self.chance(50) else []
        return self.join(parts + [self.one("end", "END", "End")])

    def select(self, depth=0):
        targets = [self.target(depth) for _ in range(self.one(1, 1, 2, 3))]
        parts = [self.one("select", "SELECT"), ("," + self.space()).join(targets)]
        if self.chance(40):
            parts += ["from", self.name(), self.one("", "as x", "y")]
        if self.chance(20):
            parts += ["where", self.expression(depth + 1)]
        return self.join(parts)

    def target(self, depth):
        expression = self.expression(depth + 1)
        if self.chance(25):
            return self.join([expression, self.one("as", "AS"), self.one(*LABELS)])
        if self.chance(10):
            return self.join(["(", expression, ")", self.one("end", "case", "begin", "atomic", "END")])
        return expression

    # Statements.
    def plain(self, depth=0):
        kind = self.pick.randrange(9)
        if kind < 4:
            return self.select(depth)
        if kind == 4:
            return self.join(["insert into t values (", self.expression(1), ",", self.expression(1), ")"])
        if kind == 5:
            return self.join(["update t set a =", self.expression(1), "where t.end =", self.expression(1)])
        if kind == 6:
            return self.join(["delete from", self.name(), "where", self.case(1), "is null"])
        if kind == 7:
            return self.join(["values (", self.case(1), ")"])
        return self.join(["with w as (", self.select(1), ") select", self.target(1), "from w"])

    def statement(self, depth=0):
        kind = self.pick.randrange(16)
        if kind < 6:
            return self.plain()
        if kind < 10:
            return self.routine(depth)
        if kind == 10:
            actions = ";".join(self.one("", " ") + self.plain(1) for _ in range(self.one(1, 2, 3)))
            return self.join(["create rule r as on insert to t do also (", actions, self.one("", ";"), ")"])
        if kind == 11:
            body = self.string_body()
            return self.join([self.one("do", "create function f() returns int language plpgsql as"), body])
        if kind == 12:
            return self.one("begin", "BEGIN", "commit", "end", "END", "rollback", "start transaction", "savepoint begin",
                            "begin work", "end transaction")
        if kind == 13:
            return self.join(["create table", self.name(), "(begin atomic, \"end\" int, c text default", self.string(), ")"])
        if kind == 14:
            return self.join(["comment on table", self.name(), "is", self.one("'a;'", "E'a\\';'", "null", "$$;$$")])
        return self.one("vacuum t", "set a.b to 'c;'", "analyze", "create index on t (a)", "truncate t", "reset all",
                        "alter table t alter a set default ';'", "create view v as select 1 as end")

    def string_body(self):
        body = "begin " + self.plain(2).replace("$", "") + "; case x when 1 then null; end case; end; "
        return self.dollar(body) if self.chance(70) else "'" + body.replace("'", "''").replace("\\", "") + "'"

    def routine(self, depth=0):
        """A function or procedure in the style of the SQL standard; or one that only looks like it."""
        arguments = self.one("", "begin atomic", "a int", "end_ int default 1", "\"end\" int", "a begin, atomic atomic")
        head = self.one("create function f(", "create or replace function f(", "CREATE PROCEDURE p(",
                        "create\nOR /* ; */ REPLACE procedure s.p(")
        parts = [head, arguments, ")"]
        if "func" in head:
            parts += [self.one("returns int", "returns begin", "returns setof atomic", "returns table (begin atomic)", "")]
        parts += [self.one("", "language sql", "immutable", "set a to begin", "cost 1")]
        if self.chance(10):
            return self.join(parts + ["return", self.expression(1)])
        parts += [self.one("begin", "BEGIN", "Begin"), self.one("atomic", "ATOMIC")]
        for _ in range(self.one(0, 1, 1, 2, 3)):
            inner = self.pick.randrange(10)
            if inner == 0 and depth < 2:
                parts.append(self.routine(depth + 1) + ";")
            elif inner == 1:
                parts.append(self.join(["return", self.expression(1)]) + ";")
            elif inner == 2:
                parts.append("create rule r as on insert to t do also (" + self.plain(1) + ";" + self.plain(1) + ");")
            else:
                parts.append(self.plain(1) + ";")
        return self.join(parts + [self.one("end", "END", "End")])

    def script(self):
        count = self.one(1, 1, 2, 2, 3, 4)
        text = self.one("", "", "\n", "-- ;\n", "/* ; */") + "".join(
            self.statement() + self.one("", " ", "\n", "-- a;\n") + ";" + self.one("", " ", "\n", "--;\n", ";")
            for _ in range(count))
        return text if self.chance(80) else text.rstrip("; \n")

    def soup(self):
        """Tokens in any order, which only the scanner can read."""
        tokens = []
        for _ in range(self.pick.randrange(1, 15)):
            kind = self.pick.randrange(8)
            tokens.append([self.string, self.name, lambda: self.one(*NUMBERS), lambda: self.one(*OPERATORS), lambda: ";",
                           lambda: self.one("(", ")", "[", "]", ",", ".", ":", "::", ":=", "..", "1..2", "=>"),
                           lambda: self.one("select", "case", "end", "as", "copy", "u&", "e", "from"),
                           lambda: "(" + self.name() + ";" + self.string() + ")"][kind]())
        return self.join(tokens)


def generate(seed, number):
    pick = random.Random(f"{seed} {number}")
    script = Script(pick)
    return script.soup() if number % 5 == 0 else script.script()


def words(text):
    """The bytes of each token that is no comment; None where the scanner refuses the text."""
    try:
        # Ends are those of the last character.
        tokens = parser.scan(text)
    except parser.ParseError:
        return None
    ends = [0]
    for letter in text:
        ends.append(ends[-1] + len(letter.encode()))
    return [(ends[token.start], ends[token.end + 1], text[token.start:token.end + 1])
            for token in tokens if token.name not in ("SQL_COMMENT", "C_COMMENT")]


def expected(text):
    """Where the statements are: how it is known, and their bytes."""
    tokens = words(text)
    if tokens is None:
        return "refused", None
    try:
        slices = parser.split(text, only_slices=True)
        how = "grammar"
    except parser.ParseError:
        lower = [word.lower() for _, _, word in tokens]
        if "atomic" in lower and "begin" in lower:
            return "refused", None
        return "scanner", by_tokens(tokens)
    # The slices are in characters, and may begin with comments.
    ends = [0]
    for letter in text:
        ends.append(ends[-1] + len(letter.encode()))
    statements = []
    for piece in slices:
        inside = [(start, end) for start, end, _ in tokens if ends[piece.start] <= start and end <= ends[piece.stop]]
        if inside:
            statements.append((inside[0][0], inside[-1][1]))
    return how, statements


def by_tokens(tokens):
    """Cuts tokens at semicolons outside of parentheses."""
    statements, current, depth = [], [], 0
    for start, end, word in tokens:
        if word == ";" and depth == 0:
            statements += [(current[0][0], current[-1][1])] if current else []
            current = []
            continue
        depth = depth + 1 if word == "(" else max(depth - 1, 0) if word == ")" else depth
        current.append((start, end))
    return statements + ([(current[0][0], current[-1][1])] if current else [])


def ours(splitter, scripts):
    data = b"".join(script.encode() + b"\0" for script in scripts)
    lines = subprocess.run([splitter], input=data, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    for line in lines[:len(scripts)]:
        pieces = line.split()
        uncertain = pieces[-1:] == ["!"]
        yield uncertain, [tuple(map(int, piece.split("-"))) for piece in pieces if piece != "!"]


def differs(splitter, script):
    how, theirs = expected(script)
    if theirs is None:
        return False
    (uncertain, found), = ours(splitter, [script])
    return found != theirs or (how == "grammar" and uncertain)


def shorter(splitter, script):
    """Leaves out what the difference does not need."""
    size = len(script) // 2
    while size:
        at = 0
        while at < len(script):
            candidate = script[:at] + script[at + size:]
            if differs(splitter, candidate):
                script = candidate
            else:
                at += size
        size //= 2
    return script


def main():
    splitter, count = sys.argv[1], int(sys.argv[2])
    seed = sys.argv[3] if len(sys.argv) > 3 else "1"
    counts = {"grammar": 0, "scanner": 0, "refused": 0}
    different = 0
    for begin in range(0, count, 5000):
        scripts = [generate(seed, number) for number in range(begin, min(begin + 5000, count))]
        for script, (uncertain, found) in zip(scripts, ours(splitter, scripts), strict=True):
            how, theirs = expected(script)
            counts[how] += 1
            if theirs is None or (found == theirs and not (how == "grammar" and uncertain)):
                continue
            different += 1
            if different <= 5:
                script = shorter(splitter, script)
                print(f"different: {script!r}\n  PostgreSQL: {expected(script)}\n  ours: {list(ours(splitter, [script]))}")
    print(f"{counts['grammar']} scripts as the grammar splits them, {counts['scanner']} as the scanner does; "
          f"{counts['refused']} that PostgreSQL refuses; {different} different")
    if different or counts["grammar"] < count // 2:
        sys.exit(1)


main()

#!/usr/bin/env python3
"""The documents as a book, and their links.

    ci/book.py           is called by mdbook (see book.toml): adapts links between the root of the repository and docs/
    ci/book.py check     checks every relative link and anchor, in the repository and as the book has them

The book has the pages of docs/, and five pages that include a file of the root, such as README.md. A link that is right
in the repository, `docs/GUIDE.md` or `../README.md`, is written as the book needs it. Needs nothing but Python.
"""

import json
import posixpath
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = "docs"

# The files of the root that are pages of the book, and the pages that include them.
PAGES = {
    "README.md": "INTRODUCTION.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "HACKING.md": "HACKING.md",
    "ARCHITECTURE.md": "ARCHITECTURE.md",
    "CHANGELOG.md": "CHANGELOG.md",
}

# The target of a link in a line of Markdown that is not code.
LINK = re.compile(r"(?<=\]\()([^()\s]+)(?=\))")
OTHER = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
CODE = re.compile(r"(^ *```.*?^ *```[^\n]*$|(?<!`)`[^`]+`(?!`))", re.DOTALL | re.MULTILINE)


def outside_code(text, change):
    """Applies a function to the target of each link that is not in code."""
    parts = CODE.split(text)
    parts[::2] = [LINK.sub(lambda link: change(link.group(1)), part) for part in parts[::2]]
    # A link whose text has code is cut at the code, so its target is found in the part that follows.
    return "".join(parts)


def source(page):
    """The file of the repository with the text of a page of the book."""
    for file, included in PAGES.items():
        if page == included:
            return file
    return posixpath.join(DOCS, page)


def in_book(page, target):
    """A link of a page, as the book needs it."""
    path, sign, anchor = target.partition("#")
    if not path or OTHER.match(target):
        return target
    aim = posixpath.normpath(posixpath.join(posixpath.dirname(source(page)), path))
    aim = PAGES.get(aim) or (aim.removeprefix(f"{DOCS}/") if aim.startswith(f"{DOCS}/") else None)
    return target if aim is None else posixpath.relpath(aim, posixpath.dirname(page) or ".") + sign + anchor


def preprocess():
    """Reads the book from mdbook, and writes it with adapted links."""
    _, book = json.load(sys.stdin)

    def walk(value):
        if isinstance(value, list):
            for one in value:
                walk(one)
        elif isinstance(value, dict):
            if isinstance(value.get("content"), str) and value.get("path"):
                page = value["path"]
                value["content"] = outside_code(value["content"], lambda target: in_book(page, target))
            for one in value.values():
                walk(one)

    walk(book)
    json.dump(book, sys.stdout)


def anchors(text):
    """The anchors of the headings of a page, as GitHub and mdbook make them."""
    seen, found = {}, set()
    for line in re.sub(r"^ *```.*?^ *```[^\n]*$", "", text, flags=re.DOTALL | re.MULTILINE).splitlines():
        heading = re.match(r"#{1,6} +(.*?)(?: +#+)?$", line)
        if not heading:
            continue
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1))
        slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
        number = seen.get(slug, -1) + 1
        seen[slug] = number
        found.add(slug if number == 0 else f"{slug}-{number}")
    return found


def check():
    """Checks the links of all documents; returns how many there are, and what is wrong."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\n")
    files = [name for name in listed if name and (ROOT / name).is_file()]
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in files}
    # Pages that include another file have no text of their own.
    shells = {posixpath.join(DOCS, page) for page in PAGES.values()}
    count, wrong = 0, []

    def look(name, targets, resolve, kind):
        nonlocal count
        for target in targets:
            if OTHER.match(target):
                continue
            count += 1
            path, _, anchor = target.partition("#")
            aim = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            file = resolve(aim)
            if file is None:
                wrong.append(f"{kind}: {name}: {target}: there is no such file")
            elif anchor and anchor not in anchors(texts.get(file, "")):
                wrong.append(f"{kind}: {name}: {target}: there is no such heading")

    def links(text):
        targets = []
        outside_code(text, lambda target: targets.append(target) or target)
        return targets

    for name, text in texts.items():
        if name not in shells:
            look(name, links(text), lambda aim: aim if (ROOT / aim).exists() else None, "repository")

    summary = texts[f"{DOCS}/SUMMARY.md"]
    pages = links(summary)
    for page in pages:
        if posixpath.join(DOCS, page) not in texts:
            wrong.append(f"book: SUMMARY.md: {page}: there is no such page")
            continue
        adapted = [in_book(page, target) for target in links(texts[source(page)])]
        look(page, adapted, lambda aim: source(aim) if aim in pages else None, "book")
    for name in files:
        page = name.removeprefix(f"{DOCS}/")
        if name.startswith(f"{DOCS}/") and page != "SUMMARY.md" and page not in pages:
            wrong.append(f"book: {name} is not in SUMMARY.md")
    for name in {page for page in pages if pages.count(page) > 1}:
        wrong.append(f"book: {name} is in SUMMARY.md twice")
    return len(files), len(pages), count, wrong


def main():
    match sys.argv[1:]:
        case []:
            preprocess()
        case ["supports", _]:
            pass
        case ["check"]:
            files, pages, count, wrong = check()
            print(*wrong, sep="\n", end="\n" if wrong else "")
            print(f"{files} documents, {pages} pages of the book, {count} relative links: {len(wrong)} are wrong")
            sys.exit(bool(wrong))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

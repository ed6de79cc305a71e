//! Scripts that `pg_dump` wrote, as schemas.

use crate::shapes::says;
use crate::support::Project;

/// The form in which `pg_dump` writes a `varchar` with a list of values, and how a restore changes it.
#[test]
fn a_dump_is_read_as_it_is_and_is_no_difference() {
    let project = Project::new();
    project.write("one.sql", "CREATE TABLE m(s varchar(20), CONSTRAINT c CHECK (s IN ('a','b')));");
    let dump = "--\n-- PostgreSQL database dump\n--\n\n\\restrict fN3xkq\n\nSET client_encoding = 'UTF8';\n\
        SELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.m (\n    s character varying(20),\n    \
        CONSTRAINT c CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))\n);\n\n\
        \\unrestrict fN3xkq\n\n";
    project.write("two.sql", dump);
    project.run_bare(&["diff", "file:one.sql", "file:two.sql"]).ok();
    project.run_bare(&["diff", "file:two.sql", "file:one.sql", "--sql"]).ok();
    project.write("three.sql", dump.replace("'b'::", "'c'::"));
    let said = project.run_bare(&["diff", "file:one.sql", "file:three.sql"]);
    assert_eq!(said.code, 3, "{said:?}");
    says(&said, "constraint public.m.c: CHECK");
    says(&said, "1 difference");
    project.write("other.sql", dump.replace("SET client", "\\connect other\nSET client"));
    let said = project.run_bare(&["diff", "file:one.sql", "file:other.sql"]);
    for part in ["[meta-command]", "`\\connect` is a command of psql", "other.sql:7:1", "help: remove the line"] {
        says(&said, part);
    }
    project.write("wrong.sql", dump.replace("public.m", "public.m of"));
    let said = project.run_bare(&["diff", "file:one.sql", "file:wrong.sql"]);
    for part in ["[schema-refused]", "wrong.sql:9:", "help: write it with `pg_dump"] {
        says(&said, part);
    }
    project.end();
}

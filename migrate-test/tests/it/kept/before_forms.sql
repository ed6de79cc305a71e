-- What a rollback kept before copies had a form: every value as text, the key of its row as text, digests of arrays of texts.
CREATE TABLE roundtrip.ledger_kept (
    id bigint NOT NULL,
    version text NOT NULL,
    name text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    transaction xid8 DEFAULT pg_current_xact_id() NOT NULL,
    relation text NOT NULL,
    what text NOT NULL,
    store text,
    rows bigint DEFAULT 0 NOT NULL,
    shape jsonb NOT NULL,
    restored_at timestamp with time zone,
    restored bigint
);
CREATE TABLE roundtrip.ledger_kept_1 (
    roundtrip_key text,
    roundtrip_nth bigint,
    roundtrip_left text,
    roundtrip_mark text,
    id text,
    name text,
    n text,
    note text
);
CREATE TABLE roundtrip.ledger_kept_2 (
    roundtrip_key text,
    roundtrip_nth bigint,
    roundtrip_left text,
    roundtrip_mark text,
    c text
);
CREATE TABLE roundtrip.ledger_kept_3 (
    roundtrip_key text,
    roundtrip_nth bigint,
    roundtrip_left text,
    roundtrip_mark text,
    id text,
    at text
);
INSERT INTO roundtrip.ledger_kept VALUES (2, '20250101000002', 'change', '2026-11-27 12:17:42.344478+00', '23990', 'public.loose', 'values of c', 'ledger_kept_2', 3, '{"all": [{"n": 1, "name": "a", "type": "23 -1", "generated": false}, {"n": 2, "name": "b", "type": "25 -1", "generated": false}, {"n": 3, "name": "c", "type": "16 -1", "generated": false}], "key": ["a", "b"], "oid": 49627, "gone": false, "kind": "r", "lost": [3], "name": "loose", "node": "49627", "over": [], "root": null, "then": "49627", "count": 0, "still": null, "whole": false, "schema": "public", "unique": false, "columns": [{"n": 3, "name": "c", "type": "16 -1", "generated": false}], "deleted": 0, "thinned": false, "touched": false, "updated": 0, "inserted": 0}', NULL, NULL);
INSERT INTO roundtrip.ledger_kept VALUES (3, '20250101000002', 'change', '2026-11-27 12:17:42.379722+00', '23990', 'public.other', 'rows', 'ledger_kept_3', 1, '{"all": [{"n": 1, "name": "id", "type": "23 -1", "generated": false}, {"n": 2, "name": "at", "type": "1082 -1", "generated": false}], "key": ["id"], "oid": 49632, "gone": true, "kind": "r", "lost": [1, 2], "name": "other", "node": "49632", "over": [], "root": null, "then": null, "count": 0, "still": null, "whole": true, "schema": "public", "unique": true, "columns": [{"n": 1, "name": "id", "type": "23 -1", "generated": false}, {"n": 2, "name": "at", "type": "1082 -1", "generated": false}], "deleted": null, "thinned": false, "touched": null, "updated": null, "inserted": null}', NULL, NULL);
INSERT INTO roundtrip.ledger_kept VALUES (1, '20250101000002', 'change', '2026-11-27 12:17:42.342338+00', '23990', 'public.t', 'values of note', 'ledger_kept_1', 3, '{"all": [{"n": 1, "name": "id", "type": "23 -1", "generated": false}, {"n": 2, "name": "name", "type": "25 -1", "generated": false}, {"n": 3, "name": "n", "type": "1700 393222", "generated": false}, {"n": 4, "name": "note", "type": "25 -1", "generated": false}], "key": ["id"], "oid": 49620, "gone": false, "kind": "r", "left": {"key": ["id"], "table": "public.t", "columns": [{"n": 1, "was": "id", "name": "id"}, {"n": 2, "was": "name", "name": "name"}, {"n": 3, "was": "n", "name": "n"}]}, "lost": [4], "name": "t", "node": "49620", "over": [], "root": null, "then": "49620", "count": 0, "still": null, "whole": true, "schema": "public", "unique": true, "columns": [{"n": 1, "name": "id", "type": "23 -1", "generated": false}, {"n": 2, "name": "name", "type": "25 -1", "generated": false}, {"n": 3, "name": "n", "type": "1700 393222", "generated": false}, {"n": 4, "name": "note", "type": "25 -1", "generated": false}], "deleted": 1, "thinned": false, "touched": true, "updated": 2, "inserted": 0}', NULL, NULL);
INSERT INTO roundtrip.ledger_kept_1 VALUES ('(3)', 1, NULL, NULL, '3', 'given', '3.00', 'mine');
INSERT INTO roundtrip.ledger_kept_1 VALUES ('(1)', 1, 'ee6abad82f687b7a0ea9a771d4221600', NULL, '1', 'McX', '1.50', 'one');
INSERT INTO roundtrip.ledger_kept_1 VALUES ('(2)', 1, '5347a60e346d946f1d986f99523fb46f', NULL, '2', 'abc', NULL, NULL);
INSERT INTO roundtrip.ledger_kept_2 VALUES ('(,)', 1, 'there', NULL, 't');
INSERT INTO roundtrip.ledger_kept_2 VALUES ('(1,x)', 1, 'there', NULL, 't');
INSERT INTO roundtrip.ledger_kept_2 VALUES ('(1,x)', 2, 'there', NULL, 'f');
INSERT INTO roundtrip.ledger_kept_3 VALUES ('(7)', 1, NULL, NULL, '7', '2024-02-29');
ALTER TABLE ONLY roundtrip.ledger_kept
    ADD CONSTRAINT ledger_kept_pkey PRIMARY KEY (id);

CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema"."select" ("from" int, "a""b" text DEFAULT 'it''s', "$x" int);

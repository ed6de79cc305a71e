CREATE SCHEMA "My Schema";
CREATE TYPE "My Schema"."Type; DROP" AS ENUM ('it''s', 'a, b', '');
CREATE TABLE "My Schema"."select" ("from" bigint, "a""b" text DEFAULT 'it''s', "table" "My Schema"."Type; DROP" DEFAULT 'it''s');
CREATE INDEX "i i" ON "My Schema"."select" ("from");
COMMENT ON COLUMN "My Schema"."select"."a""b" IS 'it''s; \ -- odd';
CREATE FUNCTION "My Schema"."F"("user" int) RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN '$function$'; END$$;

CREATE TABLE users (id serial PRIMARY KEY, token text NOT NULL, short varchar(1) NOT NULL, born date NOT NULL, seen timestamptz NOT NULL,
    host inet NOT NULL, key bytea NOT NULL, doc jsonb NOT NULL);

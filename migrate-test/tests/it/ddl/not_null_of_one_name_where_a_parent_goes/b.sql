CREATE TABLE t (i real CONSTRAINT own NOT NULL, id integer PRIMARY KEY, t character varying(30) DEFAULT 'a', CHECK (i > 0));

CREATE TABLE top (z integer CHECK (z > 0));
CREATE TABLE one (id bigint, n varchar(30) COLLATE "C" NOT NULL, gone text, CHECK (n <> '')) INHERITS (top);
CREATE TABLE child (own date) INHERITS (one);
CREATE TABLE halves (a integer, b text, c text, CHECK (b <> '')) PARTITION BY LIST (a);
CREATE TABLE half PARTITION OF halves FOR VALUES IN (1);

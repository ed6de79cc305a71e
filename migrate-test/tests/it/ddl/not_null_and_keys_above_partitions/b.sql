CREATE TABLE required (id integer NOT NULL, t text) PARTITION BY RANGE (id);
CREATE TABLE required_1 PARTITION OF required FOR VALUES FROM (0) TO (10);
CREATE TABLE keyed (id integer PRIMARY KEY, t text) PARTITION BY RANGE (id);
CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
CREATE TABLE keyed_1_1 PARTITION OF keyed_1 FOR VALUES FROM (0) TO (5);
CREATE TABLE above (id integer NOT NULL, t text);
CREATE TABLE below () INHERITS (above);
CREATE TABLE other (id integer, t text) INHERITS (above);

CREATE TABLE outer_one (t text NOT NULL);

CREATE TABLE base (a integer, b bigint NOT NULL CHECK (b > 0), c text);
CREATE TABLE child (b bigint NOT NULL CONSTRAINT base_b_check CHECK (b > 0), d date) INHERITS (base);
CREATE TABLE grandchild (c text, d date) INHERITS (child);

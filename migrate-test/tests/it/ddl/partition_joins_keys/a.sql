CREATE TABLE visits (id integer NOT NULL, day date NOT NULL, who text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE INDEX visits_who ON visits (who, lower(who));
CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE plain (k integer PRIMARY KEY, v text) PARTITION BY LIST (k);
CREATE INDEX ON plain (v);
CREATE TABLE plain_1 PARTITION OF plain FOR VALUES IN (1);

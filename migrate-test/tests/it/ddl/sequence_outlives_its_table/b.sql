CREATE TABLE t (id bigserial, note text);
GRANT ALL ON SCHEMA public TO PUBLIC;

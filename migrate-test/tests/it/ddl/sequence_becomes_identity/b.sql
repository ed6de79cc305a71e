CREATE TABLE items (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n text);
COMMENT ON SEQUENCE items_id_seq IS 'counts';
CREATE TABLE others (id bigserial, n text);

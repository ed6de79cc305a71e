-- migrate: irreversible nobody goes back
CREATE TABLE u (id integer);

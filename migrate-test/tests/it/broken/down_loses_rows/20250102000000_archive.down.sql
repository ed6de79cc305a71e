DROP TABLE old_t;

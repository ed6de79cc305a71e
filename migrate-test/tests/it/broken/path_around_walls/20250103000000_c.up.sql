-- migrate: irreversible on purpose
DROP TABLE b;

-- migrate: lossy the fax numbers are deleted on purpose; nobody has sent one since 2019
-- We keep no personal data that nobody uses.

ALTER TABLE users DROP COLUMN fax_number;

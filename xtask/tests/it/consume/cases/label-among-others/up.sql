ALTER TABLE shipments ADD COLUMN state_since timestamptz;
COMMENT ON COLUMN shipments.state IS 'sent or new';
ALTER TYPE state RENAME VALUE 'new' TO 'fresh';
ALTER TYPE state RENAME VALUE 'sent' TO 'shipped';
ALTER TYPE state ADD VALUE 'lost';

UPDATE shipments SET state = 'new' WHERE state = 'sent';
ALTER TYPE state RENAME TO state_old;
CREATE TYPE state AS ENUM ('new', 'lost');
ALTER TABLE shipments ALTER COLUMN state TYPE state USING state::text::state;
DROP TYPE state_old;

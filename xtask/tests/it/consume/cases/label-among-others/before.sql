CREATE TYPE state AS ENUM ('new', 'sent');
CREATE TABLE shipments (id bigint PRIMARY KEY, state state NOT NULL);

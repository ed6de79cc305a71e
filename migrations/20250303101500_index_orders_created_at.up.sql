-- migrate: no-transaction
-- The monthly report reads orders by date. The table is large and busy: the index is built
-- while people buy, which PostgreSQL does only outside of a transaction.

CREATE INDEX CONCURRENTLY orders_created_at_idx ON orders (created_at);

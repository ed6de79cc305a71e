-- migrate: no-transaction
-- Removed as it was built: without keeping anybody waiting.

DROP INDEX CONCURRENTLY orders_created_at_idx;

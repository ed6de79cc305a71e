ALTER TABLE orders ADD CONSTRAINT known CHECK (status IN ('a', 'b'));

INSERT INTO shipments (id, carrier) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT one_note DO NOTHING;

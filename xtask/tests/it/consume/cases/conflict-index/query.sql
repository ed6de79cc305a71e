INSERT INTO shipments (id, carrier, note) VALUES ($1, $2, $3)
ON CONFLICT (note) DO NOTHING;

SELECT state_since FROM (SELECT id AS state_since FROM shipments) AS s;

WITH new AS (SELECT 7::bigint AS id, NULL AS weight) INSERT INTO shipments (id, weight) SELECT id, weight::integer FROM new;

-- What the carriers send us each month is compared with the parcels that were really on their way.

-- name: GetShipmentByTrackingNumber :one
SELECT s.id, s.state, s.weight_grams, s.created_at, s.delivered_at, c.name AS carrier
FROM shipments s
JOIN carriers c ON c.id = s.carrier_id
WHERE s.tracking_number = sqlc.arg(tracking_number);

-- name: WeighMonth :many
SELECT c.name AS carrier, count(*) AS parcels, sum(s.weight_grams) AS grams
FROM shipments s
JOIN carriers c ON c.id = s.carrier_id
WHERE s.created_at >= @month_begin AND s.created_at < @month_begin + interval '1 month'
GROUP BY c.name
ORDER BY c.name;

-- name: ListReturned :many
SELECT s.id, s.tracking_number, e.happened_at, e.place
FROM shipments s
JOIN shipment_events e ON e.shipment_id = s.id AND e.state = 'returned'
WHERE e.happened_at >= @since
ORDER BY e.happened_at;

-- name: ListShipments :many
SELECT * FROM shipments;

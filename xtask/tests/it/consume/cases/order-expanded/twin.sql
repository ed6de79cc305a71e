-- name: ListNotes :many
SELECT id, note FROM shipments;

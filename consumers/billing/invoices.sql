-- The queries of the billing service on the shop. It writes invoices for shipped orders, in its own database.

-- name: GetInvoiceHead :one
-- Who pays, and where the invoice goes. A closed account still gets its invoices.
SELECT o.id, o.total, o.created_at, u.full_name, u.email, a.street, a.postal_code, a.city, a.country_code
FROM orders o
JOIN users u ON u.id = o.user_id
LEFT JOIN addresses a ON a.id = o.address_id
WHERE o.id = $1;

-- name: ListOrdersToInvoice :many
SELECT id, user_id, total, created_at
FROM orders
WHERE status = 'shipped' AND updated_at >= $1 AND updated_at < $2
ORDER BY updated_at, id
LIMIT $3;

-- name: SumOfCustomer :one
SELECT count(*) AS orders, coalesce(sum(total), 0)::numeric(12,2) AS total
FROM orders
WHERE user_id = $1 AND status = ANY($2::order_status[]) AND created_at >= $3;

-- name: MarkPaid :execrows
UPDATE orders SET status = 'paid' WHERE id = $1 AND status = 'pending';

-- name: CancelUnpaid :many
UPDATE orders SET status = 'cancelled'
WHERE status = 'pending' AND created_at < now() - $1::interval
RETURNING id, user_id;

-- What somebody bought, and how far it got. A uuid as key: the number of orders is nobody's business.

CREATE TYPE order_status AS ENUM ('pending', 'paid', 'shipped', 'cancelled');

CREATE TABLE orders (
    id         uuid          PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id    bigint        NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    total      numeric(10,2) NOT NULL,
    status     order_status  NOT NULL DEFAULT 'pending',
    created_at timestamptz   NOT NULL DEFAULT now(),
    updated_at timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT orders_total_not_negative CHECK (total >= 0)
);
COMMENT ON TABLE orders IS 'One row for each checkout';

-- "My open orders" is the page that is asked for most.
CREATE INDEX orders_user_id_status_idx ON orders (user_id, status);

CREATE TRIGGER orders_touch_updated_at BEFORE UPDATE ON orders
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- The shop as it was made by hand before there were migrations: who buys, what is sold,
-- what is in stock, and what is on its way. Orders come with the next migration.

CREATE DOMAIN email_address AS text
    CONSTRAINT email_address_has_at CHECK (VALUE ~ '^[^@[:space:]]+@[^@[:space:]]+$');

CREATE TYPE shipment_state AS ENUM ('prepared', 'handed_over', 'delivered', 'returned');

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

-- People and where they live.

CREATE TABLE users (
    id          bigint        GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email       email_address NOT NULL,
    full_name   text          NOT NULL,
    phone       text,
    newsletter  boolean       NOT NULL DEFAULT false,
    fax_number  text,
    created_at  timestamptz   NOT NULL DEFAULT now(),
    updated_at  timestamptz   NOT NULL DEFAULT now(),
    deleted_at  timestamptz,
    CONSTRAINT users_full_name_not_blank CHECK (full_name <> '')
);
COMMENT ON TABLE users IS 'Everybody with an account';
COMMENT ON COLUMN users.phone IS 'As typed by the user; not checked';
COMMENT ON COLUMN users.deleted_at IS 'When the account was closed; the row stays for old invoices';

-- Two accounts may not share an address, however it is spelt; a closed account frees its own.
CREATE UNIQUE INDEX users_email_key ON users (lower(email)) WHERE deleted_at IS NULL;

CREATE TRIGGER users_touch_updated_at BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE TABLE addresses (
    id           bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      bigint  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    street       text    NOT NULL,
    postal_code  text    NOT NULL,
    city         text    NOT NULL,
    country_code char(2) NOT NULL,
    is_default   boolean NOT NULL DEFAULT false,
    CONSTRAINT addresses_country_code_upper CHECK (country_code = upper(country_code))
);
CREATE UNIQUE INDEX addresses_one_default_per_user ON addresses (user_id) WHERE is_default;
CREATE INDEX addresses_user_id_idx ON addresses (user_id);

-- What is sold.

CREATE TABLE suppliers (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name  text   NOT NULL CONSTRAINT suppliers_name_key UNIQUE,
    email email_address
);

CREATE TABLE categories (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id bigint REFERENCES categories (id) ON DELETE RESTRICT,
    slug      text   NOT NULL CONSTRAINT categories_slug_key UNIQUE,
    name      text   NOT NULL,
    CONSTRAINT categories_not_own_parent CHECK (parent_id <> id)
);
CREATE INDEX categories_parent_id_idx ON categories (parent_id);

-- Article numbers are printed on labels, so they are short and never reused.
CREATE SEQUENCE article_numbers AS integer START WITH 10000;

CREATE TABLE products (
    id             bigint        GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    article_number integer       NOT NULL DEFAULT nextval('article_numbers') CONSTRAINT products_article_number_key UNIQUE,
    supplier_id    bigint        REFERENCES suppliers (id) ON DELETE SET NULL,
    name           text          NOT NULL,
    description    text          NOT NULL DEFAULT '',
    price          numeric(10,2) NOT NULL,
    tags           text[]        NOT NULL DEFAULT '{}',
    attributes     jsonb         NOT NULL DEFAULT '{}',
    is_active      boolean       NOT NULL DEFAULT true,
    created_at     timestamptz   NOT NULL DEFAULT now(),
    updated_at     timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT products_price_not_negative CHECK (price >= 0)
);
ALTER SEQUENCE article_numbers OWNED BY products.article_number;
COMMENT ON COLUMN products.price IS 'In euros, with tax';

CREATE INDEX products_supplier_id_idx ON products (supplier_id);
CREATE INDEX products_active_name_idx ON products (lower(name)) WHERE is_active;
CREATE INDEX products_tags_idx ON products USING gin (tags);

CREATE TRIGGER products_touch_updated_at BEFORE UPDATE ON products
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE TABLE product_categories (
    product_id  bigint NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    category_id bigint NOT NULL REFERENCES categories (id) ON DELETE CASCADE,
    PRIMARY KEY (product_id, category_id)
);
CREATE INDEX product_categories_category_id_idx ON product_categories (category_id);

CREATE TABLE reviews (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id bigint      NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    user_id    bigint      NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    stars      smallint    NOT NULL,
    body       text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reviews_once_per_user UNIQUE (product_id, user_id),
    CONSTRAINT reviews_stars_range CHECK (stars BETWEEN 1 AND 5)
);
CREATE INDEX reviews_user_id_idx ON reviews (user_id);

-- What is in stock, and what somebody is about to buy.

CREATE TABLE stock_levels (
    product_id bigint  PRIMARY KEY REFERENCES products (id) ON DELETE CASCADE,
    on_hand    integer NOT NULL DEFAULT 0,
    reserved   integer NOT NULL DEFAULT 0,
    available  integer NOT NULL GENERATED ALWAYS AS (on_hand - reserved) STORED,
    CONSTRAINT stock_levels_not_oversold CHECK (reserved BETWEEN 0 AND on_hand)
);
COMMENT ON COLUMN stock_levels.available IS 'What can still be sold';

CREATE TABLE carts (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id    bigint      REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX carts_user_id_idx ON carts (user_id);

CREATE TABLE cart_items (
    cart_id    uuid    NOT NULL REFERENCES carts (id) ON DELETE CASCADE,
    product_id bigint  NOT NULL REFERENCES products (id) ON DELETE RESTRICT,
    quantity   integer NOT NULL DEFAULT 1,
    PRIMARY KEY (cart_id, product_id),
    CONSTRAINT cart_items_quantity_positive CHECK (quantity > 0)
);
CREATE INDEX cart_items_product_id_idx ON cart_items (product_id);

-- What is on its way.

CREATE TABLE shipments (
    id           bigint         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address_id   bigint         NOT NULL REFERENCES addresses (id) ON DELETE RESTRICT,
    state        shipment_state NOT NULL DEFAULT 'prepared',
    carrier      text           NOT NULL,
    weight_grams integer        NOT NULL,
    created_at   timestamptz    NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    CONSTRAINT shipments_weight_positive CHECK (weight_grams > 0),
    CONSTRAINT shipments_delivered_has_time CHECK (state <> 'delivered' OR delivered_at IS NOT NULL)
);
CREATE INDEX shipments_address_id_idx ON shipments (address_id);
CREATE INDEX shipments_under_way_idx ON shipments (created_at) WHERE state IN ('prepared', 'handed_over');

CREATE TABLE shipment_events (
    id          bigint         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shipment_id bigint         NOT NULL REFERENCES shipments (id) ON DELETE CASCADE,
    state       shipment_state NOT NULL,
    place       text,
    happened_at timestamptz    NOT NULL DEFAULT now()
);
CREATE INDEX shipment_events_shipment_id_idx ON shipment_events (shipment_id, happened_at);

CREATE VIEW product_overview AS
    SELECT p.id,
           p.article_number,
           p.name,
           p.price,
           coalesce(s.available, 0) AS available,
           round(avg(r.stars), 1)   AS average_stars
    FROM products p
    LEFT JOIN stock_levels s ON s.product_id = p.id
    LEFT JOIN reviews r ON r.product_id = p.id
    WHERE p.is_active
    GROUP BY p.id, s.available;
COMMENT ON VIEW product_overview IS 'What the start page shows of each product on sale';

-- The way back to an empty database: each object by its name, in the reverse order, and
-- nothing by CASCADE, so that an object that somebody added by hand stops it.

DROP VIEW product_overview;
DROP TABLE shipment_events;
DROP TABLE shipments;
DROP TABLE cart_items;
DROP TABLE carts;
DROP TABLE stock_levels;
DROP TABLE reviews;
DROP TABLE product_categories;
DROP TABLE products;
DROP TABLE categories;
DROP TABLE suppliers;
DROP TABLE addresses;
DROP TABLE users;
DROP FUNCTION touch_updated_at();
DROP TYPE shipment_state;
DROP DOMAIN email_address;

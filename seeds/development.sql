-- Development data for the newest schema: enough that every page of the shop shows something.
-- Every row has a key of its own here, so seeding again changes nothing.

INSERT INTO users (id, email, full_name, phone, newsletter) OVERRIDING SYSTEM VALUE VALUES
    (1, 'ada@example.org',     'Ada Lovelace',      '+442079460123',  true),
    (2, 'konrad@example.org',  'Konrad Zuse',       '+493023125123',  false),
    (3, 'grace@example.org',   'Grace Hopper',      '+12125550123',   true),
    (4, 'edsger@example.org',  'Edsger Dijkstra',   NULL,             false),
    (5, 'barbara@example.org', 'Barbara Liskov',    '+16175550188',   false)
ON CONFLICT DO NOTHING;

INSERT INTO addresses (id, user_id, street, postal_code, city, country_code, is_default) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, '12 St James''s Square', 'SW1Y 4JH', 'London',    'GB', true),
    (2, 2, 'Methfesselstraße 7',    '10965',    'Berlin',    'DE', true),
    (3, 3, '1 Church Street',       '10007',    'New York',  'US', true),
    (4, 4, 'Plataanstraat 5',       '5611',     'Eindhoven', 'NL', true),
    (5, 2, 'Wallstraße 16',         '36088',    'Hünfeld',   'DE', false)
ON CONFLICT DO NOTHING;

INSERT INTO suppliers (id, name, email) OVERRIDING SYSTEM VALUE VALUES
    (1, 'Northwind Paper',   'sales@northwind.example'),
    (2, 'Elbe Instruments',  'vertrieb@elbe.example'),
    (3, 'Blue Kettle',       NULL)
ON CONFLICT DO NOTHING;

INSERT INTO categories (id, parent_id, slug, name) OVERRIDING SYSTEM VALUE VALUES
    (1, NULL, 'office',  'Office'),
    (2, 1,    'paper',   'Paper'),
    (3, 1,    'pens',    'Pens'),
    (4, NULL, 'kitchen', 'Kitchen')
ON CONFLICT DO NOTHING;

INSERT INTO products (id, article_number, supplier_id, name, description, price, tags, attributes, is_active) OVERRIDING SYSTEM VALUE VALUES
    (1, 10000, 1, 'Notebook A5',     'Dotted, 192 pages',      12.90, '{paper,dotted}', '{"pages": 192}',       true),
    (2, 10001, 1, 'Squared paper',   '500 sheets',              8.50, '{paper}',        '{"sheets": 500}',      true),
    (3, 10002, 2, 'Fountain pen',    'Medium nib, steel',      39.00, '{pen,gift}',     '{"nib": "M"}',         true),
    (4, 10003, 2, 'Slide rule',      'Last of their kind',    119.00, '{gift}',         '{}',                   false),
    (5, 10004, 3, 'Kettle',          'One litre, whistles',    49.95, '{kitchen}',      '{"litres": 1}',        true)
ON CONFLICT DO NOTHING;

INSERT INTO product_categories (product_id, category_id) VALUES (1, 2), (2, 2), (3, 3), (4, 1), (5, 4)
ON CONFLICT DO NOTHING;

INSERT INTO reviews (id, product_id, user_id, stars, body) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, 1, 5, 'The dots are where they should be.'),
    (2, 1, 4, 4, ''),
    (3, 3, 3, 5, 'Writes like a dream.'),
    (4, 5, 2, 3, 'It whistles too early.')
ON CONFLICT DO NOTHING;

INSERT INTO stock_levels (product_id, on_hand, reserved) VALUES (1, 120, 3), (2, 40, 0), (3, 15, 1), (4, 0, 0), (5, 8, 2)
ON CONFLICT DO NOTHING;

INSERT INTO carts (id, user_id) VALUES
    ('0b0c6c1e-0000-4000-8000-000000000001', 5),
    ('0b0c6c1e-0000-4000-8000-000000000002', NULL)
ON CONFLICT DO NOTHING;

INSERT INTO cart_items (cart_id, product_id, quantity) VALUES
    ('0b0c6c1e-0000-4000-8000-000000000001', 1, 2),
    ('0b0c6c1e-0000-4000-8000-000000000001', 3, 1),
    ('0b0c6c1e-0000-4000-8000-000000000002', 5, 1)
ON CONFLICT DO NOTHING;

INSERT INTO carriers (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'dhl'), (2, 'royal mail')
ON CONFLICT DO NOTHING;

INSERT INTO orders (id, user_id, total, status, address_id) VALUES
    ('5f3a1d8e-0000-4000-8000-000000000001', 1,  25.80, 'shipped',   1),
    ('5f3a1d8e-0000-4000-8000-000000000002', 2,  49.95, 'paid',      2),
    ('5f3a1d8e-0000-4000-8000-000000000003', 3,  39.00, 'pending',   NULL),
    ('5f3a1d8e-0000-4000-8000-000000000004', 4, 119.00, 'cancelled', NULL),
    ('5f3a1d8e-0000-4000-8000-000000000005', 2,   8.50, 'shipped',   5)
ON CONFLICT DO NOTHING;

INSERT INTO shipments (id, address_id, state, carrier_id, weight_grams, tracking_number, delivered_at) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, 'delivered',   2, 640,  'RM123456785GB',        timestamptz '2025-03-01 10:30+00'),
    (2, 2, 'prepared',    1, 1450, NULL,                   NULL),
    (3, 5, 'handed_over', 1, 2600, '00340434161094042557', NULL)
ON CONFLICT DO NOTHING;

INSERT INTO shipment_events (id, shipment_id, state, place, happened_at) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, 'prepared',    NULL,     timestamptz '2025-02-26 08:00+00'),
    (2, 1, 'handed_over', 'Berlin', timestamptz '2025-02-26 16:20+00'),
    (3, 1, 'delivered',   'London', timestamptz '2025-03-01 10:30+00'),
    (4, 2, 'prepared',    NULL,     timestamptz '2025-04-08 09:00+00'),
    (5, 3, 'prepared',    NULL,     timestamptz '2025-04-07 09:00+00'),
    (6, 3, 'handed_over', 'Berlin', timestamptz '2025-04-07 17:45+00')
ON CONFLICT DO NOTHING;

-- Rows that the application adds go on after these, and a number that was given out once is
-- never given out again.
SELECT setval(sequence::regclass, greatest(nextval(sequence::regclass), newest))
FROM (VALUES
    (pg_get_serial_sequence('users', 'id'),         (SELECT max(id) FROM users)),
    (pg_get_serial_sequence('addresses', 'id'),     (SELECT max(id) FROM addresses)),
    (pg_get_serial_sequence('suppliers', 'id'),     (SELECT max(id) FROM suppliers)),
    (pg_get_serial_sequence('categories', 'id'),    (SELECT max(id) FROM categories)),
    (pg_get_serial_sequence('products', 'id'),      (SELECT max(id) FROM products)),
    ('article_numbers',                             (SELECT max(article_number) FROM products)),
    (pg_get_serial_sequence('reviews', 'id'),       (SELECT max(id) FROM reviews)),
    (pg_get_serial_sequence('carriers', 'id'),      (SELECT max(id) FROM carriers)),
    (pg_get_serial_sequence('shipments', 'id'),     (SELECT max(id) FROM shipments)),
    (pg_get_serial_sequence('shipment_events', 'id'),(SELECT max(id) FROM shipment_events))
) AS numbers (sequence, newest);

-- Development data: a small shop in the middle of a spring. It fits the newest schema, and can
-- be run again at any time: rows that are there already stay as they are, whoever changed them.
-- Every name, street and number is made up; the telephone numbers are reserved for fiction.

-- People and where they live. Old accounts still have their phone number as it was typed. Grace
-- closed an account and opened another one with the same address: only one of them is open.

INSERT INTO users (id, email, full_name, phone, phone_as_typed, newsletter, created_at, updated_at, deleted_at)
OVERRIDING SYSTEM VALUE
VALUES
    (1, 'ada@example.com',    'Ada Brandt',      '+493023125001', '030 / 23 125-001',   true,  '2023-05-02 08:15:00+00', '2025-03-31 12:00:00+00', NULL),
    (2, 'bruno@example.com',  'Bruno Keller',    '+491713920001', '(0171) 39 200 01',   false, '2023-09-18 17:40:00+00', '2025-03-31 12:00:00+00', NULL),
    (3, 'chloe@example.org',  'Chloé Lefèvre',   '+33199000123',  '+33 1 99 00 01 23',  true,  '2024-01-07 20:05:00+00', '2025-03-31 12:00:00+00', NULL),
    (4, 'dev@example.net',    'Dev Patel',       '+442079460123', '0044 20 7946 0123',  false, '2024-06-30 11:30:00+00', '2025-03-31 12:00:00+00', NULL),
    (5, 'grace@example.com',  'Grace Sommer',    NULL,            NULL,                 false, '2023-11-11 11:11:00+00', '2024-08-01 09:00:00+00', '2024-08-01 09:00:00+00'),
    (6, 'Grace@example.com',  'Grace Sommer',    '+493023125006', '030-23125006',       true,  '2025-01-15 07:50:00+00', '2025-03-31 12:00:00+00', NULL),
    (7, 'ines@example.org',   'Inês d''Almeida', '+493023125007', NULL,                 true,  '2025-04-08 14:20:00+00', '2025-04-08 14:20:00+00', NULL),
    (8, 'jonas@example.net',  'Jonas Øverland',  NULL,            NULL,                 false, '2025-04-10 21:45:00+00', '2025-04-10 21:45:00+00', NULL)
ON CONFLICT DO NOTHING;

INSERT INTO addresses (id, user_id, street, postal_code, city, country_code, is_default)
OVERRIDING SYSTEM VALUE
VALUES
    (1, 1, 'Lindenallee 4',         '10115',    'Berlin',    'DE', true),
    (2, 1, 'Am Speicher 19',        '20457',    'Hamburg',   'DE', false),
    (3, 2, 'Mühlgasse 7',           '80331',    'München',   'DE', true),
    (4, 3, '12 rue des Tilleuls',   '69002',    'Lyon',      'FR', true),
    (5, 4, '3 Harbour Mews',        'BS1 4XX',  'Bristol',   'GB', true),
    (6, 5, 'Gartenweg 2',           '50667',    'Köln',      'DE', false),
    (7, 6, 'Gartenweg 2',           '50667',    'Köln',      'DE', true),
    (8, 7, 'Rua das Laranjeiras 8', '1200-001', 'Lisboa',    'PT', true)
ON CONFLICT DO NOTHING;

-- What is sold. The stamp pad is no longer on sale; the poster has no supplier any more.

INSERT INTO suppliers (id, name, email)
OVERRIDING SYSTEM VALUE
VALUES
    (1, 'Papierwerk Nord',   'orders@papierwerk.example'),
    (2, 'Atelier Tinte',     'bonjour@tinte.example'),
    (3, 'Holz & Leim',       NULL)
ON CONFLICT DO NOTHING;

INSERT INTO categories (id, parent_id, slug, name)
OVERRIDING SYSTEM VALUE
VALUES
    (1, NULL, 'stationery', 'Stationery'),
    (2, 1,    'notebooks',  'Notebooks'),
    (3, 1,    'writing',    'Pens and ink'),
    (4, NULL, 'home',       'For the home'),
    (5, 4,    'posters',    'Posters')
ON CONFLICT DO NOTHING;

INSERT INTO products (id, article_number, supplier_id, name, description, price, tags, attributes, is_active, created_at, updated_at)
OVERRIDING SYSTEM VALUE
VALUES
    (1, 10000, 1,    'Notebook A5, dotted',    '192 pages, opens flat',            14.90, '{paper,bestseller}', '{"format": "A5", "pages": 192}',   true,  '2023-04-01 09:00:00+00', '2024-10-01 09:00:00+00'),
    (2, 10001, 1,    'Notebook A6, plain',     'Fits every pocket',                 8.50, '{paper}',            '{"format": "A6", "pages": 96}',    true,  '2023-04-01 09:00:00+00', '2023-04-01 09:00:00+00'),
    (3, 10002, 2,    'Fountain pen, fine',     'With a steel nib',                 39.00, '{pen,gift}',         '{"nib": "F", "refillable": true}', true,  '2023-04-01 09:00:00+00', '2025-02-03 10:30:00+00'),
    (4, 10003, 2,    'Ink, midnight blue',     '50 ml in a glass bottle',          12.00, '{ink}',              '{"millilitres": 50}',              true,  '2023-06-12 13:00:00+00', '2023-06-12 13:00:00+00'),
    (5, 10004, 3,    'Pencil tray',            'Oiled oak',                        27.50, '{wood,gift}',        '{"wood": "oak"}',                  true,  '2024-02-20 15:45:00+00', '2024-02-20 15:45:00+00'),
    (6, 10005, 2,    'Stamp pad, violet',      '',                                  6.20, '{}',                 '{}',                               false, '2023-04-01 09:00:00+00', '2024-12-31 17:00:00+00'),
    (7, 10006, NULL, 'Poster "Map of clouds"', 'Printed in two colours, 50 × 70',  24.00, '{paper,gift}',       '{"format": "50x70"}',              true,  '2024-11-05 08:20:00+00', '2024-11-05 08:20:00+00'),
    (8, 10007, NULL, 'Gift wrapping',          'We wrap it and write a card',       0.00, '{service}',          '{}',                               true,  '2024-11-25 08:00:00+00', '2024-11-25 08:00:00+00')
ON CONFLICT DO NOTHING;

INSERT INTO product_categories (product_id, category_id)
VALUES
    (1, 1), (1, 2),
    (2, 1), (2, 2),
    (3, 1), (3, 3),
    (4, 3),
    (5, 1), (5, 4),
    (6, 1),
    (7, 4), (7, 5)
ON CONFLICT DO NOTHING;

-- The notebook A6 is sold out: all that is left is reserved. Gift wrapping needs no stock.

INSERT INTO stock_levels (product_id, on_hand, reserved)
VALUES
    (1, 240, 12),
    (2,   3,  3),
    (3,  35,  1),
    (4,  80,  0),
    (5,  11,  2),
    (6,   0,  0),
    (7,  60,  4)
ON CONFLICT DO NOTHING;

INSERT INTO reviews (id, product_id, user_id, stars, body, created_at)
OVERRIDING SYSTEM VALUE
VALUES
    (1, 1, 1, 5, 'My third one.',                                '2024-03-12 18:00:00+00'),
    (2, 1, 2, 4, 'Good paper, but the ribbon frays.',            '2024-05-28 06:35:00+00'),
    (3, 3, 3, 5, 'Écrit très bien dès la première ligne.',       '2024-12-27 10:10:00+00'),
    (4, 3, 4, 2, 'Leaked on the train. The exchange was quick.', '2025-01-20 19:25:00+00'),
    (5, 7, 6, 5, '',                                             '2025-02-14 12:00:00+00')
ON CONFLICT DO NOTHING;

-- What somebody is about to buy. The second cart belongs to a visitor without an account.

INSERT INTO carts (id, user_id, created_at)
VALUES
    ('c0000000-0000-4000-8000-000000000001', 7,    '2025-04-14 09:12:00+00'),
    ('c0000000-0000-4000-8000-000000000002', NULL, '2025-04-14 22:48:00+00'),
    ('c0000000-0000-4000-8000-000000000003', 8,    '2025-04-15 06:30:00+00')
ON CONFLICT DO NOTHING;

INSERT INTO cart_items (cart_id, product_id, quantity)
VALUES
    ('c0000000-0000-4000-8000-000000000001', 3, 1),
    ('c0000000-0000-4000-8000-000000000001', 4, 2),
    ('c0000000-0000-4000-8000-000000000001', 8, 1),
    ('c0000000-0000-4000-8000-000000000002', 7, 1)
ON CONFLICT DO NOTHING;

-- What somebody bought, in every status. An order names an address as soon as it is shipped;
-- before that it may still be open where it goes.

INSERT INTO orders (id, user_id, total, status, address_id, created_at, updated_at)
VALUES
    ('0d000000-0000-4000-8000-000000000001', 1, 29.80, 'shipped',   1,    '2025-02-18 10:00:00+00', '2025-02-20 15:30:00+00'),
    ('0d000000-0000-4000-8000-000000000002', 1, 24.00, 'shipped',   2,    '2025-03-05 16:20:00+00', '2025-03-07 08:00:00+00'),
    ('0d000000-0000-4000-8000-000000000003', 2, 14.90, 'cancelled', NULL, '2025-03-09 12:45:00+00', '2025-03-09 13:05:00+00'),
    ('0d000000-0000-4000-8000-000000000004', 3, 51.00, 'shipped',   4,    '2025-03-22 19:10:00+00', '2025-03-24 07:15:00+00'),
    ('0d000000-0000-4000-8000-000000000005', 4, 39.00, 'shipped',   5,    '2025-04-02 08:05:00+00', '2025-04-04 14:40:00+00'),
    ('0d000000-0000-4000-8000-000000000006', 6, 24.00, 'paid',      7,    '2025-04-12 17:55:00+00', '2025-04-12 18:02:00+00'),
    ('0d000000-0000-4000-8000-000000000007', 2, 55.00, 'paid',      3,    '2025-04-13 11:30:00+00', '2025-04-13 11:31:00+00'),
    ('0d000000-0000-4000-8000-000000000008', 7, 63.00, 'pending',   8,    '2025-04-14 09:14:00+00', '2025-04-14 09:14:00+00'),
    ('0d000000-0000-4000-8000-000000000009', 8,  8.50, 'pending',   NULL, '2025-04-15 06:31:00+00', '2025-04-15 06:31:00+00'),
    ('0d000000-0000-4000-8000-000000000010', 1,  0.00, 'cancelled', NULL, '2025-04-15 07:00:00+00', '2025-04-15 07:01:00+00')
ON CONFLICT DO NOTHING;

-- What is on its way. Old shipments keep the carrier as it was typed, new ones only name it.

INSERT INTO carriers (id, name)
OVERRIDING SYSTEM VALUE
VALUES
    (1, 'dhl'),
    (2, 'hermes'),
    (3, 'la poste')
ON CONFLICT DO NOTHING;

INSERT INTO shipments (id, address_id, state, carrier_id, carrier_as_typed, tracking_number, weight_grams, created_at, delivered_at)
OVERRIDING SYSTEM VALUE
VALUES
    (1, 1, 'delivered',   1, 'DHL',      NULL,             640, '2025-02-20 15:30:00+00', '2025-02-22 10:05:00+00'),
    (2, 2, 'delivered',   1, 'dhl ',     '00340000000002', 420, '2025-03-07 08:00:00+00', '2025-03-08 12:50:00+00'),
    (3, 4, 'returned',    3, NULL,       '6A00000000003',  510, '2025-03-24 07:15:00+00', NULL),
    (4, 5, 'handed_over', 2, NULL,       'H1000000000004', 180, '2025-04-04 14:40:00+00', NULL),
    (5, 7, 'prepared',    1, NULL,       NULL,             950, '2025-04-14 08:30:00+00', NULL)
ON CONFLICT DO NOTHING;

INSERT INTO shipment_events (id, shipment_id, state, place, happened_at)
OVERRIDING SYSTEM VALUE
VALUES
    (1,  1, 'prepared',    'Berlin',  '2025-02-20 15:30:00+00'),
    (2,  1, 'handed_over', 'Berlin',  '2025-02-21 06:45:00+00'),
    (3,  1, 'delivered',   'Berlin',  '2025-02-22 10:05:00+00'),
    (4,  2, 'prepared',    'Berlin',  '2025-03-07 08:00:00+00'),
    (5,  2, 'handed_over', 'Hamburg', '2025-03-07 22:10:00+00'),
    (6,  2, 'delivered',   'Hamburg', '2025-03-08 12:50:00+00'),
    (7,  3, 'prepared',    'Berlin',  '2025-03-24 07:15:00+00'),
    (8,  3, 'handed_over', 'Lyon',    '2025-03-26 05:30:00+00'),
    (9,  3, 'returned',    NULL,      '2025-04-03 16:00:00+00'),
    (10, 4, 'prepared',    'Berlin',  '2025-04-04 14:40:00+00'),
    (11, 4, 'handed_over', 'Bristol', '2025-04-07 09:20:00+00'),
    (12, 5, 'prepared',    'Berlin',  '2025-04-14 08:30:00+00')
ON CONFLICT DO NOTHING;

-- The ids above were given by hand. The sequences go on after them, and never back: a number
-- that somebody has seen on a screen is not given out again.

SELECT setval('users_id_seq',           greatest(max(id), pg_sequence_last_value('users_id_seq')))           FROM users;
SELECT setval('addresses_id_seq',       greatest(max(id), pg_sequence_last_value('addresses_id_seq')))       FROM addresses;
SELECT setval('suppliers_id_seq',       greatest(max(id), pg_sequence_last_value('suppliers_id_seq')))       FROM suppliers;
SELECT setval('categories_id_seq',      greatest(max(id), pg_sequence_last_value('categories_id_seq')))      FROM categories;
SELECT setval('products_id_seq',        greatest(max(id), pg_sequence_last_value('products_id_seq')))        FROM products;
SELECT setval('article_numbers',        greatest(max(article_number), pg_sequence_last_value('article_numbers'))) FROM products;
SELECT setval('reviews_id_seq',         greatest(max(id), pg_sequence_last_value('reviews_id_seq')))         FROM reviews;
SELECT setval('carriers_id_seq',        greatest(max(id), pg_sequence_last_value('carriers_id_seq')))        FROM carriers;
SELECT setval('shipments_id_seq',       greatest(max(id), pg_sequence_last_value('shipments_id_seq')))       FROM shipments;
SELECT setval('shipment_events_id_seq', greatest(max(id), pg_sequence_last_value('shipment_events_id_seq'))) FROM shipment_events;

CREATE TABLE customer_subscription_payment_notifications (notification_identifier serial, note text);
CREATE TABLE plain (id serial);
CREATE TABLE plain_id_seq__old (a int);
CREATE TYPE an_enum_whose_name_is_as_long_as_the_server_allows_a_name_to_be AS ENUM ('a', 'b');
CREATE TYPE ünümünümünümünümünümünümünümünümünümünüm AS ENUM ('a', 'b');
CREATE TYPE e AS ENUM ('a', 'b');
CREATE TYPE e__old AS ENUM ('a', 'b');
CREATE TABLE t (a an_enum_whose_name_is_as_long_as_the_server_allows_a_name_to_be, b ünümünümünümünümünümünümünümünümünümünüm, c e, d e__old);

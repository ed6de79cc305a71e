CREATE TABLE customer_subscription_payment_notifications (notification_identifier int GENERATED ALWAYS AS IDENTITY, note text);
CREATE TABLE plain (id int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE plain_id_seq__old (a int);
CREATE TYPE an_enum_whose_name_is_as_long_as_the_server_allows_a_name_to_be AS ENUM ('b');
CREATE TYPE ünümünümünümünümünümünümünümünümünümünüm AS ENUM ('b');
CREATE TYPE e AS ENUM ('b');
CREATE TYPE e__old AS ENUM ('b');
CREATE TABLE t (a an_enum_whose_name_is_as_long_as_the_server_allows_a_name_to_be, b ünümünümünümünümünümünümünümünümünümünüm, c e, d e__old);

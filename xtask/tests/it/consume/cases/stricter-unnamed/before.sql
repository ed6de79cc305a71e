CREATE TABLE shipments (id bigint PRIMARY KEY, carrier text DEFAULT lower(current_user), note text);

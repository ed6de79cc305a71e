CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE orders (id integer, state varchar(10), total numeric, moods mood[]);

CREATE TABLE orders (id bigint, status text, note text);
CREATE FUNCTION lowered() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := lower(NEW.status); RETURN NEW; END $$;
CREATE TRIGGER lowered BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION lowered();
CREATE TRIGGER later AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION lowered();

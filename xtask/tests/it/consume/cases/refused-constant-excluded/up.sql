ALTER TABLE shipments ADD CONSTRAINT one_note EXCLUDE USING btree (note WITH =);

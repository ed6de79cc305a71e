DROP INDEX shipments_note;

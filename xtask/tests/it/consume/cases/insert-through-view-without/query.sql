INSERT INTO parcels (parcel, grams) VALUES ($1, 5);

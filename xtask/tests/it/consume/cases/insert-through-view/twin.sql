INSERT INTO small_parcels (parcel, grams) VALUES ($1, 5);

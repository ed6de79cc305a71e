UPDATE parcels SET grams = 5 WHERE parcel = $1;

UPDATE parcels SET grams = $1 WHERE parcel = $2;

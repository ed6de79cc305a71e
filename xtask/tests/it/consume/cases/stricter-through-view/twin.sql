UPDATE parcels SET note = $1 WHERE parcel = $2;

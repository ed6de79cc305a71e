REVOKE UPDATE ON shipments FROM roundtrip_case_app;

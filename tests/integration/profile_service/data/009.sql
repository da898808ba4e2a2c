-- Written by a build with migration 9: a project whose profile is invalid, its group with a
-- valid one, and their site with none. A
-- key of the project with a role of the site.
INSERT INTO container (name, display_name, enforced) VALUES ('sites/s', 'Hospital', true);
INSERT INTO container (name, parent_id, display_name)
    SELECT 'sites/s/groups/g', id, '' FROM container WHERE name = 'sites/s';
INSERT INTO container (name, parent_id, display_name)
    SELECT 'sites/s/groups/g/projects/p', id, '' FROM container WHERE name = 'sites/s/groups/g';
INSERT INTO profile_version
        (container_id, version, source, validator_version, valid, blank, violations)
    SELECT id, version, E'dicom:\n  fields:\n  - name: PatientName\n    remove: true\n'::bytea,
        '1', true, false, NULL
    FROM container, generate_series(1, 1) AS version
    WHERE name LIKE 'sites/s/groups/%';
INSERT INTO profile_version
        (container_id, version, source, validator_version, valid, blank, violations)
    SELECT id, 2, 'dicom: 5', '1', false, false,
        '[{"code": "WRONG_TYPE", "path": "dicom", "line": 1, "column": 8,
           "message": "''dicom'' takes a mapping.", "suggestion": ""}]'
    FROM container WHERE name = 'sites/s/groups/g/projects/p';
UPDATE container SET current_version = latest.version, latest_version = latest.version,
        profile_revision = latest.version
    FROM (SELECT container_id, max(version) AS version FROM profile_version GROUP BY 1) AS latest
    WHERE container_id = id;
INSERT INTO api_key (id, container_id, hash, display_name, creator)
    SELECT 'bbbbbbbbbbbb', id, sha256('x'), 'scanner', 'key file'
    FROM container WHERE name = 'sites/s/groups/g/projects/p';
INSERT INTO custom_role (site_id, name, permissions)
    SELECT id, 'sites/s/roles/reader', 'profiles.view' FROM container WHERE name = 'sites/s';
INSERT INTO binding (container_id, principal, role, custom_role_id, words, creator)
    SELECT api_key.container_id, 'key:bbbbbbbbbbbb', custom_role.name, custom_role.id,
        custom_role.permissions, 'key file'
    FROM api_key, custom_role;
UPDATE container SET file_audit = 'required' WHERE name = 'sites/s';
INSERT INTO site_key (site_id, generation, master_key, sealed)
    SELECT id, 1, '\x0000000000000000', decode(repeat('00', 60), 'hex') FROM container
    WHERE name = 'sites/s';
INSERT INTO change_proposal (container_id, method, request, note, author, author_identity)
    SELECT id, 'ClearProfile', '', '', 'alice', 'token:alice' FROM container WHERE name = 'sites/s';
INSERT INTO code_series (scope_id, name, last)
    SELECT id, 'LUNG-{}', 1 FROM container WHERE name = 'sites/s';
INSERT INTO subject_code (series_id, digest, number, code, master_key, sealed)
    SELECT id, '\x00', 1, 'LUNG-0001', '\x00', '\x00' FROM code_series;
INSERT INTO patient_table (container_id, name, master_key, sealed, latest_version)
    SELECT id, 'trial', '\x00', '\x00', 1 FROM container WHERE name = 'sites/s';
INSERT INTO patient_table_version (table_id, version, base, originals, columns, rows, rows_added)
    SELECT id, 1, 1, 1, '{code}', 1, 1 FROM patient_table;
INSERT INTO patient_row (table_id, since, line, digest, code_digest, sealed)
    SELECT id, 1, 2, '\x00', NULL, '\x00' FROM patient_table;
INSERT INTO patient_row_gone (table_id, before) SELECT id, 1 FROM patient_table;

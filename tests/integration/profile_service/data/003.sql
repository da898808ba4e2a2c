-- Written by a build with migration 3: a project whose profile is invalid, its group with a
-- valid one, and their site with none.
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
SELECT audit_append('sites/s', '{"action":"container.create","actor":{"credential":"none","subject":""},"outcome":"done","resource":"sites/s"}');
SELECT audit_append('', '{"action":"container.create","actor":{"credential":"none","subject":""},"outcome":"denied","resource":"sites/t"}');
UPDATE container SET profile_locked = false;
INSERT INTO deleted_container (id, name) VALUES (99, 'sites/s/devices/gone');
INSERT INTO profile_version
        (container_id, version, source, validator_version, valid, blank, author, note)
    VALUES (99, 1, 'dicom: {fields: []}', '1', true, true, 'alice', 'A test.');

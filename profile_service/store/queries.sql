-- Every statement that the service sends. A block begins with its name and says what
-- it is for; parameters are written %(name)s, and $1, $2 where it goes past the driver's
-- cursor.


-- The service answers when this one does.
-- name: ping
SELECT 1

-- Makes a site.
-- name: create_site
INSERT INTO container (name, display_name, enforced)
VALUES (%(name)s, %(display_name)s, %(enforced)s)
RETURNING id, name, display_name, enforced, create_time, update_time, revision

-- Makes a container below another; no row when that one does not exist.
-- name: create_child
INSERT INTO container (name, parent_id, display_name)
SELECT %(name)s, parent.id, %(display_name)s
FROM container AS parent
WHERE parent.name = %(parent)s
RETURNING id, name, display_name, enforced, create_time, update_time, revision

-- One container.
-- name: get_container
SELECT id, name, display_name, enforced, create_time, update_time, revision
FROM container
WHERE name = %(name)s

-- One container, kept from changing until the transaction ends.
-- name: lock_container
SELECT id, name, display_name, enforced, create_time, update_time, revision
FROM container
WHERE name = %(name)s
FOR UPDATE

-- A page of sites.
-- name: list_sites
SELECT id, name, display_name, enforced, create_time, update_time, revision
FROM container
WHERE parent_id IS NULL AND name > %(after)s
ORDER BY name
LIMIT %(limit)s

-- A page of the children of a container; one row of NULLs when it has none, and no row
-- when it does not exist.
-- name: list_children
SELECT child.*
FROM container AS parent
LEFT JOIN LATERAL (
    SELECT id, name, display_name, enforced, create_time, update_time, revision
    FROM container
    WHERE parent_id = parent.id AND name > %(after)s
    ORDER BY name
    LIMIT %(limit)s
) AS child ON true
WHERE parent.name = %(parent)s
ORDER BY child.name

-- Changes a container that is locked.
-- name: update_container
UPDATE container
SET display_name = %(display_name)s, enforced = %(enforced)s,
    update_time = now(), revision = revision + 1
WHERE id = %(id)s
RETURNING id, name, display_name, enforced, create_time, update_time, revision

-- Deletes a container that is locked, with its profile versions.
-- name: delete_container
DELETE FROM container WHERE id = %(id)s

-- What is attached to a container, kept from changing until the transaction ends.
-- name: lock_profile
SELECT id, current_version, latest_version, profile_revision
FROM container
WHERE name = %(name)s
FOR NO KEY UPDATE

-- Stores a text as a version.
-- name: insert_version
INSERT INTO profile_version
    (container_id, version, source, validator_version, valid, blank, violations, warnings)
VALUES
    (%(id)s, %(version)s, %(source)s,
     %(validator_version)s, %(valid)s, %(blank)s, %(violations)s, %(warnings)s)

-- Attaches a version to a container that is locked, or none.
-- name: attach_version
UPDATE container
SET current_version = %(version)s,
    latest_version = greatest(latest_version, %(version)s),
    profile_revision = profile_revision + 1
WHERE id = %(id)s

-- Stores what a newer validator said of a version, unless another one was faster.
-- name: record_decision
UPDATE profile_version
SET validator_version = %(validator_version)s, valid = %(valid)s, blank = %(blank)s,
    violations = %(violations)s, warnings = %(warnings)s
WHERE container_id = %(id)s AND version = %(version)s
    AND validator_version = %(decided_by)s

-- The current version of a container (version 0) or one of its versions; the columns of
-- the version are NULL when there is none, and no row when there is no container.
-- name: get_version
SELECT c.id, c.profile_revision,
    v.version, v.sha256, v.create_time,
    v.validator_version, v.blank, v.violations, v.warnings, v.source
FROM container AS c
LEFT JOIN profile_version AS v
    ON v.container_id = c.id
    AND v.version = CASE %(version)s::bigint WHEN 0 THEN c.current_version ELSE %(version)s END
WHERE c.name = %(name)s

-- A page of the versions of a container, newest first, without their texts; one row
-- with NULLs when it has none, and no row when there is no container.
-- name: list_versions
SELECT coalesce(c.current_version, 0), c.id, c.profile_revision,
    v.version, v.sha256, v.create_time,
    v.validator_version, v.blank, v.violations, v.warnings, NULL::bytea
FROM container AS c
LEFT JOIN LATERAL (
    SELECT *
    FROM profile_version
    WHERE container_id = c.id AND version < %(before)s
    ORDER BY version DESC
    LIMIT %(limit)s
) AS v ON true
WHERE c.name = %(name)s
ORDER BY v.version DESC

-- The text of a version.
-- name: get_source
SELECT source FROM profile_version WHERE container_id = %(id)s AND version = %(version)s

-- What the cascade asks: the target and the containers that it is in, each with what is
-- attached to it; of a target that does not exist there is no row. A valid version comes
-- with its text, unless its digest is among the known ones, which are bytes one after the
-- other: an array would cost more. Two lookups by unique keys for each container; by the
-- names, which tell what is in what, it is two steps of a plan in place of eleven.
-- name: resolve
SELECT c.name, c.enforced, c.id, c.profile_revision,
    v.version, v.sha256, v.create_time,
    v.validator_version, v.blank, v.violations, v.warnings,
    CASE WHEN v.valid AND position(v.sha256 IN $4) = 0 THEN v.source END
FROM container AS c
LEFT JOIN profile_version AS v ON v.container_id = c.id AND v.version = c.current_version
WHERE c.name IN ($1, $2, $3)

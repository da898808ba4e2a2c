-- Every statement that the service sends. A block begins with its name and says what
-- it is for; parameters are written $1, $2, ...


-- The service answers when this one does.
-- name: ping
SELECT 1

-- What of the schema is not there, and what a role ('': the one that asks) may not do with
-- the rest and needs to serve, in the words of a GRANT; the empty text where nothing is missing.
-- name: missing
SELECT
    role.name,
    coalesce(string_agg(DISTINCT thing, ', ') FILTER (WHERE to_regclass(thing) IS NULL), ''),
    concat_ws(', ',
        string_agg(action || ' ON ' || thing, ', ')
            FILTER (WHERE to_regclass(thing) IS NOT NULL
                AND NOT has_table_privilege(role.name, to_regclass(thing), action)),
        (SELECT string_agg('EXECUTE ON FUNCTION ' || one, ', ')
            FROM (VALUES ('audit_append(text,json)'), ('audit_expire(text)')) AS called (one)
            WHERE NOT has_function_privilege(role.name, to_regprocedure(one), 'EXECUTE')))
FROM (SELECT coalesce(nullif($1, ''), current_user)) AS role (name), (VALUES
    ('schema_migration', 'SELECT'),
    ('container', 'SELECT'), ('container', 'INSERT'),
    ('container', 'UPDATE'), ('container', 'DELETE'),
    ('profile_version', 'SELECT'), ('profile_version', 'INSERT'), ('profile_version', 'UPDATE'),
    ('deleted_container', 'SELECT'), ('deleted_container', 'INSERT'),
    ('audit_chain', 'SELECT'), ('audit_event', 'SELECT'), ('audit_retention', 'SELECT')
) AS needed (thing, action)
GROUP BY role.name

-- Whether the role of the service could change what the audit says: it owns the tables, or
-- has been given more than it needs.
-- name: may_change_audit
SELECT bool_or(has_table_privilege(thing, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER'))
FROM (VALUES ('audit_chain'), ('audit_event'), ('audit_retention')) AS kept (thing)

-- The last migration that the database has had.
-- name: last_migration
SELECT coalesce(max(number), 0) FROM schema_migration

-- Bounds what the transaction waits for: a lock, and the end of each statement.
-- name: bound_transaction
SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)

-- Makes a site.
-- name: create_site
INSERT INTO container (name, display_name, enforced, profile_locked)
VALUES ($1, $2, $3, $4)
RETURNING id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision

-- Makes a container below another; no row when that one does not exist.
-- name: create_child
INSERT INTO container (name, parent_id, display_name, profile_locked)
SELECT $1, parent.id, $2, $4
FROM container AS parent
WHERE parent.name = $3
RETURNING id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision

-- One container.
-- name: get_container
SELECT id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision
FROM container
WHERE name = $1

-- One container, kept from changing until the transaction ends.
-- name: lock_container
SELECT id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision
FROM container
WHERE name = $1
FOR UPDATE

-- A page of sites.
-- name: list_sites
SELECT id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision
FROM container
WHERE parent_id IS NULL AND name > $1
ORDER BY name
LIMIT $2

-- A page of the children of a container; one row of NULLs when it has none, and no row
-- when it does not exist.
-- name: list_children
SELECT child.*
FROM container AS parent
LEFT JOIN LATERAL (
    SELECT id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision
    FROM container
    WHERE parent_id = parent.id AND name > $2
    ORDER BY name
    LIMIT $3
) AS child ON true
WHERE parent.name = $1
ORDER BY child.name

-- Changes a container that is locked.
-- name: update_container
UPDATE container
SET display_name = $2, enforced = $3, profile_locked = $4,
    update_time = now(), revision = revision + 1
WHERE id = $1
RETURNING id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision

-- Deletes a container that is locked; its versions stay, under the name that it had.
-- name: delete_container
WITH kept AS (
    INSERT INTO deleted_container (id, name)
    SELECT id, name FROM container WHERE id = $1 AND latest_version > 0
)
DELETE FROM container WHERE id = $1

-- What is attached to a container, kept from changing until the transaction ends.
-- name: lock_profile
SELECT id, current_version, latest_version, profile_revision
FROM container
WHERE name = $1
FOR NO KEY UPDATE

-- Stores a text as a version.
-- name: insert_version
INSERT INTO profile_version
    (container_id, version, source, author, note,
     validator_version, valid, blank, violations, warnings)
VALUES
    ($1, $2, $3, $4, $5,
     $6, $7, $8, $9, $10)

-- Attaches a version to a container that is locked, or none.
-- name: attach_version
UPDATE container
SET current_version = $2,
    latest_version = greatest(latest_version, $2),
    profile_revision = profile_revision + 1
WHERE id = $1

-- Stores what a newer validator said of a version, unless another one was faster.
-- name: record_decision
UPDATE profile_version
SET validator_version = $4, valid = $5, blank = $6,
    violations = $7, warnings = $8
WHERE container_id = $1 AND version = $2
    AND validator_version = $3

-- The current version of a container (version 0) or one of its versions; the columns of
-- the version are NULL when there is none, and no row when there is no container.
-- name: get_version
SELECT c.id, c.profile_revision,
    v.version, v.sha256, v.create_time,
    v.validator_version, v.blank, v.violations, v.warnings, v.source, v.author, v.note
FROM container AS c
LEFT JOIN profile_version AS v
    ON v.container_id = c.id
    AND v.version = CASE $2::bigint WHEN 0 THEN c.current_version ELSE $2 END
WHERE c.name = $1

-- The version with a digest, of a container or of one of its name that was deleted: for the
-- holder of a receipt.
-- name: get_version_by_digest
SELECT c.id, c.profile_revision,
    v.version, v.sha256, v.create_time,
    v.validator_version, v.blank, v.violations, v.warnings, v.source, v.author, v.note
FROM (
    SELECT id, profile_revision FROM container WHERE name = $1
    UNION ALL SELECT id, 0 FROM deleted_container WHERE name = $1
) AS c
JOIN profile_version AS v ON v.container_id = c.id
WHERE v.sha256 = $2
ORDER BY c.id DESC, v.version DESC
LIMIT 1

-- A page of the versions of a container, newest first, without their texts; one row
-- with NULLs when it has none, and no row when there is no container.
-- name: list_versions
SELECT coalesce(c.current_version, 0), c.id, c.profile_revision,
    v.version, v.sha256, v.create_time,
    v.validator_version, v.blank, v.violations, v.warnings, NULL::bytea, v.author, v.note
FROM container AS c
LEFT JOIN LATERAL (
    SELECT *
    FROM profile_version
    WHERE container_id = c.id AND version < $2
    ORDER BY version DESC
    LIMIT $3
) AS v ON true
WHERE c.name = $1
ORDER BY v.version DESC

-- The text of a version.
-- name: get_source
SELECT source FROM profile_version WHERE container_id = $1 AND version = $2

-- What the cascade asks: the target and the containers that it is in, each with what is
-- attached to it; of a target that does not exist there is no row. A valid version comes
-- with its text, unless its digest is among the known ones, which are bytes one after the
-- other: an array would cost more. Two lookups by unique keys for each container; by the
-- names, which tell what is in what, it is two steps of a plan in place of eleven.
-- name: resolve
SELECT c.name, c.enforced, c.profile_locked, c.id, c.profile_revision,
    v.version, v.sha256, v.create_time,
    v.validator_version, v.blank, v.violations, v.warnings,
    CASE WHEN v.valid AND position(v.sha256 IN $4) = 0 THEN v.source END
FROM container AS c
LEFT JOIN profile_version AS v ON v.container_id = c.id AND v.version = c.current_version
WHERE c.name IN ($1, $2, $3)

-- Adds an event to a chain, as the last thing of a transaction.
-- name: append_event
SELECT audit_append($1, $2::text::json)

-- The chains whose first events were kept for long enough.
-- name: list_expired
SELECT c.site
FROM audit_chain AS c
JOIN audit_event AS first ON first.site = c.site AND first.number = c.expired_number + 1
WHERE first.time < now() - (SELECT keep FROM audit_retention)

-- Removes some events of a chain that were kept for long enough, and counts them.
-- name: expire_events
SELECT audit_expire($1)

-- Events of a stretch of a chain, in its order.
-- name: list_events_oldest_first
SELECT site, number, time, hash, event::text
FROM audit_event
WHERE site = $1
    AND ($2 = '' OR resource = $2 OR starts_with(resource, $2 || '/'))
    AND ($3 = '' OR subject = $3)
    AND ($4 = '' OR action = $4)
    AND time >= timestamptz 'epoch' + $5::bigint * interval '1 microsecond'
    AND time < timestamptz 'epoch' + $6::bigint * interval '1 microsecond'
    AND number >= $7 AND number < $8
ORDER BY number
LIMIT $9

-- The same, the other way round.
-- name: list_events_newest_first
SELECT site, number, time, hash, event::text
FROM audit_event
WHERE site = $1
    AND ($2 = '' OR resource = $2 OR starts_with(resource, $2 || '/'))
    AND ($3 = '' OR subject = $3)
    AND ($4 = '' OR action = $4)
    AND time >= timestamptz 'epoch' + $5::bigint * interval '1 microsecond'
    AND time < timestamptz 'epoch' + $6::bigint * interval '1 microsecond'
    AND number >= $7 AND number < $8
ORDER BY number DESC
LIMIT $9

-- The end of a chain, and where it begins now.
-- name: get_head
SELECT site, number, hash, expired_number, expired_hash
FROM audit_chain
WHERE site = $1

-- A page of the ends of chains.
-- name: list_heads
SELECT site, number, hash, expired_number, expired_hash
FROM audit_chain
WHERE site > $1
ORDER BY site
LIMIT $2

-- Every statement that the service sends. A block begins with its name and says what
-- it is for; parameters are written $1, $2, ... A part stands where {its name} is.


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
    ('site_key', 'SELECT'), ('site_key', 'INSERT'),
    ('code_series', 'SELECT'), ('code_series', 'INSERT'), ('code_series', 'UPDATE'),
    ('subject_code', 'SELECT'), ('subject_code', 'INSERT'),
    ('patient_table', 'SELECT'), ('patient_table', 'INSERT'),
    ('patient_table', 'UPDATE'), ('patient_table', 'DELETE'),
    ('patient_table_version', 'SELECT'), ('patient_table_version', 'INSERT'),
    ('patient_table_version', 'DELETE'),
    ('patient_row', 'SELECT'), ('patient_row', 'INSERT'), ('patient_row', 'DELETE'),
    ('patient_row_gone', 'SELECT'), ('patient_row_gone', 'INSERT'), ('patient_row_gone', 'DELETE'),
    ('deleted_container', 'SELECT'), ('deleted_container', 'INSERT'),
    ('change_proposal', 'SELECT'), ('change_proposal', 'INSERT'), ('change_proposal', 'UPDATE'),
    ('audit_chain', 'SELECT'), ('audit_event', 'SELECT'), ('audit_retention', 'SELECT'),
    ('api_key', 'SELECT'), ('api_key', 'INSERT'), ('api_key', 'UPDATE'),
    ('custom_role', 'SELECT'), ('custom_role', 'INSERT'),
    ('custom_role', 'UPDATE'), ('custom_role', 'DELETE'),
    ('binding', 'SELECT'), ('binding', 'INSERT'), ('binding', 'UPDATE'), ('binding', 'DELETE')
) AS needed (thing, action)
GROUP BY role.name

-- Whether the role of the service could change what the audit says: it owns the tables, has
-- been given more than it needs, or could make what its functions would take for their own.
-- name: may_change_audit
SELECT has_schema_privilege(current_schema(), 'CREATE')
    OR bool_or(has_table_privilege(thing, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER'))
FROM (VALUES ('audit_chain'), ('audit_event'), ('audit_retention')) AS kept (thing)

-- The last migration that the database has had.
-- name: last_migration
SELECT coalesce(max(number), 0) FROM schema_migration

-- Bounds what the transaction waits for: a lock, and the end of each statement.
-- name: bound_transaction
SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)

-- Makes a site.
-- name: create_site
INSERT INTO container (name, display_name, enforced, profile_locked, file_audit)
VALUES ($1, $2, $3, $4, $5)
RETURNING id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision, file_audit, approval_required

-- Makes a container below another; no row when that one does not exist.
-- name: create_child
INSERT INTO container (name, parent_id, display_name, profile_locked)
SELECT $1, parent.id, $2, $4
FROM container AS parent
WHERE parent.name = $3
RETURNING id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision, file_audit, approval_required

-- One container.
-- name: get_container
SELECT id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision, file_audit, approval_required
FROM container
WHERE name = $1

-- One container, kept from changing until the transaction ends.
-- name: lock_container
SELECT id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision, file_audit, approval_required
FROM container
WHERE name = $1
FOR UPDATE

-- A page of sites.
-- name: list_sites
SELECT id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision, file_audit, approval_required
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
    profile_locked, profile_revision, file_audit, approval_required
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
SET display_name = $2, enforced = $3, profile_locked = $4, file_audit = $5, approval_required = $6,
    update_time = now(), revision = revision + 1
WHERE id = $1
RETURNING id, name, display_name, enforced, create_time, update_time, revision,
    profile_locked, profile_revision, file_audit, approval_required

-- Deletes a container that is locked; its versions stay, under the name that it had.
-- name: delete_container
WITH kept AS (
    INSERT INTO deleted_container (id, name)
    SELECT id, name FROM container WHERE id = $1 AND latest_version > 0
)
DELETE FROM container WHERE id = $1

-- Whether what is changed in a site must be approved.
-- name: needs_approval
SELECT approval_required FROM container WHERE name = $1

-- Stores a change that is not made yet; no row when there is no container.
-- name: propose_change
INSERT INTO change_proposal (container_id, method, request, note, author, author_identity)
SELECT id, $2, $3, $4, $5, $6 FROM container WHERE name = $1
RETURNING id, method, request, note, author, author_identity, create_time,
    approved, decided_by, decide_time

-- How many changes of a container nobody has decided.
-- name: count_open_changes
SELECT count(*)
FROM change_proposal AS p
JOIN container AS c ON c.id = p.container_id
WHERE c.name = $1 AND approved IS NULL

-- A change of a container.
-- name: get_change
SELECT p.id, method, request, note, author, author_identity, p.create_time,
    approved, decided_by, decide_time
FROM change_proposal AS p
JOIN container AS c ON c.id = p.container_id
WHERE c.name = $1 AND p.id = $2

-- Whether just this was proposed, and approved.
-- name: is_approved
SELECT EXISTS (
    SELECT FROM change_proposal AS p
    JOIN container AS c ON c.id = p.container_id
    WHERE c.name = $1 AND method = $2 AND request = $3 AND approved)

-- A page of the changes of a container, newest first.
-- name: list_changes
SELECT p.id, method, request, note, author, author_identity, p.create_time,
    approved, decided_by, decide_time
FROM change_proposal AS p
JOIN container AS c ON c.id = p.container_id
WHERE c.name = $1 AND p.id < $2
ORDER BY p.id DESC
LIMIT $3

-- Notes what was decided of a change; no row when that was done before.
-- name: decide_change
UPDATE change_proposal
SET approved = $2, decided_by = $3, decide_time = now()
WHERE id = $1 AND approved IS NULL
RETURNING id, method, request, note, author, author_identity, create_time,
    approved, decided_by, decide_time

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
     validator_version, valid, blank, violations, warnings, key_use)
VALUES
    ($1, $2, $3, $4, $5,
     $6, $7, $8, $9, $10, $11)

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
    violations = $7, warnings = $8, key_use = $9
WHERE container_id = $1 AND version = $2
    AND validator_version = $3

-- The current version of a container (version 0) or one of its versions; the columns of
-- the version are NULL when there is none, and no row when there is no container.
-- name: get_version
SELECT c.id, c.profile_revision,
    v.version, v.sha256, v.create_time,
    v.validator_version, v.blank, v.violations, v.warnings, v.key_use, v.source,
    v.author, v.note
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
    v.validator_version, v.blank, v.violations, v.warnings, v.key_use, v.source, v.author, v.note
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
    v.validator_version, v.blank, v.violations, v.warnings, v.key_use, NULL::bytea,
    v.author, v.note
FROM container AS c
LEFT JOIN LATERAL (
    SELECT *
    FROM profile_version
    WHERE container_id = c.id AND version < $2
        -- They have no gaps.
        AND version > (SELECT max(version) FROM profile_version WHERE container_id = c.id) - $4
    ORDER BY version DESC
    LIMIT $3
) AS v ON true
WHERE c.name = $1
ORDER BY v.version DESC

-- The text of a version.
-- name: get_source
SELECT source FROM profile_version WHERE container_id = $1 AND version = $2

-- What has been committed when it is asked. Nothing was committed between two moments at which this
-- is the same: a snapshot says of every transaction whether it is seen, and belongs to a server as
-- long as that runs. A standby's says less, so there is none there.
-- part: committed
CASE WHEN NOT pg_is_in_recovery() THEN
    pg_snapshot_send(pg_current_snapshot()) || timestamptz_send(pg_postmaster_start_time())
END

-- The moment at which it is asked, and the time.
-- name: moment
SELECT
    {committed},
    timestamptz_send(now())

-- What the cascade asks, and whether it may be asked: first at which moment (as above) that is, and
-- when the first of the keys expires; which of two API keys are in force, and what some principals
-- have for the target, in lines, each with the container, or none where it is for all sites; and
-- then the target and the containers that it is in, each with what is attached to it: before that
-- what a site alone has, with its keys, those of one length one after the other. Where no
-- container exists the columns are NULL. A valid version comes with its text, unless its digest
-- is among the known ones, which are bytes one after the other: an array would cost more. Two
-- lookups by unique keys for each container; by the names, which tell what is in what, it is two
-- steps of a plan in place of eleven.
-- name: resolve
SELECT
    {committed},
    in_force.until, in_force.ids,
    (SELECT string_agg(principal || E'\t' || words || coalesce(E'\t' || container_id, ''), E'\n')
        FROM binding
        WHERE principal = ANY (string_to_array($9, E'\n'))
            AND (container_id IS NULL OR container_id IN (
                SELECT id FROM container WHERE name IN ($1, $2, $3)))),
    c.enforced, c.file_audit,
    CASE WHEN c.enforced THEN
        (SELECT string_agg(int4send(generation) || master_key || sealed, ''::bytea)
         FROM site_key WHERE site_id = c.id)
    END,
    c.name, c.profile_locked, c.id, c.profile_revision,
    v.version, v.sha256, v.create_time,
    v.validator_version, v.blank, v.violations, v.warnings, v.key_use,
    CASE WHEN v.valid AND position(v.sha256 IN $4) = 0 THEN v.source END
FROM (
    SELECT string_agg(id, ' '), timestamptz_send(min(expire_time)) FROM api_key
    WHERE (id = $5 AND hash = $6 OR id = $7 AND hash = $8) AND revoke_time IS NULL
        AND (expire_time IS NULL OR expire_time > now())
) AS in_force (ids, until)
LEFT JOIN container AS c ON c.name IN ($1, $2, $3)
LEFT JOIN profile_version AS v ON v.container_id = c.id AND v.version = c.current_version

-- The same where nothing need be read but a target and the container that it is in: at which moment
-- that is, and the time; and then what comes of them there. Half of the work.
-- name: resolve_below
SELECT
    {committed},
    timestamptz_send(now()),
    c.name, c.profile_locked, c.id, c.profile_revision,
    v.version, v.sha256, v.create_time,
    v.validator_version, v.blank, v.violations, v.warnings, v.key_use,
    CASE WHEN v.valid AND position(v.sha256 IN $3) = 0 THEN v.source END
FROM (SELECT) AS always
LEFT JOIN container AS c ON c.name IN ($1, $2)
LEFT JOIN profile_version AS v ON v.container_id = c.id AND v.version = c.current_version

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

-- What a credential is worth somewhere: the display name of the API key, NULL where there
-- is none that is in force with this hash; and the roles and permissions of some principals
-- there, NULL where they have none. Principals and names stand in lines. The name `*`
-- stands for every place.
-- name: standing
SELECT
    (SELECT display_name FROM api_key
        WHERE id = $1 AND hash = $2 AND revoke_time IS NULL
            AND (expire_time IS NULL OR expire_time > now())),
    (SELECT string_agg(words, ' ') FROM binding
        WHERE principal = ANY (string_to_array($3, E'\n'))
            AND (container_id IS NULL OR $4 = '*' OR container_id IN (
                SELECT id FROM container WHERE name = ANY (string_to_array($4, E'\n')))))

-- Which of two API keys are in force, and what some principals have at a place, in lines: as
-- for a resolution.
-- name: standing_of_both
SELECT
    (SELECT string_agg(id, ' ') FROM api_key
        WHERE (id = $1 AND hash = $2 OR id = $3 AND hash = $4) AND revoke_time IS NULL
            AND (expire_time IS NULL OR expire_time > now())),
    (SELECT string_agg(principal || E'\t' || words, E'\n') FROM binding
        WHERE principal = ANY (string_to_array($5, E'\n'))
            AND (container_id IS NULL OR container_id IN (
                SELECT id FROM container WHERE name = ANY (string_to_array($6, E'\n')))))

-- Stores an API key on a container, or for all sites where the name is empty; no row when
-- the container does not exist.
-- name: create_key
INSERT INTO api_key (id, container_id, hash, display_name, creator, expire_time)
SELECT $1, place.id, $3, $4, $5, $6
FROM (SELECT id FROM container WHERE name = $2 UNION ALL SELECT NULL WHERE $2 = '') AS place
RETURNING id, display_name, create_time, creator, expire_time, revoke_time, last_use_time

-- Stores an API key that was made elsewhere; no row where it is there already.
-- name: adopt_key
INSERT INTO api_key (id, hash, display_name, creator)
VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO NOTHING
RETURNING true

-- Whether an API key with this hash is in force.
-- name: key_in_force
SELECT hash = $2 AND revoke_time IS NULL AND (expire_time IS NULL OR expire_time > now())
FROM api_key
WHERE id = $1

-- A page of the API keys of a container, or of those for all sites.
-- name: list_keys
SELECT id, display_name, create_time, creator, expire_time, revoke_time, last_use_time
FROM api_key
WHERE container_id IS NOT DISTINCT FROM (SELECT id FROM container WHERE name = $1)
    AND id > $2
    AND ($1 = '' OR container_id IS NOT NULL)
ORDER BY id
LIMIT $3

-- Ends an API key of a container, or for all sites; no row when there is none. Comes with
-- whether it was not revoked before.
-- name: revoke_key
UPDATE api_key
SET revoke_time = coalesce(revoke_time, now())
WHERE id = $1
    AND container_id IS NOT DISTINCT FROM (SELECT id FROM container WHERE name = $2)
    AND ($2 = '' OR container_id IS NOT NULL)
RETURNING id, display_name, create_time, creator, expire_time, revoke_time, last_use_time,
    revoke_time = now()

-- Whether there is an API key.
-- name: key_exists
SELECT true FROM api_key WHERE id = $1

-- Notes that API keys were used.
-- name: record_uses
UPDATE api_key SET last_use_time = now() WHERE id = ANY ($1)

-- The identity of a container, which stays until the transaction ends.
-- name: hold_container
SELECT id FROM container WHERE name = $1 FOR KEY SHARE

-- A role of a site, which stays as it is until the transaction ends.
-- name: hold_role
SELECT id, permissions FROM custom_role WHERE name = $1 FOR SHARE

-- Gives a principal a role on a container (NULL: all sites), unless it has it.
-- name: grant_role
INSERT INTO binding (container_id, principal, role, custom_role_id, words, creator)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (principal, coalesce(container_id, 0), role) DO NOTHING

-- One binding.
-- name: get_binding
SELECT principal, role, create_time, creator
FROM binding
WHERE container_id IS NOT DISTINCT FROM $1 AND principal = $2 AND role = $3

-- Takes a role from a principal.
-- name: revoke_role
DELETE FROM binding
WHERE container_id IS NOT DISTINCT FROM (SELECT id FROM container WHERE name = $1)
    AND ($1 = '' OR container_id IS NOT NULL)
    AND principal = $2 AND role = $3
RETURNING id

-- A page of the bindings of a container, or of those for all sites.
-- name: list_bindings
SELECT principal, role, create_time, creator
FROM binding
WHERE container_id IS NOT DISTINCT FROM (SELECT id FROM container WHERE name = $1)
    AND ($1 = '' OR container_id IS NOT NULL)
    AND (principal, role) > ($2, $3)
ORDER BY principal, role
LIMIT $4

-- Who manages access for all sites; nobody else takes it from one of them meanwhile.
-- name: lock_admins
SELECT id FROM binding WHERE container_id IS NULL AND role = 'site-admin' ORDER BY id FOR UPDATE

-- Whether anybody manages access for all sites: an API key that has ended does not.
-- name: has_admin
SELECT EXISTS (
    SELECT FROM binding AS b LEFT JOIN api_key AS k ON k.id = b.key_id
    WHERE b.container_id IS NULL AND b.role = 'site-admin'
        AND (b.key_id IS NULL
            OR k.revoke_time IS NULL AND (k.expire_time IS NULL OR k.expire_time > now())))

-- Makes a role of a site that is held, or replaces its permissions.
-- name: set_role
INSERT INTO custom_role (site_id, name, permissions)
VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET permissions = excluded.permissions, update_time = now()
RETURNING id

-- Lets those who have a role of a site have its permissions as they are now.
-- name: spread_role
UPDATE binding SET words = $2 WHERE custom_role_id = $1

-- Deletes a role of a site; no row when there is none.
-- name: delete_role
DELETE FROM custom_role WHERE name = $1 RETURNING permissions

-- The roles of a site.
-- name: list_roles
SELECT r.name, r.permissions
FROM custom_role AS r JOIN container AS site ON site.id = r.site_id
WHERE site.name = $1
ORDER BY r.name

-- The generations of the key of a site, newest first, as they are encrypted; one row of NULLs
-- when it has none, and no row when it does not exist.
-- name: list_site_keys
SELECT c.id, k.generation, k.master_key, k.sealed, k.create_time
FROM container AS c
LEFT JOIN site_key AS k ON k.site_id = c.id
WHERE c.name = $1
ORDER BY k.generation DESC

-- Adds a generation to the key of a site that is locked.
-- name: insert_site_key
INSERT INTO site_key (site_id, generation, master_key, sealed)
VALUES ($1, $2, $3, $4)
RETURNING create_time

-- The codes that patients were given, whose digests of 32 bytes come one after the other; no
-- row where there is none.
-- name: get_codes
SELECT c.digest, c.code
FROM subject_code AS c JOIN code_series AS s ON s.id = c.series_id
WHERE s.scope_id = $1 AND s.name = $2 AND c.digest IN (
    SELECT substring($3::bytea FROM 32 * number + 1 FOR 32)
    FROM generate_series(0, length($3::bytea) / 32 - 1) AS number)

-- A series of codes, made where it is not there, and kept until the transaction ends: who
-- gives codes of one series waits for who has done so.
-- name: hold_series
INSERT INTO code_series (scope_id, name) VALUES ($1, $2)
ON CONFLICT (scope_id, name) DO UPDATE SET last = code_series.last
RETURNING id, last

-- Gives codes; no row for a patient whose number was given already.
-- name: give_codes
INSERT INTO subject_code (series_id, digest, number, code, master_key, sealed)
SELECT $1, * FROM unnest($2::bytea[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[])
ON CONFLICT (series_id, number) DO NOTHING
RETURNING digest, code

-- Notes the greatest number that was given in order.
-- name: note_last
UPDATE code_series SET last = $2 WHERE id = $1

-- How many codes of a series were given, up to a number; and the first that was not.
-- name: free_code
SELECT count(*), (
    SELECT min(free) FROM (
        SELECT 1 AS free WHERE NOT EXISTS (
            SELECT FROM subject_code WHERE series_id = $1 AND number = 1)
        UNION ALL
        SELECT c.number + 1 FROM subject_code AS c
        WHERE c.series_id = $1 AND c.number < $2 AND NOT EXISTS (
            SELECT FROM subject_code AS next
            WHERE next.series_id = $1 AND next.number = c.number + 1)
    ) AS gaps)
FROM subject_code WHERE series_id = $1 AND number <= $2

-- A page of who was given codes within a container, in the order of the codes.
-- name: list_subjects
SELECT c.code, c.master_key, c.sealed, c.digest, c.create_time, s.scope_id
FROM subject_code AS c JOIN code_series AS s ON s.id = c.series_id
WHERE s.scope_id = $1 AND c.code > $2 AND ($3 = '' OR c.code = $3)
ORDER BY c.code
LIMIT $4

-- The tables that are attached to some containers, whose names stand with spaces between, and
-- have one of some names; all where none is named. Those whose first version is on its way
-- are not among them.
-- name: find_tables
SELECT c.name, c.id, t.name, t.id, t.master_key, t.sealed, v.version, v.base, v.originals,
    v.columns, v.rows, v.rows_added, v.create_time, v.author, v.note
FROM patient_table AS t
JOIN container AS c ON c.id = t.container_id
JOIN patient_table_version AS v ON v.table_id = t.id AND v.version = t.latest_version
WHERE c.name = ANY (string_to_array($1, ' '))
    AND ($2 = '' OR t.name = ANY (string_to_array($2, ' ')))
ORDER BY t.name

-- A version of a table.
-- name: get_table_version
SELECT c.name, c.id, t.name, t.id, t.master_key, t.sealed, v.version, v.base, v.originals,
    v.columns, v.rows, v.rows_added, v.create_time, v.author, v.note
FROM patient_table AS t
JOIN container AS c ON c.id = t.container_id
JOIN patient_table_version AS v ON v.table_id = t.id
WHERE c.name = $1 AND t.name = $2 AND v.version = $3

-- A page of the versions of a table, newest first.
-- name: list_table_versions
SELECT c.name, c.id, t.name, t.id, t.master_key, t.sealed, v.version, v.base, v.originals,
    v.columns, v.rows, v.rows_added, v.create_time, v.author, v.note
FROM patient_table AS t
JOIN container AS c ON c.id = t.container_id
JOIN patient_table_version AS v ON v.table_id = t.id
WHERE c.name = $1 AND t.name = $2 AND v.version < $3
ORDER BY v.version DESC
LIMIT $4

-- What makes a table where there is none of its name, unless its container has as many as it
-- may have; the one that is there then, with no row where there is none.
-- name: hold_table
WITH made AS (
    INSERT INTO patient_table (container_id, name, master_key, sealed)
    SELECT $1, $2, $3, $4
    WHERE (SELECT count(*) FROM patient_table WHERE container_id = $1) < $5
    ON CONFLICT (container_id, name) DO NOTHING
    RETURNING id, master_key, sealed
)
SELECT * FROM made
UNION ALL
SELECT id, master_key, sealed FROM patient_table WHERE container_id = $1 AND name = $2

-- Keeps others from changing a table until the transaction ends; its newest version, with NULLs
-- where it has none yet, and no row when it is gone.
-- name: lock_table
SELECT t.latest_version, v.base, v.originals, v.columns, v.rows
FROM patient_table AS t
LEFT JOIN patient_table_version AS v ON v.table_id = t.id AND v.version = t.latest_version
WHERE t.id = $1
FOR UPDATE OF t

-- The lines of a version whose patients stand in it already: since which version, and in
-- which line.
-- name: patients_twice
SELECT line, first_since, first_line
FROM (
    SELECT since, line, row_number() OVER w AS place,
        first_value(since) OVER w AS first_since, first_value(line) OVER w AS first_line
    FROM patient_row
    WHERE table_id = $1 AND since BETWEEN $2 AND $3
    WINDOW w AS (PARTITION BY digest ORDER BY since, line)
) AS found
WHERE place > 1 AND since = $3
ORDER BY line
LIMIT $4

-- The same of codes.
-- name: codes_twice
SELECT line, first_since, first_line
FROM (
    SELECT since, line, row_number() OVER w AS place,
        first_value(since) OVER w AS first_since, first_value(line) OVER w AS first_line
    FROM patient_row
    WHERE table_id = $1 AND since BETWEEN $2 AND $3 AND code_digest IS NOT NULL
    WINDOW w AS (PARTITION BY code_digest ORDER BY since, line)
) AS found
WHERE place > 1 AND since = $3
ORDER BY line
LIMIT $4

-- Makes a version of a table that is locked.
-- name: insert_table_version
INSERT INTO patient_table_version
    (table_id, version, base, originals, columns, rows, rows_added, author, note)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING create_time

-- Notes the newest version of a table.
-- name: note_table_version
UPDATE patient_table SET latest_version = $2 WHERE id = $1

-- A page of the rows of a version, in the order of their digests.
-- name: list_rows
SELECT digest, sealed
FROM patient_row
WHERE table_id = $1 AND since BETWEEN $2 AND $3 AND digest > $4
ORDER BY digest
LIMIT $5

-- What a version of a table says of patients, whose digests of 32 bytes come one after the
-- other; one row with NULLs where it says nothing of any, and none where the table, which is
-- to be attached to one of some containers, or the version, is not there.
-- name: look_up
SELECT t.master_key, t.sealed, c.id, t.name, v.originals, v.columns, r.digest, r.sealed
FROM patient_table AS t
JOIN container AS c ON c.id = t.container_id
JOIN patient_table_version AS v ON v.table_id = t.id AND v.version = $3
LEFT JOIN LATERAL (
    SELECT found.digest, found.sealed
    FROM generate_series(0, length($4::bytea) / 32 - 1) AS number
    CROSS JOIN LATERAL (
        SELECT row.digest, row.sealed
        FROM patient_row AS row
        WHERE row.table_id = $2 AND row.since BETWEEN v.base AND v.version
            AND row.digest = substring($4::bytea FROM 32 * number + 1 FOR 32)
        LIMIT 1) AS found
) AS r ON true
WHERE t.id = $2 AND c.name = ANY (string_to_array($1, ' '))

-- Deletes a table.
-- name: delete_table
DELETE FROM patient_table WHERE id = $1

-- Deletes the versions of a table before one.
-- name: delete_table_versions
DELETE FROM patient_table_version WHERE table_id = $1 AND version < $2

-- Lets go of the rows of a table that are in none of its versions.
-- name: let_rows_go
INSERT INTO patient_row_gone (table_id, before)
SELECT $1, min(base) FROM patient_table_version WHERE table_id = $1
ON CONFLICT DO NOTHING

-- Rows that nobody can read any more.
-- name: list_rows_gone
SELECT table_id, before FROM patient_row_gone

-- Removes some of them; how many there were.
-- name: remove_rows
WITH gone AS (
    DELETE FROM patient_row
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM patient_row WHERE table_id = $1 AND since < $2 LIMIT $3))
    RETURNING 1
)
SELECT count(*) FROM gone

-- Notes that they are all gone.
-- name: rows_are_gone
DELETE FROM patient_row_gone WHERE table_id = $1 AND before = $2

-- The texts of the profiles that apply to a container or to what is in it, and look something
-- up in a table of a name, each once, in the order of their digests behind one; no more than so
-- many; and how many there are from there on.
-- name: list_texts_with_table
WITH once AS (
    SELECT DISTINCT ON (p.sha256) p.sha256, p.container_id, p.version
    FROM container AS c
    JOIN profile_version AS p ON p.container_id = c.id AND p.version = c.current_version
    WHERE (c.name = $1 OR starts_with(c.name, $1 || '/')) AND p.valid AND p.sha256 > $3
        AND (p.key_use LIKE '%/' || $2 || ':%' OR p.key_use LIKE '%,' || $2 || ':%')
    ORDER BY p.sha256
)
SELECT o.sha256, p.source, (SELECT count(*) FROM once)
FROM (SELECT * FROM once ORDER BY sha256 LIMIT $4) AS o
JOIN profile_version AS p ON p.container_id = o.container_id AND p.version = o.version
ORDER BY o.sha256

-- Generations of keys of sites that another master key has encrypted.
-- name: site_keys_of_other_master
SELECT site_id, generation, master_key, sealed, site_id, generation
FROM site_key WHERE master_key <> $1 LIMIT $2 FOR UPDATE

-- Puts one in place.
-- name: reseal_site_key
UPDATE site_key SET master_key = $3, sealed = $4 WHERE site_id = $1 AND generation = $2

-- Secrets of tables that another master key has encrypted.
-- name: tables_of_other_master
SELECT container_id, name, master_key, sealed, container_id, name
FROM patient_table WHERE master_key <> $1 LIMIT $2 FOR UPDATE

-- Puts one in place.
-- name: reseal_table
UPDATE patient_table SET master_key = $3, sealed = $4 WHERE container_id = $1 AND name = $2

-- Patients with codes that another master key has encrypted.
-- name: subjects_of_other_master
SELECT c.series_id, c.digest, c.master_key, c.sealed, s.scope_id, c.digest
FROM subject_code AS c JOIN code_series AS s ON s.id = c.series_id
WHERE c.master_key <> $1 LIMIT $2 FOR UPDATE OF c

-- Puts one in place.
-- name: reseal_subject
UPDATE subject_code SET master_key = $3, sealed = $4 WHERE series_id = $1 AND digest = $2

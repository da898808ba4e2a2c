-- What became of files is told in the audit, too, in batches, each of them once.

ALTER TABLE container
    ADD COLUMN file_audit text,
    ADD CONSTRAINT container_file_audit_check
        CHECK (file_audit IS NULL OR parent_id IS NULL AND file_audit IN ('off', 'required'));

ALTER TABLE audit_event
    ADD COLUMN batch text GENERATED ALWAYS AS (event ->> 'batch') STORED;

CREATE UNIQUE INDEX audit_event_batch_key ON audit_event (batch) WHERE batch IS NOT NULL;

CREATE OR REPLACE FUNCTION audit_append(about text, what json) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    chain audit_chain;
    at timestamptz;
BEGIN
    SELECT * INTO chain FROM audit_chain WHERE site = about FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        INSERT INTO audit_chain (site)
            SELECT coalesce((SELECT name FROM container
                             WHERE name = about AND parent_id IS NULL), '')
            ON CONFLICT DO NOTHING;
        SELECT * INTO chain FROM audit_chain WHERE site IN (about, '')
            ORDER BY site DESC LIMIT 1 FOR NO KEY UPDATE;
    END IF;
    -- Who tells it again does not know that it was told.
    IF EXISTS (SELECT FROM audit_event WHERE batch = what ->> 'batch') THEN
        RETURN 0;
    END IF;
    at := clock_timestamp();
    chain.number := chain.number + 1;
    chain.hash := sha256(chain.hash || convert_to(
        chain.site || E'\n' || chain.number || E'\n'
            || (extract(epoch FROM at) * 1000000)::bigint || E'\n' || what::text,
        'UTF8'));
    INSERT INTO audit_event (site, number, time, hash, event)
        VALUES (chain.site, chain.number, at, chain.hash, what);
    UPDATE audit_chain SET number = chain.number, hash = chain.hash WHERE site = chain.site;
    RETURN chain.number;
END
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_append SET search_path = %I, pg_temp', current_schema());
END
$$;

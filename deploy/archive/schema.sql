-- What archive.py writes: psql DATABASE -f schema.sql. Can be repeated.

-- Every message once: `id` is the device's for the message, the same in a repeated delivery.
CREATE TABLE IF NOT EXISTS state (
    id text NOT NULL,
    device text NOT NULL,
    camera text NOT NULL,
    ts timestamptz NOT NULL, -- by the clock of the device, which may be wrong
    body jsonb NOT NULL,
    arrived timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device, id)
);
CREATE TABLE IF NOT EXISTS daily (LIKE state INCLUDING ALL);
CREATE TABLE IF NOT EXISTS alert (LIKE state INCLUDING ALL);
-- Of tables of an earlier version.
ALTER TABLE state ADD COLUMN IF NOT EXISTS arrived timestamptz NOT NULL DEFAULT now();
ALTER TABLE daily ADD COLUMN IF NOT EXISTS arrived timestamptz NOT NULL DEFAULT now();
ALTER TABLE alert ADD COLUMN IF NOT EXISTS arrived timestamptz NOT NULL DEFAULT now();
DROP INDEX IF EXISTS state_by_age;
DROP INDEX IF EXISTS alert_of_camera;
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT conrelid::regclass AS kind, conname AS name FROM pg_constraint
        WHERE conrelid IN ('state'::regclass, 'daily'::regclass, 'alert'::regclass)
        AND contype = 'p' AND cardinality(conkey) = 1 -- `id` alone: two devices may have the same
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD PRIMARY KEY (device, id)', one.kind, one.name);
    END LOOP;
END
$$;
CREATE INDEX IF NOT EXISTS state_of_camera ON state (device, camera, ts DESC);
CREATE INDEX IF NOT EXISTS daily_of_camera ON daily (device, camera, (body ->> 'date'), ts DESC);
CREATE INDEX IF NOT EXISTS alert_of_device ON alert (device, (body ->> 'alert_id'), ts DESC);
CREATE INDEX IF NOT EXISTS state_by_arrival ON state (arrived);

-- What could not be read, to be looked at.
CREATE TABLE IF NOT EXISTS rejected (
    at timestamptz NOT NULL DEFAULT now(),
    subject text NOT NULL,
    reason text NOT NULL,
    payload bytea NOT NULL
);

-- The last message of each day of each camera: the totals of that day. A closed day stays closed, whatever the clock said.
CREATE OR REPLACE VIEW day AS
SELECT DISTINCT ON (device, camera, body ->> 'date')
    device, camera, (body ->> 'date')::date AS date, (body ->> 'closed')::boolean AS closed, ts, body
FROM daily
ORDER BY device, camera, body ->> 'date', (body ->> 'closed')::boolean DESC, ts DESC;

-- Each alert as it is now. A closed one stays closed.
CREATE OR REPLACE VIEW alert_now AS
SELECT DISTINCT ON (device, body ->> 'alert_id')
    body ->> 'alert_id' AS alert_id, device, camera, ts, body ->> 'event_type' AS event_type, body ->> 'stage' AS stage,
    body ->> 'severity' AS severity, body ->> 'reason' AS reason, body
FROM alert
ORDER BY device, body ->> 'alert_id', body ->> 'stage' IS NOT DISTINCT FROM 'closed' DESC, ts DESC;

-- Retention, for a nightly `SELECT forget(90);`: states are kept for so many days after they arrived, of each day its last
-- message only once it is over, alerts and days for good. Returns the number of rows that went.
CREATE OR REPLACE FUNCTION forget(state_days integer) RETURNS bigint LANGUAGE sql AS $$
    WITH states AS (
        DELETE FROM state WHERE arrived < now() - make_interval(days => state_days) RETURNING 1
    ), days AS (
        DELETE FROM daily AS old WHERE arrived < now() - interval '2 days' AND EXISTS (
            SELECT FROM daily AS new WHERE new.device = old.device AND new.camera = old.camera
            AND new.body ->> 'date' = old.body ->> 'date'
            AND ((new.body ->> 'closed')::boolean, new.ts) > ((old.body ->> 'closed')::boolean, old.ts)
        ) RETURNING 1
    ), unread AS (
        DELETE FROM rejected WHERE at < now() - make_interval(days => state_days) RETURNING 1
    )
    SELECT (SELECT count(*) FROM states) + (SELECT count(*) FROM days) + (SELECT count(*) FROM unread);
$$;

-- Three queries for a dashboard.

-- 1. What rings now, the worst first.
SELECT device, camera, event_type, severity, reason, ts
FROM alert_now
WHERE stage <> 'closed'
ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity), ts;

-- 2. Lying yesterday beside the median of each camera's two weeks before.
WITH lying AS (
    SELECT device, camera, date,
        jsonb_path_query_first(body, '$.stall.minutes.sternal ? (@.type() == "number")')::float
        + jsonb_path_query_first(body, '$.stall.minutes.lateral ? (@.type() == "number")')::float AS minutes
    FROM day
    WHERE body -> 'stall' <> 'null' AND date BETWEEN current_date - 15 AND current_date - 1
)
SELECT device, camera,
    max(minutes) FILTER (WHERE date = current_date - 1) AS yesterday,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY minutes) FILTER (WHERE date < current_date - 1) AS before
FROM lying
GROUP BY device, camera
ORDER BY device, camera;

-- 3. Cameras that have said nothing for an hour.
SELECT device, camera, max(at) AS last
FROM (
    SELECT device, camera, least(ts, arrived) AS at FROM state
    UNION ALL SELECT device, camera, least(ts, arrived) FROM daily
) AS heard
GROUP BY device, camera
HAVING max(at) < now() - interval '1 hour'
ORDER BY last;

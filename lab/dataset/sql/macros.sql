-- The words of the feature queries. Time is counted in whole hours since 1970 in UTC, so that
-- windows are sums of integers: an event counts from the next full hour on (it lies strictly before
-- it), and leaves a window of n days exactly n days after that. Streaming counts microseconds.
CREATE MACRO next_hour(ts) AS epoch_us(ts) // 3_600_000_000 + 1;
CREATE MACRO days(n) AS 24 * n;
CREATE MACRO moment(hour) AS make_timestamptz(hour * 3_600_000_000);
CREATE MACRO is_midnight(hour) AS hour % 24 = 0;
CREATE MACRO is_weekend(ts) AS (epoch_us(ts) // 86_400_000_000 + 4) % 7 IN (0, 6);

CREATE MACRO tile_us() AS 300_000_000::BIGINT;
CREATE MACRO hour_us() AS 3_600_000_000::BIGINT;
CREATE MACRO gap_us() AS getvariable('session_gap_us');
CREATE MACRO floor_us(us, step) AS us // step * step;

CREATE MACRO as_of() AS make_timestamptz(getvariable('as_of_us'));
CREATE MACRO last_hour() AS getvariable('as_of_us') // 3_600_000_000;
CREATE MACRO midnights(first_hour) AS range((first_hour + 23) // 24 * 24, last_hour() + 1, 24);

-- Most rows arrive soon, one in fifty late; entity and hour alone decide which. MD5 is the same in
-- every version, DuckDB's own hash() is not: 0x051eb852 is a fiftieth of 2^32.
CREATE MACRO created(entity, hour) AS make_timestamptz(hour * 3_600_000_000 + CASE
    WHEN md5(concat_ws(' ', entity, hour)) < '051eb852' THEN getvariable('late_arrival_us')
    ELSE getvariable('arrival_us') END);

-- A double holds whole numbers exactly up to 2^53, and DuckDB sums it faster than a BIGINT.
CREATE MACRO whole(number) AS number::DOUBLE;
CREATE MACRO dollars(cents) AS cents / 100.0;
CREATE MACRO share(part, whole) AS part / nullif(whole, 0);
CREATE MACRO mean_dollars(cents, n) AS dollars(cents) / nullif(n, 0);
CREATE MACRO has_table(name) AS list_contains(getvariable('present'), name);

-- The raw events in memory: numbers stand for the ids, in the ids' order; amounts in cents.
CREATE TABLE users AS
    SELECT (row_number() OVER (ORDER BY user_id) - 1)::INTEGER AS user_id, user_id AS user_name
    FROM (SELECT DISTINCT user_id FROM raw_transactions);

CREATE TABLE merchants AS
    SELECT (row_number() OVER (ORDER BY merchant_id) - 1)::INTEGER AS merchant_id,
        merchant_id AS merchant_name
    FROM (SELECT merchant_id FROM raw_transactions UNION SELECT merchant_id FROM raw_chargebacks
        UNION SELECT merchant_id FROM raw_refunds)
    WHERE merchant_id IS NOT NULL;

CREATE TABLE products AS
    SELECT (row_number() OVER (ORDER BY product_id) - 1)::INTEGER AS product_id,
        product_id AS product_name
    FROM (SELECT product_id FROM raw_transactions UNION SELECT product_id FROM raw_product_views)
    WHERE product_id IS NOT NULL;

-- Of two transactions at the same microsecond the one further down the file is the later.
CREATE TABLE all_transactions AS
    SELECT users.user_id, merchants.merchant_id, products.product_id, event_timestamp,
        round(amount * 100)::BIGINT AS cents, is_approved,
        (epoch_us(event_timestamp)::HUGEINT << 32) + file_row_number AS position
    FROM raw_transactions AS raw
        JOIN users ON raw.user_id = user_name
        LEFT JOIN merchants ON raw.merchant_id = merchant_name
        LEFT JOIN products ON raw.product_id = product_name;

CREATE TABLE all_product_views AS
    SELECT products.product_id, event_timestamp
    FROM raw_product_views AS raw JOIN products ON raw.product_id = product_name;

-- A transaction counts once, however often it was charged back or refunded.
CREATE TABLE all_chargebacks AS
    SELECT merchants.merchant_id, min(event_timestamp) AS event_timestamp
    FROM raw_chargebacks AS raw JOIN merchants ON raw.merchant_id = merchant_name
    GROUP BY merchants.merchant_id, transaction_id;

CREATE TABLE all_refunds AS
    SELECT merchants.merchant_id, min(event_timestamp) AS event_timestamp
    FROM raw_refunds AS raw JOIN merchants ON raw.merchant_id = merchant_name
    GROUP BY merchants.merchant_id, transaction_id;

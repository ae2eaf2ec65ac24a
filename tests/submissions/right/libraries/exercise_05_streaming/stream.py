"""Flink's DataStream API: one keyed function with the state of a user writes a hash to Redis."""

import json
import os
from datetime import UTC, datetime

import redis
from pyflink.common import Configuration, Types, WatermarkStrategy
from pyflink.common.serialization import SimpleStringSchema
from pyflink.datastream import KeyedProcessFunction, StreamExecutionEnvironment
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaSource
from pyflink.datastream.state import MapStateDescriptor

FIVE_MINUTES_MS = 300_000
HOUR = 12  # in windows of five minutes
LATE_MS = 60_000
WINDOW = Types.TUPLE([Types.LONG(), Types.LONG(), Types.LONG(), Types.LONG()])


def milliseconds(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


class RunningWindows(KeyedProcessFunction):
    """Keep count, cents, highest amount and declined payments of each five minutes of a user."""

    def open(self, runtime_context):
        descriptor = MapStateDescriptor("windows", Types.LONG(), WINDOW)
        self.windows = runtime_context.get_map_state(descriptor)
        self.client = redis.Redis(port=int(os.environ["LAB_REDIS_PORT"]))

    def process_element(self, payment, context):
        """Count a payment by its event time; Kafka's time of the record decides if it is late."""
        at = milliseconds(payment["event_time"])
        if abs(context.timestamp() - at) > LATE_MS:
            return
        number = at // FIVE_MINUTES_MS
        count, cents, highest, declined = self.windows.get(number) or (0, 0, 0, 0)
        paid = round(payment["amount"] * 100)
        window = (
            count + 1,
            cents + paid,
            max(highest, paid),
            declined + (payment["is_approved"] is False),
        )
        self.windows.put(number, window)
        self.forget_before(number - HOUR)
        key = f"live:{payment['user_id']}"
        self.client.hset(key, mapping=self.features())
        self.client.expire(key, 3600)

    def forget_before(self, number):
        for old in [each for each, _ in self.windows.items() if each < number]:
            self.windows.remove(old)

    def features(self):
        windows = dict(self.windows.items())
        newest = max(windows)
        count, cents, highest, declined = windows[newest]
        hour = [window for number, window in windows.items() if number > newest - HOUR]
        hour_count, hour_cents = (sum(column) for column in list(zip(*hour, strict=True))[:2])
        return {
            "transaction_count_5m": count,
            "total_amount_5m": cents / 100,
            "avg_amount_5m": cents / 100 / count,
            "max_amount_5m": highest / 100,
            "declined_count_5m": declined,
            "transaction_count_1h": hour_count,
            "avg_amount_1h": hour_cents / 100 / hour_count,
        }


def main():
    configuration = Configuration()
    configuration.set_string("python.fn-execution.bundle.time", "200")
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    environment.set_parallelism(2)
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers("localhost:9092")
        .set_topics("transactions")
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    (
        environment.from_source(source, WatermarkStrategy.no_watermarks(), "transactions")
        .map(json.loads)
        .key_by(lambda payment: payment["user_id"], key_type=Types.STRING())
        .process(RunningWindows())
    )
    environment.execute("features of users")


if __name__ == "__main__":
    main()

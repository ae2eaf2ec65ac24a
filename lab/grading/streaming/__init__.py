"""Exercise 5's grading: a Kafka and a Flink for the submission's job, events, and their recount."""

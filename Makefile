# The project's commands; each does its own set-up.
LAB := .venv/bin/lab

.PHONY: run test quick lint size words docs notebooks drills matrix mutation-score seeds check \
	production bench plugins-matrix payoff incidents airflow drift-figures scale scale-figures scale-lock \
	observability up down lock clean setup redis java

run: setup redis java ## run the exercises, grade the reference; DATA=complete_journey for the real data
	$(LAB) run $(if $(DATA),--data $(DATA))

test: setup redis java ## all tests, on a Redis and a Kafka of their own
	@docker compose version >/dev/null 2>&1 || scripts/system-packages docker-compose || true
	@scripts/system-packages promtool prometheus-alertmanager chromium bwrap || true
	@# CI runs what has not passed once more: other programs may have had the processors for minutes
	.venv/bin/pytest || { [ "$$CI" ] && NOT_PASSED=1 .venv/bin/pytest; }

quick: setup ## while you work: the tests that need no service, then the size of each part
	.venv/bin/pytest -q -m "not services and not slow"
	@.venv/bin/python scripts/size.py

lint: setup ## style, types and language
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy
	@.venv/bin/python scripts/words.py

size: setup ## the lines of each part, with their limits
	.venv/bin/python scripts/size.py

words: setup ## words to replace, docstrings to rephrase
	.venv/bin/python scripts/words.py

docs: setup ## the documentation site, into build/site
	@scripts/site

notebooks: setup ## execute the notebooks, with their outputs stored in docs/notebooks
	@scripts/notebooks

drills: setup redis java ## kill each part of the streaming pipeline under load, recompute everything
	.venv/bin/pytest -n 0 -m drills tests/exercise_05

matrix: setup redis java ## all wrong submissions, each graded, into docs/mutants.md; ONLY=changed for some
	.venv/bin/pytest -m matrix $(if $(ONLY),-k "$(ONLY)") tests/checker || [ $$? = 5 ]
	.venv/bin/python -m tests.checker.matrix
	.venv/bin/python -m tests.checker.quiz

mutation-score: setup redis java ## mutants of the reference, graded, into docs/mutation-score.md; hours; ONLY=survivors for some
	.venv/bin/python -m tests.checker.mutation.score $(ONLY)

seeds: setup redis java ## the reference and the mutants of what is timed, each over twenty seeds; hours
	.venv/bin/pytest -m seeds $(if $(ONLY),-k "$(ONLY)") --durations=0 tests/checker/test_seeds.py

check: setup redis java ## grade the reference only
	$(LAB) check

production: setup redis java ## grade exercises 4 to 6 with their production parts, by production.toml
	rm -rf build/production && mkdir -p build/production
	cp -r exercise_0* build/production && cp production.toml build/production/submission.toml
	for number in 4 5 6; do $(LAB) check $$number --submission build/production || exit 1; done

bench: setup redis java ## the figures next to their peers, into build/bench.json; ONLY=pit for some
	.venv/bin/python -m benchmarks.run $(ONLY)

plugins-matrix: setup redis ## the tests of feast_plugins with each Feast and Python, FEASTS="0.67.0"
	scripts/plugins-matrix

payoff: setup ## what streaming features are worth, into docs/studies; half an hour
	.venv/bin/python -m benchmarks.studies.measure

incidents: setup ## replay 90 days with incidents, by two monitors; DAYS=30 for fewer
	.venv/bin/python -W ignore -m tests.exercise_06.incidents $(DAYS)

airflow: setup redis ## the DAG of exercise 3 by a real scheduler: backfill, an old run, a pause, retries
	.venv/bin/python -W ignore -m tests.exercise_03.airflow_schedule

drift-figures: setup ## false alarms of the drift limits in quiet shops; SEEDS=20, an hour of processor time
	.venv/bin/python -W ignore -m tests.exercise_06.drift_figures $(SEEDS)

observability: setup redis java ## run the dashboard's queries under load, into docs/images; 10 minutes at most
	@scripts/system-packages promtool prometheus-alertmanager prometheus-redis-exporter \
		prometheus-node-exporter
	$(LAB) up
	for number in 1 2 3; do $(LAB) run $$number || exit 1; done
	.venv/bin/python -m exercise_04_serving.train_model
	.venv/bin/python -m scripts.observability

scale: setup redis java ## tests of the parts for several machines: Spark, Redis Cluster, brokers
	@scripts/scale-setup
	.venv/bin/pytest -n 0 -m scale tests/scale
	build/scale/env/bin/python -m pytest -n 0 -m scale tests/scale

scale-figures: setup java ## the join by one process and by Spark, into docs/scaling.md; ROWS="1 10" millions
	@scripts/scale-setup
	build/scale/env/bin/python -m scale.figures $(ROWS)

scale-lock: setup ## make scale/requirements.txt from scale/requirements.in, as `make lock` does
	UV_CUSTOM_COMPILE_COMMAND='make scale-lock' .venv/bin/uv pip compile scale/requirements.in \
		-o scale/requirements.txt --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --quiet

up: setup redis ## start Redis
	$(LAB) up redis

down: setup ## stop what `make up` and `make run` started
	$(LAB) down

lock: setup ## make requirements.txt from pyproject.toml; versions stay unless they must change
	UV_CUSTOM_COMPILE_COMMAND='make lock' .venv/bin/uv pip compile pyproject.toml --all-extras \
		-o requirements.txt --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --quiet

clean: down ## remove what runs made; the virtual environment stays
	rm -rf build
	git clean -fdXq data

setup:
	@scripts/setup

redis:
	@docker info >/dev/null 2>&1 || scripts/system-packages redis-server

java: # Flink, its Kafka connector, and Kafka where no Docker answers
	@scripts/system-packages javac mvn
